//! `/sd`: the targets for Prometheus's HTTP service discovery.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use serde_json::{Value, json};

use crate::support::http;
use crate::support::program::Serving;

fn bridge(configuration: &str) -> (Serving, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fedimeter.yaml");
    std::fs::write(&file, configuration).unwrap();
    std::fs::write(directory.path().join("list.yaml"), "[{targets: ['http://127.0.0.1:11']}]").unwrap();
    let args = ["serve", "--config", &file.display().to_string(), "--listen", "127.0.0.1:0"];
    (Serving::start(&args, &[]), directory)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_target_is_listed_with_its_labels() {
    let (bridge, directory) = bridge(
        "targets_file: list.yaml\ndefaults: {attributes: {team: social}}\n\
         targets:\n  - http://127.0.0.1:9\n  - {url: 'http://127.0.0.1:10', host: a.example, forwarded_proto: https}\n",
    );
    let url = format!("{}/sd", bridge.url());
    let response = http::client().get(&url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
    let tag = response.headers()[ETAG].to_str().unwrap().to_owned();
    let label = |name: &str, value: &str| (format!("__meta_fedimeter_{name}"), Value::from(value));
    let group = |name: &str, address: &str, port: &str, source: Option<&str>| {
        let labels = [label("name", name), label("address", address), label("port", port)];
        let labels = labels.into_iter().chain([label("attribute_team", "social")]);
        let labels: serde_json::Map<String, Value> =
            labels.chain(source.map(|source| label("source", source))).collect();
        json!({ "targets": [name], "labels": labels })
    };
    let expected = json!([
        group("http://127.0.0.1:9", "127.0.0.1", "9", None),
        group("a.example", "a.example", "443", None),
        group("http://127.0.0.1:11", "127.0.0.1", "11", Some("list.yaml")),
    ]);
    let text = response.text().await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);

    let again = async |known: &str| {
        let response = http::client().get(&url).header(IF_NONE_MATCH, known).send().await.unwrap();
        (
            response.status(),
            response.headers()[ETAG].to_str().unwrap().to_owned(),
            response.bytes().await.unwrap(),
        )
    };
    let (status, same, body) = again(&tag).await;
    assert_eq!((status, same == tag, body.len()), (StatusCode::NOT_MODIFIED, true, 0));
    // A changed list has another `ETag`.
    let list = directory.path().join("list.yaml");
    std::fs::write(list, "[{targets: ['http://127.0.0.1:11', 'http://127.0.0.1:12']}]").unwrap();
    while again(&tag).await.0 == StatusCode::NOT_MODIFIED {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let (status, other, body) = again(&tag).await;
    assert_eq!((status, other == tag), (StatusCode::OK, false));
    assert_eq!(serde_json::from_slice::<Vec<Value>>(&body).unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_target_the_list_is_empty() {
    let (bridge, _directory) = bridge("probe: {enabled: true}\n");
    let response = http::client().get(format!("{}/sd", bridge.url())).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.text().await.unwrap(), "[]");
}

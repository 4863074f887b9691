//! Servers with certificates of a private authority.

use fedimeter::simulator::{Settings, Simulator};
use serde_json::{Value, json};

use crate::support::pki::Pki;
use crate::support::program::run;

/// The targets that are up, and the log.
fn up(config: &str) -> (Vec<Value>, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, config).unwrap();
    let ran =
        run(&["once", "--format", "json", "--log-level", "info", "--config", file.to_str().unwrap()], &[]);
    let printed: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    let targets = printed.as_array().unwrap_or_else(|| printed["targets"].as_array().unwrap());
    (targets.iter().map(|target| target["up"].clone()).collect(), ran.err)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authority_is_trusted_for_its_target_or_for_all() {
    let (one, other) = (Pki::new(), Pki::new());
    let simulator = Simulator::start(Settings::default(), ([127, 0, 0, 1], 0).into()).await.unwrap();
    let behind = format!("http://{}", simulator.addr());
    let (first, _) = super::http2::serve(&one, behind.clone(), "http/1.1").await;
    let (second, _) = super::http2::serve(&other, behind, "http/1.1").await;
    // Trust depends on the name: one server has the name, the other the address.
    let (first, second) = (format!("https://localhost:{first}"), format!("https://127.0.0.1:{second}"));
    let ca = |pki: &Pki| pki.ca.display().to_string();

    let (seen, log) = up(&format!("targets: [{first}, {second}]\n"));
    assert_eq!(seen, [json!(false), json!(false)], "{log}");
    assert!(log.contains("name the authority's PEM file with ca_file"), "{log}");

    let of_one = format!("targets:\n  - {{url: {first}, ca_file: {}}}\n  - {second}\n", ca(&one));
    let (seen, log) = up(&of_one);
    assert_eq!(seen, [json!(true), json!(false)], "{log}");

    let all = format!(
        "defaults: {{ca_file: {}}}\ntargets:\n  - {first}\n  - {{url: {second}, ca_file: {}}}\n",
        ca(&one),
        ca(&other)
    );
    let (seen, log) = up(&all);
    assert_eq!(seen, [json!(true), json!(true)], "{log}");

    // Another authority does not help, and a name that is not in the certificate remains an
    // error.
    let wrong = format!("targets:\n  - {{url: {first}, ca_file: {}}}\n", ca(&other));
    assert_eq!(up(&wrong).0, [json!(false)]);
}

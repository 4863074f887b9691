//! The names on `/metrics`, by strategy and escaping scheme.

use fedimeter::simulator::{Fault, Settings, Simulator};

use crate::support::http;
use crate::support::program::Serving;

const UTF8: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8";

async fn page(flags: &[&str], accept: &str) -> (String, String) {
    let settings = Settings { instances: 1, ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    simulator.set_fault(0, "/api/v1/instance/activity", Some(Fault::Status(500)));
    let url = simulator.url(0);
    let args = [&["serve", "--listen", "127.0.0.1:0"], flags, &[&*url]].concat();
    let bridge = Serving::start(&args, &[]);
    let request = http::client().get(format!("{}/metrics", bridge.url())).header("Accept", accept);
    let answer = request.send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (kind, answer.text().await.unwrap())
}

fn has(page: &str, beginning: &str) -> bool {
    page.lines().any(|line| line.starts_with(beginning))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_follow_the_strategy_and_the_scheme_that_is_asked_for() {
    const NO_TRANSLATION: &[&str] = &["--translation-strategy", "NoTranslation"];
    let dots = "text/plain;version=1.0.0;escaping=dots";
    let values = "text/plain;version=1.0.0;escaping=values";
    for (flags, accept, scheme, expected) in [
        (
            &[][..],
            UTF8,
            "allow-utf-8",
            &["mastodon_instance_users{server_address=", "fedimeter_endpoint_duration_seconds{"][..],
        ),
        (&[], dots, "dots", &["mastodon__instance__users{server__address=\""]),
        (
            &["--translation-strategy", "UnderscoreEscapingWithoutSuffixes"],
            UTF8,
            "allow-utf-8",
            &["fedimeter_endpoint_duration{"],
        ),
        (
            &["--translation-strategy", "NoUTF8EscapingWithSuffixes"],
            UTF8,
            "allow-utf-8",
            &[
                "{\"mastodon.instance.users\",\"server.address\"=\"",
                "{\"fedimeter.endpoint.duration_seconds\",\"fedimeter.endpoint.name\"=\"",
                "# UNIT \"fedimeter.endpoint.duration_seconds\" seconds",
                "# TYPE \"fedimeter.endpoint.failures\" counter",
                "{\"fedimeter.endpoint.failures_total\",",
                "{\"fedimeter.request.duration_seconds_bucket\",",
                "target_info{",
            ],
        ),
        (
            NO_TRANSLATION,
            UTF8,
            "allow-utf-8",
            &["{\"fedimeter.endpoint.duration\",", "# TYPE \"mastodon.instance.users\" gauge"],
        ),
        (NO_TRANSLATION, values, "values", &["U__mastodon_2e_instance_2e_users{U__server_2e_address=\""]),
        (NO_TRANSLATION, dots, "dots", &["mastodon_dot_instance_dot_users{server_dot_address=\""]),
        // Clients that do not accept UTF-8 names get none.
        (
            NO_TRANSLATION,
            "text/plain",
            "",
            &["mastodon_instance_users{server_address=\"", "fedimeter_endpoint_duration{"],
        ),
    ] {
        let (kind, page) = page(flags, accept).await;
        assert!(kind.ends_with(scheme) || scheme.is_empty(), "{kind}");
        for beginning in expected {
            assert!(has(&page, beginning), "{flags:?} {accept}: {beginning}\n{page}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn target_info_and_starts_are_there_as_wanted() {
    let (_, usual) = page(&[], UTF8).await;
    assert!(has(&usual, "target_info{") && !usual.contains("_created"), "{usual}");
    let (_, without) = page(&["--without-target-info"], UTF8).await;
    assert!(!has(&without, "target_info{"), "{without}");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let (_, created) = page(&["--created"], UTF8).await;
    let starts: Vec<(&str, f64)> = created
        .lines()
        .filter_map(|line| {
            line.split_once("_created")?.1.rsplit_once(' ').map(|(_, at)| (line, at.parse().unwrap()))
        })
        .collect();
    for family in [
        "fedimeter_endpoint_failures_created{",
        "fedimeter_log_lines_lost_created{",
        "fedimeter_request_duration_seconds_created{",
    ] {
        assert!(starts.iter().any(|(line, _)| line.starts_with(family)), "{family}: {created}");
    }
    for (line, start) in starts {
        assert!((now - 60.0..now + 120.0).contains(&start), "{line}");
    }
    let (_, text) = page(&["--created"], "text/plain").await;
    assert!(!text.contains("_created"), "{text}");
}

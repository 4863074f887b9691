//! Answers that cost as much memory or time as possible.

use std::time::Duration;

use allocation_counter::measure;
use fedimeter::api::{account, admin, instance, lists, nodeinfo, tag, timeline};
use fedimeter::document::length::ArrayLength;
use fedimeter::document::{Document, Top};
use fedimeter::simulator::{Settings, Simulator};
use fedimeter::snapshot::Reports;
use jiff::civil::date;
use url::Url;

use crate::support::hostile_json::hostile;
use crate::support::program::Serving;
use crate::support::{http, samples};

/// The maximum size of a body.
const CAP: usize = 1 << 20;

type Reader = fn(&mut Document<'_>);

const READERS: [(Top, Reader); 14] = [
    (Top::Object, |doc| {
        let _ = instance::v2(doc);
    }),
    (Top::Object, |doc| {
        let _ = instance::v1(doc);
    }),
    (Top::Object, |doc| {
        let _ = nodeinfo::href(doc, &Url::parse("https://a.example/").unwrap());
    }),
    (Top::Object, |doc| {
        let _ = nodeinfo::nodeinfo2(doc);
    }),
    (Top::Object, |doc| {
        let _ = nodeinfo::statistics(doc);
    }),
    (Top::Object, |doc| {
        let _ = tag::newest_day(doc);
    }),
    (Top::Array, |doc| {
        let _ = instance::activity(doc);
    }),
    (Top::Array, |doc| {
        let _ = doc.each(account::account);
    }),
    (Top::Array, |doc| {
        let _ = timeline::newest_post(doc, timeline::Origin::Elsewhere, 2e9);
    }),
    (Top::Array, |doc| {
        let _ = lists::by_severity(doc, &["silence", "suspend"], "_OTHER");
    }),
    (Top::Array, |doc| {
        let _ = admin::read_reports(doc, &mut Reports::default());
    }),
    (Top::Array, |doc| {
        let _ = admin::read_measures(doc, date(2026, 8, 1));
    }),
    (Top::Array, |doc| {
        let _ = admin::read_languages(doc);
    }),
    (Top::Array, |doc| {
        let _ = admin::read_retention(doc, date(2026, 6, 1), date(2026, 7, 1));
    }),
];

/// The limit is four times the maximum size of a body. The body itself takes one of these,
/// and up to three while it grows.
#[test]
fn reading_json_allocates_less_than_its_text_whatever_it_holds() {
    const SIZE: usize = 256 << 10;
    for body in hostile(SIZE) {
        let is_less = |what: &str, read: &mut dyn FnMut()| {
            let allocated = measure(read).bytes_max;
            assert!(allocated < SIZE as u64, "{what} of {body:.40}: {allocated}");
        };
        for (i, (top, read)) in READERS.iter().enumerate() {
            if body.starts_with(if *top == Top::Object { '{' } else { '[' }) {
                is_less(&format!("reader {i}"), &mut || {
                    if let Ok(mut doc) = Document::parse(body.as_bytes(), *top) {
                        read(&mut doc);
                    }
                });
            }
        }
        is_less("the length", &mut || drop(ArrayLength::default().feed(body.as_bytes())));
    }
}

/// A tree of the first body takes 200 MB. Reading in place takes a few times the maximum
/// size for each running request.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_json_costs_little_memory_and_nobody_else_a_number() {
    let bodies = hostile(CAP);
    let settings =
        Settings { instances: bodies.len() + 3, versions: vec!["4.6.4".to_owned()], ..Settings::default() };
    let simulator = Simulator::start(settings, ([127, 0, 0, 1], 0).into()).await.unwrap();
    for (i, body) in bodies.iter().enumerate() {
        for path in
            ["/api/v2/instance", "/api/v1/instance", "/.well-known/nodeinfo", "/api/v1/instance/activity"]
        {
            simulator.set_json(i, path, body.clone());
        }
    }
    let urls = simulator.urls();
    // On a busy machine, a debug build reads such bodies for longer than a server may take.
    // The peak depends on how many are read at the same time: eight take 76 to 87 MiB.
    let patient =
        ["serve", "--listen", "127.0.0.1:0", "--timeout", "60s", "--deadline", "120s", "--max-requests", "8"];
    let args: Vec<&str> = patient.into_iter().chain(urls.iter().map(String::as_str)).collect();
    let bridge = Serving::start(&args, &[]);
    let get = http::client().get(format!("{}/metrics", bridge.url())).timeout(Duration::from_secs(150));
    let shown = samples::samples(&http::body(get.header("X-Prometheus-Scrape-Timeout-Seconds", "120")).await);
    let healthy: Vec<String> =
        (bodies.len()..urls.len()).map(|i| simulator.host(i).split_once(':').unwrap().0.to_owned()).collect();
    let of = |name: &str| {
        let found =
            samples::named(&shown, name).into_iter().map(|sample| sample.labels["server_address"].clone());
        found.filter(|host| healthy.contains(host)).count()
    };
    assert_eq!((of("mastodon_instance_users"), of("fedimeter_target_up")), (3, 3));
    let peak = bridge.peak_memory();
    assert!(peak < 120 << 20, "{} MiB", peak >> 20);
}

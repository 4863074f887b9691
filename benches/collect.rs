//! What a collection costs when everything is fresh: reading the table,
//! collecting the SDK's instruments, writing the exposition; and decoding an
//! answer; and rendering the pages for people.

#[path = "../tests/support/known.rs"]
#[allow(dead_code)]
mod known;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use fedimeter::api::instance;
use fedimeter::bridge::{Bridge, Exporters};
use fedimeter::clock::Clock;
use fedimeter::config::Config;
use fedimeter::document::{Document, Top};
use fedimeter::export::exposition::Format;
use fedimeter::server::page::{self, Query};
use fedimeter::simulator::{Settings, Simulator};
use fedimeter::target::Target;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;

fn collection(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for size in [1, 100] {
        let settings = Settings { instances: size, request_log: 0, ..Settings::default() };
        let simulator = runtime.block_on(Simulator::start(settings, ([127, 0, 0, 1], 0).into())).unwrap();
        let target = |url: String| Target::new(url.parse().unwrap(), None, None, &BTreeMap::default());
        let config =
            Config { targets: simulator.urls().into_iter().map(target).collect(), ..Config::default() };
        let exporters = Exporters { pull: true, push: Some(Temporality::Cumulative) };
        let bridge = runtime.block_on(async {
            Arc::new(Bridge::new(&config, &Resource::builder().build(), exporters, Clock::default()).unwrap())
        });
        let within = Duration::from_secs(20);
        runtime.block_on(bridge.refresher().refresh(within));
        c.bench_function(&format!("scrape/{size} fresh"), |b| {
            b.iter(|| runtime.block_on(bridge.scrape(within, Format::Text004)).unwrap());
        });
        c.bench_function(&format!("collect for push/{size} fresh"), |b| {
            b.iter(|| runtime.block_on(bridge.collect(within)));
        });
    }
}

fn decoding(c: &mut Criterion) {
    let body = br#"{"uri":"a.example","title":"A","version":"4.6.4","stats":{"user_count":3,"status_count":20,"domain_count":7},
        "languages":["en"],"registrations":true,"approval_required":false,"rules":[{"id":"1","text":"Be kind."}],
        "configuration":{"statuses":{"max_characters":500,"max_media_attachments":4}}}"#;
    c.bench_function("decode v1 instance", |b| {
        b.iter(|| instance::v1(&mut Document::parse(black_box(body), Top::Object).unwrap()));
    });
}

fn pages(c: &mut Criterion) {
    let fleet = |i: i64| known::mastodon(&format!("m{i:05}.example"), "4.6.4", 100 + i % 977);
    let status = known::status((0..10_000).map(fleet).collect());
    for (name, query) in [("", ""), (", sorted", "sort=users"), (", searched", "q=m0999&sort=software")] {
        let question = Query::parse(query);
        c.bench_function(&format!("page of 10000{name}"), |b| b.iter(|| page::fleet(&status, &question)));
    }
    let reading = status.view.readings().next().unwrap();
    let plan = known::plan(reading.snapshot);
    c.bench_function("page of a target", |b| {
        b.iter(|| page::target(&status, &page::Query::default(), &reading, &plan));
    });
}

criterion_group!(benches, collection, decoding, pages);
criterion_main!(benches);

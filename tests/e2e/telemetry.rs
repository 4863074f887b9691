//! The bridge's own logs and traces, received and written by a real Collector.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::bench::eventually;
use crate::collector::{Collector, Settings};
use crate::mock::Mock;
use crate::pipeline::pushing;
use crate::written::{attributes, list};

/// Over each protocol: a trace from its collection down to its requests, and the log lines.
pub fn logs_and_traces_arrive(collector: &Path, mock: &Path) {
    let mock = Mock::start(mock);
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        let collector = Settings::to_file(collector).start();
        let endpoint = if protocol == "grpc" { collector.grpc() } else { collector.http() };
        let env = [
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ];
        let bridge = pushing(&mock.url, &endpoint, protocol, &env);
        let spans = eventually("a collection that asked, and a push", || {
            let spans = spans(&collector);
            let is_pushed = spans.iter().any(|span| span["name"] == "push");
            if is_pushed && root(&spans).is_some() { Ok(spans) } else { Err(collector.log()) }
        });
        assert_tree(&spans, &mock.url);
        let bodies = eventually("the line about push", || {
            let bodies = bodies(&collector);
            let is_there = bodies.iter().any(|body| body.starts_with("pushing metrics to "));
            if is_there { Ok(bodies) } else { Err(collector.log()) }
        });
        assert!(bodies.iter().any(|body| body.starts_with("sending traces to ")), "{bodies:?}");
        assert_eq!(bridge.end("TERM").0, Some(0), "{protocol}");
        // The lines of the end arrive, too.
        eventually("the last line", || {
            if self::bodies(&collector).iter().any(|body| body == "ending") {
                Ok(())
            } else {
                Err(collector.log())
            }
        });
    }
}

/// Each span but a root has its parent in the same trace; requests are below endpoints,
/// those below targets, and those below a collection.
fn assert_tree(spans: &[Value], server: &str) {
    let id = |span: &Value, key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let by_id: BTreeMap<String, &Value> = spans.iter().map(|span| (id(span, "spanId"), span)).collect();
    let root = root(spans).unwrap();
    let trace: Vec<&Value> = spans.iter().filter(|span| span["traceId"] == root["traceId"]).collect();
    let expected =
        [("GET", "endpoint"), ("endpoint", "target"), ("target", "collection"), ("collection", "")];
    for (name, above) in expected {
        let found: Vec<&&Value> = trace.iter().filter(|span| span["name"] == name).collect();
        assert!(!found.is_empty(), "no {name}: {trace:#?}");
        for span in found {
            let parent = by_id.get(&id(span, "parentSpanId"));
            assert_eq!(parent.map_or("", |parent| parent["name"].as_str().unwrap()), above, "{span:#}");
        }
    }
    let request = trace.iter().find(|span| span["name"] == "GET").unwrap();
    let attributes = attributes(request);
    let url = attributes["url.full"].as_str().unwrap();
    assert!(url.starts_with(server), "{url}");
    assert!(attributes["http.response.status_code"].is_number(), "{request:#}");
}

/// The root of a trace with requests. Of several simultaneous collections, one sends the
/// requests.
fn root(spans: &[Value]) -> Option<&Value> {
    let asks = |root: &&Value| spans.iter().any(|s| s["name"] == "GET" && s["traceId"] == root["traceId"]);
    spans.iter().filter(|span| span["name"] == "collection").find(asks)
}

fn spans(collector: &Collector) -> Vec<Value> {
    let mut found = Vec::new();
    for request in collector.requests() {
        for resource in list(&request, "resourceSpans") {
            for scope in list(resource, "scopeSpans") {
                found.extend(list(scope, "spans").iter().cloned());
            }
        }
    }
    found
}

fn bodies(collector: &Collector) -> Vec<String> {
    let mut found = Vec::new();
    for request in collector.requests() {
        for resource in list(&request, "resourceLogs") {
            for scope in list(resource, "scopeLogs") {
                let bodies = list(scope, "logRecords").iter().map(|record| &record["body"]["stringValue"]);
                found.extend(bodies.map(|body| body.as_str().unwrap_or_default().to_owned()));
            }
        }
    }
    found
}

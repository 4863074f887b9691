//! The output of `fedimeter once` about a server, for comparison with received data.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::prometheus::{Series, series};
use crate::support::program::run;
use crate::support::samples;
use crate::written::{Attributes, Point};

/// A metric's kind and unit.
type Metric = (String, String);

/// The accounts of the demo data that are collected.
pub const ACCOUNT: &str = "ada";

/// The points about one server without their times, by name and attributes. `None` is a
/// value that changes with each collection.
#[derive(Debug, PartialEq)]
pub struct Expected {
    metrics: BTreeMap<String, Metric>,
    points: BTreeMap<(String, String), Option<f64>>,
}

/// Metrics about requests, which do not come from the server.
fn passing(name: &str) -> bool {
    name.ends_with(".duration") || name.ends_with("last_success.timestamp")
}

fn key(name: &str, attributes: &Attributes) -> (String, String) {
    (name.to_owned(), serde_json::to_string(attributes).unwrap())
}

impl Expected {
    /// The output of `once --format json`.
    pub fn once(server: &str) -> Expected {
        let ran = run(&["once", "--format", "json", "--account", ACCOUNT, server], &[]);
        assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""));
        let printed: Value = serde_json::from_str(&ran.out).unwrap();
        let mut expected = Expected { metrics: BTreeMap::new(), points: BTreeMap::new() };
        for metric in printed["targets"][0]["metrics"].as_array().unwrap() {
            let text = |of: &str| metric[of].as_str().unwrap().to_owned();
            let attributes: Attributes = serde_json::from_value(metric["attributes"].clone()).unwrap();
            expected.add(&text("name"), &(text("kind"), text("unit")), &attributes, metric["value"].as_f64());
        }
        assert!(expected.metrics.len() > 20, "{expected:?}");
        expected
    }

    /// The points about `server` of one collection.
    pub fn of(points: &[Point], server: &str) -> Expected {
        let port = server.rsplit_once(':').unwrap().1;
        let mut expected = Expected { metrics: BTreeMap::new(), points: BTreeMap::new() };
        for point in points {
            // Metrics about a target that `once` does not print: requests are counted only
            // while a bridge runs.
            let about = point.attributes.get("server.port").map(ToString::to_string);
            if about.as_deref() == Some(port) && point.kind == "gauge" {
                let metric = (point.kind.to_owned(), point.unit.clone());
                expected.add(&point.name, &metric, &point.attributes, Some(point.value));
            }
        }
        expected
    }

    fn add(&mut self, name: &str, metric: &Metric, attributes: &Attributes, value: Option<f64>) {
        let before = self.metrics.insert(name.to_owned(), metric.clone());
        assert!(before.is_none_or(|before| before == *metric), "{name} is two metrics");
        let value = value.filter(|_| !passing(name));
        assert_eq!(self.points.insert(key(name, attributes), value), None, "{name} stands twice");
    }
}

/// The series about a server from `once --format prometheus`.
pub fn in_prometheus(server: &str) -> Series {
    let ran = run(&["once", "--format", "prometheus", "--account", ACCOUNT, server], &[]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let about = samples::samples(&ran.out).into_iter().filter(|s| s.labels.contains_key("server_address"));
    let series: Series = about.map(|s| series(s.name, s.labels, s.value)).collect();
    assert!(series.len() > 20, "{series:?}");
    series
}

/// The differences between two sets of series, as text.
pub fn difference(a: &Series, b: &Series) -> Vec<String> {
    let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let differs = keys.into_iter().filter(|key| a.get(key) != b.get(key));
    differs.map(|key| format!("{key:?}: {:?}, {:?}", a.get(key), b.get(key))).collect()
}

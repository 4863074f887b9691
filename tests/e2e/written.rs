//! The output of a Collector's file exporter: OTLP's JSON, read without code of the
//! project.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

pub type Attributes = BTreeMap<String, Value>;

/// A data point with its metric, scope and resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The line of the file. Without batching, each line is a request.
    pub request: usize,
    pub resource: Attributes,
    pub scope: String,
    pub name: String,
    pub unit: String,
    /// `gauge`, `counter`, `updowncounter` or `histogram`.
    pub kind: &'static str,
    pub attributes: Attributes,
    /// The count of a histogram.
    pub value: f64,
    pub nanos: u64,
}

/// All requests of a file; none if there is no file. An incomplete line is omitted.
pub fn requests(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All points of a file.
pub fn points(file: &Path) -> Vec<Point> {
    let mut points = Vec::new();
    for (request, message) in requests(file).iter().enumerate() {
        for resource in list(message, "resourceMetrics") {
            for scope in list(resource, "scopeMetrics") {
                for metric in list(scope, "metrics") {
                    add(&mut points, request, resource, scope, metric);
                }
            }
        }
    }
    points
}

fn add(points: &mut Vec<Point>, request: usize, resource: &Value, scope: &Value, metric: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, data) = match metric {
        metric if metric["gauge"].is_object() => ("gauge", &metric["gauge"]),
        metric if metric["sum"]["isMonotonic"] == true => ("counter", &metric["sum"]),
        metric if metric["sum"].is_object() => ("updowncounter", &metric["sum"]),
        metric if metric["histogram"].is_object() => ("histogram", &metric["histogram"]),
        metric => panic!("what is this? {metric}"),
    };
    // 64-bit integers are strings in JSON.
    let whole = |value: &Value| value.as_str()?.parse::<f64>().ok();
    let value = |point: &Value| {
        point["asDouble"].as_f64().or_else(|| whole(&point["asInt"])).or_else(|| whole(&point["count"]))
    };
    points.extend(list(data, "dataPoints").iter().map(|point| Point {
        request,
        resource: attributes(&resource["resource"]),
        scope: text(&scope["scope"]["name"]),
        name: text(&metric["name"]),
        unit: text(&metric["unit"]),
        kind,
        attributes: attributes(point),
        value: value(point).unwrap_or_else(|| panic!("no value: {point}")),
        nanos: point["timeUnixNano"].as_str().unwrap().parse().unwrap(),
    }));
}

pub fn attributes(of: &Value) -> Attributes {
    let one = |attribute: &Value| {
        let value = &attribute["value"];
        let value = match &value["intValue"] {
            Value::String(digits) => serde_json::from_str(digits).unwrap(),
            _ => value.as_object().unwrap().values().next().unwrap().clone(),
        };
        (attribute["key"].as_str().unwrap().to_owned(), value)
    };
    list(of, "attributes").iter().map(one).collect()
}

/// Empty lists are omitted in JSON.
pub fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

//! The registry in `semconv/`, and a comparison of messages with it.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};
use saphyr::{LoadableYamlNode, Yaml};

/// The schema on which the registry depends, and which all data names.
const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

/// A registry with its imports.
pub struct Registry {
    pub metrics: BTreeMap<String, Metric>,
    /// The metrics that it defines itself.
    pub attributes: BTreeMap<String, Attribute>,
}

#[derive(Debug, Clone, Default)]
pub struct Metric {
    pub kind: String,
    pub number: String,
    pub unit: String,
    pub required: BTreeSet<String>,
    pub optional: BTreeSet<String>,
}

#[derive(Debug)]
pub enum Attribute {
    Of(&'static str),
    Members(BTreeSet<String>),
}

/// A sent point.
#[derive(Debug)]
pub struct Emitted {
    pub name: String,
    pub unit: String,
    pub kind: &'static str,
    pub temporality: &'static str,
    pub number: &'static str,
    pub attributes: BTreeMap<String, Value>,
}

/// The metrics that OpenTelemetry's conventions 1.45 define: kind, number, unit, required
/// attributes, and the others.
const UPSTREAM: &[Upstream] = &[
    (
        "otel.sdk.exporter.metric_data_point.exported",
        "counter",
        "int",
        "{data_point}",
        EXPORTER,
        &["error.type"],
    ),
    ("otel.sdk.exporter.metric_data_point.inflight", "updowncounter", "int", "{data_point}", EXPORTER, &[]),
    ("otel.sdk.exporter.operation.duration", "histogram", "double", "s", EXPORTER, OPERATION),
    ("otel.sdk.metric_reader.collection.duration", "histogram", "double", "s", COMPONENT, &["error.type"]),
    ("otel.sdk.exporter.log.exported", "counter", "int", "{log_record}", EXPORTER, &["error.type"]),
    ("otel.sdk.exporter.log.inflight", "updowncounter", "int", "{log_record}", EXPORTER, &[]),
    ("otel.sdk.processor.log.processed", "counter", "int", "{log_record}", COMPONENT, &["error.type"]),
    ("otel.sdk.exporter.span.exported", "counter", "int", "{span}", EXPORTER, &["error.type"]),
    ("otel.sdk.exporter.span.inflight", "updowncounter", "int", "{span}", EXPORTER, &[]),
    ("otel.sdk.processor.span.processed", "counter", "int", "{span}", COMPONENT, &["error.type"]),
    ("process.cpu.time", "counter", "double", "s", &["cpu.mode"], &[]),
    ("process.memory.usage", "updowncounter", "int", "By", &[], &[]),
    ("process.thread.count", "updowncounter", "int", "{thread}", &[], &[]),
    ("process.unix.file_descriptor.count", "updowncounter", "int", "{file_descriptor}", &[], &[]),
    ("process.uptime", "gauge", "double", "s", &[], &[]),
];
type Upstream = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

/// Recommended by the conventions, and always present here.
const EXPORTER: &[&str] = &["otel.component.name", "otel.component.type", "server.address", "server.port"];
const COMPONENT: &[&str] = &["otel.component.name", "otel.component.type"];
const OPERATION: &[&str] = &["error.type", "http.response.status_code", "rpc.status_code"];

/// The types of OpenTelemetry's attributes.
const UPSTREAM_ATTRIBUTES: &[(&str, &str)] = &[
    ("cpu.mode", "string"),
    ("error.type", "string"),
    ("http.response.status_code", "int"),
    ("otel.component.name", "string"),
    ("otel.component.type", "string"),
    ("rpc.status_code", "string"),
    ("server.address", "string"),
    ("server.port", "int"),
];

impl Registry {
    /// Reads `semconv/`.
    pub fn read() -> Registry {
        let files = ["attributes.yaml", "metrics.yaml"].map(|name| {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/semconv/").to_owned() + name;
            std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
        });
        let documents = files.each_ref().map(|text| Yaml::load_from_str(text).unwrap().remove(0));
        let groups: Vec<&Yaml<'_>> = documents.iter().flat_map(|document| list(document, "groups")).collect();
        let mut registry = Registry { metrics: BTreeMap::new(), attributes: BTreeMap::new() };
        for attribute in groups.iter().flat_map(|group| list(group, "attributes")) {
            if let Some(id) = text(attribute, "id") {
                let known = registry.attributes.insert(id.to_owned(), Attribute::read(attribute));
                assert!(known.is_none(), "{id} is defined twice");
                assert!(text(attribute, "brief").is_some() && text(attribute, "stability").is_some(), "{id}");
            }
        }
        for group in groups.iter().filter(|group| text(group, "type") == Some("metric")) {
            let generation = group.as_mapping_get("annotations").unwrap().as_mapping_get("code_generation");
            let mut metric = Metric {
                kind: text(group, "instrument").expect("instrument").to_owned(),
                number: text(generation.unwrap(), "metric_value_type").unwrap().to_owned(),
                unit: text(group, "unit").expect("unit").to_owned(),
                ..Metric::default()
            };
            if let Some(base) = text(group, "extends") {
                let base =
                    groups.iter().find(|other| text(other, "id") == Some(base)).expect("what it extends");
                metric.refer(base);
            }
            metric.refer(group);
            assert!(text(group, "brief").is_some() && text(group, "stability").is_some());
            registry.metrics.insert(text(group, "metric_name").unwrap().to_owned(), metric);
        }
        let imports = documents.iter().filter_map(|document| document.as_mapping_get("imports"));
        for name in imports.flat_map(|imports| list(imports, "metrics")) {
            let name = name.as_str().unwrap();
            let (_, kind, number, unit, required, optional) =
                UPSTREAM.iter().find(|(upstream, ..)| *upstream == name).unwrap_or_else(|| panic!("{name}"));
            let set = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
            let metric = Metric {
                kind: (*kind).to_owned(),
                number: (*number).to_owned(),
                unit: (*unit).to_owned(),
                required: set(required),
                optional: set(optional),
            };
            registry.metrics.insert(name.to_owned(), metric);
        }
        registry
    }

    /// How a point differs from the registry.
    pub fn complaints(&self, point: &Emitted) -> Vec<String> {
        let name = &point.name;
        let Some(metric) = self.metrics.get(name) else {
            return vec![format!("{name} is not in the registry")];
        };
        let mut wrong = Vec::new();
        for (what, emitted, expected) in [
            ("unit", &*point.unit, &metric.unit),
            ("kind", point.kind, &metric.kind),
            ("type", point.number, &metric.number),
        ] {
            if emitted != expected {
                wrong.push(format!("{name}: its {what} is {emitted:?}, not {expected:?}"));
            }
        }
        for missing in metric.required.iter().filter(|key| !point.attributes.contains_key(*key)) {
            wrong.push(format!("{name}: a point without {missing}"));
        }
        for (key, value) in &point.attributes {
            if !metric.required.contains(key) && !metric.optional.contains(key) {
                wrong.push(format!("{name}: {key} is not of it"));
            }
            if !self.allows(key, value) {
                wrong.push(format!("{name}: {key} has the value {value:?}"));
            }
        }
        wrong
    }

    fn allows(&self, key: &str, value: &Value) -> bool {
        let upstream = UPSTREAM_ATTRIBUTES.iter().find(|(name, _)| *name == key).map(|(_, of)| *of);
        match (value, self.attributes.get(key), upstream) {
            (Value::StringValue(_), Some(Attribute::Of(of)), _) => *of == "string",
            (Value::StringValue(_), None, Some(of)) => of == "string",
            (Value::IntValue(_), None, Some(of)) => of == "int",
            (Value::StringValue(text), Some(Attribute::Members(members)), _) => members.contains(text),
            _ => false,
        }
    }
}

impl Attribute {
    fn read(yaml: &Yaml<'_>) -> Attribute {
        let of = yaml.as_mapping_get("type").expect("type");
        match of.as_str() {
            Some("string") => Attribute::Of("string"),
            Some("int") => Attribute::Of("int"),
            Some(other) => panic!("the type {other}"),
            None => Attribute::Members(
                list(of, "members").map(|member| text(member, "value").unwrap().to_owned()).collect(),
            ),
        }
    }
}

impl Metric {
    fn refer(&mut self, group: &Yaml<'_>) {
        for attribute in list(group, "attributes") {
            let name = text(attribute, "ref").expect("ref").to_owned();
            let level = attribute.as_mapping_get("requirement_level").expect("requirement_level");
            let always = level.as_str() == Some("required");
            assert!(
                always || text(level, "conditionally_required").is_some_and(|when| !when.is_empty()),
                "{name}"
            );
            if always { &mut self.required } else { &mut self.optional }.insert(name);
        }
    }
}

fn text<'a>(yaml: &'a Yaml<'_>, key: &str) -> Option<&'a str> {
    yaml.as_mapping_get(key)?.as_str()
}

fn list<'a, 'b>(yaml: &'a Yaml<'b>, key: &str) -> impl Iterator<Item = &'a Yaml<'b>> + use<'a, 'b> {
    yaml.as_mapping_get(key).and_then(Yaml::as_vec).into_iter().flatten()
}

/// The points of a message.
pub fn emitted(message: &ExportMetricsServiceRequest) -> Vec<Emitted> {
    let scopes = message.resource_metrics.iter().flat_map(|resource| {
        assert_eq!(resource.schema_url, SCHEMA_URL);
        &resource.scope_metrics
    });
    let mut all = Vec::new();
    for scope in scopes {
        assert_eq!((&*scope.scope.as_ref().unwrap().name, &*scope.schema_url), ("fedimeter", SCHEMA_URL));
        for metric in &scope.metrics {
            assert!(!metric.description.is_empty(), "{} says nothing", metric.name);
            let (kind, temporality, points) = points(metric.data.as_ref().unwrap());
            all.extend(points.into_iter().map(|(number, attributes)| Emitted {
                name: metric.name.clone(),
                unit: metric.unit.clone(),
                kind,
                temporality,
                number,
                attributes: attributes.iter().map(key_value).collect(),
            }));
        }
    }
    all
}

type Points<'a> = Vec<(&'static str, &'a [KeyValue])>;

fn points(data: &Data) -> (&'static str, &'static str, Points<'_>) {
    match data {
        Data::Gauge(d) => ("gauge", "", d.data_points.iter().map(number).collect()),
        Data::Sum(d) => {
            let kind = if d.is_monotonic { "counter" } else { "updowncounter" };
            (kind, temporality(d.aggregation_temporality), d.data_points.iter().map(number).collect())
        }
        Data::Histogram(d) => {
            let points = d.data_points.iter().map(|p| ("double", &*p.attributes));
            ("histogram", temporality(d.aggregation_temporality), points.collect())
        }
        Data::ExponentialHistogram(d) => {
            let points = d.data_points.iter().map(|p| ("double", &*p.attributes));
            ("exponential_histogram", temporality(d.aggregation_temporality), points.collect())
        }
        Data::Summary(_) => panic!("a summary"),
    }
}

fn number(point: &NumberDataPoint) -> (&'static str, &[KeyValue]) {
    let of = match point.value {
        Some(number_data_point::Value::AsInt(_)) => "int",
        Some(number_data_point::Value::AsDouble(_)) => "double",
        None => "none",
    };
    (of, &point.attributes)
}

fn temporality(number: i32) -> &'static str {
    if number == 1 { "delta" } else { "cumulative" }
}

fn key_value(attribute: &KeyValue) -> (String, Value) {
    let AnyValue { value } = attribute.value.clone().unwrap();
    (attribute.key.clone(), value.unwrap())
}

//! OTLP messages as a flat list of points.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, number_data_point};

use super::{Point, Value};

/// The points of a message, in order.
pub fn points(message: &ExportMetricsServiceRequest) -> Vec<Point> {
    let mut points = Vec::new();
    for resource in &message.resource_metrics {
        let resource_attributes = attributes(&resource.resource.as_ref().unwrap().attributes);
        for scope in &resource.scope_metrics {
            for metric in &scope.metrics {
                let (kind, temporality, values) = values(metric.data.as_ref().unwrap());
                points.extend(values.into_iter().map(|(attributes, value, time_unix_nano)| Point {
                    resource: resource_attributes.clone(),
                    scope: scope.scope.as_ref().map(|s| s.name.clone()).unwrap_or_default(),
                    name: metric.name.clone(),
                    unit: metric.unit.clone(),
                    description: metric.description.clone(),
                    kind,
                    temporality,
                    attributes,
                    value,
                    time_unix_nano,
                }));
            }
        }
    }
    points
}

type Flat = (BTreeMap<String, String>, Value, u64);

fn values(data: &Data) -> (&'static str, &'static str, Vec<Flat>) {
    match data {
        Data::Gauge(d) => ("gauge", "", d.data_points.iter().map(number).collect()),
        Data::Sum(d) => {
            let kind = if d.is_monotonic { "counter" } else { "updowncounter" };
            (kind, temporality(d.aggregation_temporality), d.data_points.iter().map(number).collect())
        }
        Data::Histogram(d) => {
            let points = d.data_points.iter().map(|p| {
                (
                    attributes(&p.attributes),
                    Value::Distribution(p.count, p.sum.unwrap_or_default()),
                    p.time_unix_nano,
                )
            });
            ("histogram", temporality(d.aggregation_temporality), points.collect())
        }
        Data::ExponentialHistogram(d) => {
            let points = d.data_points.iter().map(|p| {
                (
                    attributes(&p.attributes),
                    Value::Distribution(p.count, p.sum.unwrap_or_default()),
                    p.time_unix_nano,
                )
            });
            ("exponential_histogram", temporality(d.aggregation_temporality), points.collect())
        }
        Data::Summary(d) => {
            let points = d
                .data_points
                .iter()
                .map(|p| (attributes(&p.attributes), Value::Distribution(p.count, p.sum), p.time_unix_nano));
            ("summary", "", points.collect())
        }
    }
}

fn number(point: &NumberDataPoint) -> Flat {
    let value = match point.value.unwrap() {
        number_data_point::Value::AsInt(i) => Value::Int(i),
        number_data_point::Value::AsDouble(f) => Value::Double(f),
    };
    (attributes(&point.attributes), value, point.time_unix_nano)
}

fn temporality(number: i32) -> &'static str {
    match number {
        1 => "delta",
        2 => "cumulative",
        other => panic!("temporality {other}"),
    }
}

pub fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes
        .iter()
        .map(|attribute| {
            let value = match attribute.value.as_ref().and_then(|v| v.value.as_ref()) {
                Some(any_value::Value::StringValue(s)) => s.clone(),
                Some(any_value::Value::IntValue(i)) => i.to_string(),
                Some(any_value::Value::DoubleValue(f)) => f.to_string(),
                Some(any_value::Value::BoolValue(b)) => b.to_string(),
                other => format!("{other:?}"),
            };
            (attribute.key.clone(), value)
        })
        .collect()
}

//! The requests of all signals, and how their items are divided.

use std::mem::take;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A request of OTLP: points, log records or spans, inside scopes and resources.
pub trait Request: Message + Default + Serialize + DeserializeOwned {
    /// Returns the number of items.
    fn items(&self) -> usize;

    /// Returns the first `count` items, and the rest.
    fn divide(self, count: usize) -> (Self, Self);
}

/// Divides a list after `count` items. `split` divides the element in which the limit
/// falls, so that both sides get a part of it.
fn divide<T>(
    list: Vec<T>,
    mut count: usize,
    items: impl Fn(&T) -> usize,
    split: impl Fn(T, usize) -> (T, T),
) -> (Vec<T>, Vec<T>) {
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for part in list {
        let has = items(&part);
        if has <= count {
            count -= has;
            first.push(part);
        } else if count == 0 {
            rest.push(part);
        } else {
            let (head, tail) = split(part, take(&mut count));
            first.push(head);
            rest.push(tail);
        }
    }
    (first, rest)
}

/// Divides the list in a message between two copies of the message.
macro_rules! between_two {
    ($message:expr, $list:ident, $divided:expr) => {{
        let mut first = $message;
        let list = take(&mut first.$list);
        let mut rest = first.clone();
        (first.$list, rest.$list) = $divided(list);
        (first, rest)
    }};
}

impl Request for ExportMetricsServiceRequest {
    fn items(&self) -> usize {
        self.resource_metrics.iter().map(of_resource).sum()
    }

    fn divide(self, count: usize) -> (Self, Self) {
        between_two!(self, resource_metrics, |list| divide(list, count, of_resource, divide_resource))
    }
}

fn of_resource(resource: &ResourceMetrics) -> usize {
    resource.scope_metrics.iter().map(of_scope).sum()
}

fn of_scope(scope: &ScopeMetrics) -> usize {
    scope.metrics.iter().map(points).sum()
}

fn points(metric: &Metric) -> usize {
    match &metric.data {
        None => 0,
        Some(Data::Gauge(d)) => d.data_points.len(),
        Some(Data::Sum(d)) => d.data_points.len(),
        Some(Data::Histogram(d)) => d.data_points.len(),
        Some(Data::ExponentialHistogram(d)) => d.data_points.len(),
        Some(Data::Summary(d)) => d.data_points.len(),
    }
}

fn divide_resource(resource: ResourceMetrics, count: usize) -> (ResourceMetrics, ResourceMetrics) {
    between_two!(resource, scope_metrics, |list| divide(list, count, of_scope, divide_scope))
}

fn divide_scope(scope: ScopeMetrics, count: usize) -> (ScopeMetrics, ScopeMetrics) {
    between_two!(scope, metrics, |list| divide(list, count, points, divide_metric))
}

fn divide_metric(metric: Metric, count: usize) -> (Metric, Metric) {
    /// Returns the rest of the points in a copy of their data, with the same other
    /// fields.
    macro_rules! rest {
        ($kind:ident, $data:ident) => {{
            let data_points = $data.data_points.split_off(count);
            let mut rest = $data.clone();
            rest.data_points = data_points;
            Data::$kind(rest)
        }};
    }
    let mut first = metric;
    let mut data = first.data.take();
    let rest = data.as_mut().map(|data| match data {
        Data::Gauge(d) => rest!(Gauge, d),
        Data::Sum(d) => rest!(Sum, d),
        Data::Histogram(d) => rest!(Histogram, d),
        Data::ExponentialHistogram(d) => rest!(ExponentialHistogram, d),
        Data::Summary(d) => rest!(Summary, d),
    });
    let other = Metric { data: rest, ..first.clone() };
    first.data = data;
    (first, other)
}

/// Log records and spans lie directly below their scope.
macro_rules! flat_request {
    ($request:ident, $resources:ident, $resource:ident, $scopes:ident, $scope:ident, $items:ident) => {
        impl Request for $request {
            fn items(&self) -> usize {
                self.$resources.iter().flat_map(|resource| &resource.$scopes).map(|s| s.$items.len()).sum()
            }

            fn divide(self, count: usize) -> (Self, Self) {
                let of_scope = |scope: &$scope| scope.$items.len();
                let of_resource = |resource: &$resource| resource.$scopes.iter().map(of_scope).sum();
                let divide_scope = |scope: $scope, count: usize| {
                    between_two!(scope, $items, |list: Vec<_>| {
                        let mut first = list;
                        let rest = first.split_off(count);
                        (first, rest)
                    })
                };
                let divide_resource = |resource: $resource, count: usize| {
                    between_two!(resource, $scopes, |list| divide(list, count, of_scope, divide_scope))
                };
                between_two!(self, $resources, |list| divide(list, count, of_resource, divide_resource))
            }
        }
    };
}

flat_request!(ExportLogsServiceRequest, resource_logs, ResourceLogs, scope_logs, ScopeLogs, log_records);
flat_request!(ExportTraceServiceRequest, resource_spans, ResourceSpans, scope_spans, ScopeSpans, spans);

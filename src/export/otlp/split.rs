//! Dividing what was collected into requests that a receiver takes.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest as Request;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, Summary,
};
use prost::{DecodeError, Message};

/// One request's body and how many points are in it.
#[derive(Debug)]
pub(super) struct Part {
    pub body: Bytes,
    pub points: u64,
}

/// The bodies of at most `limit` bytes that an encoded request leaves as. Most
/// are sent as they are: what is collected for one request seldom is larger.
///
/// # Errors
///
/// When it has to be divided or to become JSON, and is no such request.
pub(super) fn bodies(
    whole: Part,
    limit: usize,
    encoding: Encoding,
) -> Result<impl Iterator<Item = Part>, DecodeError> {
    let fits = encoding == Encoding::Protobuf && whole.body.len() <= limit;
    let (one, rest) = match whole {
        Part { points: 0, .. } => (None, None),
        whole if fits => (Some(whole), None),
        whole => (None, Some(parts(Request::decode(whole.body)?, limit, encoding))),
    };
    Ok(one.into_iter().chain(rest.into_iter().flatten()))
}

/// The smaller requests that a request becomes; nothing where it becomes one, or is
/// none of metrics.
pub(super) fn smaller(part: &Part, limit: usize, encoding: Encoding) -> Option<Vec<Part>> {
    let request = match encoding {
        Encoding::Protobuf => Request::decode(part.body.clone()).ok()?,
        Encoding::Json => serde_json::from_slice(&part.body).ok()?,
    };
    Some(parts(request, limit, encoding).collect()).filter(|parts: &Vec<Part>| parts.len() > 1)
}

/// Divides `request` into bodies of at most `limit` bytes, each point in one of
/// them; a body is made when it is asked for. A single point over the limit
/// stays whole: whether that is too much is for the receiver to say.
fn parts(request: Request, limit: usize, encoding: Encoding) -> impl Iterator<Item = Part> {
    let mut todo = vec![request];
    std::iter::from_fn(move || {
        while let Some(request) = todo.pop() {
            let points: usize = request.resource_metrics.iter().map(points_of_resource).sum();
            if points == 0 {
                continue;
            }
            let limit = if points == 1 { usize::MAX } else { limit };
            if let Some(body) = encoding.encode(&request, limit) {
                return Some(Part { body: body.into(), points: points as u64 });
            }
            if points > 1 {
                let (first, rest) = divide(request, points / 2);
                todo.push(rest);
                todo.push(first);
            }
        }
        None
    })
}

/// How messages become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// The body, or nothing when it is longer than `limit`.
    fn encode(self, request: &Request, limit: usize) -> Option<Vec<u8>> {
        match self {
            Encoding::Protobuf => (request.encoded_len() <= limit).then(|| request.encode_to_vec()),
            // Serialising plain data into memory cannot fail.
            Encoding::Json => serde_json::to_vec(request).ok().filter(|body| body.len() <= limit),
        }
    }
}

/// The first `count` points of `request`, and the rest.
fn divide(request: Request, count: usize) -> (Request, Request) {
    let mut left = count;
    let (mut first, mut rest) = (Request::default(), Request::default());
    for mut resource in request.resource_metrics {
        let scopes = std::mem::take(&mut resource.scope_metrics);
        let (mut a, mut b) = (resource.clone(), resource);
        for mut scope in scopes {
            let metrics = std::mem::take(&mut scope.metrics);
            let (mut c, mut d) = (scope.clone(), scope);
            for mut metric in metrics {
                let points = points_of(&metric);
                if points <= left {
                    left -= points;
                    c.metrics.push(metric);
                } else if left == 0 {
                    d.metrics.push(metric);
                } else {
                    let tail = split_off(&mut metric, left);
                    left = 0;
                    c.metrics.push(metric);
                    d.metrics.push(tail);
                }
            }
            a.scope_metrics.extend(Some(c).filter(|scope| !scope.metrics.is_empty()));
            b.scope_metrics.extend(Some(d).filter(|scope| !scope.metrics.is_empty()));
        }
        first.resource_metrics.extend(Some(a).filter(|r| !r.scope_metrics.is_empty()));
        rest.resource_metrics.extend(Some(b).filter(|r| !r.scope_metrics.is_empty()));
    }
    (first, rest)
}

/// Leaves the first `count` points in `metric`; the same metric with the others.
fn split_off(metric: &mut Metric, count: usize) -> Metric {
    let data = metric.data.as_mut().map(|data| match data {
        Data::Gauge(gauge) => Data::Gauge(Gauge { data_points: gauge.data_points.split_off(count) }),
        Data::Sum(sum) => Data::Sum(Sum {
            data_points: sum.data_points.split_off(count),
            aggregation_temporality: sum.aggregation_temporality,
            is_monotonic: sum.is_monotonic,
        }),
        Data::Histogram(h) => Data::Histogram(Histogram {
            data_points: h.data_points.split_off(count),
            aggregation_temporality: h.aggregation_temporality,
        }),
        Data::ExponentialHistogram(h) => Data::ExponentialHistogram(ExponentialHistogram {
            data_points: h.data_points.split_off(count),
            aggregation_temporality: h.aggregation_temporality,
        }),
        Data::Summary(s) => Data::Summary(Summary { data_points: s.data_points.split_off(count) }),
    });
    Metric {
        name: metric.name.clone(),
        description: metric.description.clone(),
        unit: metric.unit.clone(),
        metadata: metric.metadata.clone(),
        data,
    }
}

fn points_of_resource(resource: &ResourceMetrics) -> usize {
    resource.scope_metrics.iter().map(points_of_scope).sum()
}

fn points_of_scope(scope: &ScopeMetrics) -> usize {
    scope.metrics.iter().map(points_of).sum()
}

fn points_of(metric: &Metric) -> usize {
    match &metric.data {
        None => 0,
        Some(Data::Gauge(d)) => d.data_points.len(),
        Some(Data::Sum(d)) => d.data_points.len(),
        Some(Data::Histogram(d)) => d.data_points.len(),
        Some(Data::ExponentialHistogram(d)) => d.data_points.len(),
        Some(Data::Summary(d)) => d.data_points.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, NumberDataPoint, number_data_point};
    use std::collections::BTreeMap;

    /// Two resources' worth of gauges, sums and histograms, `points` each,
    /// every point with a time of its own to know it by.
    fn request(points: u64) -> Request {
        let mut next = 0;
        let mut number = || {
            next += 1;
            NumberDataPoint {
                time_unix_nano: next,
                value: Some(number_data_point::Value::AsInt(1)),
                ..Default::default()
            }
        };
        let metric =
            |name: &str, data| Metric { name: name.to_owned(), data: Some(data), ..Default::default() };
        let mut resource = || {
            let gauge = Gauge { data_points: (0..points).map(|_| number()).collect() };
            let sum = Sum {
                data_points: (0..points).map(|_| number()).collect(),
                aggregation_temporality: 2,
                is_monotonic: true,
            };
            let histogram = Histogram {
                data_points: (0..points)
                    .map(|_| HistogramDataPoint {
                        time_unix_nano: number().time_unix_nano,
                        ..Default::default()
                    })
                    .collect(),
                aggregation_temporality: 2,
            };
            let metrics = vec![
                metric("gauge", Data::Gauge(gauge)),
                metric("sum", Data::Sum(sum)),
                metric("histogram", Data::Histogram(histogram)),
            ];
            ResourceMetrics {
                scope_metrics: vec![ScopeMetrics { metrics, ..Default::default() }],
                ..Default::default()
            }
        };
        Request { resource_metrics: vec![resource(), resource()] }
    }

    /// How often each point is in `request`, by its metric and time.
    fn seen(request: &Request, counts: &mut BTreeMap<(String, u64), u32>) {
        for metric in request.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics)
        {
            let times: Vec<u64> = match metric.data.as_ref().unwrap() {
                Data::Gauge(d) => d.data_points.iter().map(|p| p.time_unix_nano).collect(),
                Data::Sum(d) => {
                    assert!(d.is_monotonic && d.aggregation_temporality == 2);
                    d.data_points.iter().map(|p| p.time_unix_nano).collect()
                }
                Data::Histogram(d) => d.data_points.iter().map(|p| p.time_unix_nano).collect(),
                other => panic!("{other:?}"),
            };
            assert!(!times.is_empty(), "{} without points", metric.name);
            for time in times {
                *counts.entry((metric.name.clone(), time)).or_default() += 1;
            }
        }
    }

    #[test]
    fn every_point_leaves_once_and_no_body_is_over_the_limit() {
        let whole = request(100);
        let mut expected = BTreeMap::new();
        seen(&whole, &mut expected);
        assert_eq!(expected.len(), 600);
        for (limit, encoding) in [
            (1000, Encoding::Protobuf),
            (333, Encoding::Protobuf),
            (1500, Encoding::Json),
            (1 << 20, Encoding::Json),
        ] {
            let parts: Vec<Part> = parts(whole.clone(), limit, encoding).collect();
            let mut counts = BTreeMap::new();
            for part in &parts {
                assert!(part.body.len() <= limit, "{} > {limit}", part.body.len());
                let request: Request = match encoding {
                    Encoding::Protobuf => Request::decode(&part.body[..]).unwrap(),
                    Encoding::Json => serde_json::from_slice(&part.body).unwrap(),
                };
                seen(&request, &mut counts);
            }
            assert_eq!(counts, expected, "{encoding:?} {limit}");
            assert_eq!(parts.iter().map(|p| p.points).sum::<u64>(), 600);
        }
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let body: Bytes = request(10).encode_to_vec().into();
        let whole = || Part { body: body.clone(), points: 60 };
        let one: Vec<Part> = bodies(whole(), body.len(), Encoding::Protobuf).unwrap().collect();
        assert_eq!((one.len(), &one[0].body, one[0].points), (1, &body, 60));
        let divided = bodies(whole(), body.len() - 1, Encoding::Protobuf).unwrap();
        assert!(divided.count() > 1);
        let nothing = Part { body: Bytes::new(), points: 0 };
        assert_eq!(bodies(nothing, 1000, Encoding::Protobuf).unwrap().count(), 0);
        // A point that is too large by itself is sent all the same.
        let parts = parts(request(1), 1, Encoding::Protobuf);
        assert_eq!(parts.count(), 6);
    }
}

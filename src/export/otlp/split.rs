//! Divides requests into smaller ones that a receiver accepts.

mod divide;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::{DecodeError, Message};

pub(super) use divide::Request;

/// The body of one request, and the number of its points, log records or spans.
#[derive(Debug)]
pub(super) struct Part {
    pub body: Bytes,
    pub points: u64,
}

/// Returns the bodies for an encoded request of metrics, of at most `limit` bytes each.
/// Most requests stay whole, because a collection is already divided into requests.
///
/// # Errors
///
/// When the body must be divided or converted to JSON, and is not such a request.
pub(super) fn bodies(
    whole: Part,
    limit: usize,
    encoding: Encoding,
) -> Result<impl Iterator<Item = Part>, DecodeError> {
    let fits = encoding == Encoding::Protobuf && whole.body.len() <= limit;
    let (one, rest) = match whole {
        Part { points: 0, .. } => (None, None),
        whole if fits => (Some(whole), None),
        whole => (None, Some(parts(ExportMetricsServiceRequest::decode(whole.body)?, limit, encoding))),
    };
    Ok(one.into_iter().chain(rest.into_iter().flatten()))
}

/// Divides a request into smaller ones. Returns nothing if it cannot be divided, or is
/// not a request of this kind.
pub(super) fn smaller<R: Request>(part: &Part, limit: usize, encoding: Encoding) -> Option<Vec<Part>> {
    let request = match encoding {
        Encoding::Protobuf => R::decode(part.body.clone()).ok()?,
        Encoding::Json => serde_json::from_slice(&part.body).ok()?,
    };
    Some(parts(request, limit, encoding).collect()).filter(|parts: &Vec<Part>| parts.len() > 1)
}

/// Divides `request` into bodies of at most `limit` bytes, lazily, with each item in
/// one of them. A single item over the limit stays whole, because only the receiver can
/// say whether it is too large.
fn parts<R: Request>(request: R, limit: usize, encoding: Encoding) -> impl Iterator<Item = Part> {
    let mut todo = vec![request];
    std::iter::from_fn(move || {
        while let Some(request) = todo.pop() {
            let items = request.items();
            if items == 0 {
                continue;
            }
            let limit = if items == 1 { usize::MAX } else { limit };
            if let Some(body) = encoding.encode(&request, limit) {
                return Some(Part { body: body.into(), points: items as u64 });
            }
            if items > 1 {
                let (first, rest) = request.divide(items / 2);
                todo.push(rest);
                todo.push(first);
            }
        }
        None
    })
}

/// The encoding of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    /// Returns the body, or `None` if it is longer than `limit`.
    fn encode(self, request: &impl Request, limit: usize) -> Option<Vec<u8>> {
        match self {
            Encoding::Protobuf => (request.encoded_len() <= limit).then(|| request.encode_to_vec()),
            // Serialising plain data into memory cannot fail.
            Encoding::Json => serde_json::to_vec(request).ok().filter(|body| body.len() <= limit),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ExportMetricsServiceRequest as Request;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use opentelemetry_proto::tonic::metrics::v1::{
        Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
        number_data_point,
    };

    use super::divide::Request as _;
    use super::*;

    /// A request with two resources of gauges, sums and histograms, with `points`
    /// points in each metric. A point's time identifies it.
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

    /// Counts each point of `request`, by its metric and time.
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
        // A single point over the limit is sent anyway.
        let parts = parts(request(1), 1, Encoding::Protobuf);
        assert_eq!(parts.count(), 6);
    }

    #[test]
    fn log_records_are_divided_below_their_scopes() {
        let mut next = 0;
        let mut scope = |schema: &str| ScopeLogs {
            schema_url: schema.to_owned(),
            log_records: (0..50)
                .map(|_| {
                    next += 1;
                    LogRecord { time_unix_nano: next, ..LogRecord::default() }
                })
                .collect(),
            ..ScopeLogs::default()
        };
        let scope_logs = vec![scope("a"), scope("b"), scope("c")];
        let whole = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }],
        };
        for (limit, encoding) in [(300, Encoding::Protobuf), (2_000, Encoding::Json)] {
            let part = Part { body: encoding.encode(&whole, usize::MAX).unwrap().into(), points: 150 };
            let mut seen = Vec::new();
            for part in smaller::<ExportLogsServiceRequest>(&part, limit, encoding).unwrap() {
                assert!(part.body.len() <= limit);
                let request: ExportLogsServiceRequest = match encoding {
                    Encoding::Protobuf => Message::decode(&part.body[..]).unwrap(),
                    Encoding::Json => serde_json::from_slice(&part.body).unwrap(),
                };
                assert_eq!(request.items() as u64, part.points);
                for scope in request.resource_logs.iter().flat_map(|resource| &resource.scope_logs) {
                    assert!(!scope.log_records.is_empty());
                    let times = scope.log_records.iter().map(|record| record.time_unix_nano);
                    seen.extend(times.map(|time| (scope.schema_url.clone(), time)));
                }
            }
            let expected = ["a", "b", "c"].iter().zip(0..);
            let expected = expected.flat_map(|(s, i)| (1..=50).map(move |n| ((*s).to_owned(), i * 50 + n)));
            assert_eq!(seen, expected.collect::<Vec<_>>());
        }
    }
}

//! The signals of OTLP: metrics, logs and traces, and how their requests differ.

use std::fmt;

use bytes::Bytes;
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::DecodeError;

use super::split::{self, Encoding, Part, Request};

/// A kind of telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
    /// Spans.
    Traces,
}

impl Signal {
    /// Every signal.
    pub const ALL: [Signal; 3] = [Signal::Metrics, Signal::Logs, Signal::Traces];

    /// The name, which is also the last part of the path of its HTTP requests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
            Signal::Traces => "traces",
        }
    }

    /// The items of its requests, in the plural.
    #[must_use]
    pub fn items(self) -> &'static str {
        match self {
            Signal::Metrics => "points",
            Signal::Logs => "log records",
            Signal::Traces => "spans",
        }
    }

    /// The gRPC method that accepts it.
    pub(super) fn method(self) -> PathAndQuery {
        PathAndQuery::from_static(match self {
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        })
    }

    /// Converts a request from protobuf into `encoding`, and counts its items.
    ///
    /// # Errors
    ///
    /// When the body is not a request of this signal.
    pub(super) fn part(self, body: Bytes, encoding: Encoding) -> Result<Part, DecodeError> {
        fn part<R: Request>(plain: Bytes, encoding: Encoding) -> Result<Part, DecodeError> {
            let request = R::decode(plain.clone())?;
            let body = match encoding {
                Encoding::Protobuf => plain,
                // Serialising plain data into memory cannot fail.
                Encoding::Json => serde_json::to_vec(&request).map_or(plain, Bytes::from),
            };
            Ok(Part { body, points: request.items() as u64 })
        }
        match self {
            Signal::Metrics => part::<ExportMetricsServiceRequest>(body, encoding),
            Signal::Logs => part::<ExportLogsServiceRequest>(body, encoding),
            Signal::Traces => part::<ExportTraceServiceRequest>(body, encoding),
        }
    }

    /// Divides a request of this signal: see [`split::smaller`].
    pub(super) fn smaller(self, part: &Part, limit: usize, encoding: Encoding) -> Option<Vec<Part>> {
        match self {
            Signal::Metrics => split::smaller::<ExportMetricsServiceRequest>(part, limit, encoding),
            Signal::Logs => split::smaller::<ExportLogsServiceRequest>(part, limit, encoding),
            Signal::Traces => split::smaller::<ExportTraceServiceRequest>(part, limit, encoding),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

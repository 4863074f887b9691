//! What OTLP carries: metrics, logs and traces, and how their requests differ.

use std::fmt;

use bytes::Bytes;
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::{DecodeError, Message};
use serde::Serialize;

use super::split::{Encoding, Part};

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

    /// Its name, which is the last part of the path of its requests over HTTP.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
            Signal::Traces => "traces",
        }
    }

    /// What its requests are made of, in the plural.
    #[must_use]
    pub fn items(self) -> &'static str {
        match self {
            Signal::Metrics => "points",
            Signal::Logs => "log records",
            Signal::Traces => "spans",
        }
    }

    /// The gRPC method that takes it.
    pub(super) fn method(self) -> PathAndQuery {
        PathAndQuery::from_static(match self {
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        })
    }

    /// The request that one of logs or traces, encoded as protobuf, leaves as, with
    /// the number of its items.
    ///
    /// # Errors
    ///
    /// It is no such request.
    pub(super) fn part(self, body: Bytes, encoding: Encoding) -> Result<Part, DecodeError> {
        fn part<R: Serialize>(request: &R, plain: Bytes, encoding: Encoding, items: usize) -> Part {
            let body = match encoding {
                Encoding::Protobuf => plain,
                // Serialising plain data into memory cannot fail.
                Encoding::Json => serde_json::to_vec(request).map_or(plain, Bytes::from),
            };
            Part { body, points: items as u64 }
        }
        let plain = body.clone();
        Ok(if self == Signal::Logs {
            let request = ExportLogsServiceRequest::decode(body)?;
            let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
            let items = scopes.map(|scope| scope.log_records.len()).sum();
            part(&request, plain, encoding, items)
        } else {
            let request = ExportTraceServiceRequest::decode(body)?;
            let scopes = request.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
            let items = scopes.map(|scope| scope.spans.len()).sum();
            part(&request, plain, encoding, items)
        })
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

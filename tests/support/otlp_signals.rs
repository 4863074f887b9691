//! Spans and log records that a sink receives.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::HeaderMap;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::LogsService;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::TraceService;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};

use super::flatten::attributes;
use super::{Answer, GrpcService, PATIENCE, Sink};

/// A request with logs or traces.
#[derive(Debug, Clone)]
pub enum Telemetry {
    Logs(ExportLogsServiceRequest),
    Traces(ExportTraceServiceRequest),
}

/// One span.
#[derive(Debug, Clone)]
pub struct Span {
    pub headers: HeaderMap,
    pub resource: BTreeMap<String, String>,
    pub scope: String,
    pub name: String,
    /// The kind, as a number of the protocol: 1 internal, 3 client.
    pub kind: i32,
    pub trace: Vec<u8>,
    pub id: Vec<u8>,
    /// Empty for a root.
    pub parent: Vec<u8>,
    pub attributes: BTreeMap<String, String>,
    /// Attributes with integer values.
    pub numbers: BTreeSet<String>,
    /// The description of an error status.
    pub error: Option<String>,
    /// The events.
    pub events: usize,
}

/// One log record.
#[derive(Debug, Clone)]
pub struct Record {
    pub headers: HeaderMap,
    pub resource: BTreeMap<String, String>,
    pub scope: String,
    pub severity: String,
    pub event: String,
    pub body: String,
    pub attributes: BTreeMap<String, String>,
    /// Empty outside a trace.
    pub trace: Vec<u8>,
}

impl Sink {
    /// The spans of all requests so far.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for (headers, telemetry, _) in self.0.telemetry.lock().unwrap().iter().filter(|(.., taken)| *taken) {
            let Telemetry::Traces(request) = telemetry else { continue };
            for resource in &request.resource_spans {
                let of_resource = attributes(&resource.resource.as_ref().unwrap().attributes);
                for scope in &resource.scope_spans {
                    spans.extend(scope.spans.iter().map(|span| Span {
                        headers: headers.clone(),
                        resource: of_resource.clone(),
                        scope: scope.scope.as_ref().map(|scope| scope.name.clone()).unwrap_or_default(),
                        name: span.name.clone(),
                        kind: span.kind,
                        trace: span.trace_id.clone(),
                        id: span.span_id.clone(),
                        parent: span.parent_span_id.clone(),
                        attributes: attributes(&span.attributes),
                        numbers:
                            span.attributes.iter().filter(|a| is_number(a)).map(|a| a.key.clone()).collect(),
                        error: span.status.clone().filter(|status| status.code == 2).map(|s| s.message),
                        events: span.events.len(),
                    }));
                }
            }
        }
        spans
    }

    /// The log records of all requests so far.
    pub fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for (headers, telemetry, _) in self.0.telemetry.lock().unwrap().iter().filter(|(.., taken)| *taken) {
            let Telemetry::Logs(request) = telemetry else { continue };
            for resource in &request.resource_logs {
                let of_resource = attributes(&resource.resource.as_ref().unwrap().attributes);
                for scope in &resource.scope_logs {
                    records.extend(scope.log_records.iter().map(|record| Record {
                        headers: headers.clone(),
                        resource: of_resource.clone(),
                        scope: scope.scope.as_ref().map(|scope| scope.name.clone()).unwrap_or_default(),
                        severity: record.severity_text.clone(),
                        event: record.event_name.clone(),
                        body: match record.body.as_ref().and_then(|body| body.value.clone()) {
                            Some(any_value::Value::StringValue(text)) => text,
                            other => format!("{other:?}"),
                        },
                        attributes: attributes(&record.attributes),
                        trace: record.trace_id.clone(),
                    }));
                }
            }
        }
        records
    }

    /// The number of requests with logs and traces.
    pub fn telemetry_requests(&self) -> usize {
        self.0.telemetry.lock().unwrap().len()
    }

    /// Waits until `find` returns a value from the received signals.
    pub async fn wait_until<T>(&self, what: &str, find: impl Fn(&Sink) -> Option<T>) -> T {
        let wait = async {
            loop {
                let news = self.0.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if let Some(found) = find(self) {
                    return found;
                }
                news.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("{what} did not come:\n{:#?}\n{:#?}", self.records(), self.spans()))
    }

    pub(super) fn keep(&self, headers: HeaderMap, telemetry: Telemetry) -> Answer {
        let answer = self.always();
        self.0.telemetry.lock().unwrap().push((headers, telemetry, answer.takes()));
        self.0.news.notify_waiters();
        answer
    }
}

fn is_number(attribute: &KeyValue) -> bool {
    let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
    matches!(value, Some(any_value::Value::IntValue(_)))
}

/// The answer of a gRPC sink: success, a refusal, or none.
async fn answered<T: Default>(answer: Answer) -> Result<tonic::Response<T>, tonic::Status> {
    match answer {
        Answer::Ok => Ok(tonic::Response::new(T::default())),
        Answer::Status(status) => Err(status),
        Answer::Hang | Answer::Mute => std::future::pending().await,
        Answer::Partial(..) | Answer::Http(..) => panic!("this sink does not answer so"),
    }
}

#[tonic::async_trait]
impl LogsService for GrpcService {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        let (metadata, _, message) = request.into_parts();
        answered(self.0.keep(metadata.into_headers(), Telemetry::Logs(message))).await
    }
}

#[tonic::async_trait]
impl TraceService for GrpcService {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let (metadata, _, message) = request.into_parts();
        answered(self.0.keep(metadata.into_headers(), Telemetry::Traces(message))).await
    }
}

//! The exporters that push, as the bridge reports them.

use std::sync::Arc;

use crate::export::otlp::{Endpoint, Exporter, OtlpSettings, Protocol, PushStats, Signal};
use crate::export::telemetry::Queue;
use crate::snapshot::{Component, ExporterFacts, QueueFacts};

/// An exporter that pushes, and its statistics.
#[derive(Debug)]
pub struct Pushing {
    /// The signal that it pushes.
    pub signal: Signal,
    /// The description by the semantic conventions.
    pub component: Component,
    /// The receiver. Secret parts are masked when it is shown.
    pub endpoint: Endpoint,
    /// The protocol.
    pub protocol: Protocol,
    /// What happened to its points, log records or spans.
    pub stats: Arc<PushStats>,
    /// The queue of log records or spans before the exporter.
    queue: Option<Arc<Queue>>,
}

impl Pushing {
    pub(super) fn new(exporter: &Exporter, queue: Option<Arc<Queue>>) -> Pushing {
        let settings = exporter.settings();
        Pushing {
            signal: settings.signal,
            component: component(settings),
            endpoint: settings.endpoint.clone(),
            protocol: settings.protocol,
            stats: exporter.stats().clone(),
            queue,
        }
    }

    pub(super) fn facts(&self) -> ExporterFacts {
        let Pushing { component, stats, .. } = self;
        let level = stats.waiting();
        ExporterFacts {
            component: component.clone(),
            in_flight: stats.in_flight(),
            waiting: level.points,
            waiting_bytes: level.bytes,
            waiting_for: level.oldest.map(|oldest| oldest.elapsed().unwrap_or_default()),
            items: stats
                .outcomes()
                .into_iter()
                .map(|(error, outcome)| (error, outcome.points))
                // A failed request that waits for a retry has lost no points.
                .filter(|(_, points)| *points > 0)
                .collect(),
            queue: self.queue.as_ref().map(|queue| {
                let (kind, name) = match self.signal {
                    Signal::Traces => first_of!("batching_span_processor"),
                    _ => first_of!("batching_log_processor"),
                };
                QueueFacts { kind, name, handed_over: queue.handed_over(), dropped: queue.dropped() }
            }),
        }
    }
}

fn component(settings: &OtlpSettings) -> Component {
    let (kind, name) = match (settings.signal, settings.protocol) {
        (Signal::Metrics, Protocol::Grpc) => first_of!("otlp_grpc_metric_exporter"),
        (Signal::Metrics, Protocol::HttpProtobuf) => first_of!("otlp_http_metric_exporter"),
        (Signal::Metrics, Protocol::HttpJson) => first_of!("otlp_http_json_metric_exporter"),
        (Signal::Logs, Protocol::Grpc) => first_of!("otlp_grpc_log_exporter"),
        (Signal::Logs, Protocol::HttpProtobuf) => first_of!("otlp_http_log_exporter"),
        (Signal::Logs, Protocol::HttpJson) => first_of!("otlp_http_json_log_exporter"),
        (Signal::Traces, Protocol::Grpc) => first_of!("otlp_grpc_span_exporter"),
        (Signal::Traces, Protocol::HttpProtobuf) => first_of!("otlp_http_span_exporter"),
        (Signal::Traces, Protocol::HttpJson) => first_of!("otlp_http_json_span_exporter"),
    };
    let url = settings.endpoint.url();
    let address = url.host_str().unwrap_or_default().trim_matches(['[', ']']).into();
    Component { kind, name, address, port: url.port_or_known_default().unwrap_or_default() }
}

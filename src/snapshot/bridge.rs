//! What the bridge knows of itself, as plain data like that of targets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The bridge at the time of a collection, as the rows about itself read it.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeFacts {
    /// The version and origin of the binary.
    pub build: Build,
    /// The number of targets.
    pub targets: usize,
    /// The configuration; `None` if the bridge was created in code.
    pub configured: Option<Configured>,
    /// The exporter of points; `None` if push is off.
    pub push: Option<ExporterFacts>,
    /// The exporter of the bridge's log records.
    pub logs: Option<ExporterFacts>,
    /// The exporter of the bridge's spans.
    pub spans: Option<ExporterFacts>,
    /// How often clients reached each limit; `None` if the bridge serves no clients.
    pub client_limits: Option<[(ClientLimit, u64); ClientLimit::ALL.len()]>,
    /// How probing fares; nothing where it is off.
    pub probes: Option<ProbeFacts>,
    /// Log lines that were lost because nothing read them in time.
    pub lost_log_lines: u64,
    /// The resources that the process uses.
    pub process: ProcessFacts,
}

impl BridgeFacts {
    /// Returns every exporter that pushes.
    pub fn exporters(&self) -> impl Iterator<Item = &ExporterFacts> {
        [&self.push, &self.logs, &self.spans].into_iter().flatten()
    }
}

/// The state of the configuration and of the target lists beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Configured {
    /// The last reload, or the start.
    pub reload: ReloadFacts,
    /// Which part of the targets, and of how many, where bridges divide them.
    pub shard: Option<(usize, usize)>,
    /// The lists.
    pub sources: Vec<SourceFacts>,
}

/// The last load of the configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReloadFacts {
    /// Whether the configuration was accepted.
    pub successful: bool,
    /// When a configuration was last accepted, in Unix seconds.
    pub unix: f64,
    /// A hash of the configuration, below 2^48 so that a gauge holds it exactly.
    pub hash: u64,
}

/// A target list beside the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceFacts {
    /// The pattern of its paths, or its URL.
    pub name: Arc<str>,
    /// The number of targets from the list.
    pub targets: usize,
    /// Whether the last attempt to read the list succeeded.
    pub successful: bool,
    /// When the list was last read, in Unix seconds.
    pub unix: Option<f64>,
}

/// How probing fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeFacts {
    /// Probes since the start, by how they ended.
    pub outcomes: [(ProbeOutcome, u64); ProbeOutcome::ALL.len()],
    /// Targets of which something is kept because they were probed.
    pub targets: usize,
}

/// How a probe ended: the values of `fedimeter.probe.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The target is up.
    Up,
    /// The target is down, or may not be connected to.
    Down,
    /// Whether it is up could not be found out.
    Unknown,
    /// The query names no target, or no module that there is.
    Invalid,
    /// The target may not be probed.
    Forbidden,
    /// Too many others were asked.
    Busy,
    /// The bridge failed.
    Failed,
}

impl ProbeOutcome {
    /// All of them.
    pub const ALL: [ProbeOutcome; 7] = [
        ProbeOutcome::Up,
        ProbeOutcome::Down,
        ProbeOutcome::Unknown,
        ProbeOutcome::Invalid,
        ProbeOutcome::Forbidden,
        ProbeOutcome::Busy,
        ProbeOutcome::Failed,
    ];

    /// The value of `fedimeter.probe.outcome`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ProbeOutcome::Up => "up",
            ProbeOutcome::Down => "down",
            ProbeOutcome::Unknown => "unknown",
            ProbeOutcome::Invalid => "invalid",
            ProbeOutcome::Forbidden => "forbidden",
            ProbeOutcome::Busy => "busy",
            ProbeOutcome::Failed => "failed",
        }
    }
}

/// A limit on clients of the bridge: the values of `fedimeter.limit.name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientLimit {
    /// Open connections.
    Connections,
    /// Open files of the process.
    Descriptors,
    /// Time until a request's headers are complete.
    HeaderTimeout,
    /// Time between two requests.
    IdleTimeout,
    /// Responses that are being sent.
    Requests,
    /// Time until the client has taken a response.
    WriteTimeout,
}

impl ClientLimit {
    /// All of them.
    pub const ALL: [ClientLimit; 6] = [
        ClientLimit::Connections,
        ClientLimit::Descriptors,
        ClientLimit::HeaderTimeout,
        ClientLimit::IdleTimeout,
        ClientLimit::Requests,
        ClientLimit::WriteTimeout,
    ];

    /// The value of `fedimeter.limit.name`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ClientLimit::Connections => "connections",
            ClientLimit::Descriptors => "descriptors",
            ClientLimit::HeaderTimeout => "header_timeout",
            ClientLimit::IdleTimeout => "idle_timeout",
            ClientLimit::Requests => "requests",
            ClientLimit::WriteTimeout => "write_timeout",
        }
    }
}

/// The version and origin of a binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// The release.
    pub version: &'static str,
    /// The git revision, or `unknown`.
    pub revision: &'static str,
    /// The compiler's version, or `unknown`.
    pub rustc: &'static str,
}

/// What happened to pushed items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExporterFacts {
    /// The exporter and its receiver.
    pub component: Component,
    /// Points, log records or spans that are being sent.
    pub in_flight: u64,
    /// Items that wait for the receiver.
    pub waiting: u64,
    /// Their size in bytes, in memory or on disk.
    pub waiting_bytes: u64,
    /// The time since the oldest of them were collected.
    pub waiting_for: Option<Duration>,
    /// All other items since the start, by `error.type`. Items without one arrived.
    pub items: BTreeMap<Option<&'static str>, u64>,
    /// The queue of log records or spans before the exporter.
    pub queue: Option<QueueFacts>,
}

/// What happened to the items of a queue since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFacts {
    /// `otel.component.type` of the processor.
    pub kind: &'static str,
    /// `otel.component.name` of the processor.
    pub name: &'static str,
    /// Items that were handed to the exporter.
    pub handed_over: u64,
    /// Items that were lost because the queue was full.
    pub dropped: u64,
}

/// An exporter, as the semantic conventions describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// `otel.component.type`.
    pub kind: &'static str,
    /// `otel.component.name`.
    pub name: &'static str,
    /// `server.address` of the receiver.
    pub address: Arc<str>,
    /// `server.port` of the receiver.
    pub port: u16,
}

/// The resources that a process uses. Values that the system does not report are
/// `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessFacts {
    /// CPU time outside the kernel.
    pub user: Option<Duration>,
    /// CPU time in the kernel.
    pub system: Option<Duration>,
    /// Physical memory in bytes.
    pub memory: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open file descriptors.
    pub descriptors: Option<u64>,
    /// The time since the process started.
    pub uptime: Duration,
}

/// Who asks for a collection: the values of `fedimeter.exporter.name`, which equal
/// those of `OTEL_METRICS_EXPORTER`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExporterName {
    /// Printed on standard output.
    Console,
    /// Pushed over OTLP.
    Otlp,
    /// Scraped from `/metrics`.
    Prometheus,
}

impl ExporterName {
    /// All of them.
    pub const ALL: [ExporterName; 3] = [ExporterName::Console, ExporterName::Otlp, ExporterName::Prometheus];

    /// The value of `fedimeter.exporter.name`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ExporterName::Console => "console",
            ExporterName::Otlp => "otlp",
            ExporterName::Prometheus => "prometheus",
        }
    }
}

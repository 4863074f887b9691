//! What the bridge knows of itself: plain data, as of the targets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The bridge at the time of a collection: what the rows about itself read.
#[derive(Debug, Clone, PartialEq)]
pub struct BridgeFacts {
    /// What it was built from.
    pub build: Build,
    /// How many targets it has.
    pub targets: usize,
    /// What it was configured with; nothing where the program was.
    pub configured: Option<Configured>,
    /// How pushing points fares; nothing where it is off.
    pub push: Option<ExporterFacts>,
    /// The same of the bridge's log records.
    pub logs: Option<ExporterFacts>,
    /// The same of its spans.
    pub spans: Option<ExporterFacts>,
    /// How often clients reached each limit; nothing where it serves none.
    pub client_limits: Option<[(ClientLimit, u64); ClientLimit::ALL.len()]>,
    /// How probing fares; nothing where it is off.
    pub probes: Option<ProbeFacts>,
    /// Log lines that nobody took in time, and that are lost.
    pub lost_log_lines: u64,
    /// What the process uses.
    pub process: ProcessFacts,
}

impl BridgeFacts {
    /// Every exporter that pushes.
    pub fn exporters(&self) -> impl Iterator<Item = &ExporterFacts> {
        [&self.push, &self.logs, &self.spans].into_iter().flatten()
    }
}

/// How the configuration was last taken, and where targets are listed beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Configured {
    /// The last reload, or the start.
    pub reload: ReloadFacts,
    /// Which part of the targets, and of how many, where bridges divide them.
    pub shard: Option<(usize, usize)>,
    /// The lists.
    pub sources: Vec<SourceFacts>,
}

/// The last time that the configuration was loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReloadFacts {
    /// Whether it was taken.
    pub successful: bool,
    /// When one was last taken, Unix seconds.
    pub unix: f64,
    /// The same number for the same configuration, below 2^48: a gauge holds it whole.
    pub hash: u64,
}

/// A list of targets beside the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceFacts {
    /// Its pattern of paths, or its URL.
    pub name: Arc<str>,
    /// Targets that come from it.
    pub targets: usize,
    /// Whether it could be read the last time.
    pub successful: bool,
    /// When it was last read, Unix seconds.
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
    /// Responses under way.
    Requests,
    /// Time until a response is taken.
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

/// What a binary was built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// The release.
    pub version: &'static str,
    /// The git revision, or `unknown`.
    pub revision: &'static str,
    /// The compiler's version, or `unknown`.
    pub rustc: &'static str,
}

/// What became of pushed points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExporterFacts {
    /// Which exporter, and where it sends to.
    pub component: Component,
    /// Points, log records or spans on their way.
    pub in_flight: u64,
    /// Those that wait for the receiver.
    pub waiting: u64,
    /// Bytes that they take, in memory or on the disk.
    pub waiting_bytes: u64,
    /// How long ago the oldest of them were collected.
    pub waiting_for: Option<Duration>,
    /// All others since the start, by `error.type`; under nothing those that
    /// arrived.
    pub items: BTreeMap<Option<&'static str>, u64>,
    /// The queue of log records or spans before the exporter.
    pub queue: Option<QueueFacts>,
}

/// What became of the items of a queue, since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFacts {
    /// `otel.component.type` of the processor.
    pub kind: &'static str,
    /// `otel.component.name` of the processor.
    pub name: &'static str,
    /// Those that the exporter was given.
    pub handed_over: u64,
    /// Those that were lost because the queue was full.
    pub dropped: u64,
}

/// An exporter as the semantic conventions describe it.
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

/// What a process uses; what the system does not tell is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessFacts {
    /// CPU time outside the kernel.
    pub user: Option<Duration>,
    /// CPU time in the kernel.
    pub system: Option<Duration>,
    /// Bytes of physical memory.
    pub memory: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open file descriptors.
    pub descriptors: Option<u64>,
    /// Since it began.
    pub uptime: Duration,
}

/// Who asks for a collection: the values of `fedimeter.exporter.name`, as
/// `OTEL_METRICS_EXPORTER` has them.
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

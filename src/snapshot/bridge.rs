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
    /// How pushing fares; nothing where it is off.
    pub push: Option<PushFacts>,
    /// What the process uses.
    pub process: ProcessFacts,
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
pub struct PushFacts {
    /// Which exporter, and where it sends to.
    pub component: Component,
    /// Points on their way.
    pub in_flight: u64,
    /// All others since the start, by `error.type`; under nothing those that
    /// arrived.
    pub points: BTreeMap<Option<&'static str>, u64>,
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

//! The bridge at work: everything bound and built before anything starts,
//! then listeners and push until a signal ends them.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::bridge::{Bridge, BridgeError, Exporters};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::otel::OtelEnv;
use crate::export::otlp::{Exporter, OtlpError};
use crate::export::own::{Own, Sides};
use crate::export::push::{self, Collection};
use crate::{listing, server};

/// How long all that was started may take to end.
const LAST_PARTS: Duration = Duration::from_millis(4500);
/// How long scrapes under way may still take when the bridge ends; push has a
/// limit of its own. Together they stay within 5 s.
const LAST_SCRAPES: Duration = Duration::from_secs(4);

/// The bridge cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}; {advice}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
        /// What to do about it.
        advice: &'static str,
    },
    /// Neither pull nor push is on.
    #[error("nothing to do: {0}")]
    NoExporter(&'static str),
    /// All that was started has ended by itself.
    #[error("every exporter has ended; see the log for why")]
    Ended,
    /// The bridge.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// OTLP.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
}

/// The attributes of the bridge's own resource. The same configuration has
/// the same `service.instance.id` from start to start on the same machine.
#[must_use]
pub fn resource(config: &Config, otel: &OtelEnv) -> Resource {
    let first = config.targets.first().map(|t| t.name.to_string()).unwrap_or_default();
    // Hashed, it does not tell which machine. A container may have none.
    let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let attributes = otel.resource(&format!("{:?} {first} {}", config.listen, machine.trim()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)))
        .build()
}

/// From so many targets on, one connection a host is kept: it takes 19 KiB.
const FLEET: usize = 100;

/// Connections to keep per host between collections, so that all targets
/// together stay within half of the open files that the system allows.
fn kept_per_host(config: &Config) -> usize {
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let each = usize::try_from(limit / 2).unwrap_or(usize::MAX) / config.targets.len().max(1);
    if each == 0 {
        tracing::info!(
            "{} targets and {limit} open files: no connection is kept between collections; raise the limit with \
             ulimit -n or LimitNOFILE to keep them",
            config.targets.len()
        );
    }
    let wanted = if config.targets.len() > FLEET { 1 } else { config.http.max_requests_per_host };
    each.min(wanted)
}

/// Serves until `shutdown` ends, then flushes and returns within 5 s.
/// `ready` is called with the addresses when everything has started.
///
/// # Errors
///
/// When something cannot be set up; then nothing has started.
pub async fn serve(
    mut config: Config,
    otel: OtelEnv,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&[SocketAddr]),
) -> Result<(), ServeError> {
    if otel.disabled {
        tracing::warn!("OTEL_SDK_DISABLED is true: nothing is collected and nothing is served");
        shutdown.await;
        return Ok(());
    }
    let resource = resource(&config, &otel);
    let exporter = prepare(&mut config, &otel)?;
    config.http.kept_per_host = kept_per_host(&config);
    let mut listeners = Vec::new();
    for address in &config.listen {
        listeners.push(listen(*address).await?);
    }
    let exporters =
        Exporters { pull: !listeners.is_empty(), push: exporter.as_ref().map(Exporter::temporality) };
    let bridge = Bridge::new(&config, &resource, exporters, Clock::default())?;
    let sides = Sides {
        pull: exporters.pull.then_some(config.scope_labels),
        push: exporter.as_ref().map(|exporter| (exporter, otel.histograms)),
    };
    let own = Own::new(&resource, config.targets.len(), sides).map_err(BridgeError::from)?;
    let bridge = Arc::new(bridge.with_own(own));

    let end = CancellationToken::new();
    let mut parts = JoinSet::new();
    let mut addresses = Vec::new();
    for listener in listeners {
        addresses.extend(listener.local_addr());
        let routes = server::router(bridge.clone());
        let end = end.clone();
        parts.spawn(async move {
            let serving = axum::serve(listener, routes).with_graceful_shutdown(end.clone().cancelled_owned());
            let late = async {
                end.cancelled().await;
                tokio::time::sleep(LAST_SCRAPES).await;
            };
            tokio::select! {
                served = serving => {
                    if let Err(e) = served {
                        tracing::error!("serving /metrics ended: {e}");
                    }
                }
                () = late => {}
            }
        });
    }
    if let Some(exporter) = exporter {
        parts.spawn(push::run(Pushed(bridge.clone()), exporter, otel.push, end.clone()));
    }
    if otel.exporters.console {
        tracing::info!("printing metrics on standard output every {:?}", otel.push.interval);
        parts.spawn(console(bridge.clone(), otel.push.interval, end.clone()));
    }
    if !exporters.pull {
        tracing::info!("/metrics is off");
    }
    ready(&addresses);
    let all_ended = async { while parts.join_next().await.is_some() {} };
    tokio::select! {
        () = shutdown => {}
        () = all_ended => return Err(ServeError::Ended),
    }
    tracing::info!("ending");
    bridge.end();
    end.cancel();
    // Whatever a part is stuck in, the process ends in time.
    let all_ended = async { while parts.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_PARTS, all_ended).await;
    Ok(())
}

/// Decides which exporters there are, and sets up what can be set up without
/// listening or asking. What `check` lets pass, `serve` can start.
///
/// # Errors
///
/// When nothing would be exported, or OTLP cannot be set up.
pub fn prepare(config: &mut Config, otel: &OtelEnv) -> Result<Option<Exporter>, ServeError> {
    if !otel.exporters.prometheus && !config.listen.is_empty() {
        tracing::info!("/metrics stays off, --listen or not: OTEL_METRICS_EXPORTER does not name prometheus");
        config.listen.clear();
    }
    if config.listen.is_empty() && !otel.exporters.otlp && !otel.exporters.console {
        return Err(ServeError::NoExporter(if otel.exporters.prometheus {
            "/metrics listens nowhere and no push is on; give --listen ADDR, or set OTEL_EXPORTER_OTLP_ENDPOINT"
        } else {
            "OTEL_METRICS_EXPORTER names no exporter; unset it, or name otlp or prometheus"
        }));
    }
    Ok(if otel.exporters.otlp { Some(Exporter::build(&otel.otlp)?) } else { None })
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|cause| {
        let advice = match cause.kind() {
            io::ErrorKind::AddrInUse => {
                "another program has it: stop that one, or choose another with --listen"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need rights: choose a higher one with --listen"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address: choose another with --listen"
            }
            _ => "choose another with --listen",
        };
        ServeError::Listen { address, cause, advice }
    })
}

/// What push collects from.
struct Pushed(Arc<Bridge>);

impl Collection for Pushed {
    async fn collect(&self, deadline: Instant) -> Vec<ResourceMetrics> {
        let within = deadline.saturating_duration_since(Instant::now()).min(self.0.deadline());
        self.0.collect(within).await
    }
}

/// Prints each collection for people (`OTEL_METRICS_EXPORTER=console`).
async fn console(bridge: Arc<Bridge>, interval: Duration, end: CancellationToken) {
    let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let view = bridge.look().await;
        // A reader that stalls holds up a thread of its own, and no end.
        let print = move || writeln!(io::stdout(), "{}", listing::table(&view, listing::Paint(false)));
        let printed = tokio::select! {
            () = end.cancelled() => return,
            printed = tokio::task::spawn_blocking(print) => printed,
        };
        if let Ok(Err(e)) = printed {
            tracing::error!("the console exporter ends, standard output cannot be written: {e}");
            return;
        }
    }
}

/// Ends when the process is told to end: SIGINT or SIGTERM. They count from
/// the call on, not only from when the end is first waited for.
pub fn signal() -> impl Future<Output = ()> + use<> {
    #[cfg(unix)]
    let [interrupt, terminate] = {
        use tokio::signal::unix::{SignalKind, signal};
        [SignalKind::interrupt(), SignalKind::terminate()].map(|kind| {
            let signal = signal(kind);
            async move {
                match signal {
                    Ok(mut signal) => {
                        signal.recv().await;
                    }
                    Err(_) => std::future::pending().await,
                }
            }
        })
    };
    #[cfg(not(unix))]
    let (interrupt, terminate) = (
        async {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        },
        std::future::pending::<()>(),
    );
    async {
        tokio::select! {
            () = interrupt => {}
            () = terminate => {}
        }
    }
}

//! Runs the bridge: binds and builds everything before anything starts, then serves and
//! pushes until a signal ends it.

mod signals;
mod supervised;

use std::future::Future;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::bridge::{Bridge, BridgeError, Exporters, pull_settings};
use crate::clock::Clock;
use crate::config::otel::OtelEnv;
use crate::config::{Address, Config, ConfigErrors, ProbedTargets};
use crate::descriptors::{Budget, Wishes};
use crate::export::otlp::{Exporter, OtlpError, OtlpSettings};
use crate::export::probed::Probed;
use crate::export::push::{self, Collection};
use crate::export::self_metrics::{Outputs, SelfMetrics};
use crate::export::telemetry::Telemetry;
use crate::metrics::SCHEMA_URL;
use crate::probe::Prober;
use crate::reload::{Reloader, Setup, Start};
use crate::server::clients::Clients;
use crate::server::host::HostNames;
use crate::server::socket::{self, Inherited, Socket};
use crate::server::web::Door;
use crate::server::{self, listener};
use crate::{identity, listing, notify, token_files};

pub use signals::signal;
pub use supervised::Listening;
use supervised::{Service, Serving, SwitchedOff, supervise};

/// How long all tasks may take to end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(4500);
/// How long the service manager may take to receive the message that the bridge is
/// stopping.
const SHUTDOWN_FLUSH_TIMEOUT: Duration = Duration::from_millis(200);
/// How long running scrapes may continue when the bridge stops. Push has its own limit.
/// Together they stay within 5 s.
const SCRAPE_DRAIN_TIMEOUT: Duration = Duration::from_secs(4);

/// Why the bridge cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}; {advice}")]
    Listen {
        /// The address.
        address: Address,
        /// The error of the operating system.
        cause: io::Error,
        /// What to do about it.
        advice: &'static str,
    },
    /// Neither pull nor push is on.
    #[error("nothing to do: {0}")]
    NoExporter(String),
    /// All tasks have ended by themselves.
    #[error("every exporter has ended; see the log for why")]
    Ended,
    /// The bridge cannot be created.
    #[error(transparent)]
    Bridge(#[from] BridgeError),
    /// The web configuration is invalid.
    #[error(transparent)]
    Web(#[from] ConfigErrors),
    /// The OTLP exporter cannot be created.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
}

/// Returns the attributes of the bridge's own resource. On the same machine, the same
/// configuration always gives the same `service.instance.id`.
#[must_use]
pub fn resource(config: &Config, otel: &OtelEnv) -> Resource {
    let attributes = otel.resource(&identity::of(config));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_schema_url(attributes.into_iter().map(|(key, value)| KeyValue::new(key, value)), SCHEMA_URL)
        .build()
}

/// Serves until `shutdown` ends, then flushes, and returns within 5 s. Reports how
/// `telemetry` is sent. Listens on the `inherited` sockets and on the other addresses.
/// Calls `ready` when everything has started.
///
/// # Errors
///
/// When something cannot be created. Then nothing has started.
pub async fn serve(
    setup: Setup,
    otel: OtelEnv,
    telemetry: &Telemetry,
    mut inherited: Inherited,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&Listening),
) -> Result<(), ServeError> {
    if otel.disabled {
        tracing::warn!("{} is true: nothing is collected and nothing is served", otel.disabled_by());
        let end = CancellationToken::new();
        let told = tell_manager(SwitchedOff(otel.disabled_by()), end.clone());
        shutdown.await;
        ended(told, &end).await;
        return Ok(());
    }
    let mut config = setup.loaded.config.clone();
    let resource = resource(&config, &otel);
    let mut exporter = prepare(&mut config, &otel)?;
    if let Some(exporter) = &mut exporter {
        exporter.open_backlog()?;
    }
    // The web configuration is checked before anything listens, so that an error leaves
    // nothing open.
    let door = Arc::new(Door::new(config.web.clone())?);
    let clock = Clock::default();
    let probed_targets = setup.loaded.probed_targets();
    let mut start = Start::of(setup, clock.unix()).await.map_err(BridgeError::from)?;
    start.complete(&mut config);
    let clients = config.limits.max_connections;
    keep_within_the_system(&mut config, clients);
    let mut sockets = Vec::new();
    for address in &config.listen {
        sockets.push(listen(address, &config, &mut inherited).await?);
    }
    inherited.close();
    let exporters =
        Exporters { pull: !sockets.is_empty(), push: exporter.as_ref().map(Exporter::temporality) };
    let bridge = Bridge::new(&config, &resource, exporters, clock)?;
    let left_out = crate::config::left_out(&config.metrics);
    let sides = Outputs {
        pull: exporters.pull.then_some(config.scope_labels),
        push: exporter.as_ref().map(|exporter| (exporter, otel.histograms)),
        telemetry: telemetry.signals(),
        left_out: Some(&left_out),
    };
    let own = SelfMetrics::new(&resource, config.targets.len(), sides).map_err(BridgeError::from)?;
    let clients = Clients::new(config.limits.clone(), {
        let own = own.clone();
        move |limit| own.client_reached(limit)
    });
    let bridge = Arc::new(bridge.with_own(own.clone()));
    let probing = exporters.pull && config.probe.enabled;
    let prober = probing.then(|| prober(&bridge, &resource, &config, probed_targets, &own)).transpose()?;
    let reloader = Reloader::new(bridge.clone(), start, {
        let door = door.clone();
        move || door.reload()
    });
    let reloader = Arc::new(reloader.with_prober(prober.clone()));

    let end = CancellationToken::new();
    let mut parts = JoinSet::new();
    let mut addresses = Vec::new();
    for socket in sockets {
        let Ok(address) = socket.address() else { continue };
        let names = match address {
            Address::Ip(ip) => HostNames::of(ip, &config.listen_hosts),
            Address::Unix(_) => HostNames::of_unix_socket(&config.listen_hosts),
        };
        let names = names.found_at(config.external_url.as_ref());
        addresses.push(address);
        let routes = server::router(bridge.clone(), clients.clone(), Some(reloader.clone()), prober.clone());
        parts.spawn(accept(
            listener::serve(socket, routes, names, door.clone(), clients.clone(), end.clone()),
            end.clone(),
        ));
    }
    if exporters.pull {
        let end = end.clone();
        parts.spawn(async move { clients.watch(end).await });
    } else {
        tracing::info!("/metrics is off");
    }
    if let Some(exporter) = exporter {
        parts.spawn(push::run(Pushed(bridge.clone()), exporter, otel.push, end.clone()));
    }
    if otel.exporters.console {
        tracing::info!("printing metrics on standard output every {:?}", otel.push.interval);
        parts.spawn(console(bridge.clone(), otel.push.interval, end.clone()));
    }
    let _beside = beside(&bridge, reloader, &door, &config, &end);
    let listening = Listening { addresses, is_tls: door.tls().is_some(), targets: config.targets.len() };
    ready(&listening);
    let told = tell_manager(Serving::new(bridge.clone(), &listening), end.clone());
    let all_ended = async { while parts.join_next().await.is_some() {} };
    tokio::select! {
        () = shutdown => {}
        () = all_ended => return Err(ServeError::Ended),
    }
    tracing::info!("ending");
    // Supervision ends before the running collections do, because the first one would
    // count as a start.
    end.cancel();
    bridge.end();
    ended(told, &end).await;
    // The process ends in time, even if a task hangs.
    let all_ended = async { while parts.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, all_ended).await;
    Ok(())
}

/// What runs beside listeners and exporters, until it is dropped.
fn beside(
    bridge: &Arc<Bridge>,
    reloader: Arc<Reloader>,
    door: &Arc<Door>,
    config: &Config,
    end: &CancellationToken,
) -> Vec<AbortOnDropHandle<()>> {
    let (followed, ahead, prefetch) = (bridge.clone(), bridge.clone(), config.prefetch);
    let by_itself = collect_by_itself(bridge.clone(), config.collect_every, end.clone());
    let tasks = [
        #[cfg(unix)]
        tokio::spawn(signals::reload_on_hang_up(reloader.clone(), bridge.clone())),
        tokio::spawn(door.clone().follow()),
        tokio::spawn(reloader.follow()),
        tokio::spawn(async move { token_files::follow(followed.refresher()).await }),
        tokio::spawn(async move { ahead.refresher().prefetch(prefetch).await }),
        tokio::spawn(bridge.clone().write_ahead()),
        tokio::spawn(by_itself),
    ];
    tasks.into_iter().map(AbortOnDropHandle::new).collect()
}

/// What answers `/probe`.
fn prober(
    bridge: &Arc<Bridge>,
    resource: &Resource,
    config: &Config,
    targets: ProbedTargets,
    own: &Arc<SelfMetrics>,
) -> Result<Arc<Prober>, BridgeError> {
    let pages = Probed::new(resource, pull_settings(config))?;
    Ok(Arc::new(Prober::new(bridge.clone(), pages, config, targets, own)?))
}

/// Limits the connections of clients, of which `clients` are wanted, and to servers to
/// the number of files that may be open. Logs it if the limit is low.
pub fn keep_within_the_system(config: &mut Config, clients: usize) {
    // Probes have an HTTP client of their own, with as much as that of the targets.
    let askers = if config.probe.enabled { 2 } else { 1 };
    let budget = Budget::of_the_system(Wishes {
        connections: clients,
        requests: config.http.max_requests * askers,
        requests_per_host: config.http.max_requests_per_host,
        targets: config.targets.len(),
    });
    config.limits.max_connections = budget.connections;
    config.http.max_requests = (budget.requests / askers).max(1);
    config.http.kept_per_host = budget.kept_per_host;
    config.http.most_open = budget.open / askers;
}

/// Decides which exporters to use, and creates what can be created without listening or
/// sending requests. `serve` can start with everything that `check` accepts.
///
/// # Errors
///
/// When nothing would be exported, or OTLP cannot be set up.
pub fn prepare(config: &mut Config, otel: &OtelEnv) -> Result<Option<Exporter>, ServeError> {
    if !otel.exporters.prometheus && !config.listen.is_empty() {
        tracing::info!("/metrics stays off, --listen or not: {}", otel.no_prometheus());
        config.listen.clear();
    }
    if config.listen.is_empty() && !otel.exporters.otlp && !otel.exporters.console {
        return Err(ServeError::NoExporter(if otel.exporters.prometheus {
            otel.no_push()
        } else {
            otel.no_exporter()
        }));
    }
    Door::new(config.web.clone())?;
    for signal in otel.telemetry.exported() {
        Exporter::build(&signal.otlp)?;
    }
    let otlp = OtlpSettings { delivery: config.delivery.clone(), ..otel.otlp.clone() };
    Ok(if otel.exporters.otlp { Some(Exporter::build(&otlp)?) } else { None })
}

async fn listen(address: &Address, config: &Config, inherited: &mut Inherited) -> Result<Socket, ServeError> {
    let socket = match inherited.socket(address) {
        Ok(None) => Socket::bind(address, &config.listen, config.socket_mode).await,
        inherited => inherited.and_then(|socket| socket.ok_or(io::ErrorKind::NotFound.into())),
    };
    socket.map_err(|cause| {
        let advice = socket::advice(address, &cause);
        ServeError::Listen { address: address.clone(), cause, advice }
    })
}

/// Serves until the running responses at the end are finished, or time is up.
async fn accept(serving: impl Future<Output = ()>, end: CancellationToken) {
    let late = async {
        end.cancelled().await;
        tokio::time::sleep(SCRAPE_DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        () = serving => {}
        () = late => {}
    }
}

/// The source of push's collections.
struct Pushed(Arc<Bridge>);

impl Collection for Pushed {
    async fn collect(&self, deadline: Instant) -> Vec<ResourceMetrics> {
        let within = deadline.saturating_duration_since(Instant::now()).min(self.0.deadline());
        self.0.collect(within).await
    }
}

/// Reports the bridge's state to the service manager, if there is one.
fn tell_manager(service: impl Service, end: CancellationToken) -> Option<AbortOnDropHandle<()>> {
    let supervised = || supervise(service, notify::watchdog(), notify::tell, end);
    notify::is_wanted().then(|| AbortOnDropHandle::new(tokio::spawn(supervised())))
}

/// Waits for everything to end, and for the report of it.
async fn ended(told: Option<AbortOnDropHandle<()>>, end: &CancellationToken) {
    end.cancel();
    if let Some(told) = told {
        let _ = tokio::time::timeout(SHUTDOWN_FLUSH_TIMEOUT, told).await;
    }
}

/// Collects once at the start, and then at this interval, if there is one.
async fn collect_by_itself(bridge: Arc<Bridge>, every: Option<Duration>, end: CancellationToken) {
    loop {
        bridge.collect_by_itself().await;
        let Some(every) = every else { return };
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
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
        let view = bridge.collect_for_console().await;
        // A reader that stalls blocks only this thread, not the end of the process.
        let print = move || writeln!(io::stdout(), "{}", listing::table(&view, listing::Layout::default()));
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

//! The push loop: collects at every interval, and hands the result to an [`Exporter`].
//!
//! It replaces the SDK's `PeriodicReader`, which waits a whole interval before its
//! first export, stops forever after a panic in a callback, does not limit the time of
//! a collection, and ignores its shutdown timeout.

mod failure_log;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry_sdk::metrics::data::ResourceMetrics;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field};

use super::otlp::{Exporter, Failure, Limit, OtlpSettings, REJECTED, Report, Round, Until};
use failure_log::{FailureLog, Line, NotCollected};

/// How long a round that is running may continue after a shutdown begins.
const SHUTDOWN_FLUSH_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long the last round may take.
const LAST_ROUND_TIMEOUT: Duration = Duration::from_millis(2300);
/// How long closing the backlog may take. All three together stay below the 5 s that a
/// shutdown may take, and leave time for later steps.
const BACKLOG_CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// A source of points.
pub trait Collection: Send + Sync + 'static {
    /// Collects one [`ResourceMetrics`] for each provider. It should return what it has
    /// by `deadline`. A collection that does not is dropped a little later, with all
    /// its points. Dropping does not stop work on a blocking thread, so that work needs
    /// its own limit. It must not block: the loop's timers stop while its worker thread
    /// is blocked.
    fn collect(&self, deadline: Instant) -> impl Future<Output = Vec<ResourceMetrics>> + Send;
}

/// How often the push loop runs, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushSettings {
    /// From the start of one round to the start of the next.
    pub interval: Duration,
    /// The maximum duration of a round, collection and export together.
    pub timeout: Duration,
}

impl Default for PushSettings {
    /// The defaults of the specification: every 60 s, for at most 30 s.
    fn default() -> PushSettings {
        PushSettings { interval: Duration::from_secs(60), timeout: Duration::from_secs(30) }
    }
}

/// Collects and exports until `shutdown`, and then once more. It returns within 5 s of
/// the shutdown, whatever source and receiver do.
///
/// The first round starts at once, and each later round a multiple of the interval
/// after it. Rounds that a long round overlaps are skipped. Points that cannot be
/// delivered wait in the exporter's backlog, and each round sends those first. If the
/// source panics or hangs, only that round is lost.
pub async fn run(
    source: impl Collection,
    exporter: Exporter,
    settings: PushSettings,
    shutdown: CancellationToken,
) {
    let mut push = Push { source: Arc::new(source), exporter, streak: FailureLog::default(), ending: false };
    let otlp = push.exporter.settings();
    let through =
        push.exporter.proxy().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
    tracing::info!(
        "pushing metrics to {} ({}){through} every {:?}",
        otlp.endpoint,
        otlp.protocol,
        settings.interval
    );
    // An interval of zero would make a busy loop.
    let interval = settings.interval.max(Duration::from_millis(1));
    let mut next = Instant::now();
    loop {
        push.exporter.stats().schedule(next);
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            () = sleep_until(next) => {}
        }
        let round = push.round(settings.timeout, interval);
        tokio::pin!(round);
        tokio::select! {
            () = &mut round => {}
            () = shutdown.cancelled() => {
                // A round that does not finish now counts as cancelled.
                let _ = timeout(SHUTDOWN_FLUSH_TIMEOUT, round).await;
                break;
            }
        }
        let missed = next.elapsed().as_nanos() / interval.as_nanos();
        next += interval.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1));
    }
    push.ending = true;
    push.streak.ends();
    let _ =
        timeout(LAST_ROUND_TIMEOUT, push.round(LAST_ROUND_TIMEOUT.min(settings.timeout), LAST_ROUND_TIMEOUT))
            .await;
    let _ = timeout(BACKLOG_CLOSE_TIMEOUT, push.exporter.end()).await;
}

struct Push<S> {
    source: Arc<S>,
    exporter: Exporter,
    streak: FailureLog,
    /// Whether this is the last round.
    ending: bool,
}

impl<S: Collection> Push<S> {
    /// Runs one collection and its export within `budget`. If the receiver is
    /// unreachable, the round ends before the next one starts, so that no collection is
    /// skipped.
    async fn round(&mut self, budget: Duration, interval: Duration) {
        let started = Instant::now();
        let end = started + budget;
        // Reserves time for the export, but at most half of the budget.
        let reserved = self.exporter.settings().timeout.min(budget / 2);
        let collected = match self.collect(end - reserved, end, budget).await {
            Ok(collected) => collected,
            Err(why) => {
                log(self.streak.nothing_collected(self.exporter.settings(), &why, SystemTime::now()));
                self.tell(started, &Report::default(), Some(format!("{why}, and its points are lost")));
                return;
            }
        };
        let collected_in = started.elapsed();
        let span = span(self.exporter.settings());
        let next = started.checked_add(interval).unwrap_or(end);
        let until = Until { deadline: end, retries: next.min(end) };
        let mut report = self.exporter.export_all(&collected, until).instrument(span.clone()).await;
        if let Some(failure) = report.failure.as_mut().filter(|_| self.ending)
            && failure.limit == Some(Limit::Round)
        {
            failure.limit = Some(Limit::Shutdown);
        }
        note(&span, &report);
        tracing::debug!(?collected_in, elapsed = ?started.elapsed(), ?report, "pushed");
        log(self.streak.round(self.exporter.settings(), &report, SystemTime::now()));
        self.tell(started, &report, report.trouble());
    }

    /// Records the round for the bridge's page.
    fn tell(&self, started: Instant, report: &Report, trouble: Option<String>) {
        self.exporter.stats().ended(Round {
            at: SystemTime::now(),
            took: started.elapsed(),
            accepted: report.accepted,
            lost: report.rejected + report.lost,
            waiting: report.waiting,
            trouble,
            failing_since: self.streak.since(),
        });
    }

    /// Returns what was collected, or why nothing was.
    async fn collect(
        &self,
        deadline: Instant,
        end: Instant,
        budget: Duration,
    ) -> Result<Vec<ResourceMetrics>, NotCollected> {
        let source = Arc::clone(&self.source);
        // A separate task contains a panic. The set aborts the task when it is dropped
        // because it took too long or the round was given up.
        let mut task = JoinSet::new();
        task.spawn(async move { source.collect(deadline).await });
        match timeout_at(end, task.join_next()).await {
            Ok(Some(Ok(collected))) => Ok(collected),
            Ok(Some(Err(panic))) => Err(NotCollected::Panicked(panic.to_string())),
            // The set holds one task.
            Ok(None) => Ok(Vec::new()),
            Err(_elapsed) => Err(NotCollected::Late(budget)),
        }
    }
}

/// The parent span of a round's requests.
fn span(settings: &OtlpSettings) -> Span {
    let url = settings.endpoint.url();
    tracing::debug_span!(
        "push",
        "server.address" = url.host_str(),
        "server.port" = url.port_or_known_default().map(i64::from),
        "fedimeter.push.points.accepted" = field::Empty,
        "fedimeter.push.points.lost" = field::Empty,
        "fedimeter.push.points.waiting" = field::Empty,
        "error.type" = field::Empty,
        "otel.status_code" = field::Empty,
        "otel.status_description" = field::Empty,
    )
}

/// Records on a round's span how it ended.
fn note(span: &Span, report: &Report) {
    span.record("fedimeter.push.points.accepted", report.accepted as i64);
    span.record("fedimeter.push.points.lost", (report.lost + report.rejected) as i64);
    span.record("fedimeter.push.points.waiting", report.waiting as i64);
    if report.lost + report.rejected > 0 || report.failure.is_some() {
        span.record("error.type", report.failure.as_ref().map_or(REJECTED, Failure::error_type));
        span.record("otel.status_code", "ERROR");
        span.record("otel.status_description", report.trouble());
    }
}

fn log(lines: impl IntoIterator<Item = Line>) {
    for line in lines {
        match line {
            Line::Fault(text) => tracing::error!("{text}"),
            Line::Trouble(text) => tracing::warn!("{text}"),
            Line::Over(text) => tracing::info!("{text}"),
        }
    }
}

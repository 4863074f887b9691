//! The library in an application: instruments on the application's provider, with the SDK's
//! reader, on any kind of runtime and without one. The tests also pass without default
//! features.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use fedimeter::endpoint::Endpoint;
use fedimeter::metrics::rows;
use fedimeter::{OnDemand, Target, register};
use fedimeter_simulator::{Fault, Settings, Simulator};
use opentelemetry::KeyValue;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument, PeriodicReader, SdkMeterProvider, Stream, Temporality,
};
use tokio::runtime::{Builder, Runtime};

/// A test that takes longer never ends.
const WATCHDOG: Duration = Duration::from_secs(90);
/// Long enough that only a flush collects.
const NEVER: Duration = Duration::from_secs(3600);

/// Runs a test on its own thread, so that a deadlock fails instead of hanging.
#[track_caller]
fn guarded(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match ended.recv_timeout(WATCHDOG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("deadlock"),
        // A panic of the thread fails the test.
        _ => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
    }
}

/// A point with an integer.
#[derive(Debug, Clone)]
struct Point {
    name: String,
    /// `server.address`.
    server: String,
    value: i64,
}

/// The points with integers.
fn points(metrics: &ResourceMetrics) -> Vec<Point> {
    let metrics = metrics.scope_metrics().flat_map(ScopeMetrics::metrics);
    let mut points = Vec::new();
    for metric in metrics {
        let mut add = |mut attributes: &mut dyn Iterator<Item = &KeyValue>, value| {
            let server = Iterator::find(&mut attributes, |attribute: &&KeyValue| {
                attribute.key.as_str() == "server.address"
            });
            let server = server.map(|address| address.value.to_string()).unwrap_or_default();
            points.push(Point { name: metric.name().to_owned(), server, value });
        };
        match metric.data() {
            AggregatedMetrics::I64(MetricData::Gauge(gauge)) => {
                gauge.data_points().for_each(|point| add(&mut point.attributes(), point.value()));
            }
            AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                sum.data_points().for_each(|point| add(&mut point.attributes(), point.value() as i64));
            }
            _ => {}
        }
    }
    points
}

/// The application's exporter, which keeps each collection.
#[derive(Clone, Default)]
struct Exports(Arc<(Mutex<Vec<Vec<Point>>>, Condvar)>);

impl PushMetricExporter for Exports {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.0.0.lock().unwrap().push(points(metrics));
        self.0.1.notify_all();
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

impl Exports {
    fn all(&self) -> Vec<Vec<Point>> {
        self.0.0.lock().unwrap().clone()
    }

    fn last(&self) -> Vec<Point> {
        self.all().pop().expect("an export")
    }
}

/// The values of a metric in an export, by `server.address`.
fn values(export: &[Point], name: &str) -> BTreeMap<String, i64> {
    export.iter().filter(|p| p.name == name).map(|p| (p.server.clone(), p.value)).collect()
}

/// Servers on their own threads, and an application that embeds the library.
struct Bench {
    simulator: Simulator,
    /// Dropped after the simulator, which runs there.
    _servers: Runtime,
    exports: Exports,
}

impl Bench {
    fn new() -> Bench {
        let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let settings = Settings {
            instances: 2,
            versions: vec!["4.2".to_owned()],
            cache_headers: false,
            rate_limit: Some(1_000_000),
            ..Settings::default()
        };
        let simulator = servers.block_on(Simulator::start(settings, ([127, 0, 0, 1], 0).into())).unwrap();
        for i in 0..2 {
            simulator.set_truth(i, Some(simulator.truth(i)));
        }
        Bench { simulator, _servers: servers, exports: Exports::default() }
    }

    /// Both servers, with answers that are stale at once.
    fn source(&self, deadline: Duration) -> OnDemand {
        let target = |i| {
            let new = Target::builder(&self.simulator.url(i));
            let impatient =
                |target, e: &Endpoint| fedimeter::TargetBuilder::interval(target, *e, Duration::ZERO);
            Endpoint::ALL.iter().fold(new, impatient).build().unwrap()
        };
        OnDemand::builder([target(0), target(1)]).deadline(deadline).build().unwrap()
    }

    fn provider(&self, deadline: Duration) -> SdkMeterProvider {
        self.provider_with(deadline, NEVER, |_| None)
    }

    fn provider_with(
        &self,
        deadline: Duration,
        interval: Duration,
        view: impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static,
    ) -> SdkMeterProvider {
        let reader = PeriodicReader::builder(self.exports.clone()).with_interval(interval).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).with_view(view).build();
        register(&provider, self.source(deadline));
        provider
    }

    /// Asserts that the last of `collections` has the servers' numbers, and that each
    /// collection requested them once.
    #[track_caller]
    fn check(&self, collections: usize) {
        assert_eq!(self.exports.all().len(), collections);
        let export = self.exports.last();
        for i in 0..2 {
            let (truth, host) = (self.simulator.truth(i), self.simulator.host(i));
            let host = host.split_once(':').unwrap().0;
            for (name, value) in [
                ("fedimeter.target.up", 1),
                ("mastodon.instance.users", truth.users),
                ("mastodon.instance.statuses", truth.statuses),
                ("mastodon.instance.domains", truth.domains),
                ("mastodon.instance.active_users.month", truth.active_month),
                ("mastodon.instance.activity.six_day.logins", truth.activity[1].logins as i64),
                ("nodeinfo.users", truth.users),
                ("nodeinfo.active_users.half_year", truth.active_half_year),
            ] {
                assert_eq!(values(&export, name).get(host), Some(&value), "{name} of {host}");
            }
        }
        self.check_requests(collections);
    }

    #[track_caller]
    fn check_requests(&self, collections: usize) {
        for i in 0..2 {
            for path in [
                "/api/v2/instance",
                "/api/v1/instance",
                "/.well-known/nodeinfo",
                "/nodeinfo/2.0",
                "/api/v1/instance/activity",
            ] {
                assert_eq!(self.simulator.requests(i, path), collections, "{path}");
            }
        }
    }
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

const PATIENT: Duration = Duration::from_secs(30);

#[test]
fn with_no_runtime() {
    guarded(|| {
        let bench = Bench::new();
        let provider = bench.provider(PATIENT);
        for collections in 1..=3 {
            provider.force_flush().unwrap();
            bench.check(collections);
        }
        provider.shutdown().unwrap();
        bench.check(4);
    });
}

#[test]
fn on_a_multi_thread_runtime() {
    guarded(|| on(&multi_thread()));
}

#[test]
fn on_a_current_thread_runtime() {
    guarded(|| on(&current_thread()));
}

/// Async code creates, flushes and drops everything.
fn on(runtime: &Runtime) {
    let bench = Bench::new();
    runtime.block_on(async {
        let provider = bench.provider(PATIENT);
        provider.force_flush().unwrap();
        bench.check(1);
        let (flushed, other) = (provider.clone(), provider.clone());
        tokio::task::spawn_blocking(move || flushed.force_flush()).await.unwrap().unwrap();
        bench.check(2);
        tokio::spawn(async move { other.force_flush() }).await.unwrap().unwrap();
        bench.check(3);
        drop(provider);
    });
}

/// The application's own requests continue while a flush waits.
#[test]
fn a_flush_on_a_blocking_thread_holds_up_no_task() {
    guarded(|| {
        let bench = Bench::new();
        bench.simulator.set_fault(0, "*", Some(Fault::Hang));
        let provider = bench.provider(Duration::from_secs(2));
        current_thread().block_on(async {
            let flush = tokio::task::spawn_blocking(move || provider.force_flush());
            let mut turns = 0;
            while !flush.is_finished() {
                tokio::time::sleep(Duration::from_millis(10)).await;
                turns += 1;
            }
            assert!(turns > 20, "{turns}");
            flush.await.unwrap().unwrap();
        });
    });
}

#[test]
fn the_wait_for_a_server_that_hangs_is_bounded() {
    guarded(|| {
        let bench = Bench::new();
        bench.simulator.set_fault(0, "*", Some(Fault::Hang));
        let provider = bench.provider(Duration::from_millis(500));
        let began = Instant::now();
        provider.force_flush().unwrap();
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        let export = bench.exports.last();
        let (host, truth) = (bench.simulator.host(1), bench.simulator.truth(1));
        let host = host.split_once(':').unwrap().0.to_owned();
        assert_eq!(values(&export, "mastodon.instance.users"), [(host.clone(), truth.users)].into());
        assert_eq!(values(&export, "fedimeter.target.up"), [(host, 1)].into());
    });
}

/// A missing instrument does not matter.
#[test]
fn views_may_drop_any_instrument() {
    guarded(|| {
        let names: Vec<&str> = rows().map(|row| row.name).collect();
        let users = names.iter().position(|name| *name == "mastodon.instance.users").unwrap();
        for (dropped, kept) in [
            (&names[..1], "mastodon.instance.users"),
            (&names[1..], names[0]),
            (&names[names.len() - 1..], "mastodon.instance.users"),
            (&names[..users], "mastodon.instance.users"),
        ] {
            let bench = Bench::new();
            let gone: Vec<&str> = dropped.to_vec();
            let provider = bench.provider_with(PATIENT, NEVER, move |instrument| {
                let drop = Stream::builder().with_aggregation(Aggregation::Drop);
                gone.contains(&instrument.name()).then(|| drop.build().unwrap())
            });
            for collections in 1..=3 {
                provider.force_flush().unwrap();
                bench.check_requests(collections);
                let export = bench.exports.last();
                assert!(export.iter().all(|p| !dropped.contains(&p.name.as_str())));
                assert_eq!(values(&export, kept).len(), 2, "{kept}");
            }
        }
    });
}

/// The reader's own interval, without a flush.
#[test]
fn the_readers_interval_collects() {
    guarded(|| {
        let bench = Bench::new();
        let provider = bench.provider_with(PATIENT, Duration::from_millis(50), |_| None);
        let (all, news) = &*bench.exports.0;
        let all = news.wait_while(all.lock().unwrap(), |all| all.len() < 3).unwrap();
        assert!(all.iter().all(|export| values(export, "mastodon.instance.users").len() == 2));
        drop(all);
        provider.shutdown().unwrap();
        bench.check(bench.exports.all().len());
    });
}

/// Runtimes must not be dropped in async code. Dropping the library's in async code is
/// harmless.
#[test]
fn everything_can_be_dropped_in_async_code() {
    guarded(|| {
        for runtime in [multi_thread(), current_thread()] {
            let bench = Bench::new();
            bench.simulator.set_fault(0, "*", Some(Fault::Hang));
            runtime.block_on(async {
                // An instance that is never registered.
                drop(bench.source(PATIENT));
                // A registered instance that is only collected at the shutdown.
                drop(bench.provider(Duration::from_millis(100)));
                // An instance with running requests.
                let provider = bench.provider(Duration::from_millis(100));
                provider.force_flush().unwrap();
                drop(provider);
                // An instance that is dropped in a task.
                let provider = bench.provider(Duration::from_millis(100));
                tokio::spawn(async move { drop(provider) }).await.unwrap();
            });
        }
    });
}

/// The SDK merges points beyond 2,000 for each instrument, so a fleet has several meters.
#[test]
fn no_point_of_a_fleet_is_merged_with_others() {
    const SERVERS: usize = 600;
    guarded(|| {
        // Nothing listens there, so each document of each server fails once.
        let targets =
            (0..SERVERS).map(|i| Target::builder(&format!("http://127.1.{}.{}:1", i / 250, i % 250)));
        let targets = targets.map(|target| target.build().unwrap());
        let source = OnDemand::builder(targets).deadline(PATIENT).build().unwrap();
        let exports = Exports::default();
        let reader = PeriodicReader::builder(exports.clone()).with_interval(NEVER).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        register(&provider, source);
        provider.force_flush().unwrap();
        let export = exports.last();
        let mut failures: BTreeMap<&str, usize> = BTreeMap::new();
        for point in export.iter().filter(|point| point.name == "fedimeter.endpoint.failures") {
            *failures.entry(&point.server).or_default() += 1;
        }
        assert_eq!(failures.len(), SERVERS);
        let each = failures["127.1.0.0"];
        assert!(each * SERVERS > 2000, "{each} are too few to show anything");
        assert!(failures.values().all(|points| *points == each), "{failures:?}");
    });
}

/// Errors are returned, also on a runtime, and any deadline is accepted.
#[test]
fn what_cannot_be_set_up_is_an_error_and_no_panic() {
    guarded(|| {
        let source = || OnDemand::builder([Target::builder("http://127.1.0.0:1").build().unwrap()]);
        current_thread().block_on(async {
            for wrong in ["a\nb", "not a url"] {
                let error = source().contact(wrong).build().unwrap_err().to_string();
                assert!(error.starts_with("contact: is not a contact; write a URL"), "{error}");
            }
        });
        let provider = SdkMeterProvider::builder()
            .with_reader(PeriodicReader::builder(Exports::default()).with_interval(NEVER).build())
            .build();
        register(&provider, source().deadline(Duration::MAX).build().unwrap());
        provider.force_flush().unwrap();
    });
}

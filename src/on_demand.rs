//! The library's entry point: fedimeter's instruments on an application's own
//! `MeterProvider`. Their callbacks refresh stale facts and wait for them, but never
//! longer than a deadline.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::Duration;

use opentelemetry::metrics::MeterProvider;
use opentelemetry::{InstrumentationScope, KeyValue};
use tokio::runtime::Runtime;

use crate::clock::Clock;
use crate::fetch::{Client, ClientError, Http, parse_contact};
use crate::instruments::{self, SCOPE, Source, Whose};
use crate::metrics::rows;
use crate::refresh::Refresher;
use crate::snapshot::View;
use crate::target::Target;

/// Extra time after the deadline, for building and passing on the view.
const GRACE: Duration = Duration::from_millis(500);

/// The longest time in which one collection reads all rows. An older view belongs to an
/// earlier collection.
const MAX_READING: Duration = Duration::from_secs(5);

/// The maximum time to wait for a collection.
const MAX_DEADLINE: Duration = Duration::from_secs(3600);

/// The maximum number of points of one instrument on a meter. The SDK silently merges
/// points beyond 2,000.
const MAX_POINTS: usize = 1900;

/// Targets that are requested when a collection of an application's `MeterProvider`
/// reads them.
///
/// Requests run on a separate thread and Tokio runtime, so the application may collect
/// from any thread, on any runtime or without one.
#[derive(Debug)]
pub struct OnDemand {
    id: u64,
    runtime: Option<Runtime>,
    refresher: Arc<Refresher>,
    deadline: Duration,
}

/// Builds an [`OnDemand`].
#[derive(Debug, Clone)]
#[must_use]
pub struct OnDemandBuilder {
    targets: Vec<Target>,
    http: Http,
    deadline: Duration,
}

/// Why an [`OnDemand`] cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnDemandError {
    /// The thread for requests cannot be started.
    #[error("no thread for requests can be started: {0}")]
    Runtime(#[from] std::io::Error),
    /// The contact is not a URL by which an administrator can reach you.
    #[error("contact: {0}")]
    Contact(String),
    /// The HTTP client cannot be created.
    #[error("{0}")]
    Client(String),
}

impl From<ClientError> for OnDemandError {
    fn from(error: ClientError) -> OnDemandError {
        OnDemandError::Client(error.to_string())
    }
}

impl OnDemandBuilder {
    /// Sets the longest time that a collection waits for servers: 10 seconds by
    /// default, at most an hour. The request to a slower server continues, and its
    /// numbers are in a later collection.
    pub fn deadline(mut self, deadline: Duration) -> OnDemandBuilder {
        self.deadline = deadline.min(MAX_DEADLINE);
        self
    }

    /// Sets the timeout of one request: 10 seconds by default.
    pub fn request_timeout(mut self, timeout: Duration) -> OnDemandBuilder {
        self.http.timeout = timeout;
        self
    }

    /// Sets the `http`, `https` or `mailto` URL in the User-Agent, by which a server's
    /// administrator can reach you.
    pub fn contact(mut self, contact: &str) -> OnDemandBuilder {
        contact.clone_into(&mut self.http.contact);
        self
    }

    /// Starts the thread for requests. No server is asked before the first collection.
    ///
    /// # Errors
    ///
    /// When the contact is not a URL, or when the thread or the HTTP client cannot be
    /// created.
    pub fn build(mut self) -> Result<OnDemand, OnDemandError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        self.http.contact = parse_contact(&self.http.contact).map_err(OnDemandError::Contact)?;
        // The client is created before the runtime, which async code must not drop.
        let client = Client::new(self.http)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fedimeter")
            .enable_all()
            .build()?;
        let refresher = {
            let _inside = runtime.enter();
            Arc::new(Refresher::new(self.targets, client, Clock::default()))
        };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(OnDemand { id, runtime: Some(runtime), refresher, deadline: self.deadline })
    }
}

impl OnDemand {
    /// Starts building with these targets.
    pub fn builder(targets: impl IntoIterator<Item = Target>) -> OnDemandBuilder {
        OnDemandBuilder {
            targets: targets.into_iter().collect(),
            http: Http::default(),
            deadline: Duration::from_secs(10),
        }
    }

    /// Returns the view for a new collection: everything fresh, or at the deadline what
    /// is known.
    fn refreshed(&self) -> Arc<View> {
        let Some(runtime) = &self.runtime else { return self.refresher.known() };
        let (done, view) = mpsc::sync_channel(1);
        let (refresher, deadline) = (self.refresher.clone(), self.deadline);
        runtime.spawn(async move {
            // The receiver may have given up meanwhile.
            let _ = done.send(refresher.refresh(deadline).await);
        });
        view.recv_timeout(deadline + GRACE).unwrap_or_else(|_| self.refresher.known())
    }

    /// Returns the view of the collection that reads `callback`, which is counted over
    /// all meters.
    ///
    /// The SDK does not announce a new collection. It calls callbacks on one thread, in
    /// the order in which they were registered. So a collection begins when the number
    /// does not grow.
    fn view(&self, callback: usize) -> Arc<View> {
        let running = LAST.with_borrow(|last| {
            let Last { callback: read, view, .. } = last.get(&self.id)?;
            let age = self.refresher.clock().now().since(view.started);
            (callback > *read && age < self.deadline + MAX_READING).then(|| view.clone())
        });
        let view = running.unwrap_or_else(|| self.refreshed());
        let source = Arc::downgrade(&self.refresher);
        LAST.with_borrow_mut(|last| {
            // An application may create its provider again, and with it its sources.
            last.retain(|_, of| of.source.strong_count() > 0);
            last.insert(self.id, Last { source, callback, view: view.clone() })
        });
        view
    }
}

impl Drop for OnDemand {
    fn drop(&mut self) {
        // Waiting for the runtime would panic inside the application's own runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The last request to a source.
struct Last {
    source: Weak<Refresher>,
    callback: usize,
    view: Arc<View>,
}

thread_local! {
    /// By source, on this thread.
    static LAST: RefCell<HashMap<u64, Last>> = RefCell::default();
}

/// The targets whose points are on one meter.
struct Part {
    source: Arc<OnDemand>,
    index: usize,
    targets: Range<usize>,
    /// The view that was read last, complete and reduced to these targets.
    last: Mutex<Option<(Arc<View>, Arc<View>)>>,
}

impl Source for Part {
    fn view(&self, row: usize) -> Option<Arc<View>> {
        let whole = self.source.view(self.index * rows().count() + row);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((read, cut)) if Arc::ptr_eq(read, &whole) => Some(cut.clone()),
            _ => {
                let cut = whole.part(self.targets.clone());
                *last = Some((whole, cut.clone()));
                Some(cut)
            }
        }
    }
}

/// Creates fedimeter's instruments on an application's provider. Each source can be
/// registered once, because instruments never release their callbacks.
///
/// The SDK holds 2,000 points per instrument and merges all others. Many targets
/// therefore get several meters, whose scopes differ in the attribute `fedimeter.part`.
pub fn register(provider: &impl MeterProvider, source: OnDemand) {
    let targets: Vec<Arc<Target>> = source.refresher.targets();
    let source = Arc::new(source);
    for (index, range) in parts(&targets).into_iter().enumerate() {
        let scope = InstrumentationScope::builder(SCOPE);
        let scope = match index {
            0 => scope.build(),
            _ => scope.with_attributes([KeyValue::new("fedimeter.part", index as i64)]).build(),
        };
        let part = Part { source: source.clone(), index, targets: range.clone(), last: Mutex::default() };
        let part: Arc<dyn Source> = Arc::new(part);
        instruments::register(&provider.meter_with_scope(scope), &part, &targets[range], Whose::Attributes);
    }
}

/// Divides targets so that no row has more than [`MAX_POINTS`] in a part, unless a
/// single target exceeds it.
fn parts(targets: &[Arc<Target>]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let (mut start, mut points) = (0, vec![0; rows().count()]);
    for (i, target) in targets.iter().enumerate() {
        let own: Vec<usize> = rows().map(|row| row.most(target)).collect();
        if i > start && points.iter().zip(&own).any(|(sum, more)| sum + more > MAX_POINTS) {
            parts.push(start..i);
            start = i;
            points.fill(0);
        }
        points.iter_mut().zip(own).for_each(|(sum, more)| *sum += more);
    }
    if start < targets.len() {
        parts.push(start..targets.len());
    }
    parts
}

//! For applications with a `MeterProvider` of their own: instruments whose
//! callbacks fetch what is stale, and wait for it, but never longer than a
//! deadline.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use opentelemetry::metrics::Meter;
use tokio::runtime::Runtime;

use crate::clock::Clock;
use crate::config::Http;
use crate::fetch::{Client, ClientError};
use crate::instruments::{self, Source};
use crate::refresh::Refresher;
use crate::snapshot::View;
use crate::target::Target;

/// Beyond the deadline: for the view to be put together and handed over.
const GRACE: Duration = Duration::from_millis(500);

/// Targets that are asked when a collection reads them.
///
/// Requests run on a runtime of its own, so that the application may collect
/// from any thread and any kind of runtime, or none.
#[derive(Debug)]
pub struct OnDemand {
    id: u64,
    runtime: Option<Runtime>,
    refresher: Arc<Refresher>,
    deadline: Duration,
}

/// It cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OnDemandError {
    /// The threads for requests cannot be started.
    #[error("no thread for requests can be started: {0}")]
    Runtime(#[from] std::io::Error),
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl OnDemand {
    /// Targets, the manners in which they are asked, and how long a collection
    /// waits at most.
    pub fn new(targets: Vec<Target>, http: Http, deadline: Duration) -> Result<OnDemand, OnDemandError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("fedimeter")
            .enable_all()
            .build()?;
        let client = Client::new(http)?;
        let refresher = {
            let _inside = runtime.enter();
            Arc::new(Refresher::new(targets, client, Clock::default()))
        };
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(OnDemand { id, runtime: Some(runtime), refresher, deadline })
    }

    /// What a new collection reads: everything fresh, or at the deadline what
    /// there is.
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
}

impl Drop for OnDemand {
    fn drop(&mut self) {
        // Waiting for it would panic inside the application's own runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Reading all rows takes no longer; an older view is another collection's.
const LONGEST_READING: Duration = Duration::from_secs(5);

/// The row that was read last on this thread, and from which view, by source.
type Last = HashMap<u64, (usize, Arc<View>)>;

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
}

impl Source for OnDemand {
    /// The SDK marks no beginning of a collection. It reads rows in their
    /// order on one thread, so one begins where the index does not grow; a
    /// row that a view drops is missed by nobody.
    fn view(&self, row: usize) -> Option<Arc<View>> {
        let running = LAST.with_borrow(|last| {
            let (read, view) = last.get(&self.id)?;
            let age = self.refresher.clock().now().saturating_sub(view.started);
            (row > *read && age < self.deadline + LONGEST_READING).then(|| view.clone())
        });
        let view = running.unwrap_or_else(|| self.refreshed());
        LAST.with_borrow_mut(|last| last.insert(self.id, (row, view.clone())));
        Some(view)
    }
}

/// Makes fedimeter's instruments on an application's meter. Once a meter:
/// instruments never let go of their callbacks. With more than 2,000 points a
/// row, give the provider [`instruments::room_for`] as a view.
pub fn register(meter: &Meter, source: OnDemand) {
    let targets: Vec<Arc<Target>> = source.refresher.targets().cloned().collect();
    let source: Arc<dyn Source> = Arc::new(source);
    instruments::register(meter, &source, &targets, &(0..targets.len()));
}

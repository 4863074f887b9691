//! The backlog of an exporter: keeps it off the async threads, counts it and logs its
//! problems.

use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::backlog::{Backlog, BacklogError, Dropped, Drops, Level, Opened, Record};
use super::split::Part;
use super::stats::PushStats;
use crate::log_once::LogOnce;

/// A backlog for async code.
pub(super) struct Store {
    shared: Arc<Shared>,
    /// What waits, and for which receiver, in words.
    what: String,
    /// The content of the opened directory, until it is logged.
    opened: Mutex<Option<(PathBuf, Opened)>>,
    full: LogOnce,
    broken: LogOnce,
}

struct Shared {
    backlog: Mutex<Backlog>,
    stats: Arc<PushStats>,
}

impl Store {
    pub fn new(backlog: Backlog, what: String, stats: Arc<PushStats>) -> Store {
        let shared = Arc::new(Shared { backlog: Mutex::new(backlog), stats });
        let opened = Mutex::default();
        Store { shared, what, opened, full: LogOnce::default(), broken: LogOnce::default() }
    }

    /// Opens the backlog in a directory. Blocks. See [`Backlog::in_directory`].
    pub fn in_directory(
        path: &Path,
        receiver: String,
        max_bytes: u64,
        what: String,
        stats: Arc<PushStats>,
    ) -> Result<Store, BacklogError> {
        let (backlog, opened) = Backlog::in_directory(path, receiver, max_bytes)?;
        let mut store = Store::new(backlog, what, stats);
        let ((), drops, trouble) = store.shared.run(|_| ());
        store.tell(&drops, trouble);
        store.opened = Mutex::new(Some((path.to_owned(), opened)));
        Ok(store)
    }

    /// Adds a request that is younger than all others. Returns the number of points
    /// that were dropped for it.
    pub async fn push(&self, part: Part) -> u64 {
        let at = SystemTime::now();
        let push = move |backlog: &mut Backlog| Record::new(&part, at).map(|record| backlog.push(record));
        let (pushed, dropped, is_refused) = self.run_noting(push).await;
        match pushed {
            Err(error) => self.tell(&Drops::new(), Some(error)),
            // Only a request that became a file shows that the directory works.
            Ok(()) if !is_refused => drop(self.broken.ends()),
            Ok(()) => {}
        }
        dropped
    }

    /// Returns the oldest request, compressed, with the name of its record, and the
    /// number of points that were dropped before it was found.
    pub async fn front(&self) -> (Option<(String, Record)>, u64) {
        if self.is_empty() {
            return (None, 0);
        }
        self.run(Backlog::front).await
    }

    /// Removes the oldest request, if it still has this name.
    pub async fn settle(&self, name: String) {
        self.run(move |backlog| backlog.settle(&name)).await;
    }

    /// Returns a request as it was before compression, or `None` if it is damaged.
    pub async fn plain(&self, record: &Record) -> Option<Part> {
        let record = record.clone();
        blocking(move || record.part()).await.ok()
    }

    /// Drops the oldest request because it is damaged, if it still has this name.
    pub async fn discard(&self, name: String) -> u64 {
        self.run(move |backlog| backlog.discard(&name)).await.1
    }

    /// Replaces the oldest request with parts. Returns the number of dropped points.
    pub async fn divide(&self, name: String, parts: Vec<Part>, at: SystemTime) -> u64 {
        let divide = move |backlog: &mut Backlog| {
            let parts: io::Result<Vec<Record>> = parts.iter().map(|part| Record::new(part, at)).collect();
            parts.map(|parts| backlog.divide(&name, parts))
        };
        let (divided, dropped) = self.run(divide).await;
        if let Err(error) = divided {
            self.tell(&Drops::new(), Some(error));
        }
        dropped
    }

    /// Gives up what is only in memory. Returns the number of points.
    pub async fn end(&self) -> u64 {
        // The process is ending, and a blocking thread might start too late. `end`
        // touches no disk, so it runs here unless another thread holds the lock.
        let ended =
            self.shared.backlog.try_lock().ok().map(|backlog| self.shared.run_on(backlog, Backlog::end));
        match ended {
            Some((lost, drops, trouble)) => {
                self.tell(&drops, trouble);
                lost
            }
            None => self.run(Backlog::end).await.0,
        }
    }

    /// Returns how much waits.
    pub fn level(&self) -> Level {
        self.shared.stats.waiting()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.level().points == 0
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Backlog) -> T + Send + 'static,
    ) -> (T, u64) {
        let (result, dropped, _) = self.run_noting(work).await;
        (result, dropped)
    }

    /// Runs `work` with the backlog. Returns its result, the number of dropped points,
    /// and whether the directory reported an error.
    async fn run_noting<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Backlog) -> T + Send + 'static,
    ) -> (T, u64, bool) {
        let shared = self.shared.clone();
        let (result, drops, trouble) = blocking(move || shared.run(work)).await;
        let is_refused = trouble.is_some();
        self.tell(&drops, trouble);
        (result, drops.values().sum(), is_refused)
    }

    /// Logs once what was in the directory.
    pub fn tell_opened(&self) {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((path, Opened { points, others, damaged, unknown })) = opened else { return };
        let (what, path) = (&self.what, path.display());
        if points > 0 {
            tracing::info!("{points} {what} wait in {path} from an earlier run");
        }
        for (receiver, points) in others {
            tracing::warn!(
                "{path} also keeps {points} points for another receiver ({receiver}); they are not sent: \
                 set the endpoint back to deliver them, or delete the files"
            );
        }
        if damaged > 0 {
            tracing::warn!("{damaged} files in {path} were incomplete, and their points are lost");
        }
        if unknown > 0 {
            tracing::warn!(
                "{unknown} files in {path} were written by another release of fedimeter and are left alone"
            );
        }
    }

    /// Logs what was dropped and what the directory reports, once until all is well
    /// again.
    fn tell(&self, drops: &Drops, trouble: Option<io::Error>) {
        let what = &self.what;
        if let Some(error) = trouble
            && self.broken.begins()
        {
            tracing::warn!(
                "the backlog's directory refuses a file: {error}; {what} that wait may be lost when \
                 fedimeter ends, check its disk and permissions"
            );
        }
        for (why, points) in drops {
            // The end has its own log line.
            if *why != Dropped::Shutdown && self.full.begins() {
                tracing::warn!("{points} {what} are dropped: {}", why.words());
            }
        }
        if self.is_empty() {
            self.full.ends();
        }
    }
}

impl Shared {
    /// Runs `work` with the backlog, and counts the consequences.
    fn run<T>(&self, work: impl FnOnce(&mut Backlog) -> T) -> (T, Drops, Option<io::Error>) {
        self.run_on(self.backlog.lock().unwrap_or_else(PoisonError::into_inner), work)
    }

    fn run_on<T>(
        &self,
        mut backlog: MutexGuard<'_, Backlog>,
        work: impl FnOnce(&mut Backlog) -> T,
    ) -> (T, Drops, Option<io::Error>) {
        let result = work(&mut backlog);
        let drops = backlog.take_drops();
        for (why, points) in &drops {
            self.stats.dropped(*why, *points);
        }
        self.stats.waits(backlog.level());
        (result, drops, backlog.take_trouble())
    }
}

/// Runs `work` on a blocking thread. It finishes even if nobody waits for it any more.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        // The runtime is stopping, and so will this task.
        Err(_) => std::future::pending().await,
    }
}

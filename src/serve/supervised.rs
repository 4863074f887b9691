//! Informs the service manager: ready like `/-/ready`, alive while `/-/healthy` is, and
//! the state of the targets.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::bridge::Bridge;
use crate::config::Address;
use crate::log_once::LogOnce;
use crate::notify::News;

/// How often the status is reported if the service manager wants no sign of life.
const STATUS_INTERVAL: Duration = Duration::from_secs(15);
/// How far the first collection may exceed its deadline before it is reported.
const START_MARGIN: Duration = Duration::from_secs(30);

/// A service whose state is reported to the service manager.
pub trait Service: Send + Sync + 'static {
    /// Returns how long the start may take, if it takes time.
    fn start(&self) -> Option<Duration>;
    /// Waits until the service is ready.
    fn ready(&self) -> impl Future<Output = ()> + Send;
    /// Whether the service works.
    fn is_healthy(&self) -> bool;
    /// Describes the state in one line.
    fn status(&self) -> String;
}

/// Where a bridge can be reached, and its number of targets at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// The addresses, with the ports that the system chose.
    pub addresses: Vec<Address>,
    /// Whether it uses TLS there.
    pub is_tls: bool,
    /// The targets.
    pub targets: usize,
}

impl Listening {
    /// Returns how to reach a path of the bridge.
    #[must_use]
    pub fn pages(&self, path: &str) -> Vec<String> {
        self.addresses.iter().map(|address| address.page(self.is_tls, path)).collect()
    }
}

/// A bridge, and the addresses of its pages.
pub struct Serving {
    bridge: Arc<Bridge>,
    places: String,
}

impl Serving {
    /// Creates the service of a bridge that listens at these addresses.
    pub fn new(bridge: Arc<Bridge>, listening: &Listening) -> Serving {
        let places = listening.pages("/metrics");
        let places = if places.is_empty() { "/metrics is off".to_owned() } else { places.join(", ") };
        Serving { bridge, places }
    }
}

impl Service for Serving {
    fn start(&self) -> Option<Duration> {
        Some(self.bridge.deadline() + START_MARGIN)
    }

    async fn ready(&self) {
        self.bridge.has_collected().await;
        // The end of the bridge cuts the first collection short.
        if self.bridge.is_ending() {
            std::future::pending::<()>().await;
        }
    }

    fn is_healthy(&self) -> bool {
        !self.bridge.is_stuck()
    }

    fn status(&self) -> String {
        let view = self.bridge.refresher().known();
        let up = view.readings().filter(|reading| reading.up() == Some(true)).count();
        let targets = if view.targets.len() == 1 { "target" } else { "targets" };
        format!("{} {targets}, {up} up; {}", view.targets.len(), self.places)
    }
}

/// A bridge that is switched off, with the reason.
pub struct SwitchedOff(pub String);

impl Service for SwitchedOff {
    fn start(&self) -> Option<Duration> {
        None
    }

    async fn ready(&self) {}

    fn is_healthy(&self) -> bool {
        true
    }

    fn status(&self) -> String {
        format!("{} is true: nothing is collected and nothing is served", self.0)
    }
}

/// Reports the state of the service until `end`, and then that it is stopping. It sends
/// two signs of life within `watchdog`.
pub async fn supervise<T: Future<Output = ()>>(
    service: impl Service,
    watchdog: Option<Duration>,
    tell: impl Fn(Vec<News>) -> T,
    end: CancellationToken,
) {
    let service = Arc::new(service);
    if let Some(time) = service.start() {
        tell(vec![News::Status("The first collection is under way".to_owned()), News::Starting(time)]).await;
    }
    let mut told = String::new();
    let interval = watchdog.map_or(STATUS_INTERVAL, |within| (within / 2).max(Duration::from_millis(1)));
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut is_ready, stuck) = (false, LogOnce::default());
    let mut ready = pin!(service.ready());
    loop {
        let mut news = Vec::new();
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            () = &mut ready, if !is_ready => {
                is_ready = true;
                news.push(News::Ready);
            }
            _ = ticks.tick() => {}
        }
        if watchdog.is_some() {
            if service.is_healthy() {
                news.push(News::Alive);
            } else if stuck.begins() {
                tracing::error!(
                    "a collection has not ended long after its deadline: the service manager gets no sign of \
                     life any more, and restarts the bridge"
                );
            }
        }
        if is_ready {
            let service = service.clone();
            // This takes a while for thousands of targets.
            let status = tokio::task::spawn_blocking(move || service.status()).await.unwrap_or_default();
            if status != told {
                news.push(News::Status(status.clone()));
                told = status;
            }
        }
        if !news.is_empty() {
            tell(news).await;
        }
    }
    tell(vec![News::Stopping, News::Status("Ending".to_owned())]).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::SeqCst;

    use tokio::sync::SetOnce;

    #[derive(Default)]
    struct Fake {
        ready: Arc<SetOnce<()>>,
        is_stuck: Arc<AtomicBool>,
    }

    impl Service for Fake {
        fn start(&self) -> Option<Duration> {
            Some(Duration::from_secs(40))
        }

        async fn ready(&self) {
            self.ready.wait().await;
        }

        fn is_healthy(&self) -> bool {
            !self.is_stuck.load(SeqCst)
        }

        fn status(&self) -> String {
            "well".to_owned()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn signs_of_life_come_in_time_and_only_while_it_is_healthy() {
        let fake = Fake::default();
        let (ready, is_stuck) = (fake.ready.clone(), fake.is_stuck.clone());
        let told = Arc::<Mutex<Vec<News>>>::default();
        let end = CancellationToken::new();
        let tell = {
            let told = told.clone();
            move |news: Vec<News>| {
                told.lock().unwrap().extend(news);
                std::future::ready(())
            }
        };
        let supervised = tokio::spawn(supervise(fake, Some(Duration::from_secs(20)), tell, end.clone()));
        let wait = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        let take = || std::mem::take(&mut *told.lock().unwrap());

        wait(25).await;
        let starting = [
            News::Status("The first collection is under way".to_owned()),
            News::Starting(Duration::from_secs(40)),
            News::Alive,
            News::Alive,
            News::Alive,
        ];
        assert_eq!(take(), starting);
        ready.set(()).unwrap();
        wait(20).await;
        assert_eq!(
            take(),
            [News::Ready, News::Alive, News::Status("well".to_owned()), News::Alive, News::Alive]
        );
        is_stuck.store(true, SeqCst);
        wait(100).await;
        assert_eq!(take(), []);
        is_stuck.store(false, SeqCst);
        wait(10).await;
        assert_eq!(take(), [News::Alive], "it may come to itself in time");
        end.cancel();
        supervised.await.unwrap();
        assert_eq!(take(), [News::Stopping, News::Status("Ending".to_owned())]);
    }
}

//! Logs when the bridge itself lacks the resources for requests.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::outcome::ErrorType;

use super::Failure;

/// A shortage is over when no request has met it for this time. During a shortage some
/// requests still succeed, with a descriptor that another has just released.
const OVER_AFTER: Duration = Duration::from_secs(60);

/// When a request last met a shortage, until its end is logged.
#[derive(Debug, Default)]
pub struct Shortage(Mutex<Option<Instant>>);

/// The news for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Begun,
    Over,
}

impl Shortage {
    /// Records the end of a request, and logs the beginning and the end of a shortage.
    pub fn note(&self, failure: Option<&Failure>, now: Instant) {
        let lack = failure.filter(|failure| failure.error == ErrorType::Local);
        match self.news(lack.is_some(), now) {
            Some(News::Begun) => tracing::error!(
                "servers cannot be asked: {}; the bridge lacks file descriptors, threads or memory: raise \
                 its limits (ulimit -n, LimitNOFILE=, TasksMax=, MemoryMax=)",
                lack.map_or_else(String::new, |lack| lack.reason.clone())
            ),
            Some(News::Over) => tracing::info!("requests to servers are possible again"),
            None => {}
        }
    }

    fn news(&self, is_lack: bool, now: Instant) -> Option<News> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            None if is_lack => {
                *last = Some(now);
                Some(News::Begun)
            }
            Some(_) if is_lack => {
                *last = Some(now);
                None
            }
            Some(at) if now.saturating_duration_since(at) >= OVER_AFTER => {
                *last = None;
                Some(News::Over)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_when_it_begins_and_a_minute_after_its_end() {
        let (shortage, began) = (Shortage::default(), Instant::now());
        for (seconds, is_lack, news) in [
            (0, false, None),
            (1, true, Some(News::Begun)),
            (1, false, None),
            (2, true, None),
            (61, false, None),
            (62, false, Some(News::Over)),
            (63, false, None),
            (64, true, Some(News::Begun)),
        ] {
            let now = began + Duration::from_secs(seconds);
            assert_eq!(shortage.news(is_lack, now), news, "after {seconds} s");
        }
    }
}

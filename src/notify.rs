//! Messages to the service manager, if there is one: systemd, or Podman for a
//! container. See sd_notify(3).

use std::sync::LazyLock;
use std::time::Duration;

#[cfg(unix)]
use sd_notify::NotifyState;

use crate::log_once::LogOnce;

/// A message to the service manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The start takes up to this much longer.
    Starting(Duration),
    /// The start, or a reload, is finished.
    Ready,
    /// A reload begins; `Ready` ends it.
    Reloading,
    /// The process is stopping.
    Stopping,
    /// A sign of life.
    Alive,
    /// The state of the bridge, in a line for people.
    Status(String),
}

static UNHEARD: LazyLock<LogOnce> = LazyLock::new(LogOnce::default);

/// Whether a service manager expects messages.
#[must_use]
pub fn is_wanted() -> bool {
    cfg!(unix) && std::env::var_os("NOTIFY_SOCKET").is_some_and(|socket| !socket.is_empty())
}

/// Returns how long the service manager waits for a sign of life, if it does.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    #[cfg(unix)]
    return sd_notify::watchdog_enabled().filter(|within| !within.is_zero());
    #[cfg(not(unix))]
    None
}

/// Reports that a reload begins. [`ready`] has to follow, whatever the result.
pub async fn reloading() {
    tell(vec![News::Reloading]).await;
}

/// Reports that the start or a reload is finished.
pub async fn ready() {
    tell(vec![News::Ready]).await;
}

/// Sends messages to the service manager, if there is one. It may be busy, so this does
/// not run on an async thread.
pub async fn tell(news: Vec<News>) {
    if is_wanted() {
        let _ = tokio::task::spawn_blocking(move || send(&news)).await;
    }
}

#[cfg(unix)]
fn send(news: &[News]) {
    match sd_notify::notify(&states(news)) {
        Ok(()) => {
            UNHEARD.ends();
        }
        Err(e) if UNHEARD.begins() => {
            tracing::warn!("cannot tell the service manager (NOTIFY_SOCKET): {e}");
        }
        Err(_) => {}
    }
}

#[cfg(unix)]
fn states(news: &[News]) -> Vec<NotifyState<'_>> {
    let mut states = Vec::new();
    for one in news {
        let state = match one {
            News::Starting(time) => {
                NotifyState::ExtendTimeoutUsec(time.as_micros().try_into().unwrap_or(u32::MAX))
            }
            News::Ready => NotifyState::Ready,
            News::Reloading => {
                // systemd 253 and later need the time of the reload.
                states.extend(NotifyState::monotonic_usec_now());
                NotifyState::Reloading
            }
            News::Stopping => NotifyState::Stopping,
            News::Alive => NotifyState::Watchdog,
            News::Status(line) => NotifyState::Status(line),
        };
        states.push(state);
    }
    states
}

#[cfg(not(unix))]
fn send(_: &[News]) {
    UNHEARD.ends();
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[test]
    fn news_are_assignments() {
        let lines = |news: News| states(&[news]).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(lines(News::Ready), ["READY=1"]);
        assert_eq!(lines(News::Stopping), ["STOPPING=1"]);
        assert_eq!(lines(News::Alive), ["WATCHDOG=1"]);
        assert_eq!(lines(News::Status("well".to_owned())), ["STATUS=well"]);
        assert_eq!(lines(News::Starting(Duration::from_secs(40))), ["EXTEND_TIMEOUT_USEC=40000000"]);
        let reloading = lines(News::Reloading);
        assert_eq!(reloading[1..], ["RELOADING=1"]);
        let since = reloading[0].strip_prefix("MONOTONIC_USEC=").and_then(|since| since.parse::<u64>().ok());
        assert!(since.is_some_and(|since| since > 0), "{reloading:?}");
    }
}

//! Signals to the process: which end it, and which reloads the configuration.

use std::future::Future;
#[cfg(unix)]
use std::sync::Arc;

#[cfg(unix)]
use crate::bridge::Bridge;
#[cfg(unix)]
use crate::notify;
#[cfg(unix)]
use crate::reload::Reloader;

/// Reloads on each SIGHUP from the call on. Without a handler the signal would end the
/// process.
#[cfg(unix)]
pub fn reload_on_hang_up(reloader: Arc<Reloader>, bridge: Arc<Bridge>) -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let hang_ups = signal(SignalKind::hangup());
    async move {
        let Ok(mut hang_ups) = hang_ups else { return };
        while hang_ups.recv().await.is_some() {
            // During the start, the end of a reload would be taken for the end of the
            // start.
            let has_started = bridge.is_ready();
            if has_started {
                notify::reloading().await;
            }
            // The result is in the log.
            let _ = reloader.reload().await;
            if has_started {
                notify::ready().await;
            }
        }
    }
}

/// Waits for a signal to end the process: SIGINT or SIGTERM. Signals count from the
/// call on, not only from the first poll.
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

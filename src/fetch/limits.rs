//! Limits the number of simultaneous requests, in all and per host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The two limits.
#[derive(Debug)]
pub struct Limits {
    all: Arc<Semaphore>,
    per_host: usize,
    /// Only hosts with a running or waiting request.
    hosts: Mutex<HashMap<Box<str>, Arc<Semaphore>>>,
}

/// Permission to make a request, until it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    limits: &'a Limits,
    name: Box<str>,
    permits: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Limits {
    /// Allows at most `all` requests at once, and `per_host` to one host.
    #[must_use]
    pub fn new(all: usize, per_host: usize) -> Limits {
        Limits {
            all: Arc::new(Semaphore::new(all.max(1))),
            per_host: per_host.max(1),
            hosts: Mutex::default(),
        }
    }

    /// Waits for a turn. It waits for the host's turn first, so that requests to a busy
    /// host do not occupy turns that others could use.
    pub async fn acquire(&self, host: &str) -> Turn<'_> {
        let own = {
            let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
            if !hosts.contains_key(host) {
                hosts.insert(host.into(), Arc::new(Semaphore::new(self.per_host)));
            }
            hosts[host].clone()
        };
        // The semaphores are never closed, so both waits end with a permit.
        let mut turn = Turn { limits: self, name: host.into(), permits: None };
        if let Ok(own) = own.acquire_owned().await
            && let Ok(one) = self.all.clone().acquire_owned().await
        {
            turn.permits = Some((own, one));
        }
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.permits = None;
        let mut hosts = self.limits.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing else holds or awaits a permit of this host, so it is removed.
        if hosts.get(&self.name).is_some_and(|own| Arc::strong_count(own) == 1) {
            hosts.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn both_limits_hold_and_hosts_are_forgotten() {
        let limits = Limits::new(3, 2);
        let a = limits.acquire("a").await;
        let b = limits.acquire("a").await;
        assert!(limits.acquire("a").now_or_never().is_none(), "two per host");
        let c = limits.acquire("b").await;
        assert!(limits.acquire("c").now_or_never().is_none(), "three in all");
        drop(a);
        let d = limits.acquire("c").await;
        drop((b, c, d));
        assert!(limits.hosts.lock().unwrap().is_empty());
    }
}

//! Writes pages ahead of scrapes.

use std::sync::Arc;

use super::Bridge;

impl Bridge {
    /// Writes what prefetching has changed shortly before each scrape, so that a large
    /// page is ready when the scrape comes. Never ends.
    pub async fn write_ahead(self: Arc<Self>) {
        loop {
            self.refresher.collection_is_near().await;
            let view = self.refresher.known();
            // Slice by slice, so that a scrape waits for one at most.
            loop {
                let turn = self.scrapes.turn().await;
                let (bridge, view) = (self.clone(), view.clone());
                let watched = self.watchdog.watch(self.deadline);
                let write = move || {
                    let _held = (turn, watched);
                    bridge.pull.as_ref().is_some_and(|pull| pull.write_ahead(&view).unwrap_or(false))
                };
                // What fails here fails again in the scrape, which reports it.
                if !tokio::task::spawn_blocking(write).await.unwrap_or(false) {
                    break;
                }
            }
        }
    }
}

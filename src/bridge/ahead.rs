//! Writes pages ahead of scrapes.

use std::sync::Arc;

use crate::refresh::Ahead;

use super::Bridge;

impl Bridge {
    /// Writes what prefetching has changed ahead of the next scrape, so that a large page
    /// is ready when the scrape comes. Ends only if the bridge has no pages.
    pub async fn write_ahead(self: Arc<Self>) {
        if self.pull.is_none() {
            return;
        }
        let mut polled = self.refresher.polled_ahead();
        let mut written = 0.0;
        while polled.changed().await.is_ok() {
            let ahead @ Ahead { part: to, collection } = *polled.borrow_and_update();
            let part = ahead.to_write(written);
            written = to;
            // As the collection will read it: a lifetime that ends before it does not make
            // the text useless.
            let clock = self.refresher.clock();
            let (now, unix) = (clock.now(), clock.unix());
            let unix = unix + collection.since(now).as_secs_f64();
            let view = self.refresher.known_since(collection, unix);
            // Slice by slice, so that a scrape waits for one at most. What is left when a
            // collection comes is its own: it knows newer facts.
            while clock.now() < collection && !self.refresher.was_collected_since(now) {
                let turn = self.scrapes.turn().await;
                let (bridge, view, part) = (self.clone(), view.clone(), part.clone());
                let watched = self.watchdog.watch(self.deadline);
                let write = move || {
                    let _held = (turn, watched);
                    bridge.pull.as_ref().is_some_and(|pull| pull.write_ahead(&view, &part).unwrap_or(false))
                };
                // What fails here fails again in the scrape, which reports it.
                if !tokio::task::spawn_blocking(write).await.unwrap_or(false) {
                    break;
                }
            }
        }
    }
}

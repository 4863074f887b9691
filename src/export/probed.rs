//! The pages of probed targets: one target each, through pipelines that are not bound
//! to a set of targets.

mod stats;

use std::sync::Arc;

use opentelemetry_sdk::Resource;
use prometheus::Registry;
use url::Url;

use crate::endpoint::Endpoint;
use crate::instruments::Whose;
use crate::metrics::rows;
use crate::snapshot::View;
use crate::target::{AccountRef, Target};

use super::exposition::{Exposition, Representation};
use super::page::Page;
use super::pipeline::{Pipeline, Pool};
use super::prometheus::{PageWriter, PullError, PullSettings, has_points, reader, scope};

pub use stats::ProbeStats;

/// The number of accounts and hashtags for which a shared pipeline has room. A target
/// with more gets a temporary pipeline of its own.
const MAX_LISTED: usize = 16;

type Make = dyn Fn(&Arc<Target>) -> Result<Pipeline<Registry>, PullError> + Send + Sync;

/// Writes the pages of probed targets.
pub struct Probed {
    pool: Pool<Registry, PullError>,
    /// A target with as many points as there is room for.
    largest: Arc<Target>,
    make: Arc<Make>,
    writer: PageWriter,
}

impl Probed {
    /// Creates the instruments. `target_info` is omitted from these pages, because it
    /// would say for each target which bridge polled it.
    ///
    /// # Errors
    ///
    /// If the Prometheus exporter cannot be set up.
    pub fn new(resource: &Resource, settings: PullSettings) -> Result<Probed, PullError> {
        let writer = PageWriter::new(resource, settings);
        let resource = resource.clone();
        let make: Arc<Make> = Arc::new(move |target| {
            let registry = Registry::new();
            let reader = reader(&registry, false, false)?;
            let slice = std::slice::from_ref(target);
            // Two slices, because the SDK keeps the points of the last collection
            // beside those of the current one.
            Ok(Pipeline::new(reader, registry, resource.clone(), (scope(), Whose::Place), &[slice, slice]))
        });
        let largest = Arc::new(largest());
        let (make_one, model) = (make.clone(), largest.clone());
        let pool = Pool::new(move || make_one(&model))?;
        Ok(Probed { pool, largest, make, writer })
    }

    /// Returns the page for the view of one target, in a format. Blocks, so it must not
    /// be called on an async thread.
    ///
    /// # Errors
    ///
    /// If the SDK returns nothing.
    pub fn page(&self, view: &Arc<View>, shown: Representation) -> Result<Page, PullError> {
        let families = match view.targets.first() {
            Some((target, _)) if !self.has_room_for(target) => {
                (self.make)(target)?.read(view.clone(), Registry::gather)
            }
            _ => self.pool.read(view.clone(), Registry::gather)?,
        };
        if families.is_empty() && has_points(view) {
            return Err(PullError::Nothing);
        }
        let batch = self.writer.targets(families, view, shown);
        let mut exposition = Exposition::new(shown.format);
        exposition.add(&batch);
        Ok(Page::new(&exposition.finish()))
    }

    fn has_room_for(&self, target: &Target) -> bool {
        rows().all(|row| row.most(target) <= row.most(&self.largest))
    }
}

impl std::fmt::Debug for Probed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probed")
    }
}

/// A target with all endpoints.
fn largest() -> Target {
    let url = Url::parse("https://localhost").expect("a URL that was written here");
    let names = || (0..MAX_LISTED).map(|i| Arc::<str>::from(i.to_string()));
    Target {
        endpoints: Endpoint::ALL.to_vec(),
        accounts: names().map(AccountRef::Id).collect(),
        tags: names().collect(),
        ..Target::new(url, None, None, &std::collections::BTreeMap::new())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::clock::Moment;
    use crate::export::exposition::Format;
    use crate::snapshot::{Found, LastAttempt, Slot, Snapshot};

    fn view(host: &str, change: impl FnOnce(&mut Target)) -> Arc<View> {
        let url = Url::parse(&format!("https://{host}")).unwrap();
        let mut target = Target::new(url, None, None, &BTreeMap::new());
        change(&mut target);
        let mut slot = Slot::new(Endpoint::InstanceV2);
        slot.record(LastAttempt::new(Moment::ORIGIN, Found::read(None, 1.0)));
        let snapshot = Arc::new(Snapshot { slots: vec![slot], ..Snapshot::default() });
        let started = Moment::at(Duration::from_secs(1));
        Arc::new(View::new(started, 1.0, vec![(Arc::new(target), snapshot)]))
    }

    fn page(probed: &Probed, view: &Arc<View>) -> String {
        let page = probed.page(view, Format::Text004.into()).unwrap();
        String::from_utf8(page.text().into_owned()).unwrap()
    }

    #[test]
    fn a_page_has_one_target_whatever_was_probed_before() {
        let probed = Probed::new(&Resource::builder_empty().build(), PullSettings::default()).unwrap();
        assert!(probed.has_room_for(&largest()));
        for i in 0..300 {
            let host = format!("i{i:04}.example");
            let text = page(&probed, &view(&host, |_| {}));
            let up = text.lines().filter(|line| line.starts_with("fedimeter_target_up{"));
            let up: Vec<&str> = up.collect();
            assert_eq!(up.len(), 1, "{text}");
            assert!(up[0].contains(&host), "{text}");
            assert!(!text.contains("target_info") && !text.contains("otel_metric_overflow"), "{text}");
        }
    }

    #[test]
    fn a_target_with_more_than_usual_has_a_page_too() {
        let probed = Probed::new(&Resource::builder_empty().build(), PullSettings::default()).unwrap();
        let large = view("a.example", |target| {
            target.tags = (0..100).map(|i| Arc::from(i.to_string())).collect();
            target.endpoints.push(Endpoint::Tags);
        });
        assert!(!probed.has_room_for(&large.targets[0].0));
        assert!(page(&probed, &large).contains("fedimeter_target_up{"));
    }
}

//! The metric table as OpenTelemetry instruments: one observable instrument a
//! row, whose callback walks the targets of the current view.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::metrics::{AsyncInstrument, Meter};
use opentelemetry::{Key, KeyValue, Value};
use opentelemetry_sdk::metrics::{Instrument, Stream};

use crate::logging::Spell;
use crate::metrics::{Kind, Label, Read, Row, rows};
use crate::snapshot::{Reading, View};
use crate::target::{AttributeValue, Target};

/// The scope of all instruments. Without a version: it would stand on every
/// point, and every release would begin new series.
pub const SCOPE: &str = "fedimeter";

/// Where callbacks get what they report.
pub trait Source: Send + Sync + 'static {
    /// The view of the collection that now reads the row of this index.
    /// `None` where there is nothing to report.
    fn view(&self, row: usize) -> Option<Arc<View>>;
}

/// A source that shows what an exporter put there before it collected.
#[derive(Debug, Default)]
pub struct Pinned(Mutex<Option<Arc<View>>>);

impl Pinned {
    /// Shows this view to the next collection.
    pub fn set(&self, view: Option<Arc<View>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }
}

impl Source for Pinned {
    fn view(&self, _row: usize) -> Option<Arc<View>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes the instruments of all rows that these targets can have points of on
/// `meter`. Their callbacks report the
/// targets in `part` of the view, by its order. Once a meter: instruments never
/// let go of their callbacks.
pub fn register(meter: &Meter, source: &Arc<dyn Source>, targets: &[Arc<Target>], part: &Range<usize>) {
    let has_points = |row: &Row| targets[part.clone()].iter().any(|target| row.most(target) > 0);
    for (index, row) in rows().enumerate().filter(|(_, row)| has_points(row)) {
        let panics = Spell::default();
        let call = Call { index, row, source: source.clone(), part: part.clone(), panics };
        match (row.kind, row.read) {
            (Kind::Gauge, Read::Int(_) | Read::Ints(..)) => {
                let builder = meter.i64_observable_gauge(row.name).with_unit(row.unit);
                builder.with_description(row.description).with_callback(move |to| call.ints(to)).build();
            }
            (Kind::Gauge, Read::Float(_) | Read::Floats(..)) => {
                let builder = meter.f64_observable_gauge(row.name).with_unit(row.unit);
                builder.with_description(row.description).with_callback(move |to| call.floats(to)).build();
            }
            (Kind::Counter, _) => {
                let builder = meter.u64_observable_counter(row.name).with_unit(row.unit);
                builder.with_description(row.description).with_callback(move |to| call.tallies(to)).build();
            }
            // Only the bridge itself has others.
            _ => {}
        }
    }
}

/// What a row's callback needs.
struct Call {
    index: usize,
    row: &'static Row,
    source: Arc<dyn Source>,
    part: Range<usize>,
    panics: Spell,
}

impl Call {
    fn ints(&self, to: &dyn AsyncInstrument<i64>) {
        self.each(|reading, attributes| match self.row.read {
            Read::Int(read) => {
                if let Some(value) = read(reading) {
                    to.observe(value, attributes.plain());
                }
            }
            Read::Ints(read, _) => {
                read(reading, &mut |value, labels| to.observe(value, &attributes.with(labels)));
            }
            _ => {}
        });
    }

    fn floats(&self, to: &dyn AsyncInstrument<f64>) {
        self.each(|reading, attributes| match self.row.read {
            Read::Float(read) => {
                if let Some(value) = read(reading) {
                    to.observe(value, attributes.plain());
                }
            }
            Read::Floats(read, _) => {
                read(reading, &mut |value, labels| to.observe(value, &attributes.with(labels)));
            }
            _ => {}
        });
    }

    fn tallies(&self, to: &dyn AsyncInstrument<u64>) {
        self.each(|reading, attributes| {
            if let Read::Ints(read, _) = self.row.read {
                read(reading, &mut |value, labels| to.observe(value.max(0) as u64, &attributes.with(labels)));
            }
        });
    }

    /// Calls `with` for every target of the part. A panic costs the row's
    /// remaining points and nothing else: one that left the callback would
    /// poison the SDK's pipeline for good.
    fn each(&self, mut with: impl FnMut(&Reading<'_>, &Attributes)) {
        let walk = AssertUnwindSafe(|| {
            let Some(view) = self.source.view(self.index) else { return };
            for reading in view.readings().skip(self.part.start).take(self.part.len()) {
                with(&reading, &Attributes::of(reading.target));
            }
        });
        match catch_unwind(walk) {
            Err(_) if self.panics.begins() => tracing::error!(
                "{} loses points of every collection: reading it panicked; please report this",
                self.row.name
            ),
            Ok(()) if self.panics.ends() => tracing::info!("{} is read again", self.row.name),
            _ => {}
        }
    }
}

/// The attributes of a target's points, sorted by key: an unsorted set would
/// be kept twice by the SDK.
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn of(target: &Target) -> Attributes {
        let value = |v: &AttributeValue| match v {
            AttributeValue::Text(text) => Value::from(text.clone()),
            AttributeValue::Int(n) => Value::I64(*n),
        };
        Attributes(
            target.identity.iter().map(|(k, v)| KeyValue::new(Key::from(k.clone()), value(v))).collect(),
        )
    }

    fn plain(&self) -> &[KeyValue] {
        &self.0
    }

    fn with(&self, labels: &[(&'static str, Label)]) -> Vec<KeyValue> {
        let mut all = Vec::with_capacity(self.0.len() + labels.len());
        all.extend(labels.iter().map(key_value));
        all.extend_from_slice(&self.0);
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }
}

/// A row's own attribute.
pub(crate) fn key_value((key, label): &(&'static str, Label)) -> KeyValue {
    let value = match label {
        Label::Static(text) => Value::from(*text),
        Label::Text(text) => Value::from(text.clone()),
        Label::Int(n) => Value::I64(*n),
    };
    KeyValue::new(*key, value)
}

/// A view that lets every row have as many points as these targets can give.
/// The SDK merges what is beyond its limit of 2,000 silently into one point.
pub fn room_for(targets: &[Arc<Target>]) -> impl Fn(&Instrument) -> Option<Stream> + Send + Sync + use<> {
    let limits: HashMap<&'static str, usize> = rows()
        .filter(|row| !row.is_own())
        .map(|row| {
            let most: usize = targets.iter().map(|target| row.most(target)).sum();
            // The SDK keeps one place for what it merges.
            (row.name, (most + 1).next_power_of_two().max(16))
        })
        .collect();
    move |instrument| {
        let limit = *limits.get(instrument.name())?;
        Stream::builder().with_cardinality_limit(limit).build().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
    use opentelemetry_sdk::metrics::reader::MetricReader;
    use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};

    use super::*;
    use crate::export::pipeline::SharedReader;
    use crate::snapshot::Snapshot;

    /// A row like the first that reads whole numbers, but read by `read`.
    fn row(name: &'static str, read: fn(&Reading<'_>) -> Option<i64>) -> &'static Row {
        let like = rows().find(|row| matches!(row.read, Read::Int(_))).unwrap();
        Box::leak(Box::new(Row { name, read: Read::Int(read), ..*like }))
    }

    /// What the panic does not reach is all there, in this collection and after.
    #[test]
    fn a_panic_costs_the_remaining_points_of_its_row() {
        let target = |host: &str| {
            let url = format!("https://{host}/").parse().unwrap();
            (Arc::new(Target::new(url, None, None, &BTreeMap::new())), Arc::new(Snapshot::default()))
        };
        let targets: Vec<_> = ["a.example", "b.example", "c.example"].map(target).into();
        let view = View { started: std::time::Duration::from_secs(1), unix: 0.0, targets };
        let pinned = Arc::new(Pinned::default());
        pinned.set(Some(Arc::new(view)));
        let reader = SharedReader::new(Temporality::Cumulative);
        let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
        let meter = provider.meter(SCOPE);
        let panics = row("test.panics", |reading| {
            assert!(reading.target.url.host_str() != Some("b.example"), "on purpose");
            Some(1)
        });
        for row in [panics, row("test.works", |_| Some(2))] {
            let call = Call { index: 0, row, source: pinned.clone(), part: 0..3, panics: Spell::default() };
            meter.i64_observable_gauge(row.name).with_callback(move |to| call.ints(to)).build();
        }
        for _ in 0..2 {
            let mut metrics = ResourceMetrics::default();
            reader.collect(&mut metrics).unwrap();
            let count: BTreeMap<&str, usize> = metrics
                .scope_metrics()
                .flat_map(opentelemetry_sdk::metrics::data::ScopeMetrics::metrics)
                .map(|metric| match metric.data() {
                    AggregatedMetrics::I64(MetricData::Gauge(gauge)) => {
                        (metric.name(), gauge.data_points().count())
                    }
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(count, [("test.panics", 1), ("test.works", 3)].into());
        }
    }
}

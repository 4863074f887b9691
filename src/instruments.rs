//! Creates OpenTelemetry instruments from the metric table, one for each row. This is
//! the only place that creates them, for rows about targets and about the bridge.

use std::cell::LazyCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry::{InstrumentationScope, Key, KeyValue, Value};

use crate::log_once::LogOnce;
use crate::metrics::{Kind, Label, Number, Row, SCHEMA_URL, Timing, rows};
use crate::snapshot::View;
use crate::target::{AttributeValue, Target};

/// The scope of all instruments. It has no version, because the version would be on
/// every point, and every release would start new series.
pub const SCOPE: &str = "fedimeter";

/// The scope of pushed metrics. `/metrics` omits its schema URL, which would be a label
/// of every series.
#[must_use]
pub fn pushed_scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE).with_schema_url(SCHEMA_URL).build()
}

/// The attribute with a target's place in the view. No attribute of a user has this
/// name, because its namespace is reserved.
pub const PLACE: &str = "fedimeter.place";
/// The value of [`PLACE`] for the first place. All values have as many digits, so that
/// as text they have the order of the places: what gathers points sorts them by text.
const FIRST_PLACE: i64 = 1_000_000;

/// The value of [`PLACE`] for a place in the view.
#[must_use]
pub fn place_value(place: usize) -> i64 {
    FIRST_PLACE + place as i64
}

/// The place in the view that a value of [`PLACE`] is for.
#[must_use]
pub fn place(value: &str) -> Option<usize> {
    usize::try_from(value.parse::<i64>().ok()? - FIRST_PLACE).ok()
}

/// How a point says which target it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// By the target's attributes.
    Attributes,
    /// By [`PLACE`], which what reads the point replaces with the target's attributes.
    /// Attributes are most of what a point costs in the SDK, and all slices of the
    /// targets have the same places. Descriptions are left out, too: the exporter copies
    /// them for each point.
    Place,
}

/// A source of views for the callbacks.
pub trait Source: Send + Sync + 'static {
    /// Returns the view of the collection that is reading the row with this index.
    /// `None` if there is nothing to report.
    fn view(&self, row: usize) -> Option<Arc<View>>;
}

/// Holds what the callbacks of an exporter's next collection read.
#[derive(Debug)]
pub struct Pinned<T>(Mutex<Option<Arc<T>>>);

impl<T> Default for Pinned<T> {
    fn default() -> Pinned<T> {
        Pinned(Mutex::new(None))
    }
}

impl<T> Pinned<T> {
    /// Runs `read` while the callbacks see `shown`.
    pub fn with<R>(&self, shown: Arc<T>, read: impl FnOnce() -> R) -> R {
        self.set(Some(shown));
        let read = read();
        self.set(None);
        read
    }

    /// Returns what the callbacks see now.
    #[must_use]
    pub fn get(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, shown: Option<Arc<T>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = shown;
    }
}

impl Source for Pinned<View> {
    fn view(&self, _row: usize) -> Option<Arc<View>> {
        self.get()
    }
}

/// Creates the instruments of all rows of which these targets can have points. Call it
/// once for each meter, because instruments never release their callbacks.
pub fn register(meter: &Meter, source: &Arc<dyn Source>, targets: &[Arc<Target>], whose: Whose) {
    let has_points = |row: &Row| targets.iter().any(|target| row.most(target) > 0);
    for (index, row) in rows().enumerate().filter(|(_, row)| has_points(row)) {
        let source = source.clone();
        let description = match whose {
            Whose::Attributes => row.description,
            Whose::Place => "",
        };
        observable(meter, row, description, move |observe| {
            let Some(view) = source.view(index) else { return };
            for (place, reading) in view.readings().enumerate() {
                // Most rows have no point of most targets.
                let of_target = LazyCell::new(|| match whose {
                    Whose::Attributes => identity(reading.target),
                    Whose::Place => vec![KeyValue::new(PLACE, place_value(place))],
                });
                row.points(&reading, &mut |value, labels| {
                    if labels.is_empty() {
                        observe(value, &of_target);
                    } else {
                        observe(
                            value,
                            &sorted(labels.iter().map(key_value).chain(of_target.iter().cloned())),
                        );
                    }
                });
            }
        });
    }
}

/// Creates the observable instrument of a row. `walk` calls its argument for each
/// point. Attributes must be sorted by key, because the SDK would store an unsorted set
/// twice.
///
/// A panic in `walk` costs the row's remaining points of that collection. A panic that
/// left the callback would poison the SDK's pipeline for good.
///
/// Histograms are recorded, not observed: see [`histogram`].
pub fn observable(
    meter: &Meter,
    row: &'static Row,
    description: &'static str,
    walk: impl Fn(&mut dyn FnMut(Number, &[KeyValue])) + Send + Sync + 'static,
) {
    let panics = LogOnce::default();
    let walk = move |observe: &mut dyn FnMut(Number, &[KeyValue])| {
        let ended = catch_unwind(AssertUnwindSafe(|| walk(observe)));
        if ended.is_err() && panics.begins() {
            tracing::error!(
                "{} loses points of every collection: reading it panicked; please report this",
                row.name
            );
        } else if ended.is_ok() && panics.ends() {
            tracing::info!("{} recovered", row.name);
        }
    };
    macro_rules! build {
        ($make:ident, $value:expr) => {{
            let callback = move |to: &dyn opentelemetry::metrics::AsyncInstrument<_>| {
                walk(&mut |number, attributes| to.observe($value(number), attributes));
            };
            let builder = meter.$make(row.name).with_unit(row.unit).with_description(description);
            builder.with_callback(callback).build();
        }};
    }
    match (row.kind(), row.is_integer()) {
        (Kind::Gauge, true) => build!(i64_observable_gauge, whole),
        (Kind::Gauge, false) => build!(f64_observable_gauge, float),
        (Kind::Counter, true) => build!(u64_observable_counter, |number| whole(number).max(0) as u64),
        (Kind::Counter, false) => build!(f64_observable_counter, float),
        (Kind::UpDownCounter, true) => build!(i64_observable_up_down_counter, whole),
        (Kind::UpDownCounter, false) => build!(f64_observable_up_down_counter, float),
        (Kind::Histogram, _) => {}
    }
}

/// Creates the histogram for a row of durations.
#[must_use]
pub fn histogram(meter: &Meter, row: &'static Row, timing: Timing) -> Histogram<f64> {
    let builder = meter.f64_histogram(row.name).with_unit(row.unit).with_description(row.description);
    builder.with_boundaries(timing.bounds().to_vec()).build()
}

fn whole(number: Number) -> i64 {
    match number {
        Number::Int(value) => value,
        Number::Float(value) => value as i64,
    }
}

fn float(number: Number) -> f64 {
    match number {
        Number::Int(value) => value as f64,
        Number::Float(value) => value,
    }
}

/// Returns the attributes of all of a target's points, sorted by key.
fn identity(target: &Target) -> Vec<KeyValue> {
    let value = |v: &AttributeValue| match v {
        AttributeValue::Text(text) => Value::from(text.clone()),
        AttributeValue::Int(n) => Value::I64(*n),
    };
    target.identity.iter().map(|(k, v)| KeyValue::new(Key::from(k.clone()), value(v))).collect()
}

/// Returns a row's own attributes, sorted by key.
#[must_use]
pub fn attributes(labels: &[(&'static str, Label)]) -> Vec<KeyValue> {
    sorted(labels.iter().map(key_value))
}

fn sorted(attributes: impl Iterator<Item = KeyValue>) -> Vec<KeyValue> {
    let mut all: Vec<KeyValue> = attributes.collect();
    all.sort_by(|a, b| a.key.cmp(&b.key));
    all
}

fn key_value((key, label): &(&'static str, Label)) -> KeyValue {
    let value = match label {
        Label::Static(text) => Value::from(*text),
        Label::Text(text) => Value::from(text.clone()),
        Label::Int(n) => Value::I64(*n),
    };
    KeyValue::new(*key, value)
}

#[cfg(all(test, feature = "program"))]
mod tests {
    use std::collections::BTreeMap;

    use opentelemetry::metrics::MeterProvider;
    use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics};
    use opentelemetry_sdk::metrics::reader::MetricReader;
    use opentelemetry_sdk::metrics::{SdkMeterProvider, Temporality};

    use super::*;
    use crate::export::pipeline::SharedReader;
    use crate::metrics::Read;
    use crate::snapshot::{Reading, Snapshot};

    fn row(name: &'static str, read: fn(&Reading<'_>) -> Option<i64>) -> &'static Row {
        let like = rows().find(|row| matches!(row.read, Read::Int(_))).unwrap();
        Box::leak(Box::new(Row { name, read: Read::Int(read), ..*like }))
    }

    /// Points before the panic are reported, in this collection and in later ones.
    #[test]
    fn a_panic_costs_the_remaining_points_of_its_row() {
        let hosts = ["a.example", "b.example", "c.example"];
        let readings = move |row: &'static Row| {
            move |observe: &mut dyn FnMut(Number, &[KeyValue])| {
                for host in hosts {
                    let url = format!("https://{host}/").parse().unwrap();
                    let target = Target::new(url, None, None, &BTreeMap::new());
                    let started = crate::clock::Moment::ORIGIN;
                    let snapshot = Snapshot::default();
                    let reading = Reading::new(&target, &snapshot, started, 0.0);
                    row.points(&reading, &mut |value, _| observe(value, &identity(&target)));
                }
            }
        };
        let reader = SharedReader::new(Temporality::Cumulative);
        let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
        let meter = provider.meter(SCOPE);
        let panics = row("test.panics", |reading| {
            assert!(reading.target.url.host_str() != Some("b.example"), "on purpose");
            Some(1)
        });
        for row in [panics, row("test.works", |_| Some(2))] {
            observable(&meter, row, "", readings(row));
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

    /// Each row of the table becomes an instrument of its kind.
    #[test]
    fn every_row_has_an_instrument() {
        let reader = SharedReader::new(Temporality::Cumulative);
        let provider = SdkMeterProvider::builder().with_reader(reader.clone()).build();
        let meter = provider.meter(SCOPE);
        for row in rows() {
            if let Read::Recorded(timing) = row.read {
                histogram(&meter, row, timing).record(1.0, &[]);
            } else {
                observable(&meter, row, row.description, |observe| observe(Number::Int(1), &[]));
            }
        }
        let mut metrics = ResourceMetrics::default();
        reader.collect(&mut metrics).unwrap();
        let made: BTreeMap<&str, (Kind, bool)> = metrics
            .scope_metrics()
            .flat_map(opentelemetry_sdk::metrics::data::ScopeMetrics::metrics)
            .map(|metric| (metric.name(), kind(metric.data())))
            .collect();
        let expected = rows().map(|row| (row.name, (row.kind(), row.is_integer()))).collect();
        assert_eq!(made, expected);
    }

    fn kind(data: &AggregatedMetrics) -> (Kind, bool) {
        fn of<T>(data: &MetricData<T>) -> Kind {
            match data {
                MetricData::Gauge(_) => Kind::Gauge,
                MetricData::Sum(sum) if sum.is_monotonic() => Kind::Counter,
                MetricData::Sum(_) => Kind::UpDownCounter,
                MetricData::Histogram(_) | MetricData::ExponentialHistogram(_) => Kind::Histogram,
            }
        }
        match data {
            AggregatedMetrics::F64(data) => (of(data), false),
            AggregatedMetrics::I64(data) => (of(data), true),
            AggregatedMetrics::U64(data) => (of(data), true),
        }
    }
}

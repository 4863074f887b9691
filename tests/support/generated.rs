//! Random families, and what a parser has to find in their exposition.

use std::collections::BTreeMap;

use prometheus::proto::MetricFamily;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::families::{counter, gauge, histogram};

/// Families as a parser should report them, each name once.
#[derive(Debug, Clone)]
pub struct Model(pub Vec<Family>);

/// One family. `unit` is the argument of `encode`, which the name may contradict.
#[derive(Debug, Clone)]
pub struct Family {
    pub name: String,
    pub unit: Option<&'static str>,
    pub help: String,
    pub series: Series,
}

#[derive(Debug, Clone)]
pub enum Series {
    Gauge(BTreeMap<Labels, f64>),
    Counter(BTreeMap<Labels, f64>),
    Histogram(BTreeMap<Labels, Distribution>),
}

pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Clone)]
pub struct Distribution {
    pub buckets: Vec<(f64, u64)>,
    pub above: u64,
    pub sum: f64,
}

/// A family as a parser reports it. Both parsers of `prometheus_client` use the OpenMetrics
/// name of counters.
#[derive(Debug, Clone, PartialEq)]
pub struct Expected {
    pub name: String,
    pub kind: String,
    pub unit: String,
    pub help: String,
    pub samples: Vec<(String, Labels, f64)>,
}

impl Model {
    /// The result of several registries: each series in a family of its own, then all
    /// series again with other values. The second values must be dropped.
    pub fn gather(&self) -> Vec<MetricFamily> {
        let mut gathered = Vec::new();
        for change in [0.0, 1.0] {
            for family in &self.0 {
                gathered.extend(family.gather(change));
            }
        }
        gathered
    }

    pub fn unit_of(&self, name: &str) -> Option<&'static str> {
        self.0.iter().find(|family| family.name == name).and_then(|family| family.unit)
    }

    pub fn expected(&self, openmetrics: bool) -> Vec<Expected> {
        self.0.iter().map(|family| family.expected(openmetrics)).collect()
    }
}

impl Family {
    fn gather(&self, change: f64) -> Vec<MetricFamily> {
        let (name, help) = (self.name.as_str(), self.help.as_str());
        match &self.series {
            Series::Gauge(series) => {
                let one = |(labels, value): (_, &f64)| gauge(name, help, &[(&pairs(labels), value + change)]);
                series.iter().map(one).collect()
            }
            Series::Counter(series) => {
                let one =
                    |(labels, value): (_, &f64)| counter(name, help, &[(&pairs(labels), value + change)]);
                series.iter().map(one).collect()
            }
            Series::Histogram(series) => {
                let one = |(labels, value): (_, &Distribution)| {
                    let above = value.above + change as u64;
                    histogram(name, help, &pairs(labels), &value.buckets, above, value.sum)
                };
                series.iter().map(one).collect()
            }
        }
    }

    fn expected(&self, openmetrics: bool) -> Expected {
        let info = openmetrics && self.name == "target_info";
        let (kind, name) = match self.series {
            Series::Gauge(_) if info => ("info", "target"),
            Series::Gauge(_) => ("gauge", self.name.as_str()),
            Series::Counter(_) => ("counter", self.name.trim_end_matches("_total")),
            Series::Histogram(_) => ("histogram", self.name.as_str()),
        };
        let unit = self.unit.filter(|unit| openmetrics && name.ends_with(&format!("_{unit}")));
        let mut samples = Vec::new();
        match &self.series {
            Series::Gauge(series) | Series::Counter(series) => {
                samples.extend(series.iter().map(|(l, value)| (self.name.clone(), l.clone(), *value)));
            }
            Series::Histogram(series) => {
                for (labels, value) in series {
                    self.expect_histogram(labels, value, openmetrics, &mut samples);
                }
            }
        }
        Expected {
            name: name.to_owned(),
            kind: kind.to_owned(),
            unit: unit.unwrap_or_default().to_owned(),
            help: self.help.clone(),
            samples,
        }
    }

    fn expect_histogram(
        &self,
        labels: &Labels,
        value: &Distribution,
        openmetrics: bool,
        samples: &mut Vec<(String, Labels, f64)>,
    ) {
        let mut count = 0;
        let ends = value.buckets.iter().copied().chain([(f64::INFINITY, value.above)]);
        for (bound, in_bucket) in ends {
            count += in_bucket;
            let mut labels = labels.clone();
            // Bounds are compared as numbers; see `le` in the test with parsers.
            labels.insert("le".to_owned(), bound.to_string());
            samples.push((format!("{}_bucket", self.name), labels, count as f64));
        }
        if !openmetrics || value.buckets.iter().all(|(bound, _)| *bound >= 0.0) {
            samples.push((format!("{}_sum", self.name), labels.clone(), value.sum));
            samples.push((format!("{}_count", self.name), labels.clone(), count as f64));
        }
    }
}

fn pairs(labels: &Labels) -> Vec<(&str, &str)> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Arbitrary families, including some that the exporter cannot gather.
pub fn models() -> BoxedStrategy<Model> {
    let unit = prop_oneof![Just(None), Just(Some("seconds")), Just(Some("bytes"))];
    let family = ("[a-zA-Z_:][a-zA-Z0-9_:]{0,12}", unit, any::<bool>(), help(), series());
    (vec(family, 0..6), btree_map(label_name(), label_value(), 0..4))
        .prop_map(|(families, resource)| {
            // The number prevents that the name of a family equals a sample name of
            // another.
            let numbered = families.into_iter().enumerate();
            let mut families: Vec<Family> = numbered
                .map(|(i, (stem, unit, named, help, series))| {
                    let unit_suffix =
                        unit.filter(|_| named).map(|unit| format!("_{unit}")).unwrap_or_default();
                    let total = if matches!(series, Series::Counter(_)) { "_total" } else { "" };
                    Family { name: format!("{stem}_{i}{unit_suffix}{total}"), unit, help, series }
                })
                .collect();
            families.push(Family {
                name: "target_info".to_owned(),
                unit: None,
                help: "Target metadata".to_owned(),
                series: Series::Gauge(BTreeMap::from([(resource, 1.0)])),
            });
            Model(families)
        })
        .boxed()
}

fn series() -> impl Strategy<Value = Series> {
    let labels = || btree_map(label_name(), label_value(), 0..4);
    let whole = || any::<u32>().prop_map(f64::from);
    let gauge = prop_oneof![any::<i32>().prop_map(f64::from), prop::num::f64::ANY];
    let counter = prop_oneof![whole(), positive() | prop::num::f64::ZERO];
    prop_oneof![
        btree_map(labels(), gauge, 1..5).prop_map(Series::Gauge),
        btree_map(labels(), counter, 1..5).prop_map(Series::Counter),
        btree_map(labels(), distribution(), 1..4).prop_map(Series::Histogram),
    ]
}

fn positive() -> prop::num::f64::Any {
    prop::num::f64::POSITIVE | prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL
}

fn distribution() -> impl Strategy<Value = Distribution> {
    let bound = prop_oneof![
        8 => (-6..7i32).prop_map(|exponent| 10f64.powi(exponent)),
        4 => positive(),
        1 => (1..100i32).prop_map(|n| -f64::from(n)),
    ];
    (vec((bound, any::<u16>().prop_map(u64::from)), 0..6), any::<u16>(), 0.0..1e9).prop_map(
        |(mut buckets, above, sum)| {
            buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            buckets.dedup_by_key(|(bound, _)| bound.to_bits());
            Distribution { buckets, above: above.into(), sum }
        },
    )
}

/// Legal names that are not reserved. Other names have tests of their own.
fn label_name() -> impl Strategy<Value = String> {
    "[a-zA-Z_][a-zA-Z0-9_]{0,10}".prop_filter("reserved", |name| {
        !name.starts_with("__") && !matches!(name.as_str(), "le" | "quantile")
    })
}

/// Arbitrary text, mostly characters that need escapes.
fn label_value() -> impl Strategy<Value = String> {
    let hostile =
        prop::sample::select(vec!['\\', '"', '\n', '{', '}', ',', '=', '#', ' ', '\r', '\0', 'n', 'é', '🐘']);
    vec(prop_oneof![2 => hostile, 1 => any::<char>()], 0..16).prop_map(String::from_iter)
}

/// Without spaces at the ends, because the text format cannot preserve them.
fn help() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 \\\\\"\n#{}=,'\0\u{e9}\u{1f418}]{0,30}".prop_map(|text| text.trim().to_owned())
}

/// Families of a bridge with a hostile instance among its targets.
pub fn catalogue() -> Model {
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        let scope = [("otel_scope_name", "fedimeter")];
        pairs.iter().chain(&scope).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let hostile = "4.6.0 \"quoted\", back\\slash,\nnew line {a=\"b\"} é 🐘";
    let a = labels(&[("server_address", "a.example")]);
    let b = labels(&[("server_address", "b.example"), ("server_port", "8443")]);
    let gauge = |name: &str, unit, help: &str, series: &[(&Labels, f64)]| Family {
        name: name.to_owned(),
        unit,
        help: help.to_owned(),
        series: Series::Gauge(series.iter().map(|(labels, value)| ((*labels).clone(), *value)).collect()),
    };
    let failures = labels(&[
        ("error_type", "timeout"),
        ("fedimeter_endpoint_name", "instance"),
        ("server_address", "b.example"),
    ]);
    let info = labels(&[("fediverse_software_version", hostile), ("server_address", "b.example")]);
    let buckets = [0.005, 0.01, 0.25, 0.5, 1.0, 2.5, 10.0].map(|bound| (bound, 3));
    Model(vec![
        gauge("fedimeter_target_up", None, "Whether the target answers.", &[(&a, 1.0), (&b, 0.0)]),
        gauge("fedimeter_target_info", None, "What a \"target\" runs, as it says.", &[(&info, 1.0)]),
        gauge("mastodon_instance_users", None, "Accounts, C:\\suspended included.", &[(&a, 29_662_653.0)]),
        gauge(
            "fedimeter_endpoint_last_success_timestamp_seconds",
            Some("seconds"),
            "When an endpoint last answered.",
            &[(&a, 1_795_384_681.123)],
        ),
        gauge("mastodon_admin_storage_bytes", Some("bytes"), "Space in use.", &[(&a, 9e15)]),
        gauge("mastodon_admin_retention_rate", None, "Share seen again.", &[(&a, 0.1 + 0.2)]),
        Family {
            name: "fedimeter_endpoint_failures_total".to_owned(),
            unit: None,
            help: "Failed requests.".to_owned(),
            series: Series::Counter(BTreeMap::from([(failures, 7.0)])),
        },
        Family {
            name: "process_cpu_time_seconds_total".to_owned(),
            unit: Some("seconds"),
            help: "CPU time.".to_owned(),
            series: Series::Counter(BTreeMap::from([(labels(&[("cpu_mode", "user")]), 1.25)])),
        },
        Family {
            name: "fedimeter_request_duration_seconds".to_owned(),
            unit: Some("seconds"),
            help: "Time of a request.".to_owned(),
            series: Series::Histogram(BTreeMap::from([(
                labels(&[("fedimeter_endpoint_name", "instance")]),
                Distribution { buckets: buckets.to_vec(), above: 2, sum: 34.5 },
            )])),
        },
        gauge("target_info", None, "Target metadata", &[(&labels(&[("service_name", "fedimeter")]), 1.0)]),
    ])
}

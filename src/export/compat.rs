//! The metric names of two older exporters, for existing dashboards: the 2018 Python
//! exporter and systemli's. The values are those that the old exporters would show,
//! including row 0 of the activity. A value is absent where the old exporter would show
//! a false zero.

use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::metrics::uncounted::Figure;
use crate::snapshot::{Reading, View};

/// An older exporter whose metric names are exported too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compat {
    /// The 2018 Python exporter: `mastodon_user_count`, one target, no labels.
    Dada,
    /// systemli's exporter: `mastodon_users{host="…"}`.
    Systemli,
}

/// Name, help text, and the function that reads the value.
type Old = (&'static str, &'static str, fn(&Reading<'_>) -> Option<i64>);

const DADA: &[Old] = &[
    ("mastodon_user_count", "Local users.", |r| Figure::V1Users.counted(r)),
    ("mastodon_status_count", "Local posts.", |r| Figure::V1Statuses.counted(r)),
    ("mastodon_domain_count", "Known domains.", |r| Figure::V1Domains.counted(r)),
    ("rmastodon_domain_count", "Known domains, under a name once misspelt.", |r| {
        Figure::V1Domains.counted(r)
    }),
    ("mastodon_weekly_login", "Log-ins in the newest row of activity.", |r| Figure::Logins.counted(r)),
    ("mastodon_weekly_statuses", "Posts in the newest row of activity.", |r| r.activity()?.first()?.statuses),
    ("mastodon_weekly_registrations", "Sign-ups in the newest row of activity.", |r| {
        r.activity()?.first()?.registrations
    }),
];

const SYSTEMLI: &[Old] = &[
    ("mastodon_users", "Local users.", |r| Figure::V1Users.counted(r)),
    ("mastodon_statuses", "Local posts.", |r| Figure::V1Statuses.counted(r)),
    ("mastodon_domains", "Known domains.", |r| Figure::V1Domains.counted(r)),
    ("mastodon_weekly_logins", "Log-ins in the newest row of activity.", |r| Figure::Logins.counted(r)),
    ("mastodon_weekly_statuses", "Posts in the newest row of activity.", |r| r.activity()?.first()?.statuses),
    ("mastodon_weekly_registrations", "Sign-ups in the newest row of activity.", |r| {
        r.activity()?.first()?.registrations
    }),
];

/// Builds the metric families of the older exporter.
#[must_use]
pub fn families(view: &View, compat: Compat) -> Vec<MetricFamily> {
    let names = match compat {
        Compat::Dada => DADA,
        Compat::Systemli => SYSTEMLI,
    };
    names
        .iter()
        .map(|(name, help, read)| {
            let metrics = view.readings().filter_map(|r| Some(metric(&r, compat, read(&r)?))).collect();
            let mut family = MetricFamily::default();
            family.set_name((*name).to_owned());
            family.set_help((*help).to_owned());
            family.set_field_type(MetricType::GAUGE);
            family.set_metric(metrics);
            family
        })
        .filter(|family| !family.get_metric().is_empty())
        .collect()
}

fn metric(r: &Reading<'_>, compat: Compat, value: i64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value as f64);
    let mut metric = Metric::default();
    metric.set_gauge(gauge);
    if compat == Compat::Systemli {
        let mut host = LabelPair::default();
        host.set_name("host".to_owned());
        let name = &r.target.name;
        host.set_value(name.split_once("://").map_or(&**name, |(_, host)| host).to_owned());
        metric.set_label(vec![host]);
    }
    metric
}

//! Names that existing dashboards know: those of the 2018 exporter and of
//! systemli's. The values are what those would have shown, activity row 0
//! included; absent where they would have shown a false zero.

use prometheus::proto::{Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::config::Compat;
use crate::metrics::{hides_stats, logins};
use crate::snapshot::{InstanceV1, Reading, View};

/// A name, and what is read for it.
type Old = (&'static str, &'static str, fn(&Reading<'_>) -> Option<i64>);

const DADA: &[Old] = &[
    ("mastodon_user_count", "Local users.", |r| total(r, |v1| v1.users)),
    ("mastodon_status_count", "Local posts.", |r| total(r, |v1| v1.statuses)),
    ("mastodon_domain_count", "Known domains.", |r| total(r, |v1| v1.domains)),
    ("rmastodon_domain_count", "Known domains, under a name once misspelt.", |r| total(r, |v1| v1.domains)),
    ("mastodon_weekly_login", "Log-ins in the newest row of activity.", |r| {
        logins(r, r.activity()?.first()?)
    }),
    ("mastodon_weekly_statuses", "Posts in the newest row of activity.", |r| r.activity()?.first()?.statuses),
    ("mastodon_weekly_registrations", "Sign-ups in the newest row of activity.", |r| {
        r.activity()?.first()?.registrations
    }),
];

const SYSTEMLI: &[Old] = &[
    ("mastodon_users", "Local users.", |r| total(r, |v1| v1.users)),
    ("mastodon_statuses", "Local posts.", |r| total(r, |v1| v1.statuses)),
    ("mastodon_domains", "Known domains.", |r| total(r, |v1| v1.domains)),
    ("mastodon_weekly_logins", "Log-ins in the newest row of activity.", |r| {
        logins(r, r.activity()?.first()?)
    }),
    ("mastodon_weekly_statuses", "Posts in the newest row of activity.", |r| r.activity()?.first()?.statuses),
    ("mastodon_weekly_registrations", "Sign-ups in the newest row of activity.", |r| {
        r.activity()?.first()?.registrations
    }),
];

fn total(r: &Reading<'_>, of: fn(&InstanceV1) -> Option<i64>) -> Option<i64> {
    of(r.v1()?).filter(|_| !hides_stats(r))
}

/// The families of the older exporter.
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

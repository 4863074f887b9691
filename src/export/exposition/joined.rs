//! Puts the attributes of targets on points that were gathered with the places of their
//! targets.
//!
//! `opentelemetry-prometheus` makes each label anew for each point. Through it a point
//! has its target's place and what its row adds; the attributes of the target and the
//! scope, which are the same for all of its points, are added here.

use prometheus::proto::{LabelPair, MetricFamily};

use crate::export::naming::{self, underscored};
use crate::instruments::{PLACE, SCOPE};
use crate::snapshot::View;

/// Replaces each point's place with the attributes of the target in that place of the
/// view, and adds the labels of the scope. Points without a place stay as they are.
pub fn join(families: &mut [MetricFamily], view: &View, scope_labels: bool) {
    let place_label = underscored(PLACE);
    let scope = scope_labels.then(|| pair("otel_scope_name", SCOPE));
    let targets: Vec<Vec<LabelPair>> = view
        .targets
        .iter()
        .map(|(target, _)| {
            let labels = naming::labels(target, underscored);
            labels.iter().map(|(name, value)| pair(name, value)).collect()
        })
        .collect();
    for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
        let mut labels = metric.take_label();
        if let Some(at) = labels.iter().position(|label| label.name() == place_label) {
            let place: Option<usize> = labels.remove(at).value().parse().ok();
            let own = labels.len();
            labels.extend(place.and_then(|place| targets.get(place)).into_iter().flatten().cloned());
            if own > 0 {
                labels.sort_by(|a, b| a.name().cmp(b.name()));
            }
            labels.extend(scope.clone());
        }
        metric.set_label(labels);
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use prometheus::proto::Metric;

    use super::*;
    use crate::clock::Moment;
    use crate::snapshot::Snapshot;
    use crate::target::Target;

    #[test]
    fn a_point_has_the_attributes_of_the_target_in_its_place() {
        let target = |host: &str, attributes: &[(&str, &str)]| {
            let url = format!("https://{host}").parse().unwrap();
            let attributes: BTreeMap<String, String> =
                attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Arc::new(Target::new(url, None, None, &attributes))
        };
        let targets = [target("b.example:8443", &[]), target("a.example", &[("cloud.region", "eu")])];
        let known = targets.map(|target| (target, Arc::new(Snapshot::default())));
        let view = View::new(Moment::ORIGIN, 0.0, known.into());
        let mut family = MetricFamily::default();
        for labels in [
            &[("fedimeter_place", "1")][..],
            &[("error_type", "dns"), ("fedimeter_place", "0"), ("zz", "")],
            &[("service_name", "fedimeter")],
        ] {
            let mut metric = Metric::default();
            metric.set_label(labels.iter().map(|(name, value)| pair(name, value)).collect());
            family.mut_metric().push(metric);
        }
        let joined = |scope_labels| {
            let mut families = [family.clone()];
            join(&mut families, &view, scope_labels);
            let labels = |metric: &Metric| {
                let label = |label: &LabelPair| format!("{}={}", label.name(), label.value());
                metric.get_label().iter().map(label).collect::<Vec<_>>().join(",")
            };
            families[0].get_metric().iter().map(labels).collect::<Vec<_>>()
        };
        assert_eq!(
            joined(false),
            [
                "cloud_region=eu,server_address=a.example",
                "error_type=dns,server_address=b.example,server_port=8443,zz=",
                "service_name=fedimeter",
            ]
        );
        assert_eq!(joined(true)[0], "cloud_region=eu,server_address=a.example,otel_scope_name=fedimeter");
        assert_eq!(joined(true)[2], "service_name=fedimeter");
    }
}

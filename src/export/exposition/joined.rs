//! The labels of targets, written once for all of their points.
//!
//! `opentelemetry-prometheus` makes each label anew for each point. Through it a point
//! has its target's [place](PLACE) and what its row adds; the attributes of the target
//! and the scope, which are the same for all of its points, are added as finished text.

use prometheus::proto::LabelPair;

use crate::export::naming::underscored;
use crate::instruments::{PLACE, SCOPE, place};
use crate::snapshot::View;
use crate::target::Target;

use super::label;
use super::quoted::push_pair;

/// The label of the scope.
const SCOPE_NAME: &str = "otel_scope_name";

/// The labels of the targets of a view, by place.
#[derive(Debug)]
pub struct Joined {
    place_label: String,
    targets: Vec<OfTarget>,
    /// `name="value"`, if series carry the scope.
    scope: Vec<u8>,
}

/// The labels of one target.
#[derive(Debug)]
pub(super) struct OfTarget {
    /// Names, sorted, and `name="value"`.
    pairs: Vec<(String, Vec<u8>)>,
    /// All of these and the scope, separated by commas.
    whole: Vec<u8>,
    /// When the counters of the target started counting, in Unix seconds.
    since: f64,
}

/// The labels of one series: its own, and those of its target.
#[derive(Clone, Copy)]
pub(super) struct Labels<'a> {
    own: &'a [LabelPair],
    /// Those of its target, if a place is among its own labels.
    target: Option<(&'a Joined, &'a OfTarget)>,
}

impl Joined {
    /// Prepares the labels of these targets. `name` returns the name of an attribute or
    /// a label on the page.
    #[must_use]
    pub fn new(view: &View, scope_labels: bool, name: impl Fn(&str) -> String) -> Joined {
        let mut scope = Vec::new();
        if scope_labels {
            push_pair(&mut scope, &name(SCOPE_NAME), SCOPE);
        }
        let targets = view.targets.iter().map(|(target, snapshot)| {
            let since = view.unix - view.started.since(snapshot.since).as_secs_f64();
            OfTarget::new(target, since, &scope, &name)
        });
        Joined { place_label: underscored(PLACE), targets: targets.collect(), scope }
    }

    fn find(&self, gathered: &[LabelPair]) -> Option<&OfTarget> {
        let place_label = gathered.iter().find(|label| label.name() == self.place_label)?;
        self.targets.get(place(place_label.value())?)
    }
}

impl OfTarget {
    fn new(target: &Target, since: f64, scope: &[u8], name: impl Fn(&str) -> String) -> OfTarget {
        let label = |key: &str, value: String| {
            let mut pair = LabelPair::default();
            pair.set_name(name(key));
            pair.set_value(value);
            pair
        };
        let labels: Vec<LabelPair> =
            target.identity.iter().map(|(key, value)| label(key, value.to_string())).collect();
        let mut pairs = Vec::with_capacity(labels.len());
        label::accepted(&labels, |name, value| {
            let mut text = Vec::with_capacity(name.len() + value.len() + 3);
            push_pair(&mut text, name, value);
            pairs.push((name.to_owned(), text));
        });
        pairs.sort();
        let texts =
            pairs.iter().map(|(_, text)| &**text).chain(Some(scope).filter(|scope| !scope.is_empty()));
        let whole = texts.collect::<Vec<_>>().join(&b',');
        OfTarget { pairs, whole, since }
    }
}

impl<'a> Labels<'a> {
    /// The labels of a series that was gathered with these.
    pub(super) fn of(gathered: &'a [LabelPair], joined: Option<&'a Joined>) -> Labels<'a> {
        let target = joined.and_then(|joined| Some((joined, joined.find(gathered)?)));
        Labels { own: gathered, target }
    }

    /// When the counters of its target started counting, in Unix seconds.
    pub(super) fn since(&self) -> Option<f64> {
        self.target.map(|(_, target)| target.since)
    }

    /// Estimates the length of the text.
    pub(super) fn estimate(&self) -> usize {
        let own: usize = self.own.iter().map(|label| label.name().len() + label.value().len() + 4).sum();
        own + self.target.map_or(0, |(_, target)| target.whole.len())
    }

    /// Writes `{a="b",c="d"`, or `,a="b",c="d"` if a brace is open. The caller continues
    /// or closes the list. Returns whether a brace is open afterwards.
    pub(super) fn push(&self, out: &mut Vec<u8>, is_open: bool) -> bool {
        let mut before = if is_open { b',' } else { b'{' };
        let mut add = |text: &dyn Fn(&mut Vec<u8>)| {
            out.push(before);
            before = b',';
            text(out);
        };
        let Some((joined, target)) = self.target else {
            label::accepted(self.own, |name, value| add(&|out| push_pair(out, name, value)));
            return before == b',';
        };
        if self.own.len() == 1 {
            // Only the place, as of most series.
            if !target.whole.is_empty() {
                add(&|out| out.extend_from_slice(&target.whole));
            }
            return before == b',';
        }
        let mut theirs = target.pairs.iter().peekable();
        for label in self.own.iter().filter(|label| label.name() != joined.place_label) {
            while let Some((_, text)) = theirs.next_if(|(name, _)| **name <= *label.name()) {
                add(&|out| out.extend_from_slice(text));
            }
            add(&|out| push_pair(out, label.name(), label.value()));
        }
        for text in theirs.map(|(_, text)| text).chain(Some(&joined.scope).filter(|scope| !scope.is_empty()))
        {
            add(&|out| out.extend_from_slice(text));
        }
        before == b','
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::clock::Moment;
    use crate::instruments::place_value;
    use crate::snapshot::Snapshot;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn view() -> View {
        let target = |host: &str, attributes: &[(&str, &str)]| {
            let url = format!("https://{host}").parse().unwrap();
            let attributes: BTreeMap<String, String> =
                attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            Arc::new(Target::new(url, None, None, &attributes))
        };
        let targets = [target("b.example:8443", &[]), target("a.example", &[("cloud.region", "\"eu\"")])];
        let known = targets.map(|target| (target, Arc::new(Snapshot::default())));
        View::new(Moment::ORIGIN, 0.0, known.into())
    }

    #[test]
    fn a_point_has_the_attributes_of_the_target_in_its_place() {
        let view = view();
        let (first, second) = (place_value(0).to_string(), place_value(1).to_string());
        let none = place_value(2).to_string();
        let cases: [(Pairs<'_>, &str, &str); 5] = [
            (
                &[("fedimeter_place", &second)],
                r#"{cloud_region="\"eu\"",server_address="a.example""#,
                r#"{cloud_region="\"eu\"",server_address="a.example",otel_scope_name="fedimeter""#,
            ),
            (
                &[("error_type", "dns"), ("fedimeter_place", &first), ("zz", "")],
                r#"{error_type="dns",server_address="b.example",server_port="8443",zz="""#,
                r#"{error_type="dns",server_address="b.example",server_port="8443",zz="",otel_scope_name="fedimeter""#,
            ),
            (&[("service_name", "a")], r#"{service_name="a""#, r#"{service_name="a""#),
            (&[("fedimeter_place", &none)], r#"{fedimeter_place="1000002""#, r#"{fedimeter_place="1000002""#),
            (&[], "", ""),
        ];
        for (gathered, without_scope, with_scope) in cases {
            let gathered: Vec<LabelPair> = gathered
                .iter()
                .map(|(name, value)| {
                    let mut pair = LabelPair::default();
                    pair.set_name((*name).to_owned());
                    pair.set_value((*value).to_owned());
                    pair
                })
                .collect();
            for (scope, expected) in [(false, without_scope), (true, with_scope)] {
                let joined = Joined::new(&view, scope, underscored);
                let mut out = Vec::new();
                assert_eq!(Labels::of(&gathered, Some(&joined)).push(&mut out, false), !expected.is_empty());
                assert_eq!(String::from_utf8(out).unwrap(), expected);
            }
        }
    }
}

//! Label names that every parser accepts.
//!
//! `opentelemetry-prometheus` applies the rules of metric names, and only after merging
//! equal names. It leaves colons, leading digits, and names that begin with two
//! underscores, which Prometheus reserves. Resource attributes come from the
//! environment and can have any name. One illegal label name would cost the whole
//! scrape.

use prometheus::proto::LabelPair;

fn may_be_in_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether a label may have this name without quotes.
fn is_legal(name: &str) -> bool {
    let begins = name.starts_with(|c: char| may_be_in_a_name(c) && !c.is_ascii_digit());
    begins && !name.starts_with("__") && name.chars().all(may_be_in_a_name)
}

/// Whether the name contains dots. Only pages with quoted names have such labels.
fn is_utf8(name: &str) -> bool {
    let begins = name.starts_with(|c: char| may_be_in_a_name(c) && !c.is_ascii_digit());
    begins && !name.starts_with("__") && name.chars().all(|c| may_be_in_a_name(c) || c == '.')
}

/// Calls `each` with names and values, with each name legal and unique. Values whose
/// names become equal are joined by `;`, as OpenTelemetry's specification requires.
pub(super) fn accepted(labels: &[LabelPair], mut each: impl FnMut(&str, &str)) {
    if labels.iter().all(|label| is_legal(label.name()) || is_utf8(label.name())) {
        for label in labels {
            each(label.name(), label.value());
        }
    } else {
        for (name, value) in renamed(labels) {
            each(&name, &value);
        }
    }
}

fn renamed(labels: &[LabelPair]) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::with_capacity(labels.len());
    for label in labels {
        let name = legal(label.name());
        match all.iter_mut().find(|(other, _)| *other == name) {
            Some((_, values)) => {
                values.push(';');
                values.push_str(label.value());
            }
            None => all.push((name, label.value().to_owned())),
        }
    }
    all
}

/// Replaces illegal characters with underscores. A leading digit gets an underscore
/// before it, and a name begins with at most one underscore.
fn legal(name: &str) -> String {
    if is_legal(name) {
        return name.to_owned();
    }
    let renamed: String = name.chars().map(|c| if may_be_in_a_name(c) { c } else { '_' }).collect();
    if is_legal(&renamed) { renamed } else { format!("_{}", renamed.trim_start_matches('_')) }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs = &'static [(&'static str, &'static str)];

    #[test]
    fn names_are_legal_and_differ() {
        let pair = |(name, value): &(&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        let cases: [(Pairs, Pairs); 6] = [
            (&[("a", "1"), ("b_2", "2"), ("_c", "3")], &[("a", "1"), ("b_2", "2"), ("_c", "3")]),
            (&[("1st", "1"), ("a:b", "2"), ("", "3")], &[("_1st", "1"), ("a_b", "2"), ("_", "3")]),
            (&[("a:b", "1"), ("a_b", "2")], &[("a_b", "1;2")]),
            (&[("a_b", "2"), ("a:b", "1")], &[("a_b", "2;1")]),
            (&[("__name__", "evil"), ("__", "x")], &[("_name__", "evil"), ("_", "x")]),
            (&[("_1a", "1"), ("1a", "2"), ("__1a", "3")], &[("_1a", "1;2;3")]),
        ];
        for (labels, expected) in cases {
            let labels: Vec<LabelPair> = labels.iter().map(pair).collect();
            let found = renamed(&labels);
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected);
            assert!(found.iter().all(|(name, _)| is_legal(name)));
        }
    }
}

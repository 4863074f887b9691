//! What must hold of the points of every row, whatever a server says.

use std::collections::HashSet;

use fedimeter::metrics::{Number, rows};
use fedimeter::snapshot::Reading;

/// No negative number, no more points than the row has room for, no point twice, no
/// attribute that the row does not declare. Hands each point's attributes to `with`.
pub fn judge(reading: &Reading<'_>, mut with: impl FnMut(&str)) {
    for row in rows() {
        let mut seen = HashSet::new();
        let mut points = 0;
        row.points(reading, &mut |number, labels| {
            points += 1;
            match number {
                // Instants before 1970 are odd, but instants.
                _ if row.name.ends_with(".timestamp") => {}
                Number::Int(n) => assert!(n >= 0, "{} is {n}", row.name),
                Number::Float(n) => assert!(n.is_finite() && n >= 0.0, "{} is {n}", row.name),
            }
            assert!(seen.insert(format!("{labels:?}")), "{} {labels:?} stands twice", row.name);
            for (key, label) in labels {
                assert!(row.attributes.contains(key), "{} has no attribute {key}", row.name);
                if let fedimeter::metrics::Label::Text(text) = label {
                    with(text);
                }
            }
        });
        assert!(points <= row.most(reading.target), "{} has {points} points", row.name);
    }
}

//! Lines of the last hours, as SVG inside the page, without scripts or requests.

use std::fmt::Write;

use maud::{Markup, html};

/// A line is broken where nothing was collected for this time, in seconds.
const GAP: f64 = 600.0;

/// The size of a picture in its own units, and its maximum number of points.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub width: f64,
    pub height: f64,
    pub points: usize,
}

/// For a table, which can contain hundreds of pictures.
pub const SMALL: Size = Size { width: 90.0, height: 18.0, points: 40 };
/// For a target's own page.
pub const LARGE: Size = Size { width: 360.0, height: 72.0, points: 180 };

/// Values over time, oldest first, each with its age in seconds.
pub type Values = [(f64, Option<f64>)];

/// Returns the lowest and the highest value, if there are at least two values.
pub fn extent(values: &Values) -> Option<(f64, f64)> {
    let present = || values.iter().filter_map(|(_, value)| *value);
    (present().count() > 1).then(|| present().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v))))
}

/// Renders the line with its description, or nothing if there are fewer than two
/// values. The scale starts at zero if `is_from_zero`, otherwise at the lowest value.
pub fn line(values: &Values, size: Size, is_from_zero: bool, words: &str) -> Markup {
    let Some((lowest, highest)) = extent(values) else { return html! {} };
    let lowest = if is_from_zero { 0.0 } else { lowest };
    html! {
        svg.spark viewBox=(format!("0 0 {} {}", size.width, size.height)) preserveAspectRatio="none"
            role="img" aria-label=(words) {
            title { (words) }
            path d=(path(values, size, lowest, highest)) {}
        }
    }
}

fn path(values: &Values, size: Size, lowest: f64, highest: f64) -> String {
    let oldest = values.first().map_or(0.0, |(age, _)| *age).max(1.0);
    let mut path = String::new();
    let mut before: Option<f64> = None;
    for (age, value) in thinned(values, oldest, size.points) {
        let Some(value) = value else {
            before = None;
            continue;
        };
        // Keeps the width of the stroke inside the picture.
        let x = 1.0 + (1.0 - age / oldest) * (size.width - 2.0);
        let share = if highest > lowest { (value - lowest) / (highest - lowest) } else { 0.5 };
        let y = 2.0 + (1.0 - share) * (size.height - 4.0);
        let command = if before.is_some_and(|before| before - age <= GAP) { 'L' } else { 'M' };
        // Writing into memory cannot fail.
        let _ = write!(path, "{command}{x:.1} {y:.1}");
        if command == 'M' {
            // Draws a single point as a dot.
            path.push_str("h0");
        }
        before = Some(age);
    }
    path
}

/// Divides the time into parts, and keeps the last value of each.
fn thinned(values: &Values, oldest: f64, most: usize) -> Vec<(f64, Option<f64>)> {
    let mut thinned: Vec<(f64, Option<f64>)> = Vec::new();
    let part = |age: f64| ((1.0 - age / oldest) * most as f64) as usize;
    for point in values {
        if thinned.last().is_some_and(|last| part(last.0) == part(point.0)) {
            thinned.pop();
        }
        thinned.push(*point);
    }
    thinned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(values: &Values) -> String {
        line(values, SMALL, false, "w").into_string()
    }

    #[test]
    fn a_line_goes_from_the_oldest_to_the_newest() {
        let html = drawn(&[(100.0, Some(1.0)), (50.0, Some(3.0)), (0.0, Some(2.0))]);
        assert!(html.contains("d=\"M1.0 16.0h0L45.0 2.0L89.0 9.0\""), "{html}");
        assert!(html.contains("aria-label=\"w\"") && html.contains("<title>w</title>"), "{html}");
        let even = drawn(&[(10.0, Some(7.0)), (0.0, Some(7.0))]);
        assert!(even.contains("d=\"M1.0 9.0h0L89.0 9.0\""), "{even}");
    }

    #[test]
    fn what_is_absent_breaks_the_line() {
        let absent = drawn(&[(100.0, Some(1.0)), (60.0, None), (50.0, Some(3.0)), (0.0, Some(2.0))]);
        assert_eq!(absent.matches('M').count(), 2, "{absent}");
        let gap = drawn(&[(2000.0, Some(1.0)), (100.0, Some(3.0)), (0.0, Some(2.0))]);
        assert_eq!(gap.matches('M').count(), 2, "{gap}");
        for none in [&[][..], &[(0.0, None)], &[(9.0, Some(1.0)), (0.0, None)]] {
            assert_eq!(drawn(none), "");
        }
    }

    #[test]
    fn a_line_has_so_many_points() {
        let many: Vec<(f64, Option<f64>)> =
            (0..1000).map(|i| (f64::from(999 - i), Some(f64::from(i)))).collect();
        let points = drawn(&many).matches(['M', 'L']).count();
        assert!((SMALL.points..=SMALL.points + 1).contains(&points), "{points}");
    }
}

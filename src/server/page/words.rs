//! Formats numbers, times and foreign text for the pages.

use std::time::Duration;

use maud::{Markup, Render, html};

use crate::bridge::Status;
use crate::clean::one_line;
use crate::clock::Moment;

/// Formats foreign text as one line, cut after `most` characters.
pub fn shorten(text: &str, most: usize) -> String {
    let mut characters = text.chars();
    let mut kept: String = characters.by_ref().take(most).collect();
    if characters.next().is_some() {
        kept.push('…');
    }
    one_line(&kept)
}

/// Isolates foreign text from ours, because it may run from right to left.
pub fn apart(text: &str, most: usize) -> Markup {
    html! { bdi { (shorten(text, most)) } }
}

/// Formats an integer with separated thousands.
pub fn grouped(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = if n < 0 { "\u{2212}".to_owned() } else { String::new() };
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(c);
    }
    out
}

/// Formats a count, such as `one target` or `2 targets`.
pub fn counted(n: usize, one: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {one}{plural}", grouped(n as i64))
}

/// The present time, for computing ages.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// The time on the bridge's clock.
    pub moment: Moment,
    /// The same in Unix seconds.
    pub unix: f64,
}

impl Now {
    /// The time at which a status was taken.
    pub fn of(status: &Status) -> Now {
        Now { moment: status.now, unix: status.unix }
    }

    /// Formats an age such as `3 min ago`, with the exact time as its title.
    pub fn ago(self, unix: f64) -> Markup {
        let age = self.unix - unix;
        let text = if age < 0.0 { format!("in {}", span(-age)) } else { format!("{} ago", span(age)) };
        Instant { unix, text }.render()
    }

    /// Formats the age of a moment.
    pub fn since(self, at: Moment) -> Markup {
        self.ago(self.unix_of(at))
    }

    /// Converts a moment into Unix seconds.
    pub fn unix_of(self, at: Moment) -> f64 {
        self.unix + at.since(self.moment).as_secs_f64() - self.moment.since(at).as_secs_f64()
    }
}

struct Instant {
    unix: f64,
    text: String,
}

impl Render for Instant {
    fn render(&self) -> Markup {
        // A server can name a time outside every calendar.
        let Ok(at) = jiff::Timestamp::from_second(self.unix as i64) else {
            return html! { (self.text) };
        };
        let exact = at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
        html! { time datetime=(at) title=(exact) { (self.text) } }
    }
}

/// Formats a duration in its largest whole unit.
pub fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..120 => format!("{whole} s"),
        120..7200 => format!("{} min", whole / 60),
        7200..172_800 => format!("{} h", whole / 3600),
        _ => format!("{} days", grouped((whole / 86_400) as i64)),
    }
}

/// Formats a duration so that number and unit stay on one line.
pub fn took(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    match millis {
        ..9.95 => format!("{millis:.1}\u{a0}ms"),
        ..999.5 => format!("{millis:.0}\u{a0}ms"),
        ..9995.0 => format!("{:.2}\u{a0}s", millis / 1e3),
        _ => format!("{:.1}\u{a0}s", millis / 1e3),
    }
}

/// Formats a size in decimal units on one line.
pub fn bytes(n: u64) -> String {
    let mut scaled = n as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if scaled < 999.5 {
            let digits = usize::from(scaled < 9.95 && unit != "B");
            return format!("{scaled:.digits$}\u{a0}{unit}");
        }
        scaled /= 1000.0;
    }
    format!("{scaled:.1}\u{a0}PB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short() {
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(-1234), "\u{2212}1\u{202f}234");
        assert_eq!(grouped(12), "12");
        assert_eq!(
            grouped(i64::MIN),
            "\u{2212}9\u{202f}223\u{202f}372\u{202f}036\u{202f}854\u{202f}775\u{202f}808"
        );
        assert_eq!(
            [0.4, 119.9, 120.0, 7200.0, 172_800.0].map(span),
            ["0 s", "119 s", "2 min", "2 h", "2 days"]
        );
        assert_eq!(
            [0, 999, 1000, 12_345, 1_500_000].map(bytes),
            ["0\u{a0}B", "999\u{a0}B", "1.0\u{a0}kB", "12\u{a0}kB", "1.5\u{a0}MB"]
        );
        assert_eq!(bytes(u64::MAX), "18446.7\u{a0}PB");
        assert_eq!(
            [400, 12_345, 1_234_000, 61_000_000].map(|us| took(Duration::from_micros(us))),
            ["0.4\u{a0}ms", "12\u{a0}ms", "1.23\u{a0}s", "61.0\u{a0}s"]
        );
    }

    #[test]
    fn a_time_beyond_the_calendar_is_no_panic() {
        let now = Now { moment: Moment::ORIGIN, unix: 1.8e9 };
        for unix in [f64::MAX, f64::MIN, f64::NAN, f64::INFINITY, -1e12] {
            assert!(!now.ago(unix).into_string().is_empty());
        }
    }

    #[test]
    fn what_others_say_is_bounded_and_cannot_turn_around() {
        assert_eq!(shorten("a\u{202e}b\nc", 10), "ab c");
        assert_eq!(shorten(&"x".repeat(10_000), 3), "xxx…");
        assert_eq!(apart("<script>\"&", 20).into_string(), "<bdi>&lt;script&gt;&quot;&amp;</bdi>");
    }
}

//! The page at `/`: where the metrics are, and how each target fares.

use std::fmt::Write;

use crate::outcome::Outcome;
use crate::snapshot::{Reading, View};
use crate::software::Software;

/// Targets on the page at most.
const MOST: usize = 1000;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--up:#1a7f37;--down:#cf222e}\
@media(prefers-color-scheme:dark){:root{--up:#3fb950;--down:#ff7b72}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
h1{margin:0}p{margin:.3rem 0 1rem}.t{overflow-x:auto}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line)}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
.up{color:var(--up);font-weight:600}.down{color:var(--down);font-weight:600}small{opacity:.75}";

/// The page.
pub fn render(view: &View) -> String {
    let mut html = String::with_capacity(2048 + view.targets.len().min(MOST) * 400);
    let up = view.readings().filter(|r| r.up() == Some(true)).count();
    let down = view.readings().filter(|r| r.up() == Some(false)).count();
    let _ = write!(
        html,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>fedimeter</title><style>{STYLE}</style></head><body>\
         <h1>fedimeter</h1><p>A metrics bridge for Mastodon and the fediverse, version {}. \
         <a href=\"/metrics\">Metrics</a> · <a href=\"/-/healthy\">health</a> · <a href=\"/-/ready\">readiness</a></p>\
         <p>{} targets, {up} up, {down} down. What is shown was known at the last collection; \
         targets are asked when somebody collects.</p>\
         <div class=\"t\"><table><thead><tr><th>Target</th><th>State</th><th>Software</th>\
         <th class=\"n\">Users</th><th class=\"n\">Posts</th><th>Endpoints</th></tr></thead><tbody>",
        env!("CARGO_PKG_VERSION"),
        view.targets.len(),
    );
    for reading in view.readings().take(MOST) {
        row(&mut html, &reading);
    }
    html.push_str("</tbody></table></div>");
    if view.targets.len() > MOST {
        let _ = write!(html, "<p>and {} more.</p>", view.targets.len() - MOST);
    }
    html.push_str("</body></html>\n");
    html
}

fn row(html: &mut String, r: &Reading<'_>) {
    let (class, state) = match r.up() {
        Some(true) => ("up", "up"),
        Some(false) => ("down", "down"),
        None => ("", "not asked yet"),
    };
    let software = Software::of(r);
    let software = [software.name, software.version].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let users = r.v1().and_then(|v| v.users).or_else(|| r.nodeinfo()?.users);
    let posts = r.v1().and_then(|v| v.statuses).or_else(|| r.nodeinfo()?.local_posts);
    let _ = write!(
        html,
        "<tr><td>{}</td><td class=\"{class}\">{state}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td><small>",
        Escaped(&r.target.name),
        Escaped(&software),
        Number(users),
        Number(posts),
    );
    for (i, slot) in r.snapshot.slots.iter().filter(|slot| slot.outcome.is_some()).enumerate() {
        let outcome = slot.outcome.unwrap_or(Outcome::NotOffered);
        let _ = write!(html, "{}{} {outcome}", if i > 0 { ", " } else { "" }, slot.endpoint.name());
        if let Some(reason) = slot.reason.as_deref().filter(|_| matches!(outcome, Outcome::Failed(_))) {
            let _ = write!(html, " ({})", Escaped(reason));
        }
    }
    html.push_str("</small></td></tr>");
}

/// Text, safe between tags and in quoted attributes.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A number with its thousands apart, or nothing.
struct Number(Option<i64>);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(n) = self.0 else { return Ok(()) };
        let digits = n.to_string();
        for (i, c) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) && c.is_ascii_digit() {
                f.write_char('\u{202f}')?;
            }
            f.write_char(c)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_escaped() {
        let hostile = Escaped("<script>\"'&").to_string();
        assert_eq!(hostile, "&lt;script&gt;&quot;&#39;&amp;");
        assert_eq!(Number(Some(1_234_567)).to_string(), "1\u{202f}234\u{202f}567");
        assert_eq!(Number(Some(12)).to_string(), "12");
    }
}

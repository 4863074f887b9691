//! The effective configuration as YAML: what `fedimeter check` prints.

use std::fmt::Write as _;

use saphyr::Scalar;

use super::Config;
use super::values::{name_of, show_duration};
use crate::endpoint::On;
use crate::target::{Target, TokenOrigin};

/// The configuration as a file that says the same, every default included.
///
/// A token stands there as where it was read, or as `<secret>` where the
/// program gave it, in which case the file does not load.
#[must_use]
pub fn effective_yaml(config: &Config) -> String {
    let mut lines: Vec<String> = Vec::new();
    let listen: Vec<String> = config.listen.iter().map(|address| quote(&address.to_string())).collect();
    lines.push(format!("listen: [{}]", listen.join(", ")));
    if let Some(compat) = &config.compat {
        lines.push(format!("compat: {}", name_of(compat)));
    }
    lines.push(format!("scope_labels: {}", config.scope_labels));
    lines.push(format!("deadline: {}", show_duration(config.deadline)));
    lines.push(format!("timeout: {}", show_duration(config.http.timeout)));
    lines.push(format!("connect_timeout: {}", show_duration(config.http.connect_timeout)));
    lines.push(format!("max_requests: {}", config.http.max_requests));
    lines.push(format!("max_requests_per_host: {}", config.http.max_requests_per_host));
    lines.push(format!("max_body: {}", config.http.max_body));
    lines.push(format!("contact: {}", quote(&config.http.contact)));
    lines.push(format!("log_level: {}", quote(&config.log.level.to_string())));
    lines.push(format!("log_format: {}", name_of(&config.log.format)));
    lines.push(if config.targets.is_empty() { "targets: []" } else { "targets:" }.to_owned());
    for target in &config.targets {
        for (i, line) in target_lines(target).into_iter().enumerate() {
            lines.push(format!("{}{line}", if i == 0 { "  - " } else { "    " }));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn target_lines(target: &Target) -> Vec<String> {
    let mut lines = vec![format!("url: {}", quote(target.url.as_str().trim_end_matches('/')))];
    if let Some(host) = &target.host {
        lines.push(format!("host: {}", quote(host)));
    }
    if let Some(proto) = &target.forwarded_proto {
        lines.push(format!("forwarded_proto: {proto}"));
    }
    match (&target.token_origin, &target.token) {
        (Some(TokenOrigin::File(path)), _) => {
            lines.push(format!("token_file: {}", quote(&path.display().to_string())));
        }
        (Some(TokenOrigin::Env(name)), _) => lines.push(format!("token_env: {}", quote(name))),
        (None, Some(_)) => lines.push("token: <secret>".to_owned()),
        (None, None) => {}
    }
    let collect = target.endpoints.iter().filter(|e| e.on() == On::OptIn).map(|e| e.name().to_owned());
    push_list(&mut lines, "collect", collect);
    push_list(&mut lines, "accounts", target.accounts.iter().map(|account| quote(account.label())));
    push_list(&mut lines, "tags", target.tags.iter().map(|tag| quote(tag)));
    if target.obey_robots {
        lines.push("robots: obey".to_owned());
    }
    let attributes = target.attributes().map(|(name, value)| format!("{name}: {}", quote(value)));
    push_map(&mut lines, "attributes", attributes);
    lines.push(format!("endpoint_details: {}", target.endpoint_details));
    let intervals =
        target.intervals.iter().map(|(e, time)| format!("{}: {}", e.name(), show_duration(*time)));
    push_map(&mut lines, "intervals", intervals);
    lines
}

fn push_list(lines: &mut Vec<String>, key: &str, items: impl Iterator<Item = String>) {
    let items: Vec<String> = items.collect();
    if !items.is_empty() {
        lines.push(format!("{key}: [{}]", items.join(", ")));
    }
}

fn push_map(lines: &mut Vec<String>, key: &str, entries: impl Iterator<Item = String>) {
    let entries: Vec<String> = entries.map(|entry| format!("  {entry}")).collect();
    if !entries.is_empty() {
        lines.push(format!("{key}:"));
        lines.extend(entries);
    }
}

/// Text as a YAML scalar: plain where it reads back as the same text.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./:@+-".contains(c);
    let first = |c: char| c.is_ascii_alphanumeric() || c == '/';
    if text.starts_with(first)
        && text.chars().all(plain)
        && !text.ends_with(':')
        && matches!(Scalar::parse_from_cow(text.into()), Scalar::String(_))
    {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            // What YAML calls non-printable or may take for a line break.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use saphyr::{LoadableYamlNode, Yaml};

    #[test]
    fn quoted_text_reads_back() {
        for text in [
            "a",
            "1",
            "true",
            "null",
            "~",
            "",
            " a ",
            "a: b",
            "a:",
            "#x",
            "- a",
            "[",
            "'",
            "\"",
            "\\",
            "1e5",
            "0x1f",
            ".inf",
            "é",
            "日本",
            "a\nb",
            "\u{7f}",
            "\u{85}",
            "\u{2028}",
            "*a",
            "&a",
            "!a",
            "%",
            "@a",
            "`",
            "/run/x",
            "https://a.example/b",
            "\t",
            "yes",
            "1.10",
        ] {
            let yaml = format!("x: {}\ny: [{}]", quote(text), quote(text));
            let docs = Yaml::load_from_str(&yaml).unwrap();
            assert_eq!(docs[0]["x"].as_str(), Some(text), "{yaml}");
            assert_eq!(docs[0]["y"][0].as_str(), Some(text), "{yaml}");
        }
    }
}

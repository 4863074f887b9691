//! docs/config.md, from the table of keys.

use std::fmt::Write as _;

use super::keys::{BRIDGE, Key, TARGET};

const HEAD: &str = "\
<!-- Generated from src/config/keys.rs: UPDATE_GOLDEN=1 cargo test --test config -->
# Configuration

fedimeter takes its settings from flags, from environment variables, and from a YAML file that `--config` names. \
Where several say something, flags win over `FEDIMETER_*` variables, these over the file, and the file over `OTEL_*` \
variables. A variable that is empty counts as not set.

Targets given as arguments replace those of `FEDIMETER_TARGETS` and `MASTODON_HOST`; the file's targets are added. \
`--collect`, `--account`, `--token-file` and `--token-env` are about targets given as arguments or variables, not \
about those of the file. A server that is given twice is an error.

`fedimeter check --config FILE` shows every error with its line, or the effective configuration. It touches no \
network. Tokens never stand in the file: it names where they are.

```yaml
listen: 127.0.0.1:9464
defaults:
  attributes: {team: social}
targets:
  - mastodon.social
  - url: http://127.0.0.1:3000
    host: social.example.org
    forwarded_proto: https
    token_file: /run/secrets/mastodon
    accounts: [admin]
    intervals: {activity: 6h}
```

Durations are written `500ms`, `30s`, `5m`, `1h30m`, `1d`; sizes as bytes, or with `KiB` or `MiB`.

";

const ATTRIBUTES: &str = "
Names of attributes that points have already (`server.address`, `server.port`, `error.type`, and everything that \
begins with `fedimeter.`, `mastodon.`, `nodeinfo.`, `fediverse.` or `otel.`) cannot be given again, nor names that \
Prometheus gives a meaning (`job`, `instance`, `le`, `quantile`), nor two names that become one Prometheus label \
(`a.b` and `a_b`). A target has at most 32.

## Other variables

| variable | meaning |
|---|---|
| `MASTODON_HOST` | One target, as the exporter of 2018 took it: a URL, with or without a slash at its end. |
| `FEDIMETER_CONFIG` | The configuration file (`--config`). |
| `OTEL_EXPORTER_PROMETHEUS_HOST`, `OTEL_EXPORTER_PROMETHEUS_PORT` | Where `/metrics` listens when neither a flag, \
its variable nor the file says so. |
";

/// The page.
#[must_use]
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("## Keys of the bridge\n\n");
    table(&mut page, BRIDGE, false);
    page.push_str("\n## Keys of a target\n\nThose marked \u{2713} may also stand in `defaults`.\n\n");
    table(&mut page, TARGET, true);
    page.push_str(ATTRIBUTES);
    page
}

fn table(page: &mut String, keys: &[Key], of_target: bool) {
    let (head, rule) = if of_target { (" in `defaults` |", "---|") } else { ("", "") };
    let _ = writeln!(page, "| key | value | default |{head} flag | variable | meaning |");
    let _ = writeln!(page, "|---|---|---|{rule}---|---|---|");
    for key in keys {
        let mark = match (of_target, key.in_defaults) {
            (true, true) => " \u{2713} |",
            (true, false) => " |",
            (false, _) => "",
        };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} |{mark} {} | {} | {} |",
            key.name,
            key.kind,
            key.default,
            code(key.flag),
            code(key.env),
            key.meaning
        );
    }
}

fn code(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("`{name}`") }
}

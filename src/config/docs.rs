//! Writes docs/config.md from the rows of settings.

use std::fmt::Write as _;

use super::setting::Description;
use super::{bridge_settings, target_settings};

const HEAD: &str = "\
<!-- Generated from src/config/bridge.rs and src/config/target.rs: UPDATE_GOLDEN=1 cargo test --test it config -->
# Configuration

fedimeter takes its settings from flags, from environment variables, and from a YAML file that `--config` names. \
Where several say something, flags win over `FEDIMETER_*` variables, these over the file, and the file over `OTEL_*` \
variables. A variable that is empty counts as not set.

Targets given as arguments replace those of `FEDIMETER_TARGETS` and `MASTODON_HOST`; the file's targets are added. \
`--collect`, `--account`, `--token-file` and `--token-env` are about targets given as arguments or variables, not \
about those of the file. A server that is given twice is an error.

`fedimeter init HOST…` asks servers what they offer and writes a commented file. `fedimeter check --config FILE` \
shows every error with its line, or the effective configuration; it touches no network. `--config -` reads the file \
from standard input. Tokens never stand in the file: it names where they are.

For editors there is a JSON Schema: `fedimeter schema > fedimeter.schema.json` writes it. Editors that know the YAML \
language server complete keys and mark errors in a file that begins with \
`# yaml-language-server: $schema=fedimeter.schema.json`.

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

/// Returns the page.
#[must_use]
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("## Keys of the bridge\n\n");
    table(&mut page, &bridge_settings(), false);
    page.push_str("\n## Keys of a target\n\nThose marked \u{2713} may also be set in `defaults`.\n\n");
    table(&mut page, &target_settings(), true);
    page.push_str(ATTRIBUTES);
    page
}

fn table(page: &mut String, settings: &[Description], of_target: bool) {
    let (head, rule) = if of_target { (" in `defaults` |", "---|") } else { ("", "") };
    let _ = writeln!(page, "| key | value | default |{head} flag | variable | meaning |");
    let _ = writeln!(page, "|---|---|---|{rule}---|---|---|");
    for Description { key, shape, default } in settings {
        let mark = match (of_target, key.of_one_server) {
            (true, None) => " \u{2713} |",
            (true, Some(_)) => " |",
            (false, _) => "",
        };
        let mut meaning = vec![key.summary.to_owned()];
        meaning.extend(key.more());
        meaning.extend(shape.bounds());
        let _ = writeln!(
            page,
            "| `{}` | {} | {default} |{mark} {} | {} | {} |",
            key.name,
            shape.kind(),
            code(key.flag_name()),
            code(key.variable()),
            meaning.join(" ")
        );
    }
}

fn code(name: Option<String>) -> String {
    name.map(|name| format!("`{name}`")).unwrap_or_default()
}

//! Writes docs/config.md from the rows of settings.

use std::fmt::Write as _;

use super::setting::Description;
use super::{bridge_settings, module_settings, probe_settings, target_settings};

const HEAD: &str = "\
<!-- Generated from src/config/bridge.rs, src/config/target.rs and src/config/probe.rs: UPDATE_GOLDEN=1 cargo test --test it config -->
# Configuration

fedimeter reads its settings from flags, from environment variables, and from a YAML file that `--config` names. \
Flags override `FEDIMETER_*` variables, these override the file, and the file overrides `OTEL_*` variables. An empty \
variable counts as missing.

Targets in arguments replace those of `FEDIMETER_TARGETS` and `MASTODON_HOST`. Targets in the file are added. \
`--collect`, `--account`, `--token-file` and `--token-env` apply to targets in arguments or variables, not to those \
in the file. A target that is given twice is an error.

`fedimeter init HOST…` asks servers what they offer, and writes a commented file. `fedimeter check --config FILE` \
shows every error with its line, or the effective configuration, without using the network. `--config -` reads the \
file from standard input. The file never contains tokens: it names the files or variables that do.

`fedimeter schema > fedimeter.schema.json` writes a JSON Schema for editors. Editors with the YAML language server \
complete keys and mark errors in a file that begins with `# yaml-language-server: $schema=fedimeter.schema.json`.

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
Some names of attributes are reserved: names that points already have (`server.address`, `server.port`, \
`error.type`, and everything that begins with `fedimeter.`, `mastodon.`, `nodeinfo.`, `fediverse.` or `otel.`), and \
names with a meaning in Prometheus (`job`, `instance`, `le`, `quantile`). Two names must not become the same \
Prometheus label (`a.b` and `a_b`). A target has at most 32 attributes.

## Other variables

| variable | meaning |
|---|---|
| `MASTODON_HOST` | One target, in the form of the 2018 exporter: a URL, with or without a slash at its end. |
| `FEDIMETER_CONFIG` | The configuration file (`--config`). |
| `OTEL_EXPORTER_PROMETHEUS_HOST`, `OTEL_EXPORTER_PROMETHEUS_PORT` | The address of `/metrics`, if neither a flag, \
its variable nor the file sets one. |
";

/// Returns the page.
#[must_use]
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("## Keys of the bridge\n\n");
    table(&mut page, &bridge_settings(), false);
    page.push_str("\n## Keys of `probe`\n\n[Probing](guides/probing.md) says how they are used.\n\n");
    table(&mut page, &probe_settings(), false);
    page.push_str("\n## Keys of a module of `probe`\n\n");
    table(&mut page, &module_settings(), false);
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

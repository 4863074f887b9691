//! Examples under `--help`.

pub const TOP: &str = "\
Examples:
  fedimeter demo                            try it without any server
  fedimeter once mastodon.social            one collection, printed
  fedimeter mastodon.social                 /metrics on http://127.0.0.1:9464
  fedimeter init mastodon.social            a commented configuration file
  fedimeter --config fedimeter.yaml         many targets, with tokens and attributes
  fedimeter serve --help                    all settings

Every flag has a FEDIMETER_* variable, which its help names. Flags override variables,
and variables override the configuration file.

The exit status is 0 for success, 1 for a failure (such as a server that is down), 2 for
wrong usage or configuration, and 3 when an address cannot be listened on.";

pub const SERVE: &str = "\
Examples:
  fedimeter mastodon.social
  fedimeter serve --listen 0.0.0.0:9464 mastodon.social example.org:8443
  fedimeter --account Gargron --account @Mastodon@mastodon.social mastodon.social
  MASTODON_HOST=https://mastodon.social fedimeter
  FEDIMETER_TARGETS=mastodon.social,example.org fedimeter --compat systemli
  fedimeter --config fedimeter.yaml
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 fedimeter --listen none mastodon.social";

pub const ONCE: &str = "\
Examples:
  fedimeter once mastodon.social
  fedimeter once --format json mastodon.social example.org | jq .targets
  fedimeter once --format prometheus --config fedimeter.yaml > mastodon.prom";

pub const CHECK: &str = "\
Examples:
  fedimeter check --config fedimeter.yaml
  fedimeter check --config fedimeter.yaml && systemctl restart fedimeter
  generate-targets | fedimeter check --config -
  fedimeter check mastodon.social           the defaults";

pub const INIT: &str = "\
Examples:
  fedimeter init mastodon.social
  fedimeter init --output /etc/fedimeter/fedimeter.yaml mastodon.social example.org
  fedimeter init --output - --token-file social.token social.example";

pub const SCHEMA: &str = "\
Example:
  fedimeter schema > fedimeter.schema.json

The first line of a configuration file names it for editors that know the YAML language
server:
  # yaml-language-server: $schema=fedimeter.schema.json";

pub const COMPLETIONS: &str = "\
Examples:
  fedimeter completions bash > ~/.local/share/bash-completion/completions/fedimeter
  fedimeter completions zsh > ~/.zfunc/_fedimeter
  fedimeter completions fish > ~/.config/fish/completions/fedimeter.fish";

pub const MAN: &str = "\
Examples:
  fedimeter man > fedimeter.1
  fedimeter man --directory ~/.local/share/man/man1";

pub const HEALTHCHECK: &str = "\
Examples:
  fedimeter healthcheck                     the bridge on its usual address
  fedimeter healthcheck --config fedimeter.yaml
  fedimeter healthcheck --listen :8080 --timeout 1s
  fedimeter healthcheck --url https://bridge.example/fedimeter/
  HEALTHCHECK CMD [\"/fedimeter\", \"healthcheck\"]";

#[cfg(feature = "simulator")]
pub const DEMO: &str = "\
Examples:
  fedimeter demo
  fedimeter demo --listen 127.0.0.1:8080
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 fedimeter demo";

pub const METRICS: &str = "\
Examples:
  fedimeter metrics
  fedimeter metrics --format markdown > docs/metrics.md
  fedimeter metrics --format json";

#[cfg(feature = "simulator")]
pub const SIMULATE: &str = "\
Examples:
  fedimeter simulate --instances 3 --listen 127.0.0.1:9465
  fedimeter simulate --instances 1000 --listen 127.0.0.1:9465 --seed 7";

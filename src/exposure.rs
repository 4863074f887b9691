//! Warns at the start about what a configuration exposes: secrets that are sent
//! unencrypted or that others can read, and numbers that everyone can read.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use url::{Host, Url};

use crate::config::otel::OtelEnv;
use crate::config::{Address, Config};
use crate::export::otlp::OtlpSettings;
use crate::target::TokenOrigin;

/// How many names a warning lists. The others are counted.
const MAX_LISTED: usize = 3;

/// Returns one warning of a single line for each kind of exposure.
#[must_use]
pub fn warnings(config: &Config, otel: &OtelEnv) -> Vec<String> {
    let tokens = config.targets.iter().filter(|target| target.token.is_some());
    let in_the_clear: BTreeSet<&str> =
        tokens.filter(|target| is_in_the_clear(&target.url)).map(|target| &*target.name).collect();
    let files = config.targets.iter().filter_map(|target| match &target.token_origin {
        Some(TokenOrigin::File(path)) if is_open_to_others(path) => Some(path.display().to_string()),
        _ => None,
    });
    let files: BTreeSet<String> = files.collect();
    let metrics = otel.exporters.otlp.then_some(&otel.otlp);
    let pushed = metrics.into_iter().chain(otel.telemetry.exported().map(|signal| &signal.otlp));
    let has_credentials =
        |push: &&OtlpSettings| !push.headers.map().is_empty() || push.endpoint.has_credentials();
    let pushed = pushed.filter(has_credentials).filter(|push| is_in_the_clear(push.endpoint.url()));
    let pushed: BTreeSet<String> = pushed.map(|push| push.endpoint.to_string()).collect();
    let everywhere =
        config.listen.iter().filter(|address| matches!(address, Address::Ip(ip) if ip.ip().is_unspecified()));
    let everywhere: BTreeSet<String> = everywhere.map(ToString::to_string).collect();

    let mut warnings = Vec::new();
    if !in_the_clear.is_empty() {
        warnings.push(format!(
            "access tokens are sent unencrypted to {}: use https://, or poll these servers over loopback",
            listed(&in_the_clear)
        ));
    }
    if !files.is_empty() {
        warnings.push(format!(
            "other users of this machine can read token files: {}; use chmod 600, or mode 0400 where an \
             orchestrator mounts them",
            listed(&files)
        ));
    }
    if !pushed.is_empty() {
        warnings.push(format!("OTLP headers are sent unencrypted to {}: use https://", listed(&pushed)));
    }
    let lets_all_in = config.web.file.is_none() && config.web.token_files.is_empty();
    if otel.exporters.prometheus && !everywhere.is_empty() && lets_all_in {
        warnings.push(format!(
            "everyone who reaches {} can read the metrics and pages, because no password is asked for: set \
             web_config_file or web_token_file, restrict access to the port, or listen on 127.0.0.1 behind \
             a proxy",
            listed(&everywhere)
        ));
    }
    if otel.exporters.prometheus && !everywhere.is_empty() && lets_all_in && config.probe.enabled {
        warnings.push(format!(
            "everyone who reaches {} can make fedimeter ask the servers that probe.allow permits: \
             set web_config_file or web_token_file, or restrict access to the port",
            listed(&everywhere)
        ));
    }
    warnings
}

/// Whether others on the network can read what is sent.
fn is_in_the_clear(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !is_loopback
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let is_ours = |uid| uid == rustix::process::geteuid().as_raw();
    std::fs::metadata(path)
        .is_ok_and(|file| file.is_file() && lets_others_read(file.mode(), is_ours(file.uid())))
}

/// Whether a file of this mode can be read by others. The group of a file that is not ours
/// is how we read it: Kubernetes mounts secrets so.
#[cfg(unix)]
fn lets_others_read(mode: u32, is_ours: bool) -> bool {
    mode & if is_ours { 0o044 } else { 0o004 } != 0
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}

fn listed<T: AsRef<str>>(names: &BTreeSet<T>) -> String {
    let text = names.iter().take(MAX_LISTED).map(AsRef::as_ref).collect::<Vec<&str>>().join(", ");
    match names.len().saturating_sub(MAX_LISTED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::net::SocketAddr;

    use crate::target::{Target, Token};

    fn config(urls: &[&str], listen: &[&str]) -> Config {
        let target = |url: &&str| {
            let mut target = Target::new(Url::parse(url).unwrap(), None, None, &BTreeMap::new());
            target.token = Some(Token::new("hush"));
            target
        };
        let listen = listen.iter().map(|address| address.parse::<SocketAddr>().unwrap().into()).collect();
        Config { targets: urls.iter().map(target).collect(), listen, ..Config::default() }
    }

    fn probing(listen: &[&str]) -> Config {
        let mut config = config(&[], listen);
        config.probe.enabled = true;
        config
    }

    fn otel(variables: &[(&str, &str)]) -> OtelEnv {
        let read = |name: &str| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        OtelEnv::read(&read).unwrap().0
    }

    #[test]
    fn each_exposure_is_one_warning() {
        const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const HEADERS: (&str, &str) = ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hush");
        const NONE: [&str; 0] = [];
        let https = config(&["https://a.example"], &["127.0.0.1:9464", "[::1]:9464", "192.0.2.1:9464"]);
        let loopback =
            ["http://localhost:3000", "http://127.0.0.2", "http://[::1]:1", "http://a.localhost:1"];
        let many = [
            "http://a.example",
            "http://b.example",
            "http://c.example",
            "http://10.0.0.1",
            "http://e.example",
        ];
        for (config, variables, expected) in [
            (&https, &[][..], &NONE[..]),
            (&config(&loopback, &[]), &[], &NONE),
            (
                &config(&["http://a.example", "https://b.example"], &[]),
                &[],
                &["unencrypted to http://a.example:"],
            ),
            (&config(&many, &[]), &[], &["http://10.0.0.1, http://a.example, http://b.example and 2 more"]),
            (
                &https,
                &[(ENDPOINT, "http://c.example:4318"), HEADERS],
                &["unencrypted to http://c.example:4318/v1/metrics"],
            ),
            (&https, &[(ENDPOINT, "http://u:hush@c.example:4318")], &["unencrypted to http://***@c.example"]),
            (&https, &[(ENDPOINT, "http://c.example:4318")], &NONE),
            (&https, &[(ENDPOINT, "https://c.example:4318"), HEADERS], &NONE),
            (&https, &[(ENDPOINT, "http://localhost:4318"), HEADERS], &NONE),
            (
                &https,
                &[(ENDPOINT, "http://c.example:4318"), HEADERS, ("OTEL_METRICS_EXPORTER", "prometheus")],
                &NONE,
            ),
            (&config(&[], &["0.0.0.0:9464", "[::]:9465"]), &[], &["reaches 0.0.0.0:9464, [::]:9465 can"]),
            (&config(&[], &["0.0.0.0:9464"]), &[("OTEL_METRICS_EXPORTER", "otlp")], &NONE),
            (
                &probing(&["0.0.0.0:9464"]),
                &[],
                &["can read the metrics", "reaches 0.0.0.0:9464 can make fedimeter ask"],
            ),
            (&probing(&["127.0.0.1:9464"]), &[], &NONE),
        ] {
            let warnings = warnings(config, &otel(variables));
            assert_eq!(warnings.len(), expected.len(), "{warnings:?}, not {expected:?}");
            for (warning, expected) in warnings.iter().zip(expected) {
                assert!(warning.contains(expected) && !warning.contains("hush"), "{warning}, not {expected}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn token_files_are_for_one_user() {
        use std::os::unix::fs::PermissionsExt;
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut config = config(&["https://a.example", "https://b.example"], &[]);
        for target in &mut config.targets {
            target.token_origin = Some(TokenOrigin::File(file.path().to_owned()));
        }
        assert!(!lets_others_read(0o440, false) && lets_others_read(0o444, false));
        for (mode, warned) in [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o644, 1)] {
            std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
            let warnings = warnings(&config, &otel(&[]));
            assert_eq!(warnings.len(), warned, "{mode:o}: {warnings:?}");
        }
    }
}

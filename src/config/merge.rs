//! Flags over environment over file over `OTEL_*` over defaults: the layers
//! become one checked [`Config`].

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::attributes::collision;
use super::error::{ConfigError, ConfigErrors, Place};
use super::file;
use super::layers::{BridgeSettings, Env, FileSettings, GivenTarget, Sources, TargetSettings};
use super::otel;
use super::token;
use super::values::Listen;
use super::{Compat, Config, Http, Log, LogFilter};
use crate::target::{AttributeValue, Target, parse_host, parse_target};

/// The port that OpenTelemetry gives to Prometheus exporters.
const OTEL_PORT: u16 = 9464;
/// The port of the 2018 exporter, which `--compat dada` stands in for.
const DADA_PORT: u16 = 9410;

const NO_TARGET: &str = "no target: name a server in one of these three ways:
  an argument:  fedimeter mastodon.social
  a variable:   FEDIMETER_TARGETS=mastodon.social (several with commas), or MASTODON_HOST=https://mastodon.social
  a file:       --config fedimeter.yaml, with the line `targets: [mastodon.social]`";

/// Commands, which are no targets, but for a slip in the order.
const COMMANDS: [&str; 8] = ["serve", "once", "check", "healthcheck", "demo", "metrics", "simulate", "help"];

/// Reads every source and makes one configuration of them.
pub(super) fn load(sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
    let mut errors = Vec::new();
    let file = sources.file.map(|path| file::read(path, &mut errors)).unwrap_or_default();
    combine(sources, file, errors)
}

/// The same with the contents of a file in place of [`Sources::file`].
pub(super) fn load_text(path: &Path, text: &str, sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
    let mut errors = Vec::new();
    let file = file::parse(path, text, &mut errors);
    combine(sources, file, errors)
}

fn combine(
    sources: &Sources<'_>,
    file: FileSettings,
    mut errors: Vec<ConfigError>,
) -> Result<Config, ConfigErrors> {
    let mut warnings = Vec::new();
    let FileSettings { bridge, listen_place, compat_place, defaults, targets: in_file } = file;
    let listen_place = place_of(sources.flags.bridge.listen.is_some(), "--listen", listen_place);
    let compat_place = place_of(sources.flags.bridge.compat.is_some(), "--compat", compat_place);

    let given = given_targets(sources, &mut errors);
    check_target_flags(sources, given.len(), &mut errors);
    // Details can be turned off for all by a flag, whatever the file says.
    let details = sources.flags.bridge.endpoint_details.filter(|on| !on);
    let bridge = sources.flags.bridge.clone().or(bridge);

    let mut targets = Vec::new();
    let given = given
        .into_iter()
        .map(|t| GivenTarget { settings: sources.flags.target.clone().over(&t.settings), ..t });
    for target in given.chain(in_file) {
        let place = target.place.clone();
        let settings = target.settings.over(&defaults);
        let details = details.or(settings.endpoint_details).or(bridge.endpoint_details);
        let mut target = make_target(&target.url, settings, &place, sources.env, &mut errors, &mut warnings);
        target.endpoint_details = details.unwrap_or(true);
        targets.push((place, target));
    }
    check_twice(&targets, &mut errors);

    if targets.is_empty() && errors.is_empty() {
        errors.push(Place::outside("").error(NO_TARGET));
    }
    if bridge.compat == Some(Compat::Dada) && targets.len() > 1 {
        errors.push(compat_place.error(format!(
            "dada has no label to tell targets apart, and there are {}; use systemli, or one bridge a target",
            targets.len()
        )));
    }
    let listen = listen_addresses(&bridge, &listen_place, sources.env, &mut errors);
    if !errors.is_empty() {
        return Err(ConfigErrors::new(errors));
    }
    let http = Http::default();
    let default = Config::default();
    let log = Log::default();
    Ok(Config {
        targets: targets.into_iter().map(|(_, target)| target).collect(),
        listen,
        compat: bridge.compat,
        http: Http {
            max_requests: bridge.max_requests.unwrap_or(http.max_requests),
            max_requests_per_host: bridge.max_requests_per_host.unwrap_or(http.max_requests_per_host),
            connect_timeout: bridge.connect_timeout.unwrap_or(http.connect_timeout),
            timeout: bridge.timeout.unwrap_or(http.timeout),
            max_body: bridge.max_body.unwrap_or(http.max_body),
            contact: bridge.contact.unwrap_or(http.contact),
            kept_per_host: http.kept_per_host,
        },
        deadline: bridge.deadline.unwrap_or(default.deadline),
        scope_labels: bridge.scope_labels.unwrap_or(default.scope_labels),
        log: Log {
            level: bridge.log_level.or_else(|| LogFilter::of_otel(sources.env)).unwrap_or(log.level),
            format: bridge.log_format.unwrap_or(log.format),
        },
        warnings,
    })
}

/// Reads where to listen, and nothing else.
pub(super) fn listen_alone(sources: &Sources<'_>) -> Result<Vec<SocketAddr>, ConfigErrors> {
    let mut errors = Vec::new();
    let file = sources.file.map(|path| file::read(path, &mut errors)).unwrap_or_default();
    // The bridge that runs has read its targets; what became of the file since
    // is for its next start.
    let of_targets = |path: &str| ["targets", "defaults"].iter().any(|key| path.starts_with(key));
    errors.retain(|error| error.place.file.is_none() || !of_targets(&error.place.path));
    let place = place_of(sources.flags.bridge.listen.is_some(), "--listen", file.listen_place);
    let bridge = sources.flags.bridge.clone().or(file.bridge);
    let listen = listen_addresses(&bridge, &place, sources.env, &mut errors);
    if errors.is_empty() { Ok(listen) } else { Err(ConfigErrors::new(errors)) }
}

/// Where a setting stands: the flag, where it was given, is what counts.
fn place_of(given: bool, flag: &str, in_file: Option<Place>) -> Place {
    in_file.filter(|_| !given).unwrap_or_else(|| Place::outside(flag))
}

/// The targets of the command line, or else of the environment.
fn given_targets(sources: &Sources<'_>, errors: &mut Vec<ConfigError>) -> Vec<GivenTarget> {
    let set = |name: &str| (sources.env)(name).filter(|value| !value.trim().is_empty());
    let mut given: Vec<(Place, String)> = Vec::new();
    for (i, text) in sources.targets.iter().enumerate() {
        let place = Place::outside(format!("target {} of the command line", i + 1));
        if COMMANDS.contains(&text.as_str()) {
            errors.push(place.error(format!(
                "`{text}` is a command; write it first: fedimeter {text} …, or https://{text} for a host of \
                 that name"
            )));
        } else {
            given.push((place, text.clone()));
        }
    }
    if sources.targets.is_empty() {
        if let Some(text) = set("MASTODON_HOST") {
            given.push((Place::outside("MASTODON_HOST"), text));
        }
        let text = set("FEDIMETER_TARGETS").unwrap_or_default();
        let names = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty());
        for (i, name) in names.enumerate() {
            given.push((Place::outside(format!("FEDIMETER_TARGETS[{i}]")), name.to_owned()));
        }
    }
    let mut targets = Vec::new();
    for (place, text) in given {
        match parse_target(&text) {
            Ok(url) => targets.push(GivenTarget { place, url, settings: TargetSettings::default() }),
            Err(message) => errors.push(place.error(message)),
        }
    }
    targets
}

/// Flags about targets need targets to be about, and a token just one.
fn check_target_flags(sources: &Sources<'_>, targets: usize, errors: &mut Vec<ConfigError>) {
    let TargetSettings { token, collect, accounts, tags, .. } = &sources.flags.target;
    if token.is_some() && targets > 1 {
        errors.push(Place::outside("--token-file, --token-env").error(format!(
            "a token belongs to one server, and {targets} are given; name it for its target in --config"
        )));
    }
    let none = [
        ("--collect", collect.is_empty()),
        ("--account", accounts.is_empty()),
        ("--tag", tags.is_empty()),
        ("--token-…", token.is_none()),
    ];
    if targets == 0 && sources.file.is_some() {
        for (flag, _) in none.iter().filter(|(_, absent)| !absent) {
            errors.push(Place::outside(*flag).error(
                "is about targets given as arguments or variables, and there are none; say it in the file",
            ));
        }
    }
}

fn make_target(
    url: &url::Url,
    settings: TargetSettings,
    place: &Place,
    env: Env<'_>,
    errors: &mut Vec<ConfigError>,
    warnings: &mut Vec<String>,
) -> Target {
    let scheme = settings.forwarded_proto.as_deref().unwrap_or(url.scheme());
    let host = settings.host.and_then(|(host, place)| {
        parse_host(&host, scheme).map_err(|message| errors.push(place.error(message))).ok()
    });
    if let Some((a, b)) = collision(&settings.attributes) {
        errors.push(place.error(format!(
            "its attribute `{a}` and `{b}`, one of them from defaults, become the same Prometheus label; rename one"
        )));
    }
    let mut target = Target::new(url.clone(), host, settings.forwarded_proto, &settings.attributes);
    if let Some(source) = &settings.token {
        match token::read(source, env, warnings) {
            Ok((token, origin)) => {
                target.token = Some(token);
                target.token_origin = Some(origin);
            }
            Err(error) => errors.push(error),
        }
    }
    // An account that the target and the defaults list is one series.
    for account in settings.accounts {
        if !target.accounts.iter().any(|known| known.label().eq_ignore_ascii_case(account.label())) {
            target.accounts.push(account);
        }
    }
    for tag in settings.tags {
        if !target.tags.iter().any(|known| known.to_lowercase() == tag.to_lowercase()) {
            target.tags.push(tag);
        }
    }
    target.obey_robots = settings.obey_robots.unwrap_or(false);
    target.intervals = settings.intervals;
    target.select_endpoints(&settings.collect);
    target
}

/// Two targets must differ in what is polled, and in the attributes of their
/// points, which would else be two points of one series.
fn check_twice(targets: &[(Place, Target)], errors: &mut Vec<ConfigError>) {
    let mut polled: BTreeMap<(&str, Option<&str>), &Place> = BTreeMap::new();
    let mut identities: BTreeMap<&[(Arc<str>, AttributeValue)], &Place> = BTreeMap::new();
    for (place, target) in targets {
        if let Some(first) = polled.insert((target.url.as_str(), target.host.as_deref()), place) {
            errors.push(
                place.error(format!("{} is given twice, first as {first}; remove one of them", target.name)),
            );
        } else if let Some(first) = identities.insert(&*target.identity, place) {
            errors.push(place.error(format!(
                "its points would have the attributes of {first}; give one of the two an attribute of its own"
            )));
        }
    }
}

fn listen_addresses(
    bridge: &BridgeSettings,
    place: &Place,
    env: Env<'_>,
    errors: &mut Vec<ConfigError>,
) -> Vec<SocketAddr> {
    let port = if bridge.compat == Some(Compat::Dada) { DADA_PORT } else { OTEL_PORT };
    let listen = match &bridge.listen {
        Some(listen) => listen.clone(),
        None => vec![otel_listen(env)],
    };
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in listen.iter().filter_map(|listen| listen.socket(port)) {
        // Port 0 is a new port each time.
        if addresses.contains(&address) && address.port() != 0 {
            errors.push(place.error(format!("{address} is given twice; remove one of them")));
        }
        addresses.push(address);
    }
    if listen.len() > 1 && listen.contains(&Listen::Off) {
        errors.push(place.error("none stands beside an address; remove one of them"));
    }
    addresses
}

/// The address of OpenTelemetry's own variables.
fn otel_listen(env: Env<'_>) -> Listen {
    let (ip, port) = otel::prometheus(env);
    Listen::At(ip.unwrap_or(Ipv4Addr::LOCALHOST.into()), port)
}

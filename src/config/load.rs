//! Combines all sources into one checked [`Config`]: flags over variables over the file
//! over `OTEL_*` over defaults.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use url::Url;

use super::bridge::{BRIDGE, BridgeDraft};
use super::choice::left_out;
use super::discovery;
use super::error::{ConfigError, ConfigErrors, Errors, NO_TARGET, Place};
use super::lists::{Apart, Defaults, Given, defaults_fields, names};
use super::probe::{PROBE, probe_fields};
use super::setting::{Env, Flags, Origins, Outside, read_fields, read_outside};
use super::target::{TARGET, TargetDraft};
use super::yaml::{Document, Fields, Node};
use super::{Compat, Config};
use crate::fetch::{FLEET, Http};
use crate::metrics::rows;
use crate::target::parse_target;

/// The names of commands. As a target, such a name is a mistake in the order of
/// arguments.
const COMMANDS: [&str; 12] = [
    "serve",
    "once",
    "check",
    "init",
    "healthcheck",
    "demo",
    "metrics",
    "schema",
    "completions",
    "man",
    "simulate",
    "help",
];

/// The file name that means standard input.
const STANDARD_INPUT: &str = "-";
/// The name of standard input in errors and origins.
const STANDARD_INPUT_NAME: &str = "standard input";

/// The sources of a configuration.
pub struct Sources<'a> {
    /// The file of `--config`; `-` means standard input.
    pub file: Option<&'a Path>,
    /// The content of that file, if it must not be read again.
    pub text: Option<&'a str>,
    /// The targets in the arguments. If there are any, `FEDIMETER_TARGETS` and
    /// `MASTODON_HOST` are ignored.
    pub targets: &'a [String],
    /// The flags, and the variables that belong to them.
    pub flags: Flags,
    /// The environment.
    pub env: Env<'a>,
}

/// A configuration with the origins of its values.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The origins of the settings of the bridge.
    pub bridge: Origins,
    /// Those of the keys of `probe`.
    pub probe: Origins,
    /// The origins of the settings of each target.
    pub targets: Vec<Origins>,
    /// The place of each target.
    pub places: Vec<Place>,
    /// The settings for targets that are discovered later.
    pub defaults: Defaults,
    /// The text that was read from the file.
    pub text: Option<String>,
}

impl Loaded {
    /// Returns the maximum number of simultaneous requests to one host with this number
    /// of targets, of which lists behind URLs may name some.
    #[must_use]
    pub fn requests_per_host(&self, targets: usize) -> usize {
        requests_per_host(&self.config.http, &self.bridge, targets)
    }

    /// A configuration that the program created.
    #[must_use]
    pub fn of(config: Config) -> Loaded {
        let places = config.targets.iter().map(|target| Place::outside(&*target.name)).collect();
        let draft = TargetDraft::new();
        let defaults = Defaults {
            draft,
            origins: Origins::default(),
            no_details: false,
            left_out: left_out(&config.metrics),
        };
        Loaded {
            config,
            bridge: Origins::default(),
            probe: Origins::default(),
            targets: Vec::new(),
            places,
            defaults,
            text: None,
        }
    }
}

/// Reads all sources and combines them into one configuration.
pub(super) fn load(sources: &Sources<'_>) -> Result<Loaded, ConfigErrors> {
    let errors = Errors::default();
    let text = match sources.text {
        Some(text) => Some(text.to_owned()),
        None => sources.file.and_then(|path| read_text(path, &errors)),
    };
    load_with(text.as_deref().zip(sources.file.map(shown_name)), sources, &errors)
}

/// Returns the metrics that the bridge itself and every target leave out. Other settings
/// of targets may have errors, and no target need be named.
pub(super) fn load_left_out(sources: &Sources<'_>) -> Result<BTreeSet<&'static str>, ConfigErrors> {
    let errors = Errors::default();
    let text = sources.file.and_then(|path| read_text(path, &errors));
    let Loaded { config, defaults, .. } =
        combine(text.as_deref().zip(sources.file.map(shown_name)), sources, &errors);
    errors.retain(|error| !is_of_targets(error) || error.place.path.contains("metrics"));
    let of_defaults = || left_out(&defaults.draft.target.metrics);
    // Targets that are not known yet, behind a URL or in a probe, have the defaults.
    let later = config.targets.is_empty() || !config.discovery.urls.is_empty() || config.probe.enabled;
    let of_targets = config.targets.iter().map(|target| left_out(&target.metrics));
    let by_all = of_targets.chain(later.then(of_defaults)).reduce(|all, one| &all & &one);
    let mut out = left_out(&config.metrics);
    let own: BTreeSet<&str> = rows().filter(|row| row.is_own()).map(|row| row.name).collect();
    out.extend(by_all.unwrap_or_default().difference(&own));
    errors.none_or(out)
}

/// The same with this text instead of [`Sources::file`].
pub(super) fn load_text(path: &Path, text: &str, sources: &Sources<'_>) -> Result<Loaded, ConfigErrors> {
    load_with(Some((text, path)), sources, &Errors::default())
}

/// Reads only the settings of the bridge. Those of targets may have errors.
pub(super) fn load_bridge(sources: &Sources<'_>) -> Result<Config, ConfigErrors> {
    let errors = Errors::default();
    let text = sources.file.and_then(|path| read_text(path, &errors));
    let document = text
        .as_deref()
        .zip(sources.file.map(shown_name))
        .map(|(text, path)| Document::parse(path, text, &errors));
    let fields = document.as_ref().and_then(Document::root).and_then(|root| bridge_fields(&root));
    let (config, ..) = bridge(sources, fields.as_ref(), &errors);
    // Errors of targets since the bridge has started concern only its next start.
    errors.retain(|error| !is_of_targets(error));
    errors.none_or(config)
}

/// Whether an error concerns a target in the file, and not the bridge.
fn is_of_targets(error: &ConfigError) -> bool {
    error.place.file.is_some() && ["targets", "defaults"].iter().any(|key| error.place.path.starts_with(key))
}

fn load_with(
    file: Option<(&str, &Path)>,
    sources: &Sources<'_>,
    errors: &Errors,
) -> Result<Loaded, ConfigErrors> {
    let loaded = combine(file, sources, errors);
    let config = &loaded.config;
    let has_none = config.targets.is_empty() && !config.discovery.has_lists() && !config.probe.enabled;
    if has_none && errors.is_empty() {
        errors.push(Place::outside("").error(NO_TARGET));
    }
    errors.none_or(loaded)
}

/// Combines all sources, and records every error except that there is no target.
fn combine(file: Option<(&str, &Path)>, sources: &Sources<'_>, errors: &Errors) -> Loaded {
    let document = file.map(|(text, path)| Document::parse(path, text, errors));
    let fields = document.as_ref().and_then(Document::root).and_then(|root| bridge_fields(&root));
    let fields = fields.as_ref();
    let (mut config, bridge, details) = bridge(sources, fields, errors);
    let mut probe = Origins::default();
    if let Some(fields) = fields.and_then(|fields| probe_fields(fields.get("probe")?)) {
        read_fields(PROBE, &fields, &mut config.probe, &mut probe);
    }

    let mut defaults = Defaults {
        draft: TargetDraft::new(),
        origins: Origins::default(),
        // A flag or variable can turn the details off for all targets, whatever the
        // file says.
        no_details: !details
            && bridge.of("endpoint_details").last().is_some_and(|place| place.file.is_none()),
        left_out: left_out(&config.metrics),
    };
    defaults.draft.target.endpoint_details = details;
    if let Some(fields) = fields.and_then(|fields| defaults_fields(fields.get("defaults")?)) {
        read_fields(TARGET, &fields, &mut defaults.draft, &mut defaults.origins);
    }
    let has_lists = config.discovery.has_lists();
    let mut given = given_targets(sources, &defaults, has_lists, errors);
    let in_file = fields.and_then(|fields| fields.get("targets")?.items("a list of targets"));
    given.extend(in_file.unwrap_or_default().iter().filter_map(|node| defaults.target(node)));
    for (source, path, text) in discovery::read_files(&config.discovery.files, errors) {
        let list = Document::parse(&path, &text, errors);
        given.extend(list.root().map(|root| defaults.in_file(&root, &source)).unwrap_or_default());
    }

    let (mut targets, mut origins) = (Vec::new(), Vec::new());
    for given in given {
        let (place, target, of_target) = given.build(&defaults, sources.env, errors);
        targets.push((place, target));
        origins.push(of_target);
    }
    let mut apart = Apart::default();
    for (place, target) in &targets {
        if let Err(error) = apart.add(place, target) {
            errors.push(error);
        }
    }
    if config.compat == Some(Compat::Dada) && (targets.len() > 1 || !config.discovery.urls.is_empty()) {
        let place = bridge.of("compat").last().cloned().unwrap_or_else(|| Place::outside("compat"));
        let found = match targets.len() {
            0 | 1 => "targets_url may name several".to_owned(),
            targets => format!("there are {targets}"),
        };
        errors.push(place.error(format!(
            "dada has no label to tell targets apart, and {found}; use systemli, or one bridge for each \
             target"
        )));
    }
    config.http.max_requests_per_host = requests_per_host(&config.http, &bridge, targets.len());
    config.file = sources.file.filter(|path| !is_standard_input(path)).map(Path::to_owned);
    let (places, targets) = targets.into_iter().unzip();
    config.targets = targets;
    let text = file.map(|(text, _)| text.to_owned());
    Loaded { config, bridge, probe, targets: origins, places, defaults, text }
}

fn requests_per_host(http: &Http, bridge: &Origins, targets: usize) -> usize {
    let is_set = !bridge.of("max_requests_per_host").is_empty();
    if targets > FLEET && !is_set { 1 } else { http.max_requests_per_host }
}

/// Returns the settings of the bridge with their origins, and whether targets without
/// this setting report details by endpoint.
fn bridge(sources: &Sources<'_>, fields: Option<&Fields<'_>>, errors: &Errors) -> (Config, Origins, bool) {
    let mut origins = Origins::default();
    let mut draft = BridgeDraft::new(sources.env, &mut origins);
    if let Some(fields) = fields {
        read_fields(BRIDGE, fields, &mut draft, &mut origins);
    }
    read_outside(BRIDGE, &outside(sources, errors), &mut draft, &mut origins);
    draft.config.shard = draft.shard(&origins, errors);
    draft.config.listen = draft.addresses(sources.env, &mut origins, errors);
    (draft.config, origins, draft.endpoint_details)
}

fn outside<'a>(sources: &'a Sources<'_>, errors: &'a Errors) -> Outside<'a> {
    Outside { flags: &sources.flags, env: sources.env, errors }
}

/// Whether the path means standard input.
pub fn is_standard_input(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT)
}

/// Returns the file's name for errors and origins.
fn shown_name(path: &Path) -> &Path {
    if is_standard_input(path) { Path::new(STANDARD_INPUT_NAME) } else { path }
}

fn read_text(path: &Path, errors: &Errors) -> Option<String> {
    let text = read_utf8(path).map_err(|message| {
        errors.push(Place::outside(shown_name(path).display().to_string()).error(message));
    });
    text.ok()
}

fn read_utf8(path: &Path) -> Result<String, String> {
    let cannot =
        |e: std::io::Error| format!("cannot read the configuration: {e}; check the path of --config");
    let file: Box<dyn Read> = if is_standard_input(path) {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(cannot)?)
    };
    discovery::read_text(file, cannot)
}

fn bridge_fields<'d>(root: &Node<'d>) -> Option<Fields<'d>> {
    root.fields("a map of settings", &names(BRIDGE, |_| true), |_| None)
}

/// The targets of the command line, or else of the environment.
fn given_targets(sources: &Sources<'_>, defaults: &Defaults, has_lists: bool, errors: &Errors) -> Vec<Given> {
    let mut given: Vec<(Place, Url)> = Vec::new();
    let mut add = |place: Place, text: &str| match parse_target(text) {
        Ok(url) => given.push((place, url)),
        Err(message) => errors.push(place.error(message)),
    };
    for (i, text) in sources.targets.iter().enumerate() {
        let place = Place::outside(format!("target {} of the command line", i + 1));
        if COMMANDS.contains(&text.as_str()) {
            errors.push(place.error(format!(
                "`{text}` is a command; write it first: fedimeter {text} …, or https://{text} for a host of \
                 that name"
            )));
        } else {
            add(place, text);
        }
    }
    if sources.targets.is_empty() {
        let set = |name: &str| (sources.env)(name).filter(|value| !value.trim().is_empty());
        if let Some(text) = set("MASTODON_HOST") {
            add(Place::outside("MASTODON_HOST"), &text);
        }
        let text = set("FEDIMETER_TARGETS").unwrap_or_default();
        let names = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|name| !name.is_empty());
        for (i, name) in names.enumerate() {
            add(Place::outside(format!("FEDIMETER_TARGETS[{i}]")), name);
        }
    }
    let outside = outside(sources, errors);
    let (mut draft, mut origins) = (defaults.draft.clone(), defaults.origins.clone());
    read_outside(TARGET, &outside, &mut draft, &mut origins);
    for key in TARGET.iter().map(|row| &row.key) {
        let wrong = |message: String| outside.with(key, |given| given.error(message));
        match key.of_one_server {
            Some(reason) if given.len() > 1 => {
                wrong(format!("{reason}, and {} are given; name it for its target in --config", given.len()));
            }
            _ if given.is_empty() && (sources.file.is_some() || has_lists) => {
                wrong(
                    "is about targets given as arguments or variables, and there are none; set it in the file"
                        .to_owned(),
                );
            }
            _ => {}
        }
    }
    let with_settings = |(place, url)| Given { place, url, draft: draft.clone(), origins: origins.clone() };
    given.into_iter().map(with_settings).collect()
}

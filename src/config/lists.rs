//! Lists of targets: in the configuration, in files that it names, and behind URLs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use url::Url;

use super::choice::left_out;
use super::error::{ConfigError, ConfigErrors, Errors, Place};
use super::given::Given as GivenValue;
use super::setting::{Env, Key, Origins, Setting, read_fields};
use super::target::{TARGET, TargetDraft, labels};
use super::yaml::{Document, Fields, Node};
use crate::export::naming;
use crate::metrics::is_of_use;
use crate::target::{Target, parse_target};

/// The keys of a group of targets, as in Prometheus's service discovery.
const GROUP: [&str; 2] = ["targets", "labels"];

/// Settings for all targets.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// The values for targets without their own.
    pub draft: TargetDraft,
    /// The origins of these values.
    pub origins: Origins,
    /// Whether details by endpoint are off for all targets.
    pub no_details: bool,
    /// The metrics that are excluded for all targets.
    pub left_out: BTreeSet<&'static str>,
}

/// A target with its settings.
pub struct Given {
    pub place: Place,
    pub url: Url,
    pub draft: TargetDraft,
    pub origins: Origins,
}

impl Given {
    /// Builds the target, and records errors that concern it as a whole.
    pub fn build(self, defaults: &Defaults, env: Env<'_>, errors: &Errors) -> (Place, Target, Origins) {
        let Given { place, url, draft, mut origins } = self;
        let mut target = draft.build(&url, &place, env, errors);
        if defaults.no_details {
            target.endpoint_details = false;
        }
        let mut out = left_out(&target.metrics);
        out.extend(&defaults.left_out);
        if !out.is_empty() {
            target.left_out = Some(Arc::new(out));
            // An endpoint that supplies no wanted metric is not requested.
            target.endpoints = target.endpoints.iter().copied().filter(|e| is_of_use(*e, &target)).collect();
        }
        origins.note("url", place.clone(), false);
        (place, target, origins)
    }
}

impl Defaults {
    /// Reads a target of the configuration.
    pub fn target(&self, node: &Node<'_>) -> Option<Given> {
        if node.is_text() {
            return self.host(node);
        }
        let (mut draft, mut origins) = (self.draft.clone(), self.origins.clone());
        let fields = node.fields("a host, a URL or a map with `url`", &names(TARGET, |_| true), no_token)?;
        // An error about a misspelt or empty `url` is already recorded.
        if fields.get("url").is_none() && fields.complete {
            node.error("has no `url`; give the host or the URL of the server");
        }
        read_fields(TARGET, &fields, &mut draft, &mut origins);
        Some(Given { place: node.place(), url: draft.url.take()?, draft, origins })
    }

    fn host(&self, node: &Node<'_>) -> Option<Given> {
        let url = node.parse("a host or a URL", parse_target)?;
        Some(Given { place: node.place(), url, draft: self.draft.clone(), origins: self.origins.clone() })
    }

    /// Reads the targets of a file, listed as in the configuration or in groups.
    #[must_use]
    pub fn in_file(&self, root: &Node<'_>, source: &Arc<str>) -> Vec<Given> {
        let items = root.items("a list of targets").unwrap_or_default();
        let mut given = Vec::new();
        for item in items {
            if item.has_key("targets") {
                given.extend(self.group(&item));
            } else {
                given.extend(self.target(&item));
            }
        }
        for given in &mut given {
            given.draft.target.source = Some(source.clone());
        }
        given
    }

    /// Reads a group of targets with common labels, which become attributes.
    fn group(&self, node: &Node<'_>) -> Vec<Given> {
        let due = "a map with `targets`";
        let Some(fields) = node.fields(due, &GROUP, |_| None) else { return Vec::new() };
        let mut defaults = self.clone();
        if let Some(labels_node) = fields.get("labels")
            && let Some(labels) = labels(&GivenValue::Node(labels_node.clone()))
        {
            defaults.draft.attributes.extend(labels);
            defaults.origins.note("attributes", labels_node.place(), true);
        }
        let targets = fields.get("targets").and_then(|targets| targets.items("a list of hosts"));
        targets.unwrap_or_default().iter().filter_map(|host| defaults.host(host)).collect()
    }

    /// Reads the answer of a URL: groups of targets, in JSON or YAML. They contain only
    /// hosts and labels, so that whoever controls the URL cannot name files or
    /// variables of this machine. An error in a group or a target affects only that
    /// one.
    ///
    /// # Errors
    ///
    /// When the answer is not a list of groups.
    pub fn behind_url(&self, text: &str, source: &Arc<str>, is_public: bool) -> Result<Listed, ConfigError> {
        let errors = Errors::default();
        let document = Document::parse(Path::new(&**source), text, &errors);
        let root = document.root();
        let groups = match &root {
            Some(root) => root.items("a list of groups of targets"),
            None if errors.is_empty() => {
                let message = "expected a list of groups of targets, at least [], found nothing";
                errors.push(Place::line(source, 1, "").error(message));
                None
            }
            None => None,
        };
        let Some(groups) = groups else {
            let first = errors.none_or(()).err().and_then(|errors| errors.iter().next().cloned());
            return Err(first.unwrap_or_else(|| Place::outside(&**source).error("is not a list")));
        };
        let given = groups.iter().flat_map(|group| self.group(group));
        let mut listed = Listed::default();
        for given in given.collect::<Vec<_>>() {
            let of_one = Errors::default();
            let (place, mut target, _) = given.build(self, &|_| None, &of_one);
            target.source = Some(source.clone());
            target.only_public = is_public;
            match of_one.none_or((place, target)) {
                Ok(target) => listed.targets.push(target),
                Err(wrong) => listed.wrong.extend(wrong.iter().cloned()),
            }
        }
        listed.wrong.extend(errors.none_or(()).err().iter().flat_map(ConfigErrors::iter).cloned());
        Ok(listed)
    }
}

/// The content of a list outside the configuration.
#[derive(Debug, Clone, Default)]
pub struct Listed {
    /// The targets, each with its place.
    pub targets: Vec<(Place, Target)>,
    /// The errors of other entries.
    pub wrong: Vec<ConfigError>,
}

/// Returns the names of rows.
pub fn names<D, R>(rows: &[Setting<D, R>], has: impl Fn(&Key) -> bool) -> Vec<&'static str> {
    rows.iter().filter(|row| has(&row.key)).map(|row| row.key.name).collect()
}

/// Returns the keys that apply to all targets.
pub fn defaults_fields<'d>(node: &Node<'d>) -> Option<Fields<'d>> {
    let known = names(TARGET, |key| key.of_one_server.is_none());
    node.fields("a map of settings", &known, |name| {
        // The list of known keys alone would not explain why a target's key is invalid
        // here.
        let row = TARGET.iter().find(|row| row.key.name == name);
        let reason = row.and_then(|row| row.key.of_one_server);
        reason.map(|reason| format!("{reason}; move it to its target")).or_else(|| no_token(name))
    })
}

fn no_token(key: &str) -> Option<String> {
    let message = "a token must not be in the configuration; name its file in `token_file` or its variable \
                   in `token_env`";
    matches!(key, "token" | "access_token" | "bearer_token").then(|| message.to_owned())
}

/// Accepts targets that differ from each other in what is polled and in the attributes
/// of their points. Otherwise a series would have two points.
#[derive(Default)]
pub struct Apart<'a> {
    polled: BTreeMap<(&'a str, Option<&'a str>), &'a Place>,
    /// By the labels that the attributes become on `/metrics`: names that differ in dots
    /// become the same.
    identities: BTreeMap<Vec<(String, String)>, &'a Place>,
}

impl<'a> Apart<'a> {
    /// Adds a target.
    ///
    /// # Errors
    ///
    /// When it conflicts with an earlier target.
    pub fn add(&mut self, place: &'a Place, target: &'a Target) -> Result<(), ConfigError> {
        let polled = (target.url.as_str(), target.host.as_deref());
        if let Some(first) = self.polled.get(&polled) {
            let name = &target.name;
            return Err(place.error(format!("{name} is given twice, first as {first}; remove one of them")));
        }
        let labels = naming::labels(target);
        if let Some(first) = self.identities.get(&labels) {
            return Err(place.error(format!(
                "its points would have the attributes of {first}; give one of the two an attribute of its own"
            )));
        }
        self.polled.insert(polled, place);
        self.identities.insert(labels, place);
        Ok(())
    }
}

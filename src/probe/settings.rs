//! The settings of probing in the form that probes use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::clean::one_line;
use crate::config::{Allow, DEFAULT_MODULE, Module, Probe, ProbedTargets, left_out};
use crate::endpoint::{Endpoint, On};
use crate::metrics::is_of_use;
use crate::target::Target;

/// The settings that apply to a probe.
#[derive(Debug)]
pub struct Settings {
    /// A number that changes with each reload.
    pub generation: u64,
    /// The servers that may be probed.
    pub allow: Allow,
    /// Creates targets for servers.
    pub targets: ProbedTargets,
    modules: BTreeMap<String, Chosen>,
}

/// The settings of a module.
#[derive(Debug)]
pub struct Chosen {
    /// The maximum duration of a probe.
    pub deadline: Option<Duration>,
    collect: Vec<Endpoint>,
    left_out: BTreeSet<&'static str>,
    has_details: bool,
}

impl Settings {
    pub fn new(probe: &Probe, targets: ProbedTargets, generation: u64) -> Settings {
        let chosen = |module: &Module| Chosen {
            deadline: module.deadline,
            collect: targets.collect().iter().chain(&module.collect).copied().collect(),
            left_out: left_out(&module.metrics),
            has_details: module.endpoint_details != Some(false),
        };
        let mut modules: BTreeMap<String, Chosen> =
            probe.modules.iter().map(|(name, module)| (name.clone(), chosen(module))).collect();
        modules.entry(DEFAULT_MODULE.to_owned()).or_insert_with(|| chosen(&Module::default()));
        Settings { generation, allow: probe.allow.clone(), targets, modules }
    }

    /// Returns the module of this name.
    ///
    /// # Errors
    ///
    /// The names of the existing modules.
    pub fn module(&self, name: &str) -> Result<&Chosen, String> {
        self.modules.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.modules.keys().map(String::as_str).collect();
            format!("there is no module `{}`; known are {}", one_line(name), known.join(", "))
        })
    }
}

impl Chosen {
    /// Returns the target with only what the module wants of it. A configured target
    /// keeps its own endpoints, any other has the default endpoints and those of the
    /// module.
    pub fn narrowed(&self, target: &Arc<Target>, is_configured: bool) -> Arc<Target> {
        let is_asked = |e: &Endpoint| is_configured || e.on() != On::OptIn || self.collect.contains(e);
        if self.left_out.is_empty() && self.has_details && target.endpoints.iter().all(is_asked) {
            return target.clone();
        }
        let mut narrowed = Target::clone(target);
        narrowed.endpoint_details &= self.has_details;
        if !self.left_out.is_empty() {
            let of_target = target.left_out.iter().flat_map(|names| names.iter());
            narrowed.left_out = Some(Arc::new(of_target.chain(&self.left_out).copied().collect()));
        }
        let endpoints = target.endpoints.iter().copied();
        let endpoints = endpoints.filter(is_asked).filter(|e| is_of_use(*e, &narrowed));
        narrowed.endpoints = endpoints.collect();
        Arc::new(narrowed)
    }
}

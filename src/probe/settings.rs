//! The settings of probing as probes use them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::clean::one_line;
use crate::config::{Allow, DEFAULT_MODULE, Module, Probe, ProbedTargets, left_out};
use crate::endpoint::{Endpoint, On};
use crate::metrics::is_of_use;
use crate::target::Target;

/// What holds for a probe.
#[derive(Debug)]
pub struct Settings {
    /// Another one after each reload.
    pub generation: u64,
    /// What may be probed.
    pub allow: Allow,
    /// What servers are as targets.
    pub targets: ProbedTargets,
    modules: BTreeMap<String, Chosen>,
}

/// What a module chooses.
#[derive(Debug)]
pub struct Chosen {
    /// How long a probe may take at most.
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

    /// The module of this name.
    ///
    /// # Errors
    ///
    /// Which modules there are.
    pub fn module(&self, name: &str) -> Result<&Chosen, String> {
        self.modules.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.modules.keys().map(String::as_str).collect();
            format!("there is no module `{}`; known are {}", one_line(name), known.join(", "))
        })
    }
}

impl Chosen {
    /// The target as far as the module wants it. A configured one is asked for what its
    /// own settings say, any other for the default endpoints and those of the module.
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

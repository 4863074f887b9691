//! The settings under `probe`: whether clients may name servers to poll that are not in
//! the configuration, which servers, and what is collected of them.

mod allow;

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::bridge::REQUEST_TIME;
use super::choice::Choices;
use super::error::{Errors, Place};
use super::given::Given;
use super::lists::{Defaults, Given as GivenTarget, names};
use super::setting::{Origins, Setting, Value, read_fields};
use super::syntax::{Boolean, Count, List, Shape, Shown, Syntax, Time};
use super::target::ENDPOINTS;
use super::yaml::{Fields, Node};
use super::{ConfigErrors, Loaded};
use crate::endpoint::Endpoint;
use crate::target::{Choice, Target};

use allow::ALLOWED;
pub use allow::{Allow, Allowed};

/// The module of a probe that does not name one.
pub const DEFAULT_MODULE: &str = "default";
/// The maximum length of a module's name.
const MAX_NAME: usize = 64;

/// The settings under `probe`.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Whether `/probe` is enabled.
    pub enabled: bool,
    /// The servers that may be probed besides the configured ones.
    pub allow: Allow,
    /// The modules by the names that queries use for them.
    pub modules: BTreeMap<String, Module>,
    /// The maximum number of targets that are kept between probes.
    pub max_targets: usize,
    /// The maximum number of probes that poll servers at the same time.
    pub max_concurrent: usize,
    /// The maximum number of probes that wait for their turn.
    pub max_waiting: usize,
    /// How long after its last probe a target is forgotten.
    pub forget_after: Duration,
}

/// What a probe collects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Module {
    /// Endpoints in addition to the default ones.
    pub collect: Vec<Endpoint>,
    /// The wanted metrics.
    pub metrics: Choice,
    /// Whether the details of each endpoint are reported.
    pub endpoint_details: Option<bool>,
    /// The maximum duration of a probe.
    pub deadline: Option<Duration>,
}

impl Default for Probe {
    fn default() -> Probe {
        Probe {
            enabled: false,
            allow: Allow::default(),
            modules: BTreeMap::new(),
            max_targets: 10_000,
            max_concurrent: 256,
            max_waiting: 1_000,
            forget_after: Duration::from_secs(3600),
        }
    }
}

impl Probe {
    /// Whether another configuration takes effect only after a restart.
    #[must_use]
    pub fn needs_restart(&self, after: &Probe) -> bool {
        let at_start = |probe: &Probe| {
            (probe.enabled, probe.max_targets, probe.max_concurrent, probe.max_waiting, probe.forget_after)
        };
        at_start(self) != at_start(after)
    }
}

/// Creates a setting for this field.
macro_rules! field {
    ($syntax:expr, $of:ty, $field:ident) => {
        &Value {
            syntax: $syntax,
            adds: false,
            set: |draft: &mut $of, value, _: &Place| {
                draft.$field = value;
                Ok(())
            },
            get: |result: &$of| Some(Clone::clone(&result.$field)),
        }
    };
}

const TARGETS: Count = Count { min: 1, max: 1_000_000 };
const AT_ONCE: Count = Count { min: 1, max: 65_536 };
const WAITING: Count = Count { min: 0, max: 65_536 };
const KEPT: Time = Time { min: Duration::from_secs(60), max: Duration::from_secs(7 * 86_400) };

/// The keys of `probe`.
pub static PROBE: &[Setting<Probe, Probe>] = &[
    Setting::new(
        "enabled",
        field!(Boolean, Probe, enabled),
        "Whether `/probe?target=HOST` polls the server that the client names, and returns only its metrics.",
    ),
    Setting::new(
        "allow",
        &Value {
            syntax: List {
                kind: "entry, or list of entries",
                expected: "a list of domains and networks",
                item: ALLOWED,
                or_one: true,
            },
            adds: false,
            set: |draft: &mut Probe, value, _: &Place| {
                draft.allow = Allow(value);
                Ok(())
            },
            get: |probe: &Probe| Some(probe.allow.0.clone()),
        },
        "Which servers may be probed: a name (`example.org`), all names below a domain (`.example.org`), a \
         network (`10.0.0.0/8`) or an address, `*` for every name and every public address.",
    )
    .details(
        "A name is requested at public addresses, and at addresses of the networks in this list. Configured \
         targets can always be probed, and no others if the list is empty.",
    )
    .on_reload(),
    Setting::new(
        "modules",
        &Value {
            syntax: Modules,
            adds: false,
            set: |draft: &mut Probe, value, _: &Place| {
                draft.modules = value;
                Ok(())
            },
            get: |probe: &Probe| Some(probe.modules.clone()).filter(|modules| !modules.is_empty()),
        },
        "What a probe collects, by the name that `module=NAME` selects. Without `module` the name is \
         `default`.",
    )
    .details(
        "Each module has the keys of a module below. The module `default` always exists, and collects what \
         targets do by default.",
    )
    .default("`default`")
    .on_reload(),
    Setting::new(
        "max_targets",
        field!(TARGETS, Probe, max_targets),
        "The maximum number of probed targets whose last answers are kept. A further one replaces the target \
         whose last probe is the oldest.",
    ),
    Setting::new(
        "max_concurrent",
        field!(AT_ONCE, Probe, max_concurrent),
        "The maximum number of probed servers that are polled at once. A quarter of it is for servers that \
         did not answer the last time.",
    ),
    Setting::new(
        "max_waiting",
        field!(WAITING, Probe, max_waiting),
        "The maximum number of probes that wait for their turn. A further one is answered with 503.",
    ),
    Setting::new(
        "forget_after",
        field!(KEPT, Probe, forget_after),
        "How long after its last probe a target is forgotten.",
    ),
];

/// The keys of a module.
pub static MODULE: &[Setting<Module, Module>] = &[
    Setting::new(
        "collect",
        &Value {
            syntax: ENDPOINTS,
            adds: false,
            set: |module: &mut Module, value, _: &Place| {
                module.collect = value;
                Ok(())
            },
            get: |module: &Module| Some(module.collect.clone()).filter(|collect| !collect.is_empty()),
        },
        "Endpoints to collect besides the default ones and those of `defaults`, as in `collect` of a target. \
         For a configured target its own setting applies.",
    ),
    Setting::new(
        "metrics",
        &Value {
            syntax: Choices,
            adds: false,
            set: |module: &mut Module, value, _: &Place| {
                module.metrics = value;
                Ok(())
            },
            get: |module: &Module| Some(module.metrics.clone()).filter(|choice| *choice != Choice::default()),
        },
        "The wanted metrics: patterns of names to `include` and `exclude`, as in `metrics` of the bridge. An \
         endpoint that supplies no wanted metric is not requested.",
    )
    .default("all"),
    Setting::new(
        "endpoint_details",
        &Value {
            syntax: Boolean,
            adds: false,
            set: |module: &mut Module, value, _: &Place| {
                module.endpoint_details = Some(value);
                Ok(())
            },
            get: |module: &Module| module.endpoint_details,
        },
        "`false` omits last success, duration and size of each endpoint.",
    )
    .default("that of `defaults`"),
    Setting::new(
        "deadline",
        &Value {
            syntax: REQUEST_TIME,
            adds: false,
            set: |module: &mut Module, value, _: &Place| {
                module.deadline = Some(value);
                Ok(())
            },
            get: |module: &Module| module.deadline,
        },
        "How long a probe may take, even if the client would wait longer.",
    )
    .default("what the scraper's timeout leaves, else that of the bridge"),
];

/// The modules by name.
struct Modules;

impl Syntax for Modules {
    type Value = BTreeMap<String, Module>;

    fn shape(&self) -> Shape {
        Shape::Structure("map of names to modules")
    }

    fn read(&self, given: &Given<'_>) -> Option<Self::Value> {
        let mut modules = BTreeMap::new();
        for (name, node) in given.entries("a map of names to modules")? {
            if !is_name(&name) {
                node.error("is not a name of a module; write letters, digits, `.`, `_` and `-`, at most 64");
                continue;
            }
            let Some(fields) = node.fields("a map of settings", &names(MODULE, |_| true), |_| None) else {
                continue;
            };
            let mut module = Module::default();
            read_fields(MODULE, &fields, &mut module, &mut Origins::default());
            modules.insert(name, module);
        }
        Some(modules)
    }

    fn show(&self, modules: &Self::Value) -> Shown {
        Shown::Map(modules.iter().map(|(name, module)| (name.clone(), flow(module))).collect())
    }
}

fn is_name(name: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_plain)
}

/// Shows a module on one line.
fn flow(module: &Module) -> String {
    let keys = MODULE.iter().filter_map(|row| {
        let value = match row.field.show(module)? {
            Shown::One(value) => value,
            Shown::Many(items) => format!("[{}]", items.join(", ")),
            Shown::Map(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                format!("{{{}}}", entries.join(", "))
            }
        };
        Some(format!("{}: {value}", row.key.name))
    });
    format!("{{{}}}", keys.collect::<Vec<_>>().join(", "))
}

/// The keys of `probe`.
pub(super) fn probe_fields<'d>(node: &Node<'d>) -> Option<Fields<'d>> {
    node.fields("a map of settings", &names(PROBE, |_| true), |_| None)
}

/// Creates a target for any server that a probe may name.
#[derive(Debug, Clone)]
pub struct ProbedTargets {
    defaults: Defaults,
    collect: Vec<Endpoint>,
}

impl ProbedTargets {
    /// The endpoints that `defaults` adds to the default ones, for every module.
    #[must_use]
    pub fn collect(&self) -> &[Endpoint] {
        &self.defaults.draft.collect
    }

    /// Creates a target for the server at `url`: with the settings of `defaults`, the
    /// endpoints of all modules, and no token. It is requested at permitted addresses
    /// only.
    ///
    /// # Errors
    ///
    /// If the settings contradict each other for this server.
    pub fn target(&self, url: &Url) -> Result<Target, ConfigErrors> {
        let errors = Errors::default();
        let mut draft = self.defaults.draft.clone();
        draft.collect.extend(&self.collect);
        let place = Place::outside("defaults");
        let given = GivenTarget { place, url: url.clone(), draft, origins: Origins::default() };
        let (_, mut target, _) = given.build(&self.defaults, &|_| None, &errors);
        target.only_public = true;
        errors.none_or(target)
    }
}

impl Loaded {
    /// Returns what creates targets for servers that probes name.
    #[must_use]
    pub fn probed_targets(&self) -> ProbedTargets {
        let collect = self.config.probe.modules.values().flat_map(|module| module.collect.iter().copied());
        ProbedTargets { defaults: self.defaults.clone(), collect: collect.collect() }
    }
}

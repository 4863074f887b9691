//! Settings as one source gives them: what a source leaves out, the next one
//! decides.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::error::Place;
use super::token::TokenSource;
use super::values::Listen;
use super::{Compat, LogFilter, LogFormat};
use crate::endpoint::Endpoint;
use crate::target::AccountRef;

/// The environment: a variable's value by its name.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where a configuration comes from.
pub struct Sources<'a> {
    /// The file of `--config`.
    pub file: Option<&'a Path>,
    /// Targets given as arguments. Where there are some, those of
    /// `FEDIMETER_TARGETS` and `MASTODON_HOST` do not count.
    pub targets: &'a [String],
    /// Flags, and the `FEDIMETER_*` variables that stand for them.
    pub flags: Flags,
    /// The environment, for the other variables.
    pub env: Env<'a>,
}

/// What flags say.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// Settings of the bridge.
    pub bridge: BridgeSettings,
    /// Settings of the targets given as arguments or in the environment.
    pub target: TargetSettings,
}

/// Settings of the bridge; what they mean is in [`super::keys::BRIDGE`].
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct BridgeSettings {
    pub listen: Option<Vec<Listen>>,
    pub compat: Option<Compat>,
    pub scope_labels: Option<bool>,
    pub endpoint_details: Option<bool>,
    pub deadline: Option<Duration>,
    pub timeout: Option<Duration>,
    pub connect_timeout: Option<Duration>,
    pub max_requests: Option<usize>,
    pub max_requests_per_host: Option<usize>,
    pub max_body: Option<usize>,
    pub contact: Option<String>,
    pub log_level: Option<LogFilter>,
    pub log_format: Option<LogFormat>,
}

/// Settings of a target, or of all; what they mean is in [`super::keys::TARGET`].
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct TargetSettings {
    pub host: Option<(String, Place)>,
    pub forwarded_proto: Option<String>,
    pub token: Option<TokenSource>,
    pub collect: Vec<Endpoint>,
    pub accounts: Vec<AccountRef>,
    pub tags: Vec<Arc<str>>,
    pub obey_robots: Option<bool>,
    pub attributes: BTreeMap<String, String>,
    pub endpoint_details: Option<bool>,
    pub intervals: BTreeMap<Endpoint, Duration>,
}

/// A target with what was said of it alone.
#[derive(Debug, Clone)]
pub(super) struct GivenTarget {
    pub place: Place,
    pub url: Url,
    pub settings: TargetSettings,
}

/// What a configuration file says.
#[derive(Debug, Default)]
pub(super) struct FileSettings {
    pub bridge: BridgeSettings,
    /// Where `listen` and `compat` stand: they can be wrong together with
    /// what other sources say.
    pub listen_place: Option<Place>,
    pub compat_place: Option<Place>,
    pub defaults: TargetSettings,
    pub targets: Vec<GivenTarget>,
}

impl BridgeSettings {
    /// These settings, and those of `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: BridgeSettings) -> BridgeSettings {
        BridgeSettings {
            listen: self.listen.or(other.listen),
            compat: self.compat.or(other.compat),
            scope_labels: self.scope_labels.or(other.scope_labels),
            endpoint_details: self.endpoint_details.or(other.endpoint_details),
            deadline: self.deadline.or(other.deadline),
            timeout: self.timeout.or(other.timeout),
            connect_timeout: self.connect_timeout.or(other.connect_timeout),
            max_requests: self.max_requests.or(other.max_requests),
            max_requests_per_host: self.max_requests_per_host.or(other.max_requests_per_host),
            max_body: self.max_body.or(other.max_body),
            contact: self.contact.or(other.contact),
            log_level: self.log_level.or(other.log_level),
            log_format: self.log_format.or(other.log_format),
        }
    }
}

impl TargetSettings {
    /// These settings over `defaults`: lists are added, maps are merged, and
    /// everything else is replaced.
    #[must_use]
    pub fn over(self, defaults: &TargetSettings) -> TargetSettings {
        let mut accounts = defaults.accounts.clone();
        accounts.extend(self.accounts);
        let mut tags = defaults.tags.clone();
        tags.extend(self.tags);
        let mut collect = defaults.collect.clone();
        collect.extend(self.collect);
        let mut attributes = defaults.attributes.clone();
        attributes.extend(self.attributes);
        let mut intervals = defaults.intervals.clone();
        intervals.extend(self.intervals);
        TargetSettings {
            host: self.host.or_else(|| defaults.host.clone()),
            forwarded_proto: self.forwarded_proto.or_else(|| defaults.forwarded_proto.clone()),
            token: self.token.or_else(|| defaults.token.clone()),
            collect,
            accounts,
            tags,
            obey_robots: self.obey_robots.or(defaults.obey_robots),
            attributes,
            endpoint_details: self.endpoint_details.or(defaults.endpoint_details),
            intervals,
        }
    }
}

//! A target: the server to poll, its identity on every point, and the endpoints to
//! request.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::clean::Cleaner;
use crate::endpoint::{Endpoint, On};
use crate::tls::Authorities;

pub(crate) mod attributes;
mod builder;
mod parse;
mod token;

pub use builder::{TargetBuilder, TargetError};
pub(crate) use parse::{parse_account, parse_tag};
pub use parse::{parse_host, parse_target};
#[cfg(feature = "program")]
pub(crate) use token::MAX_TOKEN;
pub use token::{Token, TokenOrigin};

/// One server to poll. All values have been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The name for people: `mastodon.social`, `http://127.0.0.1:3000`, or the `host`
    /// if it is set.
    pub name: Arc<str>,
    /// The scheme, host and port to connect to. The path is `/`.
    pub url: Url,
    /// The `Host` header, if it differs from the URL: for a server that is polled
    /// behind its proxy.
    pub host: Option<String>,
    /// The `X-Forwarded-Proto` header: `http` or `https`.
    pub forwarded_proto: Option<String>,
    /// The authorities that are trusted for its certificates, besides the machine's.
    pub authorities: Option<Authorities>,
    /// The access token, if the user gave one.
    pub token: Option<Token>,
    /// The source of the token, which is shown instead of it.
    pub token_origin: Option<TokenOrigin>,
    /// The attributes of every point about this target, sorted by key:
    /// `server.address`, `server.port` unless it is https on 443, and the user's own.
    pub identity: Arc<[(Arc<str>, AttributeValue)]>,
    /// The endpoints to request, in the order of [`Endpoint::ALL`].
    pub endpoints: Vec<Endpoint>,
    /// Accounts to follow.
    pub accounts: Vec<AccountRef>,
    /// Hashtags to follow, without `#`.
    pub tags: Vec<Arc<str>>,
    /// Whether to obey robots.txt.
    pub obey_robots: bool,
    /// Whether `last_success`, `duration` and `size` are reported by endpoint.
    pub endpoint_details: bool,
    /// The metrics that the user wants.
    pub metrics: Choice,
    /// The names of the metrics that are excluded, for this target or for all.
    pub left_out: Option<Arc<BTreeSet<&'static str>>>,
    /// The intervals that the user set.
    pub intervals: BTreeMap<Endpoint, Duration>,
    /// The list of the target, if it is not in the configuration itself.
    pub source: Option<Arc<str>>,
    /// Whether only public addresses are allowed, because somebody else than the user
    /// named the target.
    pub only_public: bool,
}

/// The wanted metrics, by patterns of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The wanted metrics. Empty means all.
    pub include: Vec<String>,
    /// The metrics to exclude from these.
    pub exclude: Vec<String>,
}

/// The value of an attribute on a measured point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeValue {
    /// Text.
    Text(Arc<str>),
    /// An integer (`server.port`).
    Int(i64),
}

impl fmt::Display for AttributeValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttributeValue::Text(text) => f.write_str(text),
            AttributeValue::Int(number) => number.fmt(f),
        }
    }
}

/// An account as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountRef {
    /// `name` or `name@domain`, without a leading `@`.
    Acct(Arc<str>),
    /// The server's own id, in digits.
    Id(Arc<str>),
}

impl AccountRef {
    /// The value of `mastodon.account.acct`, as the user wrote the account.
    #[must_use]
    pub fn label(&self) -> &Arc<str> {
        match self {
            AccountRef::Acct(a) | AccountRef::Id(a) => a,
        }
    }
}

impl Target {
    /// Returns the time of the target in an interval in which targets take their turns,
    /// as a part of the interval. It follows from the name, so that it stays when other
    /// targets come and go.
    #[must_use]
    pub fn turn(&self) -> f64 {
        let mut hasher = DefaultHasher::new();
        self.name.hash(&mut hasher);
        hasher.finish() as f64 / u64::MAX as f64
    }

    /// Starts building a target. `server` is a host such as `mastodon.social`, a host
    /// with a port, or an `http` or `https` URL without a path.
    pub fn builder(server: &str) -> TargetBuilder {
        TargetBuilder::new(server)
    }

    /// Creates a target with the default endpoints from a checked URL.
    ///
    /// `host` and `forwarded_proto` are those of [`Target`]; `attributes` are the
    /// user's static attributes.
    #[must_use]
    pub fn new(
        url: Url,
        host: Option<String>,
        forwarded_proto: Option<String>,
        attributes: &BTreeMap<String, String>,
    ) -> Target {
        let scheme = forwarded_proto.as_deref().unwrap_or(url.scheme()).to_owned();
        // With `host` the target is the site of that name; the URL only says where its
        // server is reached.
        let (address, port) = match &host {
            Some(h) => split_host(h),
            None => (bare_host(&url), url.port()),
        };
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port = port.unwrap_or(default_port);
        let mut identity: Vec<(Arc<str>, AttributeValue)> = attributes
            .iter()
            .map(|(k, v)| (k.as_str().into(), AttributeValue::Text(v.as_str().into())))
            .collect();
        identity.push(("server.address".into(), AttributeValue::Text(address.as_str().into())));
        if scheme != "https" || port != 443 {
            identity.push(("server.port".into(), AttributeValue::Int(port.into())));
        }
        identity.sort();
        let shown = if address.contains(':') { format!("[{address}]") } else { address };
        let name = match (scheme.as_str(), port == default_port) {
            ("https", true) => shown,
            (_, true) => format!("{scheme}://{shown}"),
            (_, false) => format!("{scheme}://{shown}:{port}"),
        };
        let endpoints = Endpoint::collected(On::Default).collect();
        Target {
            name: name.into(),
            url,
            host,
            forwarded_proto,
            authorities: None,
            token: None,
            token_origin: None,
            identity: identity.into(),
            endpoints,
            accounts: Vec::new(),
            tags: Vec::new(),
            obey_robots: false,
            endpoint_details: true,
            metrics: Choice::default(),
            left_out: None,
            intervals: BTreeMap::new(),
            source: None,
            only_public: false,
        }
    }

    /// Sets [`Target::endpoints`] to the default ones, those of `collect`, and those
    /// that the target's token and lists need.
    pub fn select_endpoints(&mut self, collect: &[Endpoint]) {
        let wanted = |e: Endpoint| match e.on() {
            On::Default => true,
            On::OptIn => collect.contains(&e),
            On::Token => self.token.is_some(),
            On::Listed => match e {
                Endpoint::Accounts => !self.accounts.is_empty(),
                Endpoint::Tags => !self.tags.is_empty(),
                _ => self.obey_robots,
            },
        };
        self.endpoints = Endpoint::ALL.iter().copied().filter(|e| wanted(*e)).collect();
    }

    /// Whether the metric of this name is excluded.
    #[must_use]
    pub fn leaves_out(&self, name: &str) -> bool {
        self.left_out.as_ref().is_some_and(|names| names.contains(name))
    }

    /// Returns the user's own attributes: those of [`Target::identity`] that are not
    /// built in.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.identity.iter().filter_map(|(key, value)| match value {
            AttributeValue::Text(text) if &**key != "server.address" => Some((&**key, &**text)),
            _ => None,
        })
    }

    /// Returns the cleaner for the server's text, which may repeat the token.
    #[must_use]
    pub fn cleaner(&self) -> Cleaner {
        self.token.as_ref().map(Token::cleaner).unwrap_or_default()
    }

    /// The value of `server.address`.
    #[must_use]
    pub fn address(&self) -> &str {
        self.identity
            .iter()
            .find_map(|(k, v)| match v {
                AttributeValue::Text(t) if &**k == "server.address" => Some(&**t),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// The value of `server.port`. Points omit it if it is 443 with https.
    #[must_use]
    pub fn port(&self) -> i64 {
        let port = self.identity.iter().find_map(|(key, value)| match value {
            AttributeValue::Int(port) if &**key == "server.port" => Some(*port),
            _ => None,
        });
        port.unwrap_or(443)
    }

    /// The shortest time between two requests for `endpoint`.
    #[must_use]
    pub fn interval(&self, endpoint: Endpoint) -> Duration {
        self.intervals.get(&endpoint).copied().unwrap_or(endpoint.interval())
    }
}

/// The host of a URL without the brackets of an IPv6 address.
fn bare_host(url: &Url) -> String {
    url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned()
}

/// Splits a `Host` header value into name and port.
fn split_host(host: &str) -> (String, Option<u16>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => match port.parse() {
            Ok(port) => (name.trim_matches(['[', ']']).to_owned(), Some(port)),
            Err(_) => (host.to_owned(), None),
        },
        _ => (host.trim_matches(['[', ']']).to_owned(), None),
    }
}

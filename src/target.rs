//! A target: the server that is polled, how it is identified on every point,
//! and what is asked of it.

use std::collections::{BTreeMap, BTreeSet};
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

/// One server to poll. Everything in it has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// How people refer to it: `mastodon.social`, `http://127.0.0.1:3000`,
    /// or the `host` where one is set.
    pub name: Arc<str>,
    /// Scheme, host and port that are connected to; path `/`.
    pub url: Url,
    /// The `Host` header to send instead of the URL's own: a server polled
    /// behind its proxy.
    pub host: Option<String>,
    /// `X-Forwarded-Proto` to send: `http` or `https`.
    pub forwarded_proto: Option<String>,
    /// Authorities that its certificates may be signed by, beside the machine's.
    pub authorities: Option<Authorities>,
    /// An access token, if the user gave one.
    pub token: Option<Token>,
    /// Where that token was read, to show in its place.
    pub token_origin: Option<TokenOrigin>,
    /// Attributes of every point about this target, sorted by key:
    /// `server.address`, `server.port` where it is not https on 443, and the
    /// user's own.
    pub identity: Arc<[(Arc<str>, AttributeValue)]>,
    /// The endpoints to ask for, in the order of [`Endpoint::ALL`].
    pub endpoints: Vec<Endpoint>,
    /// Accounts to follow.
    pub accounts: Vec<AccountRef>,
    /// Hashtags to follow, without `#`.
    pub tags: Vec<Arc<str>>,
    /// Whether robots.txt says what may be asked.
    pub obey_robots: bool,
    /// Whether `last_success`, `duration` and `size` are reported by endpoint.
    pub endpoint_details: bool,
    /// Which metrics the user wants of it.
    pub metrics: Choice,
    /// The names of those that it has not: by its own choice, or by that for all.
    pub left_out: Option<Arc<BTreeSet<&'static str>>>,
    /// Intervals that the user set.
    pub intervals: BTreeMap<Endpoint, Duration>,
    /// The list that it was found in, where it does not stand in the configuration.
    pub source: Option<Arc<str>>,
    /// It is asked at public addresses only: another than the user named it.
    pub only_public: bool,
}

/// Which metrics are wanted, by patterns of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// Those that are wanted; all where it is empty.
    pub include: Vec<String>,
    /// Those that are not, of these.
    pub exclude: Vec<String>,
}

/// The value of an attribute on a measured point.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttributeValue {
    /// Text.
    Text(Arc<str>),
    /// A whole number (`server.port`).
    Int(i64),
}

/// An account as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountRef {
    /// `name` or `name@domain`, without a leading `@`.
    Acct(Arc<str>),
    /// The server's own id, digits.
    Id(Arc<str>),
}

impl AccountRef {
    /// What stands in `mastodon.account.acct`: as the user wrote it.
    #[must_use]
    pub fn label(&self) -> &Arc<str> {
        match self {
            AccountRef::Acct(a) | AccountRef::Id(a) => a,
        }
    }
}

impl Target {
    /// Describes the server at `server`: a host such as `mastodon.social`, a host with
    /// a port, or an `http` or `https` URL without a path.
    pub fn builder(server: &str) -> TargetBuilder {
        TargetBuilder::new(server)
    }

    /// A target with the default endpoints, from a checked URL.
    ///
    /// `host` and `forwarded_proto` are those of [`Target`]; `attributes` are
    /// the user's static attributes.
    #[must_use]
    pub fn new(
        url: Url,
        host: Option<String>,
        forwarded_proto: Option<String>,
        attributes: &BTreeMap<String, String>,
    ) -> Target {
        let scheme = forwarded_proto.as_deref().unwrap_or(url.scheme()).to_owned();
        // With `host` the site is the one of that name; the URL only says
        // where its server is reached.
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

    /// Sets [`Target::endpoints`] to the default ones, those of `collect`, and
    /// those that the target's token and lists call for.
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

    /// Whether the user does not want the metric of this name.
    #[must_use]
    pub fn leaves_out(&self, name: &str) -> bool {
        self.left_out.as_ref().is_some_and(|names| names.contains(name))
    }

    /// The user's own attributes: those of [`Target::identity`] that are not
    /// built in.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.identity.iter().filter_map(|(key, value)| match value {
            AttributeValue::Text(text) if &**key != "server.address" => Some((&**key, &**text)),
            _ => None,
        })
    }

    /// What the server has said passes through it: a server may repeat its token.
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

    /// The value of `server.port`, which points leave out where it is 443 of https.
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

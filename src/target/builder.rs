//! Builds targets in code, with the same checks as for those of a configuration file.

use std::collections::BTreeMap;
use std::time::Duration;

use super::attributes::{MAX_ATTRIBUTES, check_name, check_value, collision};
use super::{Target, Token, parse_account, parse_host, parse_tag, parse_target};
use crate::endpoint::Endpoint;

/// Describes a server for [`TargetBuilder::build`].
///
/// ```
/// use fedimeter::Target;
///
/// let target = Target::builder("mastodon.example")
///     .attribute("deployment.environment", "production")
///     .account("@admin")
///     .build()?;
/// assert_eq!(&*target.name, "mastodon.example");
/// # Ok::<(), fedimeter::TargetError>(())
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct TargetBuilder {
    server: String,
    host: Option<String>,
    forwarded_proto: Option<String>,
    token: Option<String>,
    attributes: BTreeMap<String, String>,
    accounts: Vec<String>,
    tags: Vec<String>,
    collect: Vec<Endpoint>,
    intervals: BTreeMap<Endpoint, Duration>,
    obey_robots: bool,
}

/// Omits the values, because a token or a password in a URL would be visible.
impl std::fmt::Debug for TargetBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TargetBuilder").finish_non_exhaustive()
    }
}

/// Why a value for a [`TargetBuilder`] is invalid. The message ends with what to write
/// instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The server is not a host or a URL. Its text is omitted, because it may contain a
    /// password.
    #[error("the server {0}")]
    Server(String),
    /// The `Host` header.
    #[error("the host {0}")]
    Host(String),
    /// The value of `X-Forwarded-Proto`.
    #[error("the forwarded protocol `{0}` is neither http nor https; write one of them")]
    ForwardedProto(String),
    /// The token. Its text is omitted.
    #[error("the token {0}")]
    Token(String),
    /// An attribute, by its name.
    #[error("the attribute `{name}` {problem}")]
    Attribute {
        /// The name that was given.
        name: String,
        /// What is wrong with the name or the value.
        problem: String,
    },
    /// There are too many attributes.
    #[error("there are more than {MAX_ATTRIBUTES} attributes; remove some")]
    TooManyAttributes,
    /// An account.
    #[error("the account `{given}` {problem}")]
    Account {
        /// The text that was given.
        given: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A hashtag.
    #[error("the hashtag `{given}` {problem}")]
    Tag {
        /// The text that was given.
        given: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl TargetBuilder {
    pub(super) fn new(server: &str) -> TargetBuilder {
        TargetBuilder { server: server.to_owned(), ..TargetBuilder::default() }
    }

    /// Sends this `Host` header instead of the server's own name: for a server that is
    /// reached behind its proxy. The metrics carry this name.
    pub fn host(mut self, host: &str) -> TargetBuilder {
        self.host = Some(host.to_owned());
        self
    }

    /// Sends this `X-Forwarded-Proto`, `http` or `https`, as a proxy would.
    pub fn forwarded_proto(mut self, proto: &str) -> TargetBuilder {
        self.forwarded_proto = Some(proto.to_owned());
        self
    }

    /// Sends this access token, and asks the endpoints that need one.
    pub fn token(mut self, token: &str) -> TargetBuilder {
        self.token = Some(token.to_owned());
        self
    }

    /// Adds an attribute to each point of this target.
    pub fn attribute(mut self, name: &str, value: &str) -> TargetBuilder {
        self.attributes.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Follows an account: `admin`, `@admin@mastodon.example`, or its id in digits.
    pub fn account(mut self, account: &str) -> TargetBuilder {
        self.accounts.push(account.to_owned());
        self
    }

    /// Follows a hashtag, written with or without `#`.
    pub fn tag(mut self, tag: &str) -> TargetBuilder {
        self.tags.push(tag.to_owned());
        self
    }

    /// Asks an endpoint that is not asked by default, such as [`Endpoint::Peers`].
    pub fn collect(mut self, endpoint: Endpoint) -> TargetBuilder {
        self.collect.push(endpoint);
        self
    }

    /// Sets the shortest time between two requests for an endpoint.
    pub fn interval(mut self, endpoint: Endpoint, interval: Duration) -> TargetBuilder {
        self.intervals.insert(endpoint, interval);
        self
    }

    /// Follows the server's robots.txt. It is ignored by default, because you chose the
    /// server yourself.
    pub fn obey_robots(mut self) -> TargetBuilder {
        self.obey_robots = true;
        self
    }

    /// Checks all values and creates the target.
    ///
    /// # Errors
    ///
    /// The first invalid value, and what to write instead.
    pub fn build(self) -> Result<Target, TargetError> {
        let url = parse_target(&self.server).map_err(TargetError::Server)?;
        if let Some(proto) = self.forwarded_proto.as_ref().filter(|proto| !is_http(proto)) {
            return Err(TargetError::ForwardedProto(proto.clone()));
        }
        let scheme = self.forwarded_proto.as_deref().unwrap_or(url.scheme());
        let host = self.host.as_deref().map(|host| parse_host(host, scheme)).transpose();
        let host = host.map_err(TargetError::Host)?;
        check_attributes(&self.attributes)?;
        let mut target = Target::new(url, host, self.forwarded_proto, &self.attributes);
        let token = self.token.map(|token| Token::parse(&token)).transpose();
        target.token = token.map_err(TargetError::Token)?;
        for given in self.accounts {
            match parse_account(&given) {
                Ok(account) => target.accounts.push(account),
                Err(problem) => return Err(TargetError::Account { given, problem }),
            }
        }
        for given in self.tags {
            match parse_tag(&given) {
                Ok(tag) => target.tags.push(tag),
                Err(problem) => return Err(TargetError::Tag { given, problem }),
            }
        }
        target.obey_robots = self.obey_robots;
        target.intervals = self.intervals;
        target.select_endpoints(&self.collect);
        Ok(target)
    }
}

fn is_http(proto: &str) -> bool {
    matches!(proto, "http" | "https")
}

fn check_attributes(attributes: &BTreeMap<String, String>) -> Result<(), TargetError> {
    let wrong = |name: &str, problem: String| TargetError::Attribute { name: name.to_owned(), problem };
    for (name, value) in attributes {
        check_name(name).map_err(|problem| wrong(name, problem))?;
        check_value(value).map_err(|problem| wrong(name, problem.to_owned()))?;
    }
    if attributes.len() > MAX_ATTRIBUTES {
        return Err(TargetError::TooManyAttributes);
    }
    match collision(attributes) {
        Some((a, b)) => Err(wrong(a, format!("and `{b}` become the same Prometheus label; rename one"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_stands_in_the_target() {
        let target = Target::builder("http://127.0.0.1:3000")
            .host("mastodon.example")
            .forwarded_proto("https")
            .token("s3cret")
            .attribute("team", "infra")
            .account("@admin")
            .tag("#rust")
            .collect(Endpoint::Peers)
            .interval(Endpoint::Peers, Duration::from_secs(7))
            .obey_robots()
            .build()
            .unwrap();
        assert_eq!((&*target.name, target.address()), ("mastodon.example", "mastodon.example"));
        assert_eq!(target.attributes().collect::<Vec<_>>(), [("team", "infra")]);
        assert_eq!(target.token, Some(Token::new("s3cret")));
        assert_eq!((target.accounts.len(), target.tags.len()), (1, 1));
        assert_eq!(target.interval(Endpoint::Peers), Duration::from_secs(7));
        for endpoint in [Endpoint::Peers, Endpoint::Robots, Endpoint::Accounts, Endpoint::AdminReports] {
            assert!(target.endpoints.contains(&endpoint), "{endpoint:?}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_said_without_secrets() {
        let ok = || Target::builder("a.example");
        for (builder, expected) in [
            (Target::builder("https://me:hunter2@a.example"), "the server has a user name or a password"),
            (ok().host("https://b.example"), "the host is a URL"),
            (ok().forwarded_proto("ftp"), "`ftp` is neither http nor https"),
            (ok().token("hunter2 hunter2"), "the token has a character"),
            (ok().attribute("Team", "x"), "the attribute `Team` is not the name"),
            (ok().attribute("team", ""), "the attribute `team` must have 1 to 1024 bytes"),
            (ok().attribute("a.b", "x").attribute("a_b", "x"), "`a.b` and `a_b` become the same"),
            ((0..33).fold(ok(), |b, i| b.attribute(&format!("a{i}"), "x")), "more than 32 attributes"),
            (ok().account("a b"), "the account `a b` is not an account"),
            (ok().tag("#a b"), "the hashtag `#a b` is not a hashtag"),
        ] {
            let debug = format!("{builder:?}");
            let message = builder.build().unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains("hunter2") && !debug.contains("hunter2"), "{message} {debug}");
        }
    }
}

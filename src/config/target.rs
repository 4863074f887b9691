//! The settings of a target: one row for each key.

mod maps;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use url::Url;

use super::choice::Choices;
use super::error::{Errors, Place};
use super::setting::{Env, Flag, Group, Setting, Value};
use super::syntax::{Boolean, List, OneOf, Parsed, Plain};
use super::token::{self, TokenSource};
use super::values;
use crate::endpoint::{Endpoint, On};
use crate::target::attributes::collision;
use crate::target::{
    AccountRef, Choice, Target, TokenOrigin, parse_account, parse_host, parse_tag, parse_target,
};
use crate::tls::Authorities;

pub use maps::labels;
use maps::{Attributes, INTERVAL, Intervals};

/// A target that is being read.
#[derive(Debug, Clone)]
pub struct TargetDraft {
    /// All settings that are fields of the target. The URL, and what depends on it, is
    /// still missing.
    pub target: Target,
    pub url: Option<Url>,
    pub host: Option<(String, Place)>,
    pub token: Option<TokenSource>,
    pub collect: Vec<Endpoint>,
    pub attributes: BTreeMap<String, String>,
}

/// A setting that is this field of the target.
macro_rules! field {
    ($syntax:expr, target.$field:ident) => {
        &Value {
            syntax: $syntax,
            adds: false,
            set: |draft: &mut TargetDraft, value, _: &Place| {
                draft.target.$field = value;
                Ok(())
            },
            get: |target: &Target| Some(Clone::clone(&target.$field)),
        }
    };
}

const URL: Parsed<Url> = Parsed {
    kind: "host or URL",
    placeholder: "TARGET",
    expected: "a host or a URL",
    parse: parse_target,
    show: |url| url.as_str().trim_end_matches('/').to_owned(),
};
pub const ENDPOINTS: List<Parsed<Endpoint>> = List {
    kind: "list of endpoints",
    expected: "a list of endpoints",
    item: Parsed {
        kind: "endpoint",
        placeholder: "NAME",
        expected: "the name of an endpoint",
        parse: values::collect,
        show: |endpoint| endpoint.name().to_owned(),
    },
    or_one: false,
};
const ACCOUNTS: List<Parsed<AccountRef>> = List {
    kind: "list of accounts",
    expected: "a list of accounts",
    item: Parsed {
        kind: "account",
        placeholder: "ACCT",
        expected: "an account",
        parse: parse_account,
        show: |account| account.label().to_string(),
    },
    or_one: false,
};
const TAGS: List<Parsed<std::sync::Arc<str>>> = List {
    kind: "list of hashtags",
    expected: "a list of hashtags",
    item: Parsed {
        kind: "hashtag",
        placeholder: "NAME",
        expected: "a hashtag",
        parse: parse_tag,
        show: ToString::to_string,
    },
    or_one: false,
};

/// The keys of a target.
pub static TARGET: &[Setting<TargetDraft, Target>] = &[
    Setting::new(
        "url",
        &Value {
            syntax: URL,
            adds: false,
            set: |draft: &mut TargetDraft, value, _: &Place| {
                draft.url = Some(value);
                Ok(())
            },
            get: |target: &Target| Some(target.url.clone()),
        },
        "The server: `mastodon.social` (https is assumed), `example.org:8443`, `http://127.0.0.1:3000`.",
    )
    .default("required")
    .of_one_server("names one server"),
    Setting::new(
        "host",
        &Value {
            syntax: Plain { kind: "host", placeholder: "HOST", expected: "a host" },
            adds: false,
            set: |draft: &mut TargetDraft, value, place: &Place| {
                draft.host = Some((value, place.clone()));
                Ok(())
            },
            get: |target: &Target| target.host.clone(),
        },
        "The host name to request instead of the URL's, and to report as `server.address`, for a server \
         that is polled behind its own proxy.",
    )
    .default("that of `url`")
    .of_one_server("names one server"),
    Setting::new(
        "forwarded_proto",
        &Value {
            syntax: OneOf(&[("http", "http", ""), ("https", "https", "")]),
            adds: false,
            set: |draft: &mut TargetDraft, value, _: &Place| {
                draft.target.forwarded_proto = Some(value.to_owned());
                Ok(())
            },
            get: |target: &Target| {
                target.forwarded_proto.as_deref().map(|proto| if proto == "https" { "https" } else { "http" })
            },
        },
        "Sent as `X-Forwarded-Proto`: Mastodon answers plain HTTP only if this says `https`.",
    ),
    Setting::new(
        "ca_file",
        &Value {
            syntax: Plain { kind: "PEM file", placeholder: "FILE", expected: "the path of a file" },
            adds: false,
            set: |draft: &mut TargetDraft, value, place: &Place| {
                let authorities = Authorities::read(&place.directory().join(value));
                draft.target.authorities = Some(authorities.map_err(|error| error.to_string())?);
                Ok(())
            },
            get: |target: &Target| Some(target.authorities.as_ref()?.path().display().to_string()),
        },
        "A file with certificates (PEM) of authorities to trust besides the system's, for a server whose \
         certificate an authority of your own has signed.",
    )
    .details(
        "In the configuration file, the path is relative to that file. Under `defaults` it applies to \
              all targets.",
    )
    .flag(Flag::of(Group::Targets)),
    Setting::new(
        "token_file",
        &Value {
            syntax: Plain { kind: "path", placeholder: "FILE", expected: "the path of a file" },
            adds: false,
            set: |draft: &mut TargetDraft, value, place: &Place| {
                draft.give_token(TokenSource::File(place.directory().join(value), place.clone()))
            },
            get: |target: &Target| match &target.token_origin {
                Some(TokenOrigin::File(path)) => Some(path.display().to_string()),
                _ => None,
            },
        },
        "A file with an access token. A token belongs to one server.",
    )
    .details("In the configuration file, the path is relative to that file. A changed file is read again.")
    .flag(Flag::of(Group::Targets))
    .of_one_server("a token belongs to one server"),
    Setting::new(
        "token_env",
        &Value {
            syntax: Plain {
                kind: "variable name",
                placeholder: "VARIABLE",
                expected: "the name of an environment variable",
            },
            adds: false,
            set: |draft: &mut TargetDraft, value, place: &Place| {
                draft.give_token(TokenSource::Env(value, place.clone()))
            },
            get: |target: &Target| match &target.token_origin {
                Some(TokenOrigin::Env(name)) => Some(name.clone()),
                _ => None,
            },
        },
        "The name of the environment variable with an access token.",
    )
    .flag(Flag::of(Group::Targets))
    .of_one_server("a token belongs to one server"),
    Setting::new(
        "collect",
        &Value {
            syntax: ENDPOINTS,
            adds: true,
            set: |draft: &mut TargetDraft, value, _: &Place| {
                draft.collect.extend(value);
                Ok(())
            },
            get: |target: &Target| {
                some(target.endpoints.iter().copied().filter(|e| e.on() == On::OptIn).collect())
            },
        },
        "Endpoints to collect besides the default ones: `health`, `timelines`, `peers`, `domain_blocks`, \
         `custom_emojis`.",
    )
    .flag(Flag::of(Group::Targets)),
    Setting::new(
        "accounts",
        &Value {
            syntax: ACCOUNTS,
            adds: true,
            // An account that both the target and the defaults list gives one series.
            set: |draft: &mut TargetDraft, value, _: &Place| {
                let accounts = &mut draft.target.accounts;
                for account in value {
                    if !accounts.iter().any(|known| known.label().eq_ignore_ascii_case(account.label())) {
                        accounts.push(account);
                    }
                }
                Ok(())
            },
            get: |target: &Target| some(target.accounts.clone()),
        },
        "Accounts to follow: `Gargron`, `@Gargron@mastodon.social`, or an id.",
    )
    .flag(Flag::of(Group::Targets).named("account")),
    Setting::new(
        "tags",
        &Value {
            syntax: TAGS,
            adds: true,
            set: |draft: &mut TargetDraft, value, _: &Place| {
                let tags = &mut draft.target.tags;
                for tag in value {
                    if !tags.iter().any(|known| known.to_lowercase() == tag.to_lowercase()) {
                        tags.push(tag);
                    }
                }
                Ok(())
            },
            get: |target: &Target| some(target.tags.clone()),
        },
        "Hashtags to follow, with or without `#`.",
    )
    .flag(Flag::of(Group::Targets).named("tag")),
    Setting::new(
        "robots",
        &Value {
            syntax: OneOf(&[("ignore", false, ""), ("obey", true, "")]),
            adds: false,
            set: |draft: &mut TargetDraft, value, _: &Place| {
                draft.target.obey_robots = value;
                Ok(())
            },
            get: |target: &Target| target.obey_robots.then_some(true),
        },
        "Whether to obey the server's robots.txt. It is ignored by default, because you configured the \
         target yourself.",
    )
    .default("`ignore`"),
    Setting::new(
        "attributes",
        &Value {
            syntax: Attributes,
            adds: true,
            set: |draft: &mut TargetDraft, value, _: &Place| {
                draft.attributes.extend(value);
                Ok(())
            },
            get: |target: &Target| {
                let own = target.attributes().map(|(name, value)| (name.to_owned(), value.to_owned()));
                Some(own.collect::<BTreeMap<_, _>>()).filter(|own| !own.is_empty())
            },
        },
        "Static attributes of every point about the target. Names are lowercase, with dots between the \
         parts.",
    ),
    Setting::new(
        "metrics",
        &Value {
            syntax: Choices,
            adds: true,
            set: |draft: &mut TargetDraft, value: Choice, _: &Place| {
                draft.target.metrics.include.extend(value.include);
                draft.target.metrics.exclude.extend(value.exclude);
                Ok(())
            },
            get: |target: &Target| Some(target.metrics.clone()).filter(|choice| *choice != Choice::default()),
        },
        "The wanted metrics of the target, in the same form as `metrics` of the bridge.",
    )
    .details("They are selected from the metrics that are wanted of all targets."),
    Setting::new(
        "endpoint_details",
        field!(Boolean, target.endpoint_details),
        "Whether last success, duration and size are reported for each endpoint.",
    )
    .default("as for the bridge"),
    Setting::new(
        "intervals",
        &Value {
            syntax: Intervals(INTERVAL),
            adds: true,
            set: |draft: &mut TargetDraft, value, _: &Place| {
                draft.target.intervals.extend(value);
                Ok(())
            },
            get: |target: &Target| Some(target.intervals.clone()).filter(|own| !own.is_empty()),
        },
        "The shortest time between two requests for an endpoint.",
    )
    .default("by endpoint"),
];

fn some<T>(items: Vec<T>) -> Option<Vec<T>> {
    (!items.is_empty()).then_some(items)
}

/// A target without any settings.
pub static UNSAID: LazyLock<Target> = LazyLock::new(|| {
    let url = Url::parse("https://localhost").expect("a URL that was written here");
    Target::new(url, None, None, &BTreeMap::new())
});

impl TargetDraft {
    /// Creates a target without any settings.
    pub fn new() -> TargetDraft {
        TargetDraft {
            target: UNSAID.clone(),
            url: None,
            host: None,
            token: None,
            collect: Vec::new(),
            attributes: BTreeMap::new(),
        }
    }

    fn give_token(&mut self, source: TokenSource) -> Result<(), String> {
        if let Some(first) = &self.token {
            let path = &first.place().path;
            let name = path.rsplit_once('.').map_or(path.as_str(), |(_, name)| name);
            return Err(format!("a token is given twice, by {name} too; keep one of them"));
        }
        self.token = Some(source);
        Ok(())
    }

    /// Builds the target at `url`. Errors about the target as a whole are recorded at
    /// `place`.
    pub fn build(self, url: &Url, place: &Place, env: Env<'_>, errors: &Errors) -> Target {
        let TargetDraft { target, host, token, collect, attributes, .. } = self;
        let scheme = target.forwarded_proto.as_deref().unwrap_or(url.scheme());
        let host = host.and_then(|(host, place)| {
            parse_host(&host, scheme).map_err(|message| errors.push(place.error(message))).ok()
        });
        if let Some((a, b)) = collision(&attributes) {
            errors.push(place.error(format!(
                "its attribute `{a}` and `{b}`, one of them from defaults, become the same Prometheus \
                 label; rename one"
            )));
        }
        let known = Target::new(url.clone(), host, target.forwarded_proto.clone(), &attributes);
        let mut target =
            Target { name: known.name, url: known.url, host: known.host, identity: known.identity, ..target };
        match token.map(|source| token::read(&source, env)) {
            Some(Ok((token, origin))) => {
                target.token = Some(token);
                target.token_origin = Some(origin);
            }
            Some(Err(error)) => errors.push(error),
            None => {}
        }
        target.select_endpoints(&collect);
        target
    }
}

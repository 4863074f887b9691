//! A request as an endpoint sees it, and answers that many endpoints share.

use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode};
use url::form_urlencoded;

use crate::clock::Now;
use crate::reply::Reply;
use crate::tokens::TokenSpec;
use crate::truth::Truth;
use crate::truth::admin::AdminTruth;
use crate::truth::instance::Instance;
use crate::truth::switches::Switches;
use crate::version::Version;

/// A request as an endpoint sees it.
pub(crate) struct Call<'a> {
    pub instance: &'a Instance,
    pub switches: Switches,
    pub pinned: Option<Arc<Truth>>,
    pub pinned_admin: Option<Arc<AdminTruth>>,
    pub now: Now,
    pub method: Method,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    /// Whether answers contain cache headers.
    pub cache_headers: bool,
    pub bearer: Bearer,
    /// The body of a form or JSON document.
    pub body: &'a [u8],
    /// `http` or `https`, from `X-Forwarded-Proto`.
    pub scheme: &'a str,
    /// The host and port by which the instance calls itself.
    pub domain: String,
}

impl Call<'_> {
    pub fn version(&self) -> &Version {
        &self.instance.version
    }

    /// `http://art.localhost:3000`, without a slash at the end.
    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.domain)
    }

    /// Returns the value that a test has set, or else the instance's own.
    pub fn say<T>(&self, pinned: impl Fn(&Truth) -> T, own: impl Fn(&Instance, i64) -> T) -> T {
        match &self.pinned {
            Some(truth) => pinned(truth),
            None => own(self.instance, self.now.seconds),
        }
    }

    /// The same for values that only administrators see.
    pub fn say_admin<T>(&self, pinned: impl Fn(&AdminTruth) -> T, own: impl Fn(&Instance, i64) -> T) -> T {
        match &self.pinned_admin {
            Some(truth) => pinned(truth),
            None => own(self.instance, self.now.seconds),
        }
    }

    /// Returns the value of a query parameter.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    }

    /// Returns all values of a query parameter: `id[]=1&id[]=2`.
    pub fn list(&self, name: &str) -> Vec<String> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
    }

    /// Returns the number of requested items: `limit`, within its bounds.
    pub fn limit(&self, default: usize, most: usize) -> usize {
        self.parameter("limit").map_or(default, |limit| {
            let limit = limit.parse::<i64>().unwrap_or(0).unsigned_abs();
            usize::try_from(limit).unwrap_or(most).min(most)
        })
    }

    /// Returns the part of the path after its last slash.
    pub fn last_segment(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the token of the request, if it is known.
    pub fn token(&self) -> Option<&TokenSpec> {
        match &self.bearer {
            Bearer::Known(token) => Some(token),
            Bearer::None | Bearer::Dead => None,
        }
    }

    /// Whether the request has a known token.
    pub fn authenticated(&self) -> bool {
        self.token().is_some()
    }

    /// Returns the refusal of a request without a token, if the administrator requires
    /// one.
    pub fn closed(&self) -> Option<Reply> {
        let closed = self.switches.authenticated_only || self.switches.limited_federation;
        (closed && !self.authenticated()).then(needs_user)
    }
}

/// Content that several documents share.
impl Call<'_> {
    pub fn users(&self) -> i64 {
        self.say(|truth| truth.users, |instance, now| instance.numbers.users(now) as i64)
    }

    pub fn statuses(&self) -> i64 {
        self.say(|truth| truth.statuses, |instance, now| instance.numbers.statuses(now) as i64)
    }

    pub fn domains(&self) -> i64 {
        self.say(|truth| truth.domains, |instance, now| instance.numbers.domains(now) as i64)
    }

    pub fn active_month(&self) -> i64 {
        self.say(|truth| truth.active_month, |instance, now| instance.numbers.active_month(now) as i64)
    }

    pub fn active_half_year(&self) -> i64 {
        self.say(
            |truth| truth.active_half_year,
            |instance, now| instance.numbers.active_half_year(now) as i64,
        )
    }

    pub fn registrations_open(&self) -> bool {
        self.say(|truth| truth.registrations_open, |_, _| self.switches.registrations_open)
    }

    pub fn approval_required(&self) -> bool {
        self.say(|truth| truth.approval_required, |_, _| self.switches.approval_required)
    }

    pub fn rules(&self) -> usize {
        self.say(|truth| truth.rules, |instance, _| instance.rules())
    }

    pub fn title(&self) -> String {
        self.say(|truth| truth.title.clone(), |instance, _| instance.title())
    }

    pub fn description(&self) -> String {
        format!("{}, a server that is only simulated", self.title())
    }
}

/// The token of a request.
pub(crate) enum Bearer {
    None,
    /// An unknown or revoked token.
    Dead,
    Known(Arc<TokenSpec>),
}

/// Returns the 401 of an endpoint that requires a user.
pub(crate) fn needs_user() -> Reply {
    Reply::error(StatusCode::UNAUTHORIZED, "This method requires an authenticated user")
}

/// Returns the 422 of an endpoint that requires a user and has its own refusal.
pub(crate) fn needs_user_here() -> Reply {
    Reply::error(StatusCode::UNPROCESSABLE_ENTITY, "This method requires an authenticated user")
}

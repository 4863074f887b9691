//! The endpoints: one row each, with the version that brought it, how long
//! its answers may be kept, and who answers. To add an endpoint, add a row and
//! a function in the file of its family.

use http::header::{CACHE_CONTROL, HeaderName, VARY};
use http::{Method, StatusCode};

use super::call::Call;
use super::reply::Reply;
use super::version::Version;
use super::{accounts, activity, instance, nodeinfo};

/// An endpoint.
pub(super) struct Route {
    method: Method,
    /// Segments; one that begins with a colon stands for any.
    path: &'static str,
    /// The release that brought it.
    since: (u32, u32, u32),
    kept: Kept,
    answer: fn(&Call<'_>) -> Reply,
}

/// How long an answer may be kept.
#[derive(Clone, Copy)]
enum Kept {
    Instance,
    Activity,
    Accounts,
    Nodeinfo,
    NodeinfoDiscovery,
}

#[rustfmt::skip]
const ROUTES: &[Route] = &[
    get("/api/v1/instance", (1, 1, 0), Kept::Instance, instance::v1),
    get("/api/v2/instance", (4, 0, 0), Kept::Instance, instance::v2),
    get("/api/v1/instance/activity", (2, 1, 2), Kept::Activity, activity::activity),
    get("/.well-known/nodeinfo", (3, 0, 0), Kept::NodeinfoDiscovery, nodeinfo::discovery),
    get("/nodeinfo/2.0", (3, 0, 0), Kept::Nodeinfo, nodeinfo::document),
    get("/api/v1/accounts/lookup", (3, 4, 0), Kept::Accounts, accounts::lookup),
    get("/api/v1/accounts/:id", (1, 0, 0), Kept::Accounts, accounts::show),
];

const fn get(
    path: &'static str,
    since: (u32, u32, u32),
    kept: Kept,
    answer: fn(&Call<'_>) -> Reply,
) -> Route {
    Route { method: Method::GET, path, since, kept, answer }
}

/// The answer of an instance with nothing wrong.
pub(super) fn answer(call: &Call<'_>) -> Reply {
    let path = call.path.trim_end_matches('/');
    let method = if call.method == Method::HEAD { &Method::GET } else { &call.method };
    let route = ROUTES.iter().find(|route| {
        route.method == *method && call.version().since_patch(route.since) && leads_to(route.path, path)
    });
    let Some(route) = route else { return unknown(call) };
    // A dead token spoils public endpoints too; NodeInfo does not look at it.
    if path.starts_with("/api/")
        && call.token().is_some_and(|token| call.shared.settings.token.as_deref() != Some(token))
    {
        return Reply::error(StatusCode::UNAUTHORIZED, "The access token is invalid");
    }
    let reply = (route.answer)(call);
    if reply.status != StatusCode::OK || !call.shared.settings.cache_headers {
        return reply;
    }
    reply
        .with(VARY, vary(route.kept, call.version()))
        .with(CACHE_CONTROL, cache_control(route.kept, call.version(), call.authenticated()))
}

fn leads_to(route: &str, path: &str) -> bool {
    let (mut expected, mut given) = (route.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some(e), Some(g)) if e == g || (e.starts_with(':') && !g.is_empty()) => {}
            _ => return false,
        }
    }
}

/// No such route: a page on old versions, JSON for those who ask for it from
/// 4.0 on.
fn unknown(call: &Call<'_>) -> Reply {
    let accept =
        call.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    if call.version().since(4, 0) && accept.trim_start().starts_with("application/json") {
        return Reply::error(StatusCode::NOT_FOUND, "Not Found");
    }
    Reply::html(StatusCode::NOT_FOUND, "Nothing is here", "No page of this server has that address.")
}

/// `Cache-Control` as Mastodon sends it: since 4.2 one policy for everything
/// that is public, between 3.0 and 4.1 by endpoint, before that Rails' own.
fn cache_control(kept: Kept, version: &Version, authenticated: bool) -> &'static str {
    match kept {
        Kept::Nodeinfo => "max-age=1800, public",
        Kept::NodeinfoDiscovery => "max-age=259200, public",
        _ if version.since(4, 2) && authenticated => "private, no-store",
        Kept::Instance | Kept::Activity if version.since(4, 2) => {
            "max-age=300, public, stale-while-revalidate=30, stale-if-error=86400"
        }
        Kept::Accounts if version.since(4, 2) => {
            "max-age=15, public, stale-while-revalidate=30, stale-if-error=86400"
        }
        Kept::Instance if version.since(3, 0) => "max-age=180, public",
        Kept::Activity if version.since(3, 0) => "max-age=86400, public",
        Kept::Accounts if version.since(3, 0) => "no-cache, no-store, max-age=0, must-revalidate",
        _ => "max-age=0, private, must-revalidate",
    }
}

fn vary(kept: Kept, version: &Version) -> &'static str {
    match kept {
        Kept::Accounts if version.since(4, 2) => "Authorization, Origin",
        _ if version.since(4, 2) => "Accept, Origin",
        _ => "Accept-Encoding, Origin",
    }
}

/// `Deprecation` of RFC 9745, which `http` has no constant for.
pub(super) const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");

//! The endpoints: one row each, with the version that introduced it, how long its
//! answers may be cached, what it requires of a token, and its function. To add an
//! endpoint, add a row, and a function in the file of its family.

use http::header::{CACHE_CONTROL, VARY};
use http::{Method, StatusCode};

use crate::call::{Bearer, Call};
use crate::endpoints::admin::{dashboard, lists, people, trends};
use crate::endpoints::needs::Needs;
use crate::endpoints::{accounts, activity, blocks, community, health, instance, nodeinfo, peers, timelines};
use crate::reply::Reply;
use crate::tokens::permission::{
    MANAGE_BLOCKS, MANAGE_FEDERATION, MANAGE_REPORTS, MANAGE_USERS, VIEW_DASHBOARD,
};
use crate::version::Version;

/// An endpoint.
pub(crate) struct Route {
    method: Method,
    /// The segments. One that begins with a colon matches any text.
    path: &'static str,
    /// The release that introduced it.
    since: Release,
    kept: Kept,
    /// What it requires of a token, besides the checks in its function.
    needs: Option<Needs>,
    answer: fn(&Call<'_>) -> Reply,
}

/// How long an answer may be cached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Instance,
    /// Like `Instance`, but only since 4.2.
    Blocks,
    /// For content that changes once a day.
    Activity,
    /// For content that changes all the time.
    Accounts,
    Nodeinfo,
    NodeinfoDiscovery,
    /// For content of one user.
    Private,
    /// No header, except one from the answer itself.
    Unsaid,
}

#[rustfmt::skip]
const ROUTES: &[Route] = &[
    get("/api/v1/instance", (1, 1, 0), Kept::Instance, instance::v1),
    get("/api/v2/instance", (4, 0, 0), Kept::Instance, instance::v2),
    get("/api/v1/instance/activity", (2, 1, 2), Kept::Activity, activity::activity),
    get("/api/v1/instance/peers", (2, 1, 2), Kept::Activity, peers::peers),
    get("/api/v1/instance/domain_blocks", (4, 0, 0), Kept::Blocks, blocks::domain_blocks),
    get("/.well-known/nodeinfo", (3, 0, 0), Kept::NodeinfoDiscovery, nodeinfo::discovery),
    get("/nodeinfo/2.0", (3, 0, 0), Kept::Nodeinfo, nodeinfo::document),
    get("/api/v1/accounts", (4, 3, 0), Kept::Accounts, accounts::index),
    get("/api/v1/accounts/lookup", (3, 4, 0), Kept::Accounts, accounts::lookup),
    get("/api/v1/accounts/verify_credentials", (1, 0, 0), Kept::Private, accounts::verify_credentials),
    get("/api/v1/accounts/:id", (1, 0, 0), Kept::Accounts, accounts::show),
    get("/api/v1/tags/:name", (4, 0, 0), Kept::Accounts, community::tag),
    get("/api/v1/custom_emojis", (2, 0, 0), Kept::Instance, community::custom_emojis),
    get("/api/v1/announcements", (3, 1, 0), Kept::Private, community::announcements),
    get("/api/v1/timelines/public", (1, 0, 0), Kept::Accounts, timelines::public),
    get("/health", (3, 0, 0), Kept::Unsaid, health::web),
    get(STREAMING_HEALTH, (2, 5, 0), Kept::Unsaid, health::streaming),
    get("/robots.txt", (1, 0, 0), Kept::Unsaid, health::robots),
    post("/api/v1/admin/measures", (3, 5, 0), DASHBOARD, dashboard::measures),
    post("/api/v1/admin/dimensions", (3, 5, 0), DASHBOARD, dashboard::dimensions),
    post("/api/v1/admin/retention", (3, 5, 0), DASHBOARD, dashboard::retention),
    admin("/api/v1/admin/reports", (2, 9, 1), needs("admin:read:reports", MANAGE_REPORTS), people::reports),
    admin("/api/v1/admin/accounts", (2, 9, 1), needs("admin:read:accounts", MANAGE_USERS), people::accounts_v1),
    admin("/api/v2/admin/accounts", (3, 5, 0), needs("admin:read:accounts", MANAGE_USERS), people::accounts_v2),
    admin("/api/v1/admin/domain_blocks", (4, 0, 0), needs("admin:read:domain_blocks", MANAGE_FEDERATION), lists::domain_blocks),
    admin("/api/v1/admin/domain_allows", (4, 0, 0), needs("admin:read:domain_allows", MANAGE_FEDERATION), lists::domain_allows),
    admin("/api/v1/admin/ip_blocks", (4, 0, 0), needs("admin:read:ip_blocks", MANAGE_BLOCKS), lists::ip_blocks),
    admin("/api/v1/admin/email_domain_blocks", (4, 0, 0), needs("admin:read:email_domain_blocks", MANAGE_BLOCKS), lists::email_domain_blocks),
    admin("/api/v1/admin/canonical_email_blocks", (4, 0, 0), needs("admin:read:canonical_email_blocks", MANAGE_BLOCKS), lists::canonical_email_blocks),
    admin("/api/v1/admin/trends/tags", (3, 5, 0), trends::NEEDS, trends::tags),
    admin("/api/v1/admin/trends/statuses", (3, 5, 0), trends::NEEDS, trends::statuses),
    admin("/api/v1/admin/trends/links", (3, 5, 0), trends::NEEDS, trends::links),
];

/// Mastodon's streaming server answers here, not its web server.
const STREAMING_HEALTH: &str = "/api/v1/streaming/health";

const DASHBOARD: Needs = needs("admin:read", VIEW_DASHBOARD);

type Handler = fn(&Call<'_>) -> Reply;

/// A release, as its three numbers.
type Release = (u32, u32, u32);

const fn get(path: &'static str, since: Release, kept: Kept, answer: Handler) -> Route {
    Route { method: Method::GET, path, since, kept, needs: None, answer }
}

const fn admin(path: &'static str, since: Release, needs: Needs, answer: Handler) -> Route {
    Route { method: Method::GET, path, since, kept: Kept::Private, needs: Some(needs), answer }
}

const fn post(path: &'static str, since: Release, needs: Needs, answer: Handler) -> Route {
    Route { method: Method::POST, path, since, kept: Kept::Private, needs: Some(needs), answer }
}

const fn needs(scope: &'static str, permission: u64) -> Needs {
    Needs { scope, permission, or_public: false }
}

/// Returns the answer of an instance without faults.
pub(crate) fn answer(call: &Call<'_>) -> Reply {
    let path = call.path.trim_end_matches('/');
    let method = if call.method == Method::HEAD { &Method::GET } else { &call.method };
    let route = ROUTES.iter().find(|route| {
        route.method == *method && call.version().since_patch(route.since) && leads_to(route.path, path)
    });
    let Some(route) = route else { return unknown(call) };
    // Public endpoints also refuse a revoked token; NodeInfo ignores it.
    if path.starts_with("/api/") && route.path != STREAMING_HEALTH && matches!(call.bearer, Bearer::Dead) {
        return Reply::error(StatusCode::UNAUTHORIZED, "The access token is invalid");
    }
    if let Some(refusal) = route.needs.and_then(|needs| needs.refusal(call)) {
        return refusal;
    }
    let reply = (route.answer)(call);
    if reply.status != StatusCode::OK || !call.cache_headers || route.kept == Kept::Unsaid {
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

/// Returns the answer for an unknown route: a page, or from 4.0 on JSON for clients
/// that ask for it.
fn unknown(call: &Call<'_>) -> Reply {
    let accept =
        call.headers.get(http::header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    if call.version().since(4, 0) && accept.trim_start().starts_with("application/json") {
        return Reply::error(StatusCode::NOT_FOUND, "Not Found");
    }
    Reply::html(StatusCode::NOT_FOUND, "Nothing is here", "No page of this server has that address.")
}

/// Returns `Cache-Control` as Mastodon sends it: one policy for all public content
/// since 4.2, one for each endpoint from 3.0 to 4.1, and Rails' default before.
fn cache_control(kept: Kept, version: &Version, authenticated: bool) -> &'static str {
    match kept {
        Kept::Nodeinfo => "max-age=1800, public",
        Kept::NodeinfoDiscovery => "max-age=259200, public",
        _ if version.since(4, 2) && authenticated => "private, no-store",
        Kept::Private if version.since(4, 2) => "private, no-store",
        Kept::Instance | Kept::Blocks | Kept::Activity if version.since(4, 2) => {
            "max-age=300, public, stale-while-revalidate=30, stale-if-error=86400"
        }
        Kept::Accounts if version.since(4, 2) => {
            "max-age=15, public, stale-while-revalidate=30, stale-if-error=86400"
        }
        Kept::Instance if version.since(3, 0) => "max-age=180, public",
        Kept::Activity if version.since(3, 0) => "max-age=86400, public",
        Kept::Accounts | Kept::Private if version.since(3, 0) => {
            "no-cache, no-store, max-age=0, must-revalidate"
        }
        _ => "max-age=0, private, must-revalidate",
    }
}

fn vary(kept: Kept, version: &Version) -> &'static str {
    match kept {
        Kept::Accounts | Kept::Private if version.since(4, 2) => "Authorization, Origin",
        _ if version.since(4, 2) => "Accept, Origin",
        _ => "Accept-Encoding, Origin",
    }
}

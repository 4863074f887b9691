//! The domains that an instance knows.

use http::StatusCode;
use http::header::ETAG;

use crate::call::{Call, needs_user};
use crate::reply::{Content, Reply};
use crate::texts::Texts;
use crate::truth::domains;

/// `GET /api/v1/instance/peers`, since 2.1.2.
pub(crate) fn peers(call: &Call<'_>) -> Reply {
    if call.switches.limited_federation && !call.authenticated() {
        return needs_user();
    }
    if !call.switches.peers_api || call.switches.limited_federation {
        return Reply::empty(StatusCode::NOT_FOUND);
    }
    let count = call.say(|truth| truth.peers, domains::peers);
    let peers = Texts { count, text: domains::domain };
    Reply { content: Content::Texts(peers), ..Reply::empty(StatusCode::OK) }.with(ETAG, &peers.etag())
}

//! The domains that an instance knows. There may be a hundred thousand, so
//! they are made while they are sent.

use std::io::Write;

use axum::body::{Body, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use http::StatusCode;
use http::header::ETAG;
use serde_json::Value;

use super::broken::Closed;
use super::call::{Call, needs_user};
use super::reply::{Content, Reply};
use super::state::Instance;

/// Domains in a piece of the body.
const PIECE: usize = 1000;

const TREES: [&str; 16] = [
    "alder", "aspen", "beech", "birch", "cedar", "elder", "elm", "fir", "hazel", "larch", "lime", "maple",
    "oak", "pine", "rowan", "willow",
];

/// `GET /api/v1/instance/peers`, since 2.1.2.
pub(super) fn peers(call: &Call<'_>) -> Reply {
    if call.switches.limited_federation && !call.authenticated() {
        return needs_user();
    }
    if !call.switches.peers_api || call.switches.limited_federation {
        return Reply::empty(StatusCode::NOT_FOUND);
    }
    let count = call.say(|truth| truth.peers, count);
    let peers = Peers { count };
    Reply { content: Content::Peers(peers), ..Reply::empty(StatusCode::OK) }.with(ETAG, &peers.etag())
}

/// Known domains but for those that are blocked.
pub(super) fn count(instance: &Instance, now: i64) -> usize {
    let blocked = super::blocks::blocked(instance);
    (instance.numbers.domains(now) as usize).saturating_sub(blocked.silence + blocked.suspend)
}

/// The name of the `n`th domain; no two have the same.
pub(super) fn domain(n: usize) -> String {
    format!("{}-{n}.{}.example", TREES[n % 16], TREES[n / 16 % 16])
}

/// A JSON array of that many domains.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peers {
    count: usize,
}

impl Peers {
    /// The whole array, for those that want to spoil it.
    pub fn value(self) -> Value {
        (0..self.count).map(domain).collect()
    }

    /// The whole text.
    pub fn text(self) -> Vec<u8> {
        let mut text = Vec::new();
        for start in (0..=self.count).step_by(PIECE) {
            self.piece(start, &mut text);
        }
        text
    }

    /// The array is known by its length.
    fn etag(self) -> String {
        format!("W/\"{:032x}\"", self.count)
    }

    /// The text, piece by piece.
    pub fn stream(self, gzip: bool) -> Body {
        let encoder = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Body::from_stream(stream::unfold((Some(0), encoder), move |(mut next, mut encoder)| async move {
            let mut piece = Vec::new();
            // The encoder may hold back all of a piece; an empty one is not sent.
            while piece.is_empty() {
                let start = next?;
                self.piece(start, &mut piece);
                next = (start + PIECE <= self.count).then_some(start + PIECE);
                if let Some(packer) = &mut encoder {
                    packer.write_all(&piece).ok()?;
                    piece = std::mem::take(packer.get_mut());
                    if next.is_none()
                        && let Some(packer) = encoder.take()
                    {
                        piece.append(&mut packer.finish().ok()?);
                    }
                }
            }
            Some((Ok::<_, Closed>(Bytes::from(piece)), (next, encoder)))
        }))
    }

    /// The piece that begins with domain `start`, brackets included where it is
    /// the first or the last.
    fn piece(self, start: usize, text: &mut Vec<u8>) {
        if start == 0 {
            text.push(b'[');
        }
        for n in start..self.count.min(start + PIECE) {
            let comma = if n == 0 { "" } else { "," };
            // Memory takes what is written to it.
            let _ = write!(text, "{comma}\"{}-{n}.{}.example\"", TREES[n % 16], TREES[n / 16 % 16]);
        }
        if start + PIECE > self.count {
            text.push(b']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_one_array() {
        for count in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let peers = Peers { count };
            let value: Value = serde_json::from_slice(&peers.text()).unwrap();
            assert_eq!(value, peers.value(), "{count}");
            assert_eq!(value.as_array().unwrap().len(), count);
        }
    }
}

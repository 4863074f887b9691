//! A JSON array of texts that is made while it is sent, because a server may know a
//! hundred thousand domains.

use std::convert::Infallible;
use std::io::Write;

use axum::body::{Body, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use serde_json::Value;

/// The number of texts in a piece of the body.
const PIECE: usize = 1000;

/// A JSON array of this many texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts {
    pub count: usize,
    /// Returns text number `n`.
    pub text: fn(usize) -> String,
}

impl Texts {
    /// Returns the whole array, for faults that change it.
    pub fn value(self) -> Value {
        (0..self.count).map(self.text).collect()
    }

    /// Returns the whole array as JSON.
    pub fn written(self) -> Vec<u8> {
        let mut written = Vec::new();
        for start in (0..=self.count).step_by(PIECE) {
            self.piece(start, &mut written);
        }
        written
    }

    /// Returns an ETag. Lists of one kind differ only in their lengths.
    pub fn etag(self) -> String {
        format!("W/\"{:032x}\"", self.count)
    }

    /// Streams the array, piece by piece.
    pub fn stream(self, gzip: bool) -> Body {
        let encoder = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
        Body::from_stream(stream::unfold((Some(0), encoder), move |(mut next, mut encoder)| async move {
            let mut piece = Vec::new();
            // The encoder may keep all of a piece. An empty piece is not sent.
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
            Some((Ok::<_, Infallible>(Bytes::from(piece)), (next, encoder)))
        }))
    }

    /// Writes the piece that begins with text `start`, with the bracket of the first or
    /// last piece.
    fn piece(self, start: usize, written: &mut Vec<u8>) {
        if start == 0 {
            written.push(b'[');
        }
        for n in start..self.count.min(start + PIECE) {
            if n > 0 {
                written.push(b',');
            }
            // Writing to memory cannot fail.
            let _ = serde_json::to_writer(&mut *written, &(self.text)(n));
        }
        if start + PIECE > self.count {
            written.push(b']');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_one_array() {
        for count in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let texts = Texts { count, text: |n| format!("\"{n}\"") };
            let value: Value = serde_json::from_slice(&texts.written()).unwrap();
            assert_eq!(value, texts.value(), "{count}");
            assert_eq!(value.as_array().unwrap().len(), count);
        }
    }
}

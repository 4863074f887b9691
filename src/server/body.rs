//! Response bodies that are produced while the client reads them, so that a client that
//! does not read occupies one piece only.

use std::io::{self, Read};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::buf::Reader;
use bytes::{Buf, Bytes};
use flate2::read::GzDecoder;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::export::page::Page;

use super::clients::Turn;
use super::connection::Exchange;

/// The size of a piece in bytes.
const PIECE: usize = 64 << 10;

/// A body that reports its progress to the connection.
#[derive(Debug)]
pub struct Tracked<B> {
    body: B,
    exchange: Exchange,
}

impl<B> Tracked<B> {
    /// Tracks a body that is ready to be sent.
    pub fn new(body: B, exchange: Exchange) -> Tracked<B> {
        exchange.progressed(Instant::now());
        Tracked { body, exchange }
    }
}

impl<B: Body + Unpin> Body for Tracked<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        self.exchange.progressed(Instant::now());
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A page in pieces. It keeps its turn until the client has taken the last piece.
pub struct Pieces {
    source: Source,
    left: usize,
    _turn: Turn,
}

enum Source {
    /// Kept in the form in which it is sent.
    Whole(Bytes),
    /// Kept compressed, and decompressed while it is sent.
    Compressed(Box<GzDecoder<Reader<Bytes>>>),
}

impl Pieces {
    /// Creates a body from these bytes.
    #[must_use]
    pub fn of(bytes: Bytes, turn: Turn) -> Pieces {
        Pieces { left: bytes.len(), source: Source::Whole(bytes), _turn: turn }
    }

    /// Creates a body from the text of a page.
    #[must_use]
    pub fn text(page: &Arc<Page>, turn: Turn) -> Pieces {
        match page.plain() {
            Some(plain) => Pieces::of(plain, turn),
            None => Pieces {
                left: page.len(),
                source: Source::Compressed(Box::new(GzDecoder::new(page.gzip().reader()))),
                _turn: turn,
            },
        }
    }

    fn next(&mut self) -> io::Result<Bytes> {
        let size = self.left.min(PIECE);
        let piece = match &mut self.source {
            Source::Whole(bytes) => bytes.split_to(size),
            Source::Compressed(decoder) => {
                let mut piece = vec![0; size];
                decoder.read_exact(&mut piece)?;
                piece.into()
            }
        };
        self.left -= size;
        Ok(piece)
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(self.next().map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}

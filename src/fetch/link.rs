//! The state of a connection: its age, whether it has answered before, and whether it
//! was closed silently.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::Extensions;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::room::Place;

/// A layer of a connection: TCP, TLS, or a tunnel through a proxy.
pub trait Stream: Read + Write + Connection + Send + Unpin + 'static {}

impl<T: Read + Write + Connection + Send + Unpin + 'static> Stream for T {}

/// An open connection.
pub struct Link {
    stream: TokioIo<Box<dyn Stream>>,
    state: Arc<State>,
    is_proxied: bool,
    _place: Place,
}

/// The state of a connection.
#[derive(Debug)]
pub struct State {
    /// From then on the connection is not used.
    expires: Instant,
    /// Whether a request on the connection has been answered.
    has_answered: AtomicBool,
    /// Whether a byte has arrived since the last one was written.
    is_heard: AtomicBool,
    /// Whether the other side has closed the connection, or it broke.
    has_ended: AtomicBool,
    is_http2: bool,
}

impl Link {
    /// Wraps a connection that is used for `age`, and holds its place while it is open.
    /// `is_proxied` means that it leads to a proxy that reads the requests.
    pub fn new(stream: Box<dyn Stream>, age: Duration, place: Place, is_proxied: bool) -> Link {
        let is_http2 = stream.connected().is_negotiated_h2();
        let state = State { is_http2, ..State::until(Instant::now() + age) };
        Link { stream: TokioIo::new(stream), state: Arc::new(state), is_proxied, _place: place }
    }

    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(_)) => self.state.is_heard.store(false, Relaxed),
            Poll::Ready(Err(_)) => self.state.has_ended.store(true, Relaxed),
            Poll::Pending => {}
        }
    }
}

impl State {
    /// One of HTTP/1.1 that may be used until then.
    fn until(expires: Instant) -> State {
        State {
            expires,
            has_answered: AtomicBool::new(false),
            is_heard: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            is_http2: false,
        }
    }

    /// For tests of what is kept.
    #[cfg(test)]
    pub fn for_another(time: Duration) -> State {
        State::until(Instant::now() + time)
    }

    /// Returns the state of the connection on which a request was sent, if it was sent.
    pub fn of(seen: &CaptureConnection) -> Option<Arc<State>> {
        let mut extras = Extensions::new();
        seen.connection_metadata().as_ref()?.get_extras(&mut extras);
        extras.remove::<Arc<State>>()
    }

    /// Whether the connection has reached its maximum age.
    pub fn has_expired(&self) -> bool {
        Instant::now() >= self.expires
    }

    /// Whether no request will be sent on the connection any more.
    pub fn is_over(&self) -> bool {
        self.has_ended.load(Relaxed) || self.has_expired()
    }

    /// Records an answer. Returns whether there was an earlier one.
    pub fn answers_again(&self) -> bool {
        self.has_answered.swap(true, Relaxed)
    }

    /// Whether the connection had answered before, and was closed before the first byte
    /// of the answer to the last request. On HTTP/2 other bytes arrive, too, so only
    /// the closing counts.
    pub fn died_unheard(&self) -> bool {
        let is_heard = self.is_heard.load(Relaxed) && !self.is_http2;
        self.has_answered.load(Relaxed) && self.has_ended.load(Relaxed) && !is_heard
    }
}

/// Keeps later requests off a connection.
pub fn give_up(connection: &CaptureConnection) {
    if let Some(connected) = &*connection.connection_metadata() {
        connected.poison();
    }
}

impl Connection for Link {
    fn connected(&self) -> Connected {
        let connected = self.stream.inner().connected();
        let is_proxied = self.is_proxied || connected.is_proxied();
        connected.proxy(is_proxied).extra(self.state.clone())
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, had_room) = (buf.filled().len(), buf.remaining() > 0);
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &read {
            Poll::Ready(Ok(())) if buf.filled().len() > before => self.state.is_heard.store(true, Relaxed),
            Poll::Ready(Ok(())) if !had_room => {}
            Poll::Ready(_) => self.state.has_ended.store(true, Relaxed),
            Poll::Pending => {}
        }
        read
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

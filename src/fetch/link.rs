//! An open connection, which records in its state what happens on it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::room::Place;
use super::state::State;

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

impl Link {
    /// Wraps a connection that is used for `age`, and holds its place while it is open.
    /// `is_proxied` means that it leads to a proxy that reads the requests.
    pub fn new(stream: Box<dyn Stream>, age: Duration, place: Place, is_proxied: bool) -> Link {
        let state = Arc::new(State::new(age, stream.connected().is_negotiated_h2()));
        Link { stream: TokioIo::new(stream), state, is_proxied, _place: place }
    }

    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(_)) => self.state.note_written(),
            Poll::Ready(Err(_)) => self.state.note_ended(),
            Poll::Pending => {}
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.state.note_closed();
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
            Poll::Ready(Ok(())) if buf.filled().len() > before => self.state.note_heard(),
            Poll::Ready(Ok(())) if !had_room => {}
            Poll::Ready(_) => self.state.note_ended(),
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

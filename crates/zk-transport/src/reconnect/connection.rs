//! A stream and its endpoint while there is a connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::endpoint::Reconnect;
use super::standby::now;
use crate::dial::Transport;
use crate::error::Disconnect;
use crate::frame::FrameReader;
use crate::pump::Endpoint;

/// A connection. Dropped before it has [ended](Self::end), it writes the endpoint's last output: one
/// write, which takes no time, and which the socket's buffer takes or not.
///
/// A program whose last act is to drop its client gives the loop no turn to send the end of its
/// session.
pub(super) struct Connection<'a, E: Reconnect> {
    stream: Counted,
    pumped: Pumped<'a, E>,
    ended: bool,
}

impl<'a, E: Reconnect> Connection<'a, E> {
    pub(super) fn new(stream: Box<dyn Transport>, endpoint: &'a mut E) -> Self {
        Connection {
            stream: Counted { stream, written: 0 },
            pumped: Pumped {
                endpoint,
                established: false,
            },
            ended: false,
        }
    }

    /// What the pump runs.
    pub(super) fn parts(&mut self) -> (&mut Counted, &mut Pumped<'a, E>) {
        (&mut self.stream, &mut self.pumped)
    }

    /// The connection has ended, so that nothing can be written. Returns the endpoint, and whether the
    /// connection was established.
    pub(super) fn end(&mut self) -> (&mut E, bool) {
        self.ended = true;
        (self.pumped.endpoint, self.pumped.established)
    }
}

impl<E: Reconnect> Drop for Connection<'_, E> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let stream = &mut self.stream;
        let out = self.pumped.endpoint.last_output(now(), stream.written);
        let mut left = &*out;
        let mut cx = Context::from_waker(Waker::noop());
        while !left.is_empty() {
            match Pin::new(&mut *stream).poll_write(&mut cx, left) {
                Poll::Ready(Ok(written)) if written > 0 => {
                    left = left.get(written..).unwrap_or_default();
                }
                _ => return,
            }
        }
        if !out.is_empty() {
            // TLS encrypts into a buffer of its own. A failure cannot be reported any more.
            let _ = Pin::new(stream).poll_flush(&mut cx);
        }
    }
}

/// The endpoint, as the pump sees it.
pub(super) struct Pumped<'a, E> {
    endpoint: &'a mut E,
    established: bool,
}

impl<E: Reconnect> Endpoint for Pumped<'_, E> {
    fn poll_output(&mut self, waker: &Waker, out: &mut BytesMut) -> Instant {
        self.endpoint.poll_output(waker, out)
    }

    fn handle_input(&mut self, now: Instant, frames: &mut FrameReader) -> Result<(), Disconnect> {
        let result = self.endpoint.handle_input(now, frames);
        if !self.established && self.endpoint.is_established() {
            self.established = true;
            self.endpoint
                .with_hosts(|hosts| hosts.handle_connected(now));
        }
        result
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        self.endpoint.handle_timeout(now)
    }
}

/// A stream that counts the bytes it has accepted.
pub(super) struct Counted {
    stream: Box<dyn Transport>,
    written: u64,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = polled {
            self.written += written as u64;
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

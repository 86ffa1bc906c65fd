//! A stream that is written to once more when the driver is dropped with its runtime.
//!
//! A program whose last act is to drop its client gives the driver no turn to send the end of the
//! session. The drop of the driver does what takes no time: one write of what is to be sent, which
//! the socket's buffers take or not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zk_transport::Stream;

use crate::shared::{Shared, now};

/// The stream of a connection.
pub(crate) struct LastWords<'a> {
    stream: Box<dyn Stream>,
    shared: &'a Shared,
    /// Bytes that the stream has accepted.
    written: u64,
    /// Whether the connection has ended before the driver.
    ended: bool,
}

impl<'a> LastWords<'a> {
    pub(crate) fn new(stream: Box<dyn Stream>, shared: &'a Shared) -> Self {
        LastWords {
            stream,
            shared,
            written: 0,
            ended: false,
        }
    }

    /// The connection has ended before the driver: there is nothing to be said over it.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }
}

impl AsyncRead for LastWords<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for LastWords<'_> {
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

impl Drop for LastWords<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let written = self.written;
        let out = self.shared.with(|core| core.last_output(now(), written));
        let mut left = &*out;
        let mut cx = Context::from_waker(Waker::noop());
        while !left.is_empty() {
            match Pin::new(&mut self.stream).poll_write(&mut cx, left) {
                Poll::Ready(Ok(written)) if written > 0 => {
                    left = left.get(written..).unwrap_or_default();
                }
                _ => return,
            }
        }
        if !out.is_empty() {
            // TLS encrypts into a buffer of its own. There is no one left to report a failure to.
            let _ = Pin::new(&mut self.stream).poll_flush(&mut cx);
        }
    }
}

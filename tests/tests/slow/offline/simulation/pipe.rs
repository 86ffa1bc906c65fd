//! A byte stream with an orderly end or a reset, and something that sees every byte the client
//! writes and reads.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much may be on its way.
const CAPACITY: usize = 256 * 1024;

/// How a direction of a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// After all that was written.
    Fin,
    /// At once: what was written and not read is lost.
    Reset,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: BytesMut,
    end: Option<End>,
    /// After how many more bytes the writer finds the connection broken; they arrive.
    breaks_after: Option<usize>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One direction of a stream.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pipe(Arc<Mutex<Inner>>);

impl Pipe {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.0.lock().unwrap();
        let result = work(&mut inner);
        let wakers = [inner.reader.take(), inner.writer.take()];
        drop(inner);
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
        result
    }

    /// Ends the direction; the first end stays.
    pub(crate) fn end(&self, end: End) {
        self.with(|inner| {
            if end == End::Reset {
                inner.bytes.clear();
            }
            if inner.end.is_none() || end == End::Reset {
                inner.end = Some(end);
            }
        });
    }

    /// Lets the writer find the connection broken after so many more bytes, which still arrive.
    pub(crate) fn break_after(&self, bytes: usize) {
        self.with(|inner| inner.breaks_after = Some(bytes));
    }

    /// Adds bytes, however many there are already; nothing after the end.
    pub(crate) fn push(&self, bytes: &[u8]) {
        self.with(|inner| {
            if inner.end.is_none() {
                inner.bytes.extend_from_slice(bytes);
            }
        });
    }

    /// All the bytes there are, as soon as there are any, or how it ended.
    pub(crate) async fn take(&self) -> Result<Bytes, End> {
        std::future::poll_fn(|cx| {
            let mut inner = self.0.lock().unwrap();
            if !inner.bytes.is_empty() {
                let bytes = inner.bytes.split().freeze();
                let writer = inner.writer.take();
                drop(inner);
                if let Some(waker) = writer {
                    waker.wake();
                }
                return Poll::Ready(Ok(bytes));
            }
            if let Some(end) = inner.end {
                return Poll::Ready(Err(end));
            }
            inner.reader = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    fn poll_read(&self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock().unwrap();
        if inner.end == Some(End::Reset) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if inner.bytes.is_empty() {
            if inner.end.is_some() {
                return Poll::Ready(Ok(()));
            }
            inner.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = inner.bytes.len().min(buf.remaining());
        buf.put_slice(&inner.bytes[..count]);
        inner.bytes.advance(count);
        let writer = inner.writer.take();
        drop(inner);
        if let Some(waker) = writer {
            waker.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.0.lock().unwrap();
        match inner.end {
            Some(End::Reset) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Some(End::Fin) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            None => {}
        }
        if inner.breaks_after == Some(0) {
            inner.end = Some(End::Fin);
            if let Some(reader) = inner.reader.take() {
                reader.wake();
            }
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let room = CAPACITY.saturating_sub(inner.bytes.len());
        let room = room.min(inner.breaks_after.unwrap_or(room));
        if room == 0 {
            inner.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = room.min(bytes.len());
        inner.bytes.extend_from_slice(&bytes[..count]);
        if let Some(left) = &mut inner.breaks_after {
            *left -= count;
        }
        let reader = inner.reader.take();
        drop(inner);
        if let Some(waker) = reader {
            waker.wake();
        }
        Poll::Ready(Ok(count))
    }
}

/// Sees what one end of a stream does.
pub(crate) trait Watcher: Send + Sync {
    fn wrote(&self, bytes: &[u8]);
    fn read(&self, bytes: &[u8]);
    fn closed(&self);
    /// A write failed, after it had passed on so many bytes.
    fn failed(&self, passed: usize);
}

/// One end of a stream. Dropping it ends both directions.
pub(crate) struct Endpoint {
    pub(crate) incoming: Pipe,
    pub(crate) outgoing: Pipe,
    pub(crate) watcher: Option<Arc<dyn Watcher>>,
    /// Writes are passed on in records of at most so many bytes, and one that fails does not say how
    /// much of it was: as TLS does.
    pub(crate) records: Option<usize>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

impl AsyncRead for Endpoint {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = self.incoming.poll_read(cx, buf);
        if let Some(watcher) = &self.watcher
            && buf.filled().len() > before
        {
            watcher.read(&buf.filled()[before..]);
        }
        polled
    }
}

impl AsyncWrite for Endpoint {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut passed = 0;
        loop {
            let rest = &bytes[passed..];
            let record = rest.len().min(self.records.unwrap_or(rest.len()));
            match self.outgoing.poll_write(cx, &rest[..record]) {
                Poll::Ready(Ok(count)) => {
                    if let Some(watcher) = &self.watcher {
                        watcher.wrote(&rest[..count]);
                    }
                    passed += count;
                    if self.records.is_none() || passed == bytes.len() {
                        return Poll::Ready(Ok(passed));
                    }
                }
                Poll::Ready(Err(error)) => {
                    if let Some(watcher) = &self.watcher {
                        watcher.failed(passed);
                    }
                    return Poll::Ready(Err(error));
                }
                Poll::Pending if passed == 0 => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Ok(passed)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.end(End::Fin);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.closed();
        }
        self.outgoing.end(End::Fin);
        self.incoming.end(End::Reset);
    }
}

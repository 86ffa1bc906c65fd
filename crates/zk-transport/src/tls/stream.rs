//! An encrypted stream.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::error::TlsError;
use crate::dial::Transport;

/// The error of a failed handshake. `identified` if this client has a certificate.
pub(super) fn handshake_failed(error: io::Error, identified: bool) -> TlsError {
    TlsError::explain(error, identified).unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => TlsError::ClosedInHandshake,
        _ => TlsError::Io(error.to_string()),
    })
}

/// A TLS stream whose errors contain [`TlsError`]s: with TLS 1.3, a server verifies the client's
/// certificate after the handshake is complete for the client.
pub(super) struct Encrypted {
    stream: TlsStream<Box<dyn Transport>>,
    identified: bool,
}

impl Encrypted {
    pub(super) fn new(stream: TlsStream<Box<dyn Transport>>, identified: bool) -> Self {
        Encrypted { stream, identified }
    }

    fn explained<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            match TlsError::explain(error, self.identified) {
                Ok(explained) => io::Error::new(kind, explained),
                Err(error) => error,
            }
        })
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        read.map(|result| match result {
            // Most servers close without a `close_notify`. Frames have lengths, so a truncated frame is
            // not taken for a whole one.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            result => self.explained(result),
        })
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        written.map(|result| self.explained(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        written.map(|result| self.explained(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        flushed.map(|result| self.explained(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        shut.map(|result| self.explained(result))
    }
}

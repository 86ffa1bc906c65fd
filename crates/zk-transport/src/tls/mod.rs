//! TLS, on rustls.
//!
//! [`TlsConfig`] says whom to trust and who this client is; [`TlsDial`] opens streams with it, over
//! TCP or any other [`Dial`]; [`TlsError`] says what was wrong. What rustls calls a configuration is
//! made anew whenever one of the files it came from has changed.

mod clock;
mod config;
mod der;
pub(crate) mod error;
mod formats;
mod pem;
mod sections;
mod verify;

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use zk_proto::HostPort;

pub use config::TlsConfig;
pub use error::TlsError;
/// The crate below, for [`TlsConfig::from_rustls`].
pub use tokio_rustls::rustls;

use crate::dial::{Dial, DialError, Dialing, TcpDial, Transport};
use crate::hosts::Addresses;
use config::Material;

/// Dials TLS. The handshake is part of dialling: a stream that it returns is to a server whose
/// certificate has been found good, and nothing has been said to it in the clear.
#[derive(Clone)]
pub struct TlsDial {
    below: Arc<dyn Dial>,
    config: Arc<Reloading>,
}

struct Reloading {
    config: TlsConfig,
    latest: Mutex<Latest>,
}

/// The configuration in use, and what it was made of.
struct Latest {
    material: Material,
    made: Arc<ClientConfig>,
}

impl TlsDial {
    /// Dials TLS over TCP.
    ///
    /// Reads all files once, and blocks for it.
    ///
    /// # Errors
    /// No CA is given; or a certificate, key or revocation list cannot be read or used.
    pub fn new(config: TlsConfig) -> Result<Self, TlsError> {
        TlsDial::over(Arc::new(TcpDial::default()), config)
    }

    /// Dials TLS over the streams of `below`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn over(below: Arc<dyn Dial>, config: TlsConfig) -> Result<Self, TlsError> {
        if let Some(name) = &config.server_name {
            server_name(name)?;
        }
        let material = config.read()?;
        let made = config.build(&material)?.config;
        let latest = Mutex::new(Latest { material, made });
        Ok(TlsDial {
            below,
            config: Arc::new(Reloading { config, latest }),
        })
    }

    async fn connect(
        &self,
        host: &HostPort,
        addresses: &mut Addresses,
    ) -> Result<Encrypted, DialError> {
        let config = &self.config.config;
        let name = config.server_name.as_deref().unwrap_or(&host.host);
        let name = server_name(name).map_err(DialError::Tls)?;
        let reloading = Arc::clone(&self.config);
        let made = tokio::task::spawn_blocking(move || reloading.current())
            .await
            .map_err(|error| DialError::Other(io::Error::other(error)))?
            .map_err(DialError::Tls)?;
        let stream = self.below.dial_next(host, addresses).await?;
        let identified = config.is_identified();
        match TlsConnector::from(made).connect(name, stream).await {
            Ok(stream) => Ok(Encrypted { stream, identified }),
            Err(error) => Err(DialError::Tls(handshake_failed(error, identified))),
        }
    }
}

impl Dial for TlsDial {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let stream = self.connect(host, &mut Addresses::default()).await?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }

    fn dial_next<'a>(&'a self, host: &'a HostPort, addresses: &'a mut Addresses) -> Dialing<'a> {
        Box::pin(async move {
            let stream = self.connect(host, addresses).await?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }

    fn authenticates_host(&self) -> bool {
        self.config.config.needs_authentic_names() || self.below.authenticates_host()
    }
}

impl fmt::Debug for TlsDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsDial")
            .field("config", &self.config.config)
            .field("below", &self.below)
            .finish()
    }
}

impl Reloading {
    /// The configuration made of what the files hold now. Blocks.
    fn current(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let material = self.config.read()?;
        // Nothing in there is left half done by a panic.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.material != material {
            latest.made = self.config.build(&material)?.config;
            latest.material = material;
        }
        Ok(Arc::clone(&latest.made))
    }
}

/// A name as certificates have it: without the final dot, and without an address's zone.
fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    let name = match host.split_once('%') {
        Some((address, _zone)) => address,
        None => host.strip_suffix('.').unwrap_or(host),
    };
    ServerName::try_from(name.to_owned()).map_err(|_| {
        TlsError::configuration(
            format!("the server name {host:?}"),
            "it is neither a DNS name nor an address, so no certificate can be for it",
        )
    })
}

fn handshake_failed(error: io::Error, identified: bool) -> TlsError {
    TlsError::explain(error, identified).unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => TlsError::ClosedInHandshake,
        _ => TlsError::Io(error.to_string()),
    })
}

/// A TLS stream whose errors are [`TlsError`]s inside: with TLS 1.3, a server judges the client's
/// certificate after the client has found the handshake done.
struct Encrypted {
    stream: TlsStream<Box<dyn Transport>>,
    identified: bool,
}

impl Encrypted {
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
            // An end without a farewell, as most servers' ends are. Frames have lengths, so a
            // truncated one is not taken for a whole one.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised_for_certificates() {
        let name = |host| server_name(host).unwrap().to_str().into_owned();
        assert_eq!(name("zk1.example.org."), "zk1.example.org");
        assert_eq!(name("::1"), "::1");
        assert_eq!(name("fe80::1%eth0"), "fe80::1");
        assert_eq!(name("10.0.0.1"), "10.0.0.1");
        assert!(server_name("").is_err());
        let error = server_name("a b").unwrap_err().to_string();
        assert!(error.contains("\"a b\""), "{error}");
    }

    #[test]
    fn a_config_without_ca_is_an_error() {
        let error = TlsDial::new(TlsConfig::new()).unwrap_err();
        assert!(error.to_string().contains("no CA is given"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = TlsDial::new(TlsConfig::new().ca_file("/no/such/ca.pem")).unwrap_err();
        assert!(error.to_string().contains("CA file /no/such/ca.pem"));
    }

    /// Guards: B75.
    #[test]
    fn a_key_is_not_shown() {
        let config = TlsConfig::new().identity_pem("certificate", "canary");
        assert!(!format!("{config:?}").contains("canary"));
        let encrypted = TlsConfig::new().identity_pem(
            "",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nY2FuYXJ5\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        let (_, key) = encrypted.read().unwrap().identity.unwrap();
        let error = key.key().unwrap_err().to_string();
        assert!(error.contains("is encrypted"), "{error}");
        assert!(!error.contains("Y2FuYXJ5"), "{error}");
        let broken = TlsConfig::new().identity_pem("", "-----BEGIN canary");
        let (_, key) = broken.read().unwrap().identity.unwrap();
        assert!(!key.key().unwrap_err().to_string().contains("canary"));
    }
}

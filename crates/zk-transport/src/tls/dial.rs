//! Dialling TLS.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use zk_proto::HostPort;

use super::config::{Material, TlsConfig};
use super::error::TlsError;
use super::stream::{Encrypted, handshake_failed};
use crate::dial::{Dial, DialError, Dialing, TcpDial, Transport};
use crate::hosts::Addresses;

/// Dials TLS. The handshake is part of dialling: a returned stream is to a server whose certificate has
/// been verified, and nothing has been sent to it unencrypted.
#[derive(Clone)]
pub struct TlsDial {
    below: Arc<dyn Dial>,
    config: Arc<Reloading>,
}

struct Reloading {
    config: TlsConfig,
    latest: Mutex<Latest>,
}

/// The configuration in use, and the contents of the files it was made from.
struct Latest {
    material: Material,
    made: Arc<ClientConfig>,
}

impl TlsDial {
    /// Dials TLS over TCP.
    ///
    /// Reads all files once, and blocks meanwhile.
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
            Ok(stream) => Ok(Encrypted::new(stream, identified)),
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
    /// The configuration made from the present contents of the files. Blocks.
    fn current(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let material = self.config.read()?;
        // The lock's contents are consistent even after a panic.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.material != material {
            latest.made = self.config.build(&material)?.config;
            latest.material = material;
        }
        Ok(Arc::clone(&latest.made))
    }
}

/// A name in the form of certificates: without the final dot, and without an address's zone.
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
    fn a_missing_file_is_named() {
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

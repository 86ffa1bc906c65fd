//! Dialling TLS.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use zk_proto::HostPort;

use super::config::TlsConfig;
use super::error::TlsError;
use super::material::Material;
use super::stream::{Encrypted, handshake_failed};
use crate::dial::{Dial, DialError, Dialing, TcpDial, Transport};
use crate::dns::resolve::Resolving;
use crate::hosts::Addresses;

/// Dials TLS. The handshake is part of dialling: a returned stream is to a server whose certificate has
/// been verified, and nothing has been sent to it unencrypted.
#[derive(Clone)]
pub struct TlsDial {
    below: Arc<dyn Dial>,
    config: Arc<Reloading>,
}

struct Reloading {
    latest: Mutex<Latest>,
    /// Held while a configuration is made anew: functions that return passphrases are called once, and not at
    /// the same time.
    making: Mutex<()>,
}

/// The configuration in use, and the contents of the files it was made from.
struct Latest {
    config: Arc<TlsConfig>,
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
        let (latest, _) = Latest::new(config)?;
        let latest = Mutex::new(latest);
        Ok(TlsDial {
            below,
            config: Arc::new(Reloading {
                latest,
                making: Mutex::new(()),
            }),
        })
    }

    /// Replaces the configuration: other CAs, another certificate of this client, other options. All clones
    /// of this dial use it from their next connection on; open connections stay as they are. TLS sessions
    /// of the former configuration are not resumed.
    ///
    /// Reads all files once, and blocks meanwhile. Returns a sentence for each certificate that is skipped,
    /// as [`TlsConfig::check`] does.
    ///
    /// # Errors
    /// As [`new`](Self::new); the former configuration stays in use then.
    pub fn replace(&self, config: TlsConfig) -> Result<Vec<String>, TlsError> {
        let (latest, skipped) = Latest::new(config)?;
        *self.config.lock() = latest;
        Ok(skipped)
    }

    async fn connect(
        &self,
        host: &HostPort,
        addresses: &mut Addresses,
    ) -> Result<Encrypted, DialError> {
        let reloading = Arc::clone(&self.config);
        let (config, made) = tokio::task::spawn_blocking(move || reloading.current())
            .await
            .map_err(|error| DialError::Other(io::Error::other(error)))?
            .map_err(DialError::Tls)?;
        let name = config.server_name.as_deref().unwrap_or(&host.host);
        let name = server_name(name).map_err(DialError::Tls)?;
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

    fn addresses<'a>(&'a self, host: &'a HostPort) -> Resolving<'a> {
        self.below.addresses(host)
    }

    fn authenticates_host(&self) -> bool {
        self.config.lock().config.needs_authentic_names() || self.below.authenticates_host()
    }
}

impl fmt::Debug for TlsDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsDial")
            .field("config", &self.config.lock().config)
            .field("below", &self.below)
            .finish()
    }
}

impl Latest {
    /// Reads the files, and makes the configuration of rustls. Blocks.
    fn new(config: TlsConfig) -> Result<(Self, Vec<String>), TlsError> {
        if let Some(name) = &config.server_name {
            server_name(name)?;
        }
        let material = config.read()?;
        let made = config.build(&material)?;
        let latest = Latest {
            config: Arc::new(config),
            material,
            made: made.config,
        };
        Ok((latest, made.skipped))
    }
}

impl Reloading {
    fn lock(&self) -> MutexGuard<'_, Latest> {
        // The lock's contents are consistent even after a panic.
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The configuration, and what was made of it with the present contents of the files. Blocks.
    fn current(&self) -> Result<(Arc<TlsConfig>, Arc<ClientConfig>), TlsError> {
        let config = Arc::clone(&self.lock().config);
        let material = config.read()?;
        // If it has been replaced meanwhile, what was read is of the former one.
        let has_changed =
            |latest: &Latest| Arc::ptr_eq(&latest.config, &config) && latest.material != material;
        if has_changed(&self.lock()) {
            let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            if has_changed(&self.lock()) {
                // Decryption takes time, and a function that returns a passphrase may block: without the lock
                // that `replace` takes.
                let made = config.build(&material)?.config;
                let mut latest = self.lock();
                if has_changed(&latest) {
                    latest.made = made;
                    latest.material = material;
                }
            }
        }
        let latest = self.lock();
        Ok((Arc::clone(&latest.config), Arc::clone(&latest.made)))
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

    #[cfg(all(feature = "tls", feature = "tls-stores"))]
    #[test]
    fn a_passphrase_can_block_without_the_lock() {
        use std::fs;
        use std::sync::mpsc::channel;

        use super::super::Passphrase;

        let inputs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/inputs/tls");
        let name = format!("zk-transport-relocked-{}.key", std::process::id());
        let file = std::env::temp_dir().join(name);
        let present = |key| fs::copy(format!("{inputs}/formats/{key}"), &file).unwrap();
        present("pkcs8-aes-128-cbc.key");
        let (send, received) = channel::<TlsDial>();
        let received = Mutex::new(received);
        let (is_free, found) = channel();
        let passphrase = Passphrase::from_fn(move || {
            if let Ok(dial) = received.lock().unwrap().try_recv() {
                is_free.send(dial.config.latest.try_lock().is_ok()).unwrap();
            }
            Ok("changeit".to_owned())
        });
        let config = TlsConfig::new()
            .ca_file(format!("{inputs}/ca.pem"))
            .identity_files(format!("{inputs}/formats/ec.pem"), &file)
            .key_passphrase(passphrase);
        let dial = TlsDial::new(config).unwrap();
        send.send(dial.clone()).unwrap();
        present("pkcs8-aes-256-cbc.key");
        dial.config.current().unwrap();
        assert_eq!(found.try_recv(), Ok(true));
        fs::remove_file(file).unwrap();
    }

    /// Guards: B75.
    #[test]
    fn a_key_is_not_shown() {
        let config = TlsConfig::new().identity_pem("certificate", "canary");
        assert!(!format!("{config:?}").contains("canary"));
        let refused = |key: &str| {
            let certificate = include_str!("../../tests/inputs/tls/ca.pem");
            let config = TlsConfig::new().identity_pem(certificate, key);
            let own = config.read().unwrap().identity.unwrap();
            own.parts(&mut Vec::new()).unwrap_err().to_string()
        };
        let error = refused(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nY2FuYXJ5\n-----END ENCRYPTED PRIVATE KEY-----\n",
        );
        assert!(error.contains("is encrypted"), "{error}");
        assert!(!error.contains("Y2FuYXJ5"), "{error}");
        assert!(!refused("-----BEGIN canary").contains("canary"));
    }
}

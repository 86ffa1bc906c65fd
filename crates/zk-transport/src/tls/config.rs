//! The CAs that a TLS client trusts, and its own certificate.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::clock::AfterEpoch;
use super::error::{TlsError, USABLE_KEYS, unusable_identity};
use super::pem::{Pem, Purpose, Source};
use super::verify::Verifier;

/// How to connect with TLS.
///
/// Only the given CAs are trusted: no CA of the system, no CA of the web. TLS is 1.2 or 1.3, and a
/// server's certificate has to be for the host of the connect string; a name or address in its subject
/// alternative names, not its common name. There are no reverse lookups of names (ZOOKEEPER-4986).
///
/// Files are read again for every connection, so that renewed certificates are used from the next
/// connection on. A file that cannot be read or used fails that attempt to connect; the next attempt
/// reads it again.
///
/// ```no_run
/// use zk_transport::tls::TlsConfig;
///
/// let tls = TlsConfig::new()
///     .ca_file("/etc/zk/ca.pem")
///     .identity_files("/etc/zk/client.pem", "/etc/zk/client-key.pem");
/// ```
#[derive(Clone, Debug)]
#[must_use = "give it to a TlsDial"]
pub struct TlsConfig {
    roots: Vec<Source>,
    revocation_lists: Vec<Source>,
    identity: Option<(Source, Source)>,
    any_name: bool,
    trusts_dns: bool,
    pub(super) server_name: Option<String>,
    given: Option<Given>,
}

/// A configuration that the program has made itself.
#[derive(Clone)]
struct Given(Arc<ClientConfig>);

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[rustls::ClientConfig]")
    }
}

impl Default for TlsConfig {
    fn default() -> Self {
        TlsConfig::new()
    }
}

impl TlsConfig {
    /// No trusted CA yet, and no certificate of this client.
    pub fn new() -> Self {
        TlsConfig {
            roots: Vec::new(),
            revocation_lists: Vec::new(),
            identity: None,
            any_name: false,
            trusts_dns: false,
            server_name: None,
            given: None,
        }
    }

    /// Uses a configuration of rustls. Of the methods here, only [`server_name`](Self::server_name) and
    /// [`danger_trust_dns_names`](Self::danger_trust_dns_names) have an effect on it. For hardware keys,
    /// other crypto providers and the system's CAs (with the crate `rustls-platform-verifier` or
    /// `rustls-native-certs`).
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        TlsConfig {
            given: Some(Given(config)),
            ..TlsConfig::new()
        }
    }

    /// Trusts the CAs in a PEM file; also a server's own certificate, such as a self-signed one, which is
    /// then valid for the hosts that it names, unless it has an extended key usage without `serverAuth`.
    /// Can be called several times. The system's CAs are in such a file on most systems:
    /// `/etc/ssl/certs/ca-certificates.crt` on Debian.
    ///
    /// A certificate in the file that cannot be used is skipped, with a warning ([`check`](Self::check)).
    /// If none is left, connecting fails.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(Source::File(path.into()));
        self
    }

    /// Trusts the CAs in PEM text.
    pub fn ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(Source::Bytes(pem.as_ref().into()));
        self
    }

    /// Refuses certificates that a PEM file of revocation lists names. Once there is a list, every
    /// certificate of a chain has to be covered by a list that has not expired.
    pub fn crl_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.revocation_lists.push(Source::File(path.into()));
        self
    }

    /// Refuses certificates that revocation lists in PEM text name; as [`crl_file`](Self::crl_file).
    pub fn crl_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.revocation_lists
            .push(Source::Bytes(pem.as_ref().into()));
        self
    }

    /// The certificate of this client, followed by those between it and its CA, and its private key, as
    /// PEM files, or as one file. The key must not be encrypted. A malformed certificate is
    /// skipped, with a warning ([`check`](Self::check)).
    pub fn identity_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.identity = Some((Source::File(certificates.into()), Source::File(key.into())));
        self
    }

    /// The certificate of this client and its private key, as PEM text.
    pub fn identity_pem(mut self, certificates: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.identity = Some((
            Source::Bytes(certificates.as_ref().into()),
            Source::Bytes(key.as_ref().into()),
        ));
        self
    }

    /// The name that every server's certificate has to be for, in place of the host in the connect
    /// string: for servers that share one certificate, are reached through a tunnel, or are listed in
    /// the DNS (`dns-srv://`).
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts a server that presents the certificate of any other host, if a trusted CA issued it.
    ///
    /// A holder of any certificate of that CA can then read and change everything, passwords
    /// included. [`server_name`](Self::server_name) is nearly always the better choice.
    pub fn danger_accept_any_host_name(mut self) -> Self {
        self.any_name = true;
        self
    }

    /// Verifies servers by the names that the DNS returns for a `dns-srv://` connect string, although its
    /// answers are not authenticated; without this, or a [`server_name`](Self::server_name), a
    /// client with TLS refuses such a connect string.
    ///
    /// An attacker who can forge a DNS answer and has any certificate of a trusted CA can then read and
    /// change everything, passwords included. Use it only if answers are authenticated on their way
    /// (DNSSEC, DNS over TLS, a resolver on this machine), or forged ones are no concern.
    pub fn danger_trust_dns_names(mut self) -> Self {
        self.trusts_dns = true;
        self
    }

    /// Whether a server is verified by the name it was dialled by, which must not come from the DNS.
    pub(super) fn needs_authentic_names(&self) -> bool {
        let unchecked = self.any_name && self.given.is_none();
        self.server_name.is_none() && !unchecked && !self.trusts_dns
    }

    /// Reads all files. Blocks.
    pub(super) fn read(&self) -> Result<Material, TlsError> {
        let all = |sources: &[Source], what| {
            sources
                .iter()
                .map(|source| source.read(what))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Material {
            roots: all(&self.roots, "CA file")?,
            revocation_lists: all(&self.revocation_lists, "revocation list")?,
            identity: match &self.identity {
                None => None,
                Some((certificates, key)) => Some((
                    certificates.read("client certificate")?,
                    key.read("client key")?,
                )),
            },
        })
    }

    /// Reads all files and checks whether they can be used, as a client does for each connection. Blocks.
    ///
    /// Returns a sentence for each certificate that is skipped; programs that do not collect the warnings
    /// of `tracing` can show them.
    ///
    /// # Errors
    /// No CA is given; or a certificate, key or revocation list cannot be read or used.
    pub fn check(&self) -> Result<Vec<String>, TlsError> {
        self.build(&self.read()?).map(|made| made.skipped)
    }

    /// The configuration of rustls, made from the contents of the files.
    pub(super) fn build(&self, material: &Material) -> Result<Made, TlsError> {
        if let Some(Given(config)) = &self.given {
            let mut config = ClientConfig::clone(config);
            config.time_provider = Arc::new(AfterEpoch::over(config.time_provider));
            return Ok(Made {
                config: Arc::new(config),
                skipped: Vec::new(),
            });
        }
        let provider = Arc::new(ring::default_provider());
        let mut skipped = Vec::new();
        let verifier = self.verifier(material, &provider, &mut skipped)?;
        let clock = Arc::new(AfterEpoch::default());
        let builder = ClientConfig::builder_with_details(provider, clock)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::configuration("TLS", error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match &material.identity {
            None => builder.with_no_client_auth(),
            Some((certificates, key)) => {
                let mut left_out = Vec::new();
                let chain = certificates.certificates(Purpose::Identity, &mut left_out)?;
                let private = key.key()?;
                any_supported_type(&private).map_err(|_| {
                    key.refused(format!(
                        "it is malformed, or of a kind that is not supported, as one on the curve P-521 \
                         is; {USABLE_KEYS}"
                    ))
                })?;
                let config = builder.with_client_auth_cert(chain, private);
                let config = config.map_err(|error| {
                    let why = unusable_identity(&error);
                    // The certificate of the key may be one that was skipped.
                    certificates.refused(match left_out.first() {
                        Some(problem) => format!("{why}; {problem}"),
                        None => why,
                    })
                })?;
                skipped.append(&mut left_out);
                config
            }
        };
        for problem in &skipped {
            tracing::warn!("{problem}");
        }
        Ok(Made {
            config: Arc::new(config),
            skipped,
        })
    }

    fn verifier(
        &self,
        material: &Material,
        provider: &Arc<CryptoProvider>,
        skipped: &mut Vec<String>,
    ) -> Result<Verifier, TlsError> {
        if material.roots.is_empty() {
            return Err(TlsError::configuration(
                "TLS",
                "no CA is given, so no server could be trusted; give the CA that issued the \
                 servers' certificates",
            ));
        }
        let mut roots = RootCertStore::empty();
        let mut trusted = Vec::new();
        for pem in &material.roots {
            for certificate in pem.certificates(Purpose::Trust, skipped)? {
                let added = roots.add(certificate.clone());
                added.map_err(|error| pem.refused(error))?;
                trusted.push(certificate);
            }
        }
        let mut lists = Vec::new();
        for pem in &material.revocation_lists {
            lists.extend(pem.revocation_lists()?);
        }
        let needs_revocation_lists = !lists.is_empty();
        let webpki =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .with_crls(lists)
                .enforce_revocation_expiration()
                .build()
                .map_err(|error| TlsError::configuration("TLS", error))?;
        Ok(Verifier {
            webpki,
            trusted,
            needs_revocation_lists,
            any_name: self.any_name,
        })
    }

    /// Whether this client has a certificate. In a configuration of the program's own, a resolver may
    /// decide that later.
    pub(super) fn is_identified(&self) -> bool {
        self.identity.is_some()
            || self
                .given
                .as_ref()
                .is_some_and(|given| given.0.client_auth_cert_resolver.has_certs())
    }
}

/// A configuration of rustls, and a sentence for each certificate that was skipped.
pub(super) struct Made {
    pub(super) config: Arc<ClientConfig>,
    skipped: Vec<String>,
}

/// The contents of the files and texts when they were read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Material {
    roots: Vec<Pem>,
    revocation_lists: Vec<Pem>,
    pub(super) identity: Option<(Pem, Pem)>,
}

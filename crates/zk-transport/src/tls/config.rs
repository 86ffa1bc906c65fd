//! The CAs that a TLS client trusts, and its own certificate.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::CryptoProvider;

use super::contents::Source;
use super::error::TlsError;
#[cfg(feature = "tls-stores")]
use super::passphrase::Passphrase;
use super::pins::Pin;

/// How to connect with TLS.
///
/// Only the given CAs are trusted: no CA of the system, no CA of the web, unless they are switched on. TLS
/// is 1.2 or 1.3, and a server's certificate has to be for the host of the connect string; a name or
/// address in its subject alternative names, not its common name. There are no reverse lookups of names
/// (ZOOKEEPER-4986). Revoked certificates are known from revocation lists only; OCSP is not used, as rustls
/// does not verify its answers.
///
/// Files are read again for every connection, so that renewed certificates are used from the next
/// connection on. A file that cannot be read or used fails that attempt to connect; the next attempt
/// reads it again. [`TlsDial::replace`](super::TlsDial::replace) replaces the whole configuration.
///
/// As long as nothing changes, TLS sessions are resumed: a reconnect to the same server then needs no
/// certificates and no signatures.
///
/// # Formats
///
/// | | PEM | DER | PKCS#12 | JKS |
/// |---|---|---|---|---|
/// | certificates | yes | yes | with `tls-stores` | with `tls-stores` |
/// | keys | PKCS#8, PKCS#1, SEC 1 | the same | with `tls-stores` | with `tls-stores` |
/// | encrypted keys | with `tls-stores` | PKCS#8 with `tls-stores` | with `tls-stores` | with `tls-stores` |
/// | revocation lists | yes | yes | no | no |
///
/// The error about another format (PKCS#7, JCEKS, BCFKS, keys of OpenSSH) names it and the command that
/// converts it.
///
/// # Cryptography
///
/// By ring, with the feature `tls`; by aws-lc-rs, with `tls-aws-lc-rs`; or by the provider of
/// [`crypto_provider`](Self::crypto_provider), or the one that the process has installed
/// (`CryptoProvider::install_default`), which both come before that of a feature. With ring and aws-lc-rs
/// it is ring. A program in which FIPS 140 matters enables the feature `fips` of the crate `rustls` for
/// itself, and [`require_fips`](Self::require_fips).
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
    pub(super) roots: Vec<Source>,
    pub(super) system_roots: bool,
    pub(super) revocation_lists: Vec<Source>,
    pub(super) pins: Vec<Pin>,
    pub(super) identity: Option<Identity>,
    #[cfg(feature = "tls-stores")]
    pub(super) key_passphrase: Option<Passphrase>,
    pub(super) any_name: bool,
    pub(super) any_certificate: bool,
    trusts_dns: bool,
    pub(super) only_tls13: bool,
    pub(super) fips: bool,
    pub(super) provider: Option<Arc<CryptoProvider>>,
    pub(super) server_name: Option<String>,
    pub(super) given: Option<Given>,
}

/// Where this client's certificate and key are.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    Files {
        certificates: Source,
        key: Source,
    },
    #[cfg(feature = "tls-stores")]
    Store {
        store: Source,
        alias: Option<String>,
    },
}

/// A configuration that the program has made itself.
#[derive(Clone)]
pub(super) struct Given(pub(super) Arc<ClientConfig>);

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
            system_roots: false,
            revocation_lists: Vec::new(),
            pins: Vec::new(),
            identity: None,
            #[cfg(feature = "tls-stores")]
            key_passphrase: None,
            any_name: false,
            any_certificate: false,
            trusts_dns: false,
            only_tls13: false,
            fips: false,
            provider: None,
            server_name: None,
            given: None,
        }
    }

    /// Uses a configuration of rustls. For hardware keys, and verifiers such as `rustls-platform-verifier`.
    ///
    /// Of the methods here, only [`server_name`](Self::server_name),
    /// [`danger_trust_dns_names`](Self::danger_trust_dns_names) and [`require_fips`](Self::require_fips) have
    /// an effect on it. CAs, pins, revocation lists and the other options are set in the given configuration;
    /// set here, they are a [`TlsError::Configuration`].
    pub fn from_rustls(config: Arc<ClientConfig>) -> Self {
        TlsConfig {
            given: Some(Given(config)),
            ..TlsConfig::new()
        }
    }

    /// Trusts the CAs in a file, PEM or DER; also a server's own certificate, such as a self-signed one, which is
    /// then valid for the hosts that it names, unless it has an extended key usage without `serverAuth`.
    /// Can be called several times. The system's CAs are in such a file on most systems:
    /// `/etc/ssl/certs/ca-certificates.crt` on Debian.
    ///
    /// A certificate in the file that cannot be used is skipped, with a warning ([`check`](Self::check)).
    /// If none is left, connecting fails.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots.push(Source::file(path));
        self
    }

    /// Trusts the CAs in PEM text, or in DER.
    pub fn ca_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(Source::bytes(pem));
        self
    }

    /// Refuses certificates that a PEM file of revocation lists names. Once there is a list, every
    /// certificate of a chain has to be covered by a list that has not expired. With pins and no CA, a list is
    /// a [`TlsError::Configuration`]; [`danger_accept_any_certificate`](Self::danger_accept_any_certificate)
    /// ignores it.
    pub fn crl_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.revocation_lists.push(Source::file(path));
        self
    }

    /// Refuses certificates that revocation lists in PEM text name; as [`crl_file`](Self::crl_file).
    pub fn crl_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.revocation_lists.push(Source::bytes(pem));
        self
    }

    /// The certificate of this client, followed by those between it and its CA, and its private key, as
    /// files in PEM or DER, or as one file in PEM. A malformed certificate is skipped, with a warning
    /// ([`check`](Self::check)).
    ///
    /// With the feature `tls-stores`, the key may be encrypted; see `key_passphrase`.
    pub fn identity_files(
        mut self,
        certificates: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        self.identity = Some(Identity::Files {
            certificates: Source::file(certificates),
            key: Source::file(key),
        });
        self
    }

    /// The certificate of this client and its private key, as PEM text.
    pub fn identity_pem(mut self, certificates: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.identity = Some(Identity::Files {
            certificates: Source::bytes(certificates),
            key: Source::bytes(key),
        });
        self
    }

    /// The passphrase of this client's private key: in encrypted PKCS#8, in OpenSSL's older form
    /// (`Proc-Type: 4,ENCRYPTED`), or of a key whose passphrase is not that of its
    /// [store](Self::identity_store).
    #[cfg(feature = "tls-stores")]
    pub fn key_passphrase(mut self, passphrase: impl Into<Passphrase>) -> Self {
        self.key_passphrase = Some(passphrase.into());
        self
    }

    /// The certificate of this client and its private key from a key store in PKCS#12 or JKS, or from a
    /// file in PEM that has both. The format is recognised by the contents.
    ///
    /// A store with several keys needs the [alias](Self::identity_alias) of one.
    #[cfg(feature = "tls-stores")]
    pub fn identity_store(
        mut self,
        path: impl Into<PathBuf>,
        passphrase: impl Into<Passphrase>,
    ) -> Self {
        let alias = match self.identity {
            Some(Identity::Store { alias, .. }) => alias,
            _ => None,
        };
        self.identity = Some(Identity::Store {
            store: Source::store(path, Some(passphrase.into())),
            alias,
        });
        self
    }

    /// Which key of the [store](Self::identity_store) is this client's. Upper and lower case are alike, as
    /// for Java. Without a store, it has no effect.
    #[cfg(feature = "tls-stores")]
    pub fn identity_alias(mut self, name: impl Into<String>) -> Self {
        if let Some(Identity::Store { alias, .. }) = &mut self.identity {
            *alias = Some(name.into());
        }
        self
    }

    /// Trusts every certificate in a key store in PKCS#12 or JKS, or in a file in PEM, as
    /// [`ca_file`](Self::ca_file) does. The format is recognised by the contents.
    ///
    /// JKS can be read without a passphrase, as Java reads it; then nothing verifies that the store is
    /// undamaged.
    #[cfg(feature = "tls-stores")]
    pub fn ca_store(
        mut self,
        path: impl Into<PathBuf>,
        passphrase: impl Into<Option<Passphrase>>,
    ) -> Self {
        self.roots.push(Source::store(path, passphrase.into()));
        self
    }

    /// Trusts the CAs of the operating system as well: on Linux those of OpenSSL's directories, or of the
    /// variables `SSL_CERT_FILE` and `SSL_CERT_DIR`. Those of them that cannot be used are skipped. They are
    /// read when the configuration is made, and not for each connection.
    ///
    /// Any of these CAs can then vouch for a server. For the servers of one organisation its own CA is the
    /// better choice.
    #[cfg(feature = "tls-native-roots")]
    pub fn system_roots(mut self) -> Self {
        self.system_roots = true;
        self
    }

    /// Accepts a server only if it presents the certificate with this SHA-256, in hexadecimal digits with or
    /// without colons, as `openssl x509 -noout -fingerprint -sha256` prints it. With several, one of them:
    /// before a server's certificate is renewed, pin the next one too.
    ///
    /// Without a CA, this is the only condition: the certificate may be self-signed, expired, or for other
    /// hosts. With a CA, it must be valid in all other ways as well.
    pub fn pin_sha256(mut self, fingerprint: impl Into<String>) -> Self {
        self.pins.push(Pin::Sha256(fingerprint.into()));
        self
    }

    /// Accepts a server only if it presents a certificate of this file, PEM or DER, as
    /// [`pin_sha256`](Self::pin_sha256) does. The file is read again for every connection.
    pub fn pin_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.pins.push(Pin::Certificate(Source::file(path)));
        self
    }

    /// Accepts a server only if it presents a certificate of this PEM text, as
    /// [`pin_sha256`](Self::pin_sha256) does.
    pub fn pin_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.pins.push(Pin::Certificate(Source::bytes(pem)));
        self
    }

    /// Connects with TLS 1.3 only. The cipher suites are those of the
    /// [`crypto_provider`](Self::crypto_provider).
    pub fn only_tls13(mut self) -> Self {
        self.only_tls13 = true;
        self
    }

    /// The implementation of cryptography, with its cipher suites and key exchanges in order of preference.
    pub fn crypto_provider(mut self, provider: impl Into<Arc<CryptoProvider>>) -> Self {
        self.provider = Some(provider.into());
        self
    }

    /// Makes it an error if the connections would not be of an implementation and with settings that
    /// FIPS 140 approves, as rustls reports it (`ClientConfig::fips`).
    ///
    /// The implementation comes with the feature `fips` of the crate `rustls`, which needs CMake and Go to
    /// build, and is given to [`crypto_provider`](Self::crypto_provider) as
    /// `rustls::crypto::default_fips_provider()`.
    pub fn require_fips(mut self) -> Self {
        self.fips = true;
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

    /// Accepts any server, whatever certificate it presents: kazoo's `verify_certs=False`.
    ///
    /// The connection is encrypted, but not to a known peer: a program that can redirect it reads and changes
    /// everything, passwords included, and the client does not notice. Each time the configuration is made,
    /// a warning is logged. [`pin_sha256`](Self::pin_sha256) is as easy for self-signed certificates and
    /// safe; a pin is verified even with this. Only for tests.
    pub fn danger_accept_any_certificate(mut self) -> Self {
        self.any_certificate = true;
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
        let unchecked = self.any_name || self.any_certificate || !self.pins.is_empty();
        let unchecked = unchecked && self.given.is_none();
        self.server_name.is_none() && !unchecked && !self.trusts_dns
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

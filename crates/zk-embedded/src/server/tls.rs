//! TLS with certificates made for one server: [`ServerTls`].

use std::fmt;
use std::io;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// Names of this machine.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A CA that exists for one test or one run of a server, a certificate of it for the server, and one for
/// clients.
///
/// With it ([`ServerBuilder::tls`](crate::ServerBuilder::tls)) a server serves TLS 1.2 and 1.3 on its
/// ports and nothing else, as the `secureClientPort` of Apache ZooKeeper does. Clients trust
/// [`authority_pem`](Self::authority_pem).
///
/// Clients need no certificate, as with `ssl.clientAuth=want`; one that they present has to be of this CA.
/// It does not authenticate a client for ACLs of the scheme `x509`, which this server does not have.
///
/// ```
/// use zk_client::{Client, TlsConfig};
/// use zk_embedded::{Server, ServerTls};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tls = ServerTls::generate()?;
/// let server = Server::builder().tls(&tls).start().await?;
/// let zk = Client::builder(server.connect_string())
///     .tls(TlsConfig::new().ca_pem(tls.authority_pem()))
///     .connect()
///     .await?;
/// zk.create("/config", "v1").await?;
/// # zk.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ServerTls {
    authority: String,
    server: Identity,
    client: Identity,
    requires_client: bool,
}

/// A certificate and its key, as PEM.
#[derive(Clone)]
struct Identity {
    certificate: String,
    key: String,
}

impl ServerTls {
    /// For a server that clients know as `localhost`, `127.0.0.1` or `::1`.
    ///
    /// # Errors
    /// When the system has no randomness for the keys.
    pub fn generate() -> io::Result<Self> {
        Self::generate_for(LOCAL)
    }

    /// For a server that clients know by these host names and IP addresses.
    ///
    /// # Errors
    /// When a name is no host name, or the system has no randomness for the keys.
    pub fn generate_for<H: Into<String>>(hosts: impl IntoIterator<Item = H>) -> io::Result<Self> {
        let hosts: Vec<String> = hosts.into_iter().map(Into::into).collect();
        Self::make(hosts).map_err(io::Error::other)
    }

    fn make(hosts: Vec<String>) -> Result<Self, rcgen::Error> {
        let mut authority = CertificateParams::default();
        let name = "the CA of an embedded ZooKeeper server";
        authority.distinguished_name.push(DnType::CommonName, name);
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let issue = |hosts, name, usage| {
            let mut params = CertificateParams::new(hosts)?;
            params.distinguished_name.push(DnType::CommonName, name);
            params.extended_key_usages = vec![usage];
            let key = KeyPair::generate()?;
            Ok::<_, rcgen::Error>(Identity {
                certificate: params.signed_by(&key, &authority)?.pem(),
                key: key.serialize_pem(),
            })
        };
        Ok(ServerTls {
            server: issue(hosts, "server", ExtendedKeyUsagePurpose::ServerAuth)?,
            client: issue(Vec::new(), "client", ExtendedKeyUsagePurpose::ClientAuth)?,
            authority: authority.pem(),
            requires_client: false,
        })
    }

    /// Refuses clients without a certificate, as `ssl.clientAuth=need` does.
    #[must_use]
    pub fn require_client_certificate(mut self) -> Self {
        self.requires_client = true;
        self
    }

    /// The certificate of the CA, which clients trust.
    pub fn authority_pem(&self) -> &str {
        &self.authority
    }

    /// A certificate for clients.
    pub fn client_certificate_pem(&self) -> &str {
        &self.client.certificate
    }

    /// The private key of the certificate for clients.
    pub fn client_key_pem(&self) -> &str {
        &self.client.key
    }

    pub(crate) fn acceptor(&self) -> io::Result<TlsAcceptor> {
        let config = self.config().map_err(io::Error::other)?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn config(&self) -> Result<ServerConfig, Box<dyn std::error::Error + Send + Sync>> {
        let provider = Arc::new(ring::default_provider());
        let certificate = CertificateDer::from_pem_slice(self.server.certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(self.server.key.as_bytes())?;
        Ok(ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(self.client_verifier(provider)?)
            .with_single_cert(vec![certificate], key)?)
    }

    fn client_verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, Box<dyn std::error::Error + Send + Sync>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes())?)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        Ok(if self.requires_client {
            verifier.build()?
        } else {
            verifier.allow_unauthenticated().build()?
        })
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("requires_client", &self.requires_client)
            .finish_non_exhaustive()
    }
}

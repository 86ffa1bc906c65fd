//! Certificates of a test's own, good and bad.

#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each suite uses a part of this"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, version};
use zk_client::{Disconnect, Error, ErrorKind, TlsConfig, TlsError};
use zk_tests::ServerOptions;

/// The serial number of a certificate that [`Authority::revoke`] lists.
const REVOKED: u64 = 13;

/// A CA.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    Now,
    Past,
    Future,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    pub fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        Authority {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
        }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for these hosts, names or addresses.
    pub fn issue(&self, hosts: &[&str]) -> Identity {
        self.issue_with(hosts, Validity::Now)
    }

    pub fn issue_with(&self, hosts: &[&str], validity: Validity) -> Identity {
        self.sign(params(hosts, validity))
    }

    /// A certificate with its name in the common name only, which is not read any more.
    pub fn issue_to_common_name(&self, host: &str) -> Identity {
        let mut params = params(&[], Validity::Now);
        params.distinguished_name.push(DnType::CommonName, host);
        self.sign(params)
    }

    /// A certificate that [`revoked`](Self::revoked) lists.
    pub fn issue_revoked(&self, hosts: &[&str]) -> Identity {
        let mut params = params(hosts, Validity::Now);
        params.serial_number = Some(REVOKED.into());
        self.sign(params)
    }

    /// The list of revoked certificates.
    pub fn revoked(&self) -> String {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(REVOKED),
                revocation_time: date_time_ymd(2020, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    /// Trusts this CA and nothing else.
    pub fn trusted(&self) -> TlsConfig {
        TlsConfig::new().ca_pem(self.pem())
    }

    pub fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        Identity {
            certificate: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

impl Identity {
    pub fn self_signed(hosts: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = params(hosts, Validity::Now);
        Identity {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Both in one text, as Java's key stores of type PEM have them.
    pub fn pem(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }

    pub fn write(&self, certificate: &Path, key: &Path) {
        fs::write(certificate, &self.certificate).unwrap();
        fs::write(key, &self.key).unwrap();
    }

    /// A server that presents this certificate, and takes any client.
    pub fn server(&self) -> ServerConfig {
        let (chain, key) = self.parsed();
        builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap()
    }

    /// A server that presents this certificate, and takes only clients that `clients` vouches for.
    pub fn mutual_server(&self, clients: &Authority, tls12: bool) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(clients.issuer.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .unwrap();
        let (chain, key) = self.parsed();
        let versions: &[_] = if tls12 {
            &[&version::TLS12]
        } else {
            &[&version::TLS13]
        };
        ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .unwrap()
    }

    /// A real server that presents this certificate on a port of its own, and knows clients that
    /// `clients` vouches for. What it needs to start is left in the directory.
    pub fn real_server(&self, directory: &Path, clients: &Authority, auth: &str) -> ServerOptions {
        let (key, trust) = (directory.join("server.pem"), directory.join("clients.pem"));
        fs::write(&key, self.pem()).unwrap();
        fs::write(&trust, clients.pem()).unwrap();
        ServerOptions::default()
            .secure_port()
            .config("ssl.keyStore.location", key.display().to_string())
            .config("ssl.keyStore.type", "PEM")
            .config("ssl.trustStore.location", trust.display().to_string())
            .config("ssl.trustStore.type", "PEM")
            .config("ssl.clientAuth", auth)
    }

    fn parsed(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::pem_slice_iter(self.certificate.as_bytes())
            .collect::<Result<_, _>>()
            .unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        (chain, key)
    }
}

fn builder()
-> tokio_rustls::rustls::ConfigBuilder<ServerConfig, tokio_rustls::rustls::WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
}

/// What is wrong with the certificates, by the error of a client that could not connect.
pub fn cause(error: &Error) -> TlsError {
    assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
    let cause = error.disconnect();
    match cause.unwrap() {
        Disconnect::Tls(cause) => cause.clone(),
        other => panic!("not about TLS: {other:?}"),
    }
}

/// A configuration of rustls that trusts an authority.
pub fn rustls_client(authority: &Authority) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn params(hosts: &[&str], validity: Validity) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    (params.not_before, params.not_after) = match validity {
        Validity::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2099, 1, 1)),
        Validity::Past => (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1)),
        Validity::Future => (date_time_ymd(2098, 1, 1), date_time_ymd(2099, 1, 1)),
    };
    params
}

//! Certificates and keys as people have them: what is used, what is skipped, and what is explained.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::common::certificates::{Authority, Identity, Validity};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{ServerConfig, crypto::ring};
use zk_client::{
    Client, Dial, DialError, Dialing, ErrorKind, HostPort, TlsConfig, TlsDial, TlsError, Transport,
};
use zk_tests::run_directory::ServerDirectory;

/// A file that OpenSSL or Java has written.
pub(super) fn input(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../crates/zk-transport/tests/inputs/tls")
        .join(name)
}

pub(super) fn text(name: &str) -> String {
    fs::read_to_string(input(name)).unwrap()
}

/// A CA's certificate for `localhost` that issued itself, and its key.
fn self_signed_ca() -> Identity {
    Identity {
        certificate: text("ca.pem"),
        key: text("ca.key"),
    }
}

/// What every dialled host does with a connection.
#[derive(Debug, Clone)]
enum Peer {
    Tls(Arc<ServerConfig>),
    /// Reads the greeting, answers with these bytes and closes.
    Raw(&'static [u8]),
}

impl Dial for Peer {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        let (near, mut far) = tokio::io::duplex(65_536);
        let peer = self.clone();
        tokio::spawn(async move {
            match peer {
                // A client that refuses the certificate ends the handshake.
                Peer::Tls(config) => drop(TlsAcceptor::from(config).accept(far).await),
                Peer::Raw(answer) => {
                    let _ = far.read(&mut [0; 4096]).await.unwrap();
                    far.write_all(answer).await.unwrap();
                }
            }
        });
        Box::pin(async { Ok(Box::new(near) as Box<dyn Transport>) })
    }
}

async fn handshake(peer: &Peer, tls: &TlsConfig, host: &str) -> Result<(), TlsError> {
    let dial = TlsDial::over(Arc::new(peer.clone()), tls.clone())?;
    match dial.dial(&host.parse().unwrap()).await {
        Ok(_) => Ok(()),
        Err(DialError::Tls(error)) => Err(error),
        Err(other) => panic!("{other}"),
    }
}

/// Presents a certificate that rustls would not let a server present.
#[derive(Debug)]
struct Unchecked(Arc<CertifiedKey>);

impl ResolvesServerCert for Unchecked {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn presenting(identity: &Identity) -> Peer {
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes());
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
    let certified = CertifiedKey::new(chain, any_supported_type(&key).unwrap());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Unchecked(Arc::new(certified))));
    Peer::Tls(Arc::new(config))
}

/// Guards: P42.
#[tokio::test]
async fn a_ca_certificate_that_is_trusted_serves() {
    let server = presenting(&self_signed_ca());
    for tls in [
        TlsConfig::new().ca_pem(text("ca.pem")),
        TlsConfig::new().ca_file(input("ca.pem")),
        Authority::new("ours").trusted().ca_file(input("ca.pem")),
    ] {
        for host in ["localhost", "127.0.0.1"] {
            assert_eq!(handshake(&server, &tls, host).await, Ok(()));
        }
        let refused = handshake(&server, &tls, "zk1.example.org").await;
        assert!(
            matches!(refused, Err(TlsError::WrongName { .. })),
            "{refused:?}"
        );
        let careless = tls.danger_accept_any_host_name();
        assert_eq!(
            handshake(&server, &careless, "zk1.example.org").await,
            Ok(())
        );
    }
}

/// Guards: P42.
#[tokio::test]
async fn trusted_certificate_must_be_for_servers() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    for is_ca in [
        IsCa::Ca(BasicConstraints::Unconstrained),
        IsCa::ExplicitNoCa,
    ] {
        for (purposes, is_good) in [
            (vec![], true),
            (vec![ServerAuth], true),
            (vec![ClientAuth, ServerAuth], true),
            (vec![ClientAuth], false),
            (vec![Any], false),
        ] {
            let mut params = ca_params(2099);
            params.is_ca = is_ca;
            params.extended_key_usages = purposes.clone();
            let key = KeyPair::generate().unwrap();
            let identity = Identity {
                certificate: params.self_signed(&key).unwrap().pem(),
                key: key.serialize_pem(),
            };
            let tls = TlsConfig::new().ca_pem(&identity.certificate);
            let verdict = handshake(&presenting(&identity), &tls, "localhost").await;
            let of = format!("{is_ca:?} {purposes:?}: {verdict:?}");
            match verdict {
                Ok(()) => assert!(is_good, "{of}"),
                Err(error) => {
                    assert!(!is_good, "{of}");
                    assert!(error.to_string().contains("lacks serverAuth"), "{of}");
                }
            }
        }
    }
}

/// Guards: P42.
#[tokio::test]
async fn a_ca_certificate_not_trusted_is_unknown() {
    let server = presenting(&self_signed_ca());
    // The second has the same name as the server's.
    for name in ["ours", "localhost"] {
        for tls in [
            Authority::new(name).trusted(),
            Authority::new(name).trusted().danger_accept_any_host_name(),
        ] {
            let refused = handshake(&server, &tls, "localhost").await;
            assert_eq!(refused, Err(TlsError::UnknownCa));
        }
    }
}

/// A certificate of a CA, for `localhost`.
fn ca_params(until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

/// Guards: P42.
#[tokio::test]
async fn a_sub_ca_certificate_is_explained() {
    let ca = Authority::new("ours");
    let server = presenting(&ca.sign(ca_params(2099)));
    let refused = handshake(&server, &ca.trusted(), "localhost")
        .await
        .unwrap_err();
    assert!(
        matches!(refused, TlsError::BadCertificate(_)),
        "{refused:?}"
    );
    for part in ["CA:TRUE", "give this client that certificate", "CA:FALSE"] {
        assert!(refused.to_string().contains(part), "{refused}");
    }
}

/// Guards: P42.
#[tokio::test]
async fn a_trusted_certificate_expires() {
    let key = KeyPair::generate().unwrap();
    let expired = Identity {
        certificate: ca_params(2021).self_signed(&key).unwrap().pem(),
        key: key.serialize_pem(),
    };
    for identity in [
        expired,
        Authority::new("x").issue_with(&["localhost"], Validity::Past),
    ] {
        let tls = TlsConfig::new().ca_pem(&identity.certificate);
        let refused = handshake(&presenting(&identity), &tls, "localhost").await;
        assert!(matches!(refused, Err(TlsError::Expired(_))), "{refused:?}");
    }
    // No list says that it is not revoked.
    let listed = TlsConfig::new()
        .ca_file(input("ca.pem"))
        .crl_pem(Authority::new("ours").revoked());
    let refused = handshake(&presenting(&self_signed_ca()), &listed, "localhost").await;
    assert!(
        matches!(refused, Err(TlsError::RevocationUnknown(_))),
        "{refused:?}"
    );
}

/// Guards: P42.
#[tokio::test]
async fn a_servers_own_certificate_can_be_trusted() {
    let ca = Authority::new("ours");
    let (one, other) = (ca.issue(&["localhost"]), ca.issue(&["localhost"]));
    let tls = TlsConfig::new().ca_pem(&one.certificate);
    assert_eq!(
        handshake(&presenting(&one), &tls, "localhost").await,
        Ok(())
    );
    let refused = handshake(&presenting(&other), &tls, "localhost").await;
    assert_eq!(refused, Err(TlsError::UnknownCa));
}

/// Guards: P43.
#[tokio::test]
async fn a_certificate_of_version_1_is_named() {
    let v1 = Identity {
        certificate: text("v1.pem"),
        key: text("v1.key"),
    };
    for trusted in ["ca.pem", "v1.pem"] {
        let tls = TlsConfig::new().ca_file(input(trusted));
        let refused = handshake(&presenting(&v1), &tls, "localhost")
            .await
            .unwrap_err();
        for part in [
            "version 1",
            "one of version 3",
            "openssl x509",
            "subjectAltName",
        ] {
            assert!(refused.to_string().contains(part), "{refused}");
        }
    }
    // As this client's own it is refused from the start, in the same words.
    let own = Authority::new("ours")
        .trusted()
        .identity_pem(v1.certificate, v1.key);
    let refused = own.check().unwrap_err().to_string();
    assert!(
        refused.contains("client certificate") && refused.contains("version 1"),
        "{refused}"
    );
}

/// Guards: P44. What OpenSSL and Java do when none of the signatures that a client offers is possible with
/// the server's key.
#[tokio::test]
async fn an_unverifiable_key_is_among_the_causes() {
    let tls = Authority::new("ours").trusted();
    for answer in [
        &b""[..],
        // Alerts, fatal: handshake_failure, internal_error.
        &[21, 3, 3, 0, 2, 2, 40],
        &[21, 3, 3, 0, 2, 2, 80],
    ] {
        let refused = handshake(&Peer::Raw(answer), &tls, "localhost")
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("P-521 (use P-256, P-384"),
            "{refused}"
        );
    }
    let own = tls.identity_files(input("p521.pem"), input("p521.key"));
    let refused = own.check().unwrap_err().to_string();
    assert!(
        refused.contains("p521.key") && refused.contains("P-521"),
        "{refused}"
    );
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const NO_BASE64: &str = "-----BEGIN CERTIFICATE-----\n?!\n-----END CERTIFICATE-----\n";
const NO_DER: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
pub(super) const CUT_OFF: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n";

/// Guards: P45.
#[tokio::test]
async fn bad_certificate_in_bundle_is_skipped() {
    let directory = ServerDirectory::create("bundle").unwrap();
    let file = directory.path().join("ca.pem");
    let ca = Authority::new("ours");
    let good = ca.pem();
    let server = presenting(&ca.issue(&["localhost"]));
    for (bundle, bad) in [
        (format!("{NO_DER}{good}"), "certificate 1"),
        (format!("{good}{NO_BASE64}"), "certificate 2"),
        (format!("{CUT_OFF}{good}"), "certificate 1"),
        (format!("{good}{CUT_OFF}"), "certificate 2"),
    ] {
        fs::write(&file, bundle).unwrap();
        let tls = TlsConfig::new().ca_file(&file);
        let skipped = tls.check().unwrap();
        assert_eq!(skipped.len(), 1, "{skipped:?}");
        for part in ["CA file ", "ca.pem: ", bad, "it is skipped"] {
            assert!(skipped[0].contains(part), "{skipped:?}");
        }
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            TlsDial::over(Arc::new(server.clone()), tls.clone()).unwrap();
        });
        let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(
            logged.contains("WARN") && logged.contains(&skipped[0]),
            "{logged}"
        );
        assert_eq!(handshake(&server, &tls, "localhost").await, Ok(()));
    }
    fs::write(&file, format!("{NO_DER}{NO_BASE64}")).unwrap();
    let none = TlsConfig::new()
        .ca_file(&file)
        .check()
        .unwrap_err()
        .to_string();
    assert!(
        none.contains("none of its certificates can be used; certificate 1 "),
        "{none}"
    );
    assert_eq!(ca.trusted().check(), Ok(Vec::new()));
}

/// Guards: P45.
#[tokio::test]
async fn a_bad_certificate_in_a_chain_is_skipped() {
    let ca = Authority::new("ours");
    let server = Peer::Tls(Arc::new(ca.issue(&["localhost"]).mutual_server(&ca, false)));
    let own = ca.issue(&["client"]);
    let with = |chain: String| ca.trusted().identity_pem(chain, &own.key);
    let tls = with(format!("{}{NO_DER}{NO_BASE64}", own.certificate));
    assert_eq!(tls.check().unwrap().len(), 2);
    assert_eq!(handshake(&server, &tls, "localhost").await, Ok(()));
    // Without the certificate of the key there is nothing to present.
    let other = ca.issue(&["client"]).certificate;
    let refused = with(format!("{NO_DER}{other}"))
        .check()
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("not the certificate of the private key")
            && refused.contains("certificate 1 is malformed"),
        "{refused}"
    );
    // What a list revokes would count as good without it.
    let bad = NO_BASE64.replace("CERTIFICATE", "X509 CRL");
    let lists = ca.trusted().crl_pem(format!("{}{bad}", ca.revoked()));
    assert!(
        lists
            .check()
            .unwrap_err()
            .to_string()
            .contains("not valid PEM")
    );
}

/// The same text as other programs may write it.
fn rewritten(pem: &str) -> Vec<Vec<u8>> {
    let utf16 = format!("\u{feff}{pem}");
    let utf16 = utf16.encode_utf16();
    vec![
        format!("\u{feff}{pem}").into_bytes(),
        format!("\u{feff}{}", pem.replace('\n', "\r\n")).into_bytes(),
        utf16.clone().flat_map(u16::to_le_bytes).collect(),
        utf16.flat_map(u16::to_be_bytes).collect(),
        pem.replace('\n', "\n    ").into_bytes(),
        format!("Subject: somewhere\n{pem}").into_bytes(),
    ]
}

/// Guards: P46.
#[tokio::test]
async fn pem_is_read_however_it_was_written() {
    let ca = Authority::new("ours");
    let server = Peer::Tls(Arc::new(ca.issue(&["localhost"]).mutual_server(&ca, false)));
    let own = ca.issue(&["client"]);
    let all = [&ca.pem(), &own.certificate, &own.key].map(|pem| rewritten(pem));
    let [authorities, certificates, keys] = all;
    for ((authority, certificate), key) in authorities.iter().zip(&certificates).zip(&keys) {
        let tls = TlsConfig::new()
            .ca_pem(authority)
            .identity_pem(certificate, key);
        assert_eq!(tls.check(), Ok(Vec::new()));
        assert_eq!(handshake(&server, &tls, "localhost").await, Ok(()));
    }
}

/// Guards: P46. OpenSSL's `TRUSTED CERTIFICATE`.
#[tokio::test]
async fn openssls_trust_settings_are_obeyed() {
    let server = presenting(&self_signed_ca());
    let trusted = TlsConfig::new().ca_file(input("trusted.pem"));
    assert_eq!(handshake(&server, &trusted, "localhost").await, Ok(()));
    for name in ["trusted-for-clients.pem", "rejected.pem"] {
        let refused = TlsConfig::new()
            .ca_file(input(name))
            .check()
            .unwrap_err()
            .to_string();
        assert!(refused.contains("do not trust it for servers"), "{refused}");
    }
    // They do not limit what a client presents.
    for name in ["trusted.pem", "trusted-for-clients.pem"] {
        let own = trusted.clone().identity_files(input(name), input("ca.key"));
        assert_eq!(own.check(), Ok(Vec::new()));
    }
}

/// A clock that returns no time.
#[derive(Debug)]
struct Stopped;

impl TimeProvider for Stopped {
    fn current_time(&self) -> Option<UnixTime> {
        None
    }
}

/// Guards: P64.
#[tokio::test(start_paused = true)]
async fn a_clock_before_1970_is_an_error() {
    let ca = Authority::new("ours");
    let peer = presenting(&ca.issue(&["localhost"]));
    let mut config = crate::common::certificates::rustls_client(&ca);
    config.time_provider = Arc::new(Stopped);
    let builder = Client::builder("localhost")
        .dial(peer)
        .tls(TlsConfig::from_rustls(config.into()));
    let error = builder.connect().await.unwrap_err();
    // The clock may be set at any time, so that it is tried again until then.
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
    assert!(
        error.to_string().contains("clock is before 1970"),
        "{error}"
    );
}

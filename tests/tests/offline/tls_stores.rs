//! Encrypted keys and key stores, as OpenSSL and Java write them: each is presented to a server, or refused
//! with its format and the command that converts it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    self, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
};
use zk_client::{Dial, Passphrase, TlsConfig, TlsDial, dial_fn};
use zk_tests::run_directory::ServerDirectory;

use super::tls_material::input;
use crate::common::certificates::{Authority, Validity};

const PASSPHRASE: &str = "changeit";

fn format(name: &str) -> PathBuf {
    input("formats").join(name)
}

/// The certificates in a file of PEM.
fn certificates(name: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(format(name))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// Takes any certificate of a client that has its key.
#[derive(Debug)]
struct AnyClient;

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A server's configuration that requires a certificate.
fn server(certificate: &str, key: &str) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(Arc::new(AnyClient))
        .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
        .unwrap();
    Arc::new(config)
}

/// What a client presents, after it has proved that it has the key.
async fn presented(config: Arc<ServerConfig>, tls: TlsConfig) -> Vec<CertificateDer<'static>> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let dial = dial_fn(move |_| {
        let (near, far) = tokio::io::duplex(65_536);
        let (config, sender) = (config.clone(), sender.clone());
        tokio::spawn(async move {
            let stream = TlsAcceptor::from(config).accept(far).await.unwrap();
            let chain = stream.get_ref().1.peer_certificates().unwrap();
            let chain: Vec<_> = chain.iter().map(|one| one.clone().into_owned()).collect();
            let _ = sender.send(chain);
        });
        async { Ok::<_, io::Error>(near) }
    });
    let dial = TlsDial::over(Arc::new(dial), tls).unwrap();
    let _stream = dial.dial(&"localhost".parse().unwrap()).await.unwrap();
    receiver.recv().await.unwrap()
}

/// Everything that a client can present to one server.
struct Presenting {
    ca: Authority,
    server: Arc<ServerConfig>,
}

impl Presenting {
    fn new() -> Self {
        let ca = Authority::new("of the server");
        let own = ca.issue_with(&["localhost"], Validity::Now);
        Presenting {
            server: server(&own.certificate, &own.key),
            ca,
        }
    }

    async fn presents(&self, tls: TlsConfig, expected: &[CertificateDer<'static>]) {
        assert_eq!(tls.check(), Ok(Vec::new()));
        assert_eq!(presented(self.server.clone(), tls).await, expected);
    }

    fn refuses(&self, tls: &TlsConfig, parts: &[&str]) {
        let refused = tls.check().unwrap_err().to_string();
        for part in parts {
            assert!(refused.contains(part), "{part:?} is not in: {refused}");
        }
        assert!(!refused.contains(PASSPHRASE), "{refused}");
    }
}

/// Guards: P47.
#[tokio::test]
async fn every_form_of_a_key_is_presented() {
    let all = Presenting::new();
    let (ec, rsa) = (certificates("ec.pem"), certificates("rsa.pem"));
    let plain = [
        "rsa.key",
        "rsa-pkcs1.key",
        "rsa-pkcs8.der",
        "rsa-pkcs1.der",
        "ec.key",
        "ec-sec1.key",
        "ec-sec1.der",
    ];
    for name in plain {
        let (pem, expected) = match name.starts_with("rsa") {
            true => ("rsa.pem", &rsa),
            false => ("ec.pem", &ec),
        };
        let tls = all.ca.trusted().identity_files(format(pem), format(name));
        all.presents(tls, expected).await;
    }
    let mut encrypted = 0;
    for file in fs::read_dir(input("formats")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let (pem, expected) = match name.split('-').next().unwrap() {
            "pkcs1" | "pkcs8.der" => ("rsa.pem", &rsa),
            "pkcs8" | "sec1" => ("ec.pem", &ec),
            _ => continue,
        };
        let tls = all.ca.trusted().identity_files(format(pem), format(&name));
        let shown = format(&name).display().to_string();
        all.refuses(
            &tls,
            &[&shown, "no passphrase was given", "openssl pkey -in"],
        );
        let locked = tls.clone().key_passphrase("wrong");
        let unsupported = name.contains("camellia") || name.contains("RC4");
        if unsupported {
            let tls = tls.key_passphrase(PASSPHRASE);
            all.refuses(&tls, &[&shown, "not supported", "openssl pkcs8 -topk8"]);
            continue;
        }
        all.refuses(&locked, &[&shown, "the passphrase is wrong"]);
        all.presents(tls.key_passphrase(PASSPHRASE), expected).await;
        encrypted += 1;
    }
    assert_eq!(encrypted, 24);
}

/// Guards: P47.
#[tokio::test]
async fn every_key_store_is_presented() {
    let all = Presenting::new();
    let ec = certificates("ec.pem");
    let store =
        |name: &str, passphrase: &str| (all.ca.trusted()).identity_store(format(name), passphrase);
    for name in [
        "openssl.p12",
        "openssl-legacy.p12",
        "openssl-sha512.p12",
        "openssl-3des.p12",
        "openssl-plain.p12",
        "openssl-no-mac.p12",
        "keytool.p12",
        "keytool-legacy.p12",
        "keytool.jks",
    ] {
        all.presents(store(name, PASSPHRASE), &ec).await;
        let wrong = match name {
            // Without a MAC, only the decryption of the key fails.
            "openssl-no-mac.p12" => "the passphrase is not that of the key",
            _ => "the passphrase is wrong",
        };
        all.refuses(&store(name, "wrong"), &[name, wrong]);
    }
    all.presents(store("openssl-empty-passphrase.p12", ""), &ec)
        .await;
    all.presents(store("openssl-umlaut.p12", "schlüssel"), &ec)
        .await;
    // PEM with both, as Java's stores of the type PEM.
    let directory = ServerDirectory::create("store").unwrap();
    let both = directory.path().join("both.pem");
    let read = |name| fs::read_to_string(format(name)).unwrap();
    fs::write(&both, read("ec.pem") + &read("pkcs8-scrypt.key")).unwrap();
    let tls = all.ca.trusted().identity_store(&both, PASSPHRASE);
    all.presents(tls, &ec).await;
}

/// A key may have a passphrase of its own, and a store several keys.
#[tokio::test]
async fn the_key_of_a_store_is_chosen() {
    let all = Presenting::new();
    let ec = certificates("ec.pem");
    let store = |name: &str| (all.ca.trusted()).identity_store(format(name), PASSPHRASE);
    let other = store("keytool-key-other.jks");
    all.refuses(&other, &["of the key \"own\"", "TlsConfig::key_passphrase"]);
    all.presents(other.key_passphrase("otherone"), &ec).await;
    let two = store("keytool-two.jks");
    all.refuses(&two, &["several keys", "\"first\"", "\"second\""]);
    all.presents(two.clone().identity_alias("FIRST"), &ec).await;
    all.presents(two.clone().identity_alias("second"), &ec)
        .await;
    all.refuses(&two.identity_alias("third"), &["aliases"]);
    all.refuses(&store("keytool-trust.JKS"), &["no private key"]);
    all.refuses(&store("openssl-trust.p12"), &["no private key"]);
}

#[tokio::test]
async fn a_stores_chain_is_put_in_order() {
    let all = Presenting::new();
    for name in ["chain.p12", "chain.jks"] {
        let tls = all.ca.trusted().identity_store(format(name), PASSPHRASE);
        let chain = presented(all.server.clone(), tls).await;
        assert_eq!(chain.len(), 3);
        assert_eq!(chain[2], certificates("ec.pem")[0]);
        let contains = |der: &[u8], name: &[u8]| der.windows(name.len()).any(|part| part == name);
        assert!(contains(&chain[0], b"below") && contains(&chain[1], b"above"));
        assert!(!contains(&chain[1], b"below"));
    }
}

/// Guards: P47.
#[tokio::test]
async fn every_trust_store_is_trusted() {
    let read = |name| fs::read_to_string(format(name)).unwrap();
    let server = server(&read("ec.pem"), &read("ec.key"));
    let own = Authority::new("ours").issue(&["client"]);
    let trusting = |tls: TlsConfig| tls.identity_pem(&own.certificate, &own.key);
    let passphrase = || Some(Passphrase::new(PASSPHRASE));
    for (name, passphrase) in [
        ("keytool-trust.JKS", passphrase()),
        ("keytool-trust.JKS", None),
        ("keytool-trust.PKCS12", passphrase()),
        ("openssl-trust.p12", passphrase()),
        ("keytool.p12", passphrase()),
        ("openssl-plain.p12", None),
        ("ec.pem", None),
    ] {
        let tls = trusting(TlsConfig::new().ca_store(format(name), passphrase));
        assert_eq!(presented(server.clone(), tls).await.len(), 1, "{name}");
    }
    let refused = |name: &str, passphrase: Option<Passphrase>| {
        let tls = TlsConfig::new().ca_store(format(name), passphrase);
        tls.check().unwrap_err().to_string()
    };
    for name in ["keytool-trust.JKS", "keytool-trust.PKCS12"] {
        let why = refused(name, Some("wrong".into()));
        assert!(why.contains("the passphrase is wrong"), "{why}");
    }
    let why = refused("keytool-trust.PKCS12", None);
    assert!(why.contains("no passphrase was given"), "{why}");
}

/// Guards: P47.
#[test]
fn other_stores_are_refused_by_name() {
    let ca = Authority::new("ours");
    let jceks = ca
        .trusted()
        .identity_store(format("keytool.jceks"), PASSPHRASE);
    let why = jceks.check().unwrap_err().to_string();
    for part in ["JCEKS", "keytool -importkeystore", "-srcstoretype JCEKS"] {
        assert!(why.contains(part), "{why}");
    }
    // Without a passphrase they are refused with the method that takes one.
    for (name, method) in [
        ("keytool.jks", "TlsConfig::ca_store"),
        ("openssl.p12", "TlsConfig::ca_store"),
    ] {
        let why = TlsConfig::new().ca_file(format(name)).check().unwrap_err();
        assert!(why.to_string().contains(method), "{why}");
    }
    // What a store of the kind PEM holds in place of a store.
    let request = ca.trusted().identity_store(input("request.csr"), "x");
    let why = request.check().unwrap_err().to_string();
    assert!(why.contains("certificate request"), "{why}");
}

/// Guards: P45.
#[test]
fn a_bad_certificate_in_a_store_is_skipped() {
    let directory = ServerDirectory::create("bad-entry").unwrap();
    let path = directory.path().join("trust.jks");
    // Breaks the version of the certificate inside; without a passphrase, nothing verifies the store.
    let mut bytes = fs::read(format("keytool-trust.JKS")).unwrap();
    let der = certificates("ec.pem")[0].to_vec();
    let at = bytes
        .windows(der.len())
        .position(|part| part == der)
        .unwrap();
    bytes[at] = 0x31;
    fs::write(&path, &bytes).unwrap();
    let alone = TlsConfig::new().ca_store(&path, None);
    let why = alone.check().unwrap_err().to_string();
    assert!(why.contains("certificate \"ca\""), "{why}");
    // As the second of two entries.
    let good = fs::read(format("keytool-trust.JKS")).unwrap();
    let entry = |bytes: &[u8]| bytes[12..bytes.len() - 20].to_vec();
    let both = [
        &good[..8],
        &2_u32.to_be_bytes(),
        &entry(&good),
        &entry(&bytes),
        &[0; 20],
    ];
    fs::write(&path, both.concat()).unwrap();
    let skipped = TlsConfig::new().ca_store(&path, None).check().unwrap();
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    assert!(
        skipped[0].contains("certificate \"ca\"") && skipped[0].contains("is skipped"),
        "{skipped:?}"
    );
}

/// From a file, which is read again; from a function, which is called when something has changed.
#[tokio::test]
async fn a_passphrase_comes_from_its_source() {
    let all = Presenting::new();
    let ec = certificates("ec.pem");
    let directory = ServerDirectory::create("passphrase").unwrap();
    let file = directory.path().join("passphrase");
    let key = format("pkcs8-aes-256-cbc.key");
    let tls = (all.ca.trusted()).identity_files(format("ec.pem"), &key);
    let from_file = tls.clone().key_passphrase(Passphrase::file(&file));
    all.refuses(
        &from_file,
        &["passphrase file", &file.display().to_string()],
    );
    fs::write(&file, "wrong\n").unwrap();
    all.refuses(&from_file, &["the passphrase is wrong"]);
    for text in ["changeit", "changeit\n", "changeit\r\nsecond line"] {
        fs::write(&file, text).unwrap();
        all.presents(from_file.clone(), &ec).await;
    }
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let from_function = tls.clone().key_passphrase(Passphrase::from_fn(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok(PASSPHRASE.to_owned())
    }));
    assert_eq!(presented(all.server.clone(), from_function).await, ec);
    // Once, when the dial was made; the connection found nothing changed.
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let failing = tls.key_passphrase(Passphrase::from_fn(|| Err(io::Error::other("no terminal"))));
    all.refuses(&failing, &["the passphrase of client key", "no terminal"]);
}

//! TLS against the embedded server behind a port of the test's own: what is not to be trusted is
//! not, says so by name at once, and learns nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{GeneralSubtree, NameConstraints};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{CipherSuite, HandshakeKind, ProtocolVersion, ServerConfig};
use zk_client::{BackoffPolicy, Client, Disconnect, Error, ErrorKind, State, TlsConfig, TlsError};
use zk_tests::run_directory::ServerDirectory;

use crate::common::certificates::{Authority, Identity, Validity, cause, rustls_client};
use crate::common::{NO_LIMIT, soon, until, until_known};

/// A port for TLS with the embedded server behind it.
pub(super) struct Port {
    number: u16,
    accepted: Arc<AtomicUsize>,
    /// Connections that were let through to the server.
    pub(super) served: Arc<AtomicUsize>,
    /// How their handshakes went.
    handshakes: Arc<Mutex<Vec<HandshakeKind>>>,
    /// What their handshakes agreed on.
    pub(super) suites: Arc<Mutex<Vec<(ProtocolVersion, CipherSuite)>>>,
    config: Arc<Mutex<Arc<ServerConfig>>>,
    pub(super) server: Arc<zk_embedded::Server>,
}

impl Port {
    pub(super) async fn open(config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(zk_embedded::Server::start().await.unwrap());
        let port = Port {
            number: listener.local_addr().unwrap().port(),
            accepted: Arc::default(),
            served: Arc::default(),
            handshakes: Arc::default(),
            suites: Arc::default(),
            config: Arc::new(Mutex::new(Arc::new(config))),
            server: server.clone(),
        };
        let (accepted, served) = (port.accepted.clone(), port.served.clone());
        let (handshakes, suites) = (port.handshakes.clone(), port.suites.clone());
        let config = port.config.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                accepted.fetch_add(1, Ordering::SeqCst);
                let acceptor = TlsAcceptor::from(config.lock().unwrap().clone());
                if let Ok(stream) = acceptor.accept(stream).await {
                    served.fetch_add(1, Ordering::SeqCst);
                    let tls = stream.get_ref().1;
                    handshakes.lock().unwrap().extend(tls.handshake_kind());
                    let suite = tls.negotiated_cipher_suite().map(|suite| suite.suite());
                    let agreed = tls.protocol_version().zip(suite);
                    suites.lock().unwrap().extend(agreed);
                    server.serve(0, stream).unwrap();
                }
            }
        });
        port
    }

    /// How the handshakes went, one after the other.
    pub(super) fn kinds(&self) -> Vec<HandshakeKind> {
        self.handshakes.lock().unwrap().clone()
    }

    /// From the next connection on.
    pub(super) fn present(&self, config: ServerConfig) {
        *self.config.lock().unwrap() = Arc::new(config);
    }

    pub(super) fn hosts(&self) -> String {
        self.at("localhost")
    }

    fn at(&self, host: &str) -> String {
        format!("{host}:{}", self.number)
    }

    /// The client must be let in.
    pub(super) async fn admits(&self, tls: TlsConfig) {
        self.admits_at("localhost", tls).await;
    }

    async fn admits_at(&self, host: &str, tls: TlsConfig) {
        let zk = Client::builder(self.at(host))
            .connect_timeout(NO_LIMIT)
            .tls(tls)
            .connect()
            .await
            .unwrap();
        zk.create("/a", "over TLS").await.unwrap();
        assert_eq!(zk.get("/a").await.unwrap().0, "over TLS");
        zk.delete("/a").await.unwrap();
        zk.close().await.unwrap();
    }

    /// The client must not let itself in with this server: at once, with this reason.
    pub(super) async fn is_refused(&self, tls: TlsConfig) -> TlsError {
        self.is_refused_at("localhost", tls).await
    }

    async fn is_refused_at(&self, host: &str, tls: TlsConfig) -> TlsError {
        let before = self.served.load(Ordering::SeqCst);
        let error = self.refusal(host, tls).await;
        assert_eq!(
            self.served.load(Ordering::SeqCst),
            before,
            "the handshake was not finished, so nothing was said to the server"
        );
        error
    }

    /// Why a client does not connect.
    async fn refusal(&self, host: &str, tls: TlsConfig) -> TlsError {
        let before = self.accepted.load(Ordering::SeqCst);
        let builder = Client::builder(self.at(host))
            .connect_timeout(NO_LIMIT)
            .auth("digest", "user:canary")
            .tls(tls);
        let error = expect_error(builder).await;
        assert_eq!(
            self.accepted.load(Ordering::SeqCst) - before,
            1,
            "the client dialled again"
        );
        let cause = cause(&error);
        let text = error.to_string();
        assert!(
            text.contains(&self.at(host)) && text.contains(&cause.to_string()),
            "{text} lacks the host or {cause}"
        );
        assert!(!text.contains("canary"));
        cause
    }
}

/// Fails at once, not when the time to connect is over: the kind says so.
async fn expect_error(builder: zk_client::ClientBuilder) -> Error {
    let error = soon("the refusal", builder.connect()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
    error
}

#[tokio::test]
async fn trusted_ca_by_name_and_address() {
    let ca = Authority::new("ours");
    let port = Port::open(ca.issue(&["localhost", "127.0.0.1"]).server()).await;
    port.admits(ca.trusted()).await;
    port.admits_at("127.0.0.1", ca.trusted()).await;
    // Several CAs in one text, as while one replaces another.
    let both = format!("{}{}", Authority::new("the former").pem(), ca.pem());
    port.admits(TlsConfig::new().ca_pem(both)).await;
    port.admits(TlsConfig::from_rustls(rustls_client(&ca).into()))
        .await;
}

/// Guards: C23, T1.
#[tokio::test]
async fn unknown_ca_is_named_at_once() {
    let port = Port::open(Authority::new("theirs").issue(&["localhost"]).server()).await;
    let ours = Authority::new("ours").trusted();
    assert_eq!(port.is_refused(ours).await, TlsError::UnknownCa);
}

/// Guards: T1.
#[tokio::test]
async fn self_signed_is_trusted_only_if_given() {
    let identity = Identity::self_signed(&["localhost"]);
    let port = Port::open(identity.server()).await;
    let ours = Authority::new("ours").trusted();
    assert_eq!(port.is_refused(ours).await, TlsError::UnknownCa);
    port.admits(TlsConfig::new().ca_pem(&identity.certificate))
        .await;
}

/// Guards: T1.
#[tokio::test]
async fn expired_differs_from_not_yet_valid() {
    let ca = Authority::new("ours");
    let port = Port::open(ca.issue_with(&["localhost"], Validity::Past).server()).await;
    let refused = port.is_refused(ca.trusted()).await;
    assert!(matches!(refused, TlsError::Expired(Some(_))), "{refused:?}");
    assert!(refused.to_string().contains("days ago"), "{refused}");
    let port = Port::open(ca.issue_with(&["localhost"], Validity::Future).server()).await;
    let refused = port.is_refused(ca.trusted()).await;
    assert!(
        matches!(refused, TlsError::NotYetValid(Some(_))),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("clock"), "{refused}");
}

/// Guards: T1.
#[tokio::test]
async fn wrong_host_error_names_both() {
    let ca = Authority::new("ours");
    let port = Port::open(ca.issue(&["zk1.example.org", "10.0.0.1"]).server()).await;
    for host in ["localhost", "127.0.0.1"] {
        let refused = port.is_refused_at(host, ca.trusted()).await;
        assert!(
            matches!(&refused, TlsError::WrongName { expected, .. } if expected == host),
            "{refused:?}"
        );
        assert!(refused.to_string().contains("zk1.example.org"), "{refused}");
    }
    port.admits(ca.trusted().server_name("zk1.example.org"))
        .await;
    port.admits(ca.trusted().server_name("10.0.0.1")).await;
    let refused = port
        .is_refused(ca.trusted().server_name("zk2.example.org"))
        .await;
    assert!(matches!(refused, TlsError::WrongName { .. }), "{refused:?}");
}

/// Guards: T1.
#[tokio::test]
async fn common_name_does_not_count() {
    let ca = Authority::new("ours");
    let port = Port::open(ca.issue_to_common_name("localhost").server()).await;
    let refused = port.is_refused(ca.trusted()).await;
    assert!(
        matches!(&refused, TlsError::WrongName { presented, .. } if presented.is_empty()),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("common name"), "{refused}");
}

/// The address's name is in the certificate, and every resolver says so: it must not count.
/// Guards: B77, T2.
#[tokio::test]
async fn no_reverse_lookup_of_addresses() {
    let ca = Authority::new("ours");
    let port = Port::open(ca.issue(&["localhost"]).server()).await;
    let refused = port.is_refused_at("127.0.0.1", ca.trusted()).await;
    assert!(matches!(refused, TlsError::WrongName { .. }), "{refused:?}");
}

/// Guards: T1.
#[tokio::test]
async fn name_constraints_of_a_ca_hold() {
    let ca = Authority::with("of example.org", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".into())],
            excluded_subtrees: Vec::new(),
        });
    });
    let port = Port::open(ca.issue(&["localhost"]).server()).await;
    let refused = port.is_refused(ca.trusted()).await;
    assert!(
        matches!(refused, TlsError::BadCertificate(_)),
        "{refused:?}"
    );
}

/// Guards: T1.
#[tokio::test]
async fn revoked_certificate_is_refused() {
    let ca = Authority::new("ours");
    let port = Port::open(ca.issue_revoked(&["localhost"]).server()).await;
    port.admits(ca.trusted()).await;
    let strict = ca.trusted().crl_pem(ca.revoked());
    assert_eq!(port.is_refused(strict.clone()).await, TlsError::Revoked);
    port.present(ca.issue(&["localhost"]).server());
    port.admits(strict).await;
    // A list of another authority does not cover our certificates.
    let other = Authority::new("another").revoked();
    let refused = port.is_refused(ca.trusted().crl_pem(other)).await;
    assert!(
        matches!(refused, TlsError::RevocationUnknown(_)),
        "{refused:?}"
    );
}

#[tokio::test]
async fn only_the_name_can_be_unchecked() {
    let ca = Authority::new("ours");
    let careless = ca.trusted().danger_accept_any_host_name();
    let port = Port::open(ca.issue(&["zk1.example.org"]).server()).await;
    port.admits(careless.clone()).await;
    port.present(ca.issue_with(&["zk1.example.org"], Validity::Past).server());
    let refused = port.is_refused(careless.clone()).await;
    assert!(matches!(refused, TlsError::Expired(_)), "{refused:?}");
    port.present(Authority::new("theirs").issue(&["localhost"]).server());
    assert_eq!(port.is_refused(careless).await, TlsError::UnknownCa);
}

/// Guards: T1.
#[tokio::test]
async fn bad_client_certificate_is_explained() {
    let ca = Authority::new("ours");
    let clients = Authority::new("of the clients");
    for tls12 in [true, false] {
        let server = ca.issue(&["localhost"]).mutual_server(&clients, tls12);
        let port = Port::open(server).await;
        let with = |identity: Identity| {
            ca.trusted()
                .identity_pem(identity.certificate, identity.key)
        };
        port.admits(with(clients.issue(&["client"]))).await;
        // With TLS 1.3 the client has finished its handshake when the server judges.
        let missing = port.refusal("localhost", ca.trusted()).await;
        match missing {
            TlsError::ClientCertificateRequired(_) => {}
            // All that TLS 1.2 has a word for.
            TlsError::Incompatible(_) if tls12 => {
                assert!(missing.to_string().contains("client certificate"));
            }
            other => panic!("{other:?}"),
        }
        for bad in [
            clients.issue_with(&["client"], Validity::Past),
            Authority::new("of strangers").issue(&["client"]),
        ] {
            let refused = port.refusal("localhost", with(bad)).await;
            assert!(
                matches!(refused, TlsError::ClientCertificateRefused(_)),
                "{refused:?}"
            );
        }
    }
}

/// A server with TLS 1.1 at most: its answer to a greeting that offers 1.2 and 1.3.
/// Guards: T1.
#[tokio::test]
async fn server_without_tls_1_2_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hosts = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut header = [0; 5];
            stream.read_exact(&mut header).await.unwrap();
            let length = u16::from_be_bytes([header[3], header[4]]);
            let mut greeting = vec![0; length.into()];
            stream.read_exact(&mut greeting).await.unwrap();
            // Alert, TLS 1.1, two bytes: fatal, protocol_version.
            stream.write_all(&[21, 3, 2, 0, 2, 2, 70]).await.unwrap();
        }
    });
    let tls = Authority::new("ours").trusted();
    let error = expect_error(Client::builder(&hosts).connect_timeout(NO_LIMIT).tls(tls)).await;
    let cause = cause(&error);
    assert!(matches!(cause, TlsError::Incompatible(_)), "{cause:?}");
    assert!(error.to_string().contains("version"), "{error}");
}

/// Guards: T1.
#[tokio::test]
async fn plaintext_server_gets_no_data() {
    // One that answers in its own language, at once.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hosts = listener.local_addr().unwrap().to_string();
    let (said, mut received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut greeting = vec![0; 4096];
            let n = stream.read(&mut greeting).await.unwrap();
            said.send(greeting[..n].to_vec()).unwrap();
            stream
                .write_all(b"This ZooKeeper instance is not currently serving requests\n")
                .await
                .unwrap();
        }
    });
    let tls = Authority::new("ours").trusted();
    let builder = Client::builder(&hosts)
        .connect_timeout(NO_LIMIT)
        .auth("digest", "user:canary")
        .tls(tls.clone());
    let error = expect_error(builder).await;
    assert_eq!(cause(&error), TlsError::NotTls);
    let received = received.recv().await.unwrap();
    assert_eq!(received[0], 22, "a greeting of TLS");
    assert!(!received.windows(6).any(|window| window == b"canary"));

    // A ZooKeeper server takes the greeting for a frame that is too long, and closes. It could as
    // well be one that starts, so that is tried again.
    let server = zk_embedded::Server::start().await.unwrap();
    let attempt = async |limit| {
        Client::builder(server.connect_string())
            .connect_timeout(limit)
            .tls(tls.clone())
            .connect()
            .await
            .unwrap_err()
    };
    let known = |error: &Error| error.to_string().contains("may not speak TLS");
    let (_, error) = until_known(Duration::from_millis(300), attempt, known).await;
    assert_eq!(error.kind(), ErrorKind::ConnectTimeout);
    let text = error.to_string();
    assert!(
        text.contains("may not speak TLS") && text.contains(&server.connect_string()),
        "{text}"
    );
}

/// Guards: T1.
#[tokio::test]
async fn tls_server_is_named_to_plaintext() {
    let ca = Authority::new("ours");
    let port = Port::open(ca.issue(&["localhost"]).server()).await;
    let error = expect_error(Client::builder(port.hosts()).connect_timeout(NO_LIMIT)).await;
    let cause = error.disconnect();
    assert_eq!(cause, Some(&Disconnect::ServerSpeaksTls));
    assert!(error.to_string().contains(&port.hosts()), "{error}");
    assert_eq!(port.served.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn one_server_to_be_trusted_is_enough() {
    let ca = Authority::new("ours");
    let good = Port::open(ca.issue(&["localhost"]).server()).await;
    let bad = Port::open(Authority::new("theirs").issue(&["localhost"]).server()).await;
    let hosts = format!("{},{}", good.hosts(), bad.hosts());
    // In whichever order they are tried.
    for seed in 0..8 {
        let zk = Client::builder(&hosts)
            .seed(seed)
            .tls(ca.trusted())
            .connect()
            .await
            .unwrap();
        zk.close().await.unwrap();
    }
    assert!(
        bad.accepted.load(Ordering::SeqCst) > 0,
        "it was never tried"
    );
    assert_eq!(bad.served.load(Ordering::SeqCst), 0);
}

/// A client that does not give up does not hammer either.
/// Guards: T1.
#[tokio::test]
async fn bad_certificate_retries_back_off() {
    let ca = Authority::new("ours");
    let port = Port::open(Authority::new("theirs").issue(&["localhost"]).server()).await;
    let initial = Duration::from_millis(100);
    let started = Instant::now();
    let zk = Client::builder(port.hosts())
        .backoff(BackoffPolicy::new(initial, NO_LIMIT))
        .tls(ca.trusted())
        .start()
        .unwrap();
    until("there were four attempts", || async {
        port.accepted.load(Ordering::SeqCst) >= 4
    })
    .await;
    // Three delays, each of at least half its length: 50, 100 and 200 ms.
    assert!(started.elapsed() >= initial * 3, "{:?}", started.elapsed());
    assert_eq!(zk.state(), State::Connecting);
    // It is there as soon as the certificate is mended.
    port.present(ca.issue(&["localhost"]).server());
    soon("a connection", zk.connected()).await.unwrap();
    zk.close().await.unwrap();
}

/// Guards: T4.
#[tokio::test]
async fn renewed_files_apply_to_next_connection() {
    let directory = ServerDirectory::create("tls").unwrap();
    let file = |name| directory.path().join(name);
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (certificate, key) = (file("client.pem"), file("client-key.pem"));
    fs::write(file("ca.pem"), old.pem()).unwrap();
    old.issue(&["client"]).write(&certificate, &key);
    let tls = TlsConfig::new()
        .ca_file(file("ca.pem"))
        .identity_files(&certificate, &key);
    let port = Port::open(old.issue(&["localhost"]).mutual_server(&old, false)).await;
    let zk = Client::builder(port.hosts())
        .connect_timeout(NO_LIMIT)
        .backoff(BackoffPolicy::new(
            Duration::from_millis(10),
            Duration::from_millis(50),
        ))
        .session_timeout(Duration::from_secs(30))
        .tls(tls.clone())
        .connect()
        .await
        .unwrap();
    let session = zk.session();

    // Everything is renewed at once, and the connections end. A file is caught half written.
    port.present(new.issue(&["localhost"]).mutual_server(&new, false));
    fs::write(file("ca.pem"), &new.pem()[..100]).unwrap();
    let error = Client::builder(port.hosts())
        .tls(tls.clone())
        .start()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("ca.pem"), "{error}");
    let mut states = zk.states();
    assert!(states.next().await.unwrap().is_connected());
    let attempts = port.accepted.load(Ordering::SeqCst);
    port.server.faults().disconnect_all();
    assert!(matches!(
        states.next().await.unwrap(),
        State::Suspended { .. }
    ));
    new.issue(&["client"]).write(&certificate, &key);
    fs::write(file("ca.pem"), new.pem()).unwrap();
    let back = soon("a connection", states.next()).await;
    assert!(back.unwrap().is_connected());
    assert!(port.accepted.load(Ordering::SeqCst) > attempts);
    assert_eq!(zk.session(), session);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn unusable_material_fails_the_start() {
    let ca = Authority::new("ours");
    let (one, other) = (ca.issue(&["client"]), ca.issue(&["client"]));
    let start = |tls: TlsConfig| {
        let error = Client::builder("localhost").tls(tls).start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        error.to_string()
    };
    let text = start(ca.trusted().identity_pem(&one.certificate, &other.key));
    assert!(text.contains("client certificate"), "{text}");
    let text = start(ca.trusted().identity_pem(&one.key, &one.key));
    assert!(text.contains("holds no certificate"), "{text}");
    let text = start(
        ca.trusted()
            .identity_pem(&one.certificate, &one.certificate),
    );
    assert!(text.contains("holds no private key"), "{text}");
    let text = start(TlsConfig::new().ca_pem("no PEM"));
    assert!(text.contains("holds no certificate"), "{text}");
    let text = start(TlsConfig::new());
    assert!(text.contains("no CA is given"), "{text}");
}

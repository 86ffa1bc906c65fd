//! Pins, replaced configurations, resumed TLS sessions, and the options that verify less or more.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::fs;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_rustls::rustls::HandshakeKind::{Full, Resumed};
use tokio_rustls::rustls::ProtocolVersion;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::ring::{cipher_suite, default_provider};
use zk_client::{BackoffPolicy, Client, ErrorKind, State, TlsConfig, TlsDial, TlsError};
use zk_tests::run_directory::ServerDirectory;

use super::tls::Port;
use crate::common::certificates::{Authority, Identity, Validity};
use crate::common::{NO_LIMIT, soon};

/// The SHA-256 of a certificate, as the error about another one shows it.
async fn fingerprint(port: &Port) -> String {
    match port
        .is_refused(TlsConfig::new().pin_sha256("00".repeat(32)))
        .await
    {
        TlsError::NotPinned(presented) => presented,
        other => panic!("{other:?}"),
    }
}

/// By the certificate or its hash, whatever its names and dates.
#[tokio::test]
async fn a_pinned_certificate_is_accepted() {
    let ca = Authority::new("theirs");
    let expired = ca.issue_with(&["zk1.example.org"], Validity::Past);
    let directory = ServerDirectory::create("pins").unwrap();
    let file = directory.path().join("server.pem");
    for identity in [Identity::self_signed(&["localhost"]), expired] {
        let port = Port::open(identity.server()).await;
        let hash = fingerprint(&port).await;
        fs::write(&file, &identity.certificate).unwrap();
        let other = Identity::self_signed(&["localhost"]).certificate;
        for tls in [
            TlsConfig::new().pin_sha256(&hash),
            TlsConfig::new().pin_sha256(hash.replace(':', "").to_lowercase()),
            TlsConfig::new().pin_file(&file),
            TlsConfig::new()
                .pin_pem(&other)
                .pin_pem(&identity.certificate),
        ] {
            port.admits(tls).await;
        }
        let refused = port.is_refused(TlsConfig::new().pin_pem(&other)).await;
        assert_eq!(refused, TlsError::NotPinned(hash.clone()));
        assert!(refused.to_string().contains(&hash), "{refused}");
    }
}

/// A pin only ever adds a condition.
#[tokio::test]
async fn a_pin_does_not_replace_a_ca() {
    let ca = Authority::new("ours");
    let expired = ca.issue_with(&["localhost"], Validity::Past);
    let port = Port::open(expired.server()).await;
    let pinned = |tls: TlsConfig| tls.pin_pem(&expired.certificate);
    let refused = port.is_refused(pinned(ca.trusted())).await;
    assert!(matches!(refused, TlsError::Expired(_)), "{refused:?}");
    let good = ca.issue(&["localhost"]);
    port.present(good.server());
    port.admits(ca.trusted()).await;
    for tls in [
        pinned(ca.trusted()),
        pinned(TlsConfig::new().danger_accept_any_certificate()),
    ] {
        let refused = port.is_refused(tls).await;
        assert!(matches!(refused, TlsError::NotPinned(_)), "{refused:?}");
    }
    port.admits(ca.trusted().pin_pem(&good.certificate)).await;
}

#[tokio::test]
async fn any_certificate_is_accepted_on_request() {
    let careless = TlsConfig::new().danger_accept_any_certificate();
    let stranger = Authority::new("theirs");
    for identity in [
        Identity::self_signed(&["zk1.example.org"]),
        stranger.issue_with(&["localhost"], Validity::Past),
        stranger.issue_to_common_name("localhost"),
    ] {
        let port = Port::open(identity.server()).await;
        port.admits(careless.clone()).await;
        port.is_refused(Authority::new("ours").trusted()).await;
    }
}

/// A client that reconnects soon.
async fn connect(port: &Port, tls: TlsConfig) -> Client {
    Client::builder(port.hosts())
        .connect_timeout(NO_LIMIT)
        .backoff(BackoffPolicy::new(
            Duration::from_millis(10),
            Duration::from_millis(50),
        ))
        .session_timeout(Duration::from_secs(30))
        .tls(tls)
        .connect()
        .await
        .unwrap()
}

/// Cuts the connection, and waits for the next one.
async fn reconnect(port: &Port, zk: &Client) {
    let mut states = zk.states();
    assert!(states.next().await.unwrap().is_connected());
    port.server.faults().disconnect_all();
    assert!(matches!(
        states.next().await.unwrap(),
        State::Suspended { .. }
    ));
    let back = soon("a connection", states.next()).await;
    assert!(back.unwrap().is_connected());
}

/// In memory, in a living client: the session stays.
/// Guards: T4.
#[tokio::test]
async fn certificates_of_a_client_are_replaced() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let with = |ca: &Authority| {
        let own = ca.issue(&["client"]);
        ca.trusted().identity_pem(own.certificate, own.key)
    };
    let port = Port::open(old.issue(&["localhost"]).mutual_server(&old, false)).await;
    let zk = connect(&port, with(&old)).await;
    let session = zk.session();
    port.present(new.issue(&["localhost"]).mutual_server(&new, false));
    // What cannot be used replaces nothing.
    let error = zk.replace_tls(TlsConfig::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("no CA is given"), "{error}");
    let other = zk.chroot("/other").unwrap();
    assert!(other.replace_tls(with(&new)).unwrap().is_empty());
    assert!(zk.state().is_connected());
    reconnect(&port, &zk).await;
    assert_eq!(zk.session(), session);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn a_plain_client_gets_no_tls() {
    let server = zk_embedded::Server::start().await.unwrap();
    let zk = Client::connect(server.connect_string()).await.unwrap();
    let error = zk
        .replace_tls(Authority::new("ours").trusted())
        .unwrap_err();
    assert!(error.to_string().contains("without TLS"), "{error}");
    zk.close().await.unwrap();
}

/// The names of the DNS stay unauthenticated.
#[tokio::test]
async fn a_replacement_still_needs_a_name() {
    let ca = Authority::new("ours");
    let zk = Client::builder("dns-srv://zookeeper.invalid")
        .tls(ca.trusted().server_name("zk"))
        .start()
        .unwrap();
    let error = zk.replace_tls(ca.trusted()).unwrap_err();
    assert!(error.to_string().contains("dns-srv://"), "{error}");
    let named = ca.trusted().server_name("other");
    assert!(zk.replace_tls(named).unwrap().is_empty());
}

/// A reconnect needs no certificate, until the configuration changes.
#[tokio::test]
async fn tls_sessions_are_resumed() {
    let ca = Authority::new("ours");
    for tls12 in [false, true] {
        let server = ca.issue(&["localhost"]).mutual_server(&ca, tls12);
        let port = Port::open(server).await;
        let own = ca.issue(&["client"]);
        let tls = ca.trusted().identity_pem(&own.certificate, &own.key);
        let zk = connect(&port, tls.clone()).await;
        for _ in 0..3 {
            reconnect(&port, &zk).await;
        }
        assert_eq!(port.kinds(), [Full, Resumed, Resumed, Resumed]);
        // A session of the former configuration might be with a server that is not trusted any more.
        zk.replace_tls(tls).unwrap();
        reconnect(&port, &zk).await;
        reconnect(&port, &zk).await;
        assert_eq!(port.kinds()[4..], [Full, Resumed]);
        zk.close().await.unwrap();
    }
}

/// So that a CA which is removed from its file is not trusted by way of an old session.
#[tokio::test]
async fn changed_files_end_resumption() {
    let directory = ServerDirectory::create("resumption").unwrap();
    let file = directory.path().join("ca.pem");
    let ca = Authority::new("ours");
    fs::write(&file, ca.pem()).unwrap();
    let port = Port::open(ca.issue(&["localhost"]).server()).await;
    let zk = connect(&port, TlsConfig::new().ca_file(&file)).await;
    reconnect(&port, &zk).await;
    fs::write(&file, ca.pem() + &Authority::new("another").pem()).unwrap();
    reconnect(&port, &zk).await;
    assert_eq!(port.kinds(), [Full, Resumed, Full]);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn versions_and_suites_can_be_chosen() {
    let ca = Authority::new("ours");
    let own = ca.issue(&["client"]);
    let tls = || ca.trusted().identity_pem(&own.certificate, &own.key);
    let old = Port::open(ca.issue(&["localhost"]).mutual_server(&ca, true)).await;
    old.admits(tls()).await;
    let refused = old.is_refused(tls().only_tls13()).await;
    assert!(matches!(refused, TlsError::Incompatible(_)), "{refused:?}");
    let new = Port::open(ca.issue(&["localhost"]).server()).await;
    new.admits(tls().only_tls13()).await;
    let suites = vec![cipher_suite::TLS13_CHACHA20_POLY1305_SHA256];
    let provider = CryptoProvider {
        cipher_suites: suites.clone(),
        ..default_provider()
    };
    new.admits(tls().only_tls13().crypto_provider(provider.clone()))
        .await;
    let last = *new.suites.lock().unwrap().last().unwrap();
    assert_eq!(last, (ProtocolVersion::TLSv1_3, suites[0].suite()));
    // A provider without a suite of TLS 1.2 cannot be asked for it alone; one without any is an error.
    let none = CryptoProvider {
        cipher_suites: Vec::new(),
        ..provider
    };
    assert!(tls().crypto_provider(none).check().is_err());
}

#[test]
fn fips_is_required_of_the_provider() {
    let error = Authority::new("ours").trusted().require_fips().check();
    let text = error.unwrap_err().to_string();
    assert!(text.contains("default_fips_provider"), "{text}");
}

/// The dial of a program's own.
#[tokio::test]
async fn a_dials_clones_are_replaced_together() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let dial = TlsDial::new(old.trusted()).unwrap();
    let port = Port::open(new.issue(&["localhost"]).server()).await;
    let connect = || {
        let builder = Client::builder(port.hosts()).connect_timeout(NO_LIMIT);
        builder.dial(dial.clone()).connect()
    };
    let error = connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    dial.clone().replace(new.trusted()).unwrap();
    connect().await.unwrap().close().await.unwrap();
    assert_eq!(port.served.load(Ordering::SeqCst), 1);
}

/// Not shown by any of the options.
#[test]
fn secrets_are_not_in_the_debug_output() {
    let tls = TlsConfig::new()
        .identity_store("own.p12", "canary")
        .key_passphrase("canary")
        .ca_store("trust.jks", Some("canary".into()));
    assert!(!format!("{tls:?}").contains("canary"));
    assert!(!tls.check().unwrap_err().to_string().contains("canary"));
}

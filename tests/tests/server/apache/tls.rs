//! TLS with a real server: one-way and mutual.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use zk_client::{Acl, Client, Error, TlsConfig, TlsError, WatchMode};
use zk_tests::run_directory::ServerDirectory;
use zk_tests::{Proxy, ServerOptions, Standalone};

use crate::common::certificates::{Authority, Identity, Validity, cause};
use crate::common::{soon, until_known};

/// A server with a port for TLS.
struct Secure {
    server: Standalone,
    ca: Authority,
    clients: Authority,
    _directory: ServerDirectory,
}

impl Secure {
    fn start(client_auth: &str) -> Self {
        let directory = ServerDirectory::create("certificates").unwrap();
        let ca = Authority::new("of the server");
        let clients = Authority::new("of the clients");
        let identity = ca.issue(&["localhost", "127.0.0.1"]);
        let options = identity.real_server(directory.path(), &clients, client_auth);
        Secure {
            server: Standalone::start(options).unwrap(),
            ca,
            clients,
            _directory: directory,
        }
    }

    fn hosts(&self) -> String {
        self.server.secure_address().unwrap().to_string()
    }

    fn identified(&self, identity: &Identity) -> TlsConfig {
        self.ca
            .trusted()
            .identity_pem(&identity.certificate, &identity.key)
    }
}

/// A server that requests no certificate of a client.
fn one_way() -> &'static Secure {
    static SERVER: OnceLock<Secure> = OnceLock::new();
    SERVER.get_or_init(|| Secure::start("none"))
}

/// A server that requires a certificate of every client.
fn mutual() -> &'static Secure {
    static SERVER: OnceLock<Secure> = OnceLock::new();
    SERVER.get_or_init(|| Secure::start("need"))
}

async fn connect(hosts: &str, tls: TlsConfig) -> Result<Client, Error> {
    crate::common::builder(hosts).tls(tls).connect().await
}

/// Several replies in one TLS record, and replies larger than one, must not wait for each other.
/// Guards: C23.
#[tokio::test]
async fn session_over_tls_works_as_any_other() {
    let server = one_way();
    let zk = connect(&server.hosts(), server.ca.trusted()).await.unwrap();
    let answer = zk.command("ruok").await.unwrap();
    assert_eq!(zk_client::admin::ruok(&answer), Ok(()));
    zk.create("/tls", "").await.unwrap();
    let mut events = zk.watch("/tls", WatchMode::Persistent).await.unwrap();
    let large = vec![b'x'; 512 * 1024];
    zk.set("/tls", &large).await.unwrap();
    assert!(soon("an event", events.next()).await.is_some());
    let reads: Vec<_> = (0..200).map(|_| zk.exists("/tls").submit()).collect();
    let whole = zk.get("/tls").submit();
    for read in reads {
        let stat = soon("a stat", read).await;
        assert_eq!(stat.unwrap().unwrap().data_length, 512 * 1024);
    }
    let (data, _) = soon("the data", whole).await.unwrap();
    assert_eq!(data, large);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn session_resumes_over_tls() {
    let server = one_way();
    let proxy = Proxy::start(server.server.secure_address().unwrap()).unwrap();
    let zk = connect(&proxy.connect_string(), server.ca.trusted())
        .await
        .unwrap();
    let session = zk.session();
    let mut states = zk.states();
    assert!(states.next().await.unwrap().is_connected());
    proxy.cut_all();
    assert!(!states.next().await.unwrap().is_connected());
    let back = soon("a connection", states.next()).await;
    assert!(back.unwrap().is_connected());
    assert_eq!(zk.session(), session);
    zk.exists("/").await.unwrap();
    zk.close().await.unwrap();
}

/// Guards: T1.
#[tokio::test]
async fn wrong_ca_or_name_is_refused() {
    let server = one_way();
    let strangers = Authority::new("strangers").trusted();
    let error = connect(&server.hosts(), strangers).await.unwrap_err();
    assert_eq!(cause(&error), TlsError::UnknownCa);
    let elsewhere = server.ca.trusted().server_name("zk1.example.org");
    let error = connect(&server.hosts(), elsewhere).await.unwrap_err();
    assert!(matches!(cause(&error), TlsError::WrongName { .. }));
    // The client goes by what is in the connect string, so both of its names are good.
    let named = format!(
        "localhost:{}",
        server.server.secure_address().unwrap().port()
    );
    let zk = connect(&named, server.ca.trusted()).await.unwrap();
    zk.close().await.unwrap();
}

/// Guards: T1.
#[tokio::test]
async fn client_certificate_is_an_acl_identity() {
    let server = mutual();
    let identity = server.clients.issue_to_common_name("worker");
    let zk = connect(&server.hosts(), server.identified(&identity))
        .await
        .unwrap();
    zk.create("/mine", "")
        .acl(Acl::creator_all())
        .await
        .unwrap();
    let (acl, _) = zk.acl("/mine").await.unwrap();
    assert_eq!(acl[0].id.scheme, "x509");
    assert!(acl[0].id.id.contains("CN=worker"), "{acl:?}");
    zk.close().await.unwrap();
}

/// Guards: T1.
#[tokio::test]
async fn wrong_client_certificate_is_named() {
    let server = mutual();
    let error = connect(&server.hosts(), server.ca.trusted())
        .await
        .unwrap_err();
    let missing = cause(&error);
    assert!(
        matches!(missing, TlsError::ClientCertificateRequired(_)),
        "{missing:?}"
    );
    for bad in [
        server.clients.issue_with(&["client"], Validity::Past),
        Authority::new("of strangers").issue(&["client"]),
    ] {
        let error = connect(&server.hosts(), server.identified(&bad))
            .await
            .unwrap_err();
        let refused = cause(&error);
        assert!(
            matches!(refused, TlsError::ClientCertificateRefused(_)),
            "{refused:?}"
        );
    }
}

/// Guards: T1.
#[tokio::test]
async fn wrong_port_is_named() {
    let server = one_way();
    for (hosts, tls) in [
        (server.hosts(), None),
        (server.server.connect_string(), Some(server.ca.trusted())),
    ] {
        let attempt = async |limit| {
            let builder = Client::builder(&hosts).connect_timeout(limit);
            let builder = match &tls {
                Some(tls) => builder.tls(tls.clone()),
                None => builder,
            };
            builder.connect().await.unwrap_err().to_string()
        };
        let known = |text: &String| text.contains("TLS on this port");
        let (_, text) = until_known(Duration::from_secs(2), attempt, known).await;
        assert!(text.contains("TLS on this port"), "{text}");
        assert!(text.contains(&hosts), "{text}");
    }
}

/// A file that OpenSSL or Java has written.
fn format(name: &str) -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crates/zk-transport/tests/inputs/tls/formats"
    ))
    .join(name)
}

/// The server reads the same stores as the client, and requires a certificate.
#[tokio::test]
async fn key_stores_are_the_servers_own() {
    const PASSPHRASE: &str = "changeit";
    let config = |name: &str| format(name).display().to_string();
    let options = ServerOptions::default()
        .secure_port()
        .config("ssl.keyStore.location", config("keytool.p12"))
        .config("ssl.keyStore.type", "PKCS12")
        .config("ssl.keyStore.password", PASSPHRASE)
        .config("ssl.trustStore.location", config("keytool-trust.JKS"))
        .config("ssl.trustStore.type", "JKS")
        .config("ssl.trustStore.password", PASSPHRASE)
        .config("ssl.clientAuth", "need");
    let server = Standalone::start(options).unwrap();
    let hosts = server.secure_address().unwrap().to_string();
    let trusting =
        || TlsConfig::new().ca_store(format("keytool-trust.PKCS12"), Some(PASSPHRASE.into()));
    let from_store = |name| trusting().identity_store(format(name), PASSPHRASE);
    let from_key = |name| {
        trusting()
            .identity_files(format("ec.pem"), format(name))
            .key_passphrase(PASSPHRASE)
    };
    let chained = from_store("chain.p12");
    for (tls, name) in [
        (from_store("keytool.jks"), "CN=ec"),
        (from_store("keytool.p12"), "CN=ec"),
        (from_store("keytool-legacy.p12"), "CN=ec"),
        (from_store("openssl.p12"), "CN=ec"),
        (from_store("openssl-legacy.p12"), "CN=ec"),
        (from_key("pkcs8-aes-256-cbc.key"), "CN=ec"),
        (from_key("pkcs8-PBE-MD5-DES.key"), "CN=ec"),
        (from_key("sec1-aes256.key"), "CN=ec"),
        (chained, "CN=below"),
    ] {
        let zk = connect(&hosts, tls).await.unwrap();
        zk.create("/mine", "")
            .acl(Acl::creator_all())
            .await
            .unwrap();
        let (acl, _) = zk.acl("/mine").await.unwrap();
        assert!(acl[0].id.id.contains(name), "{acl:?}");
        zk.delete("/mine").await.unwrap();
        zk.close().await.unwrap();
    }
    let error = connect(&hosts, trusting()).await.unwrap_err();
    let missing = cause(&error);
    assert!(
        matches!(missing, TlsError::ClientCertificateRequired(_)),
        "{missing:?}"
    );
    // A pin in place of a CA.
    let pinned = TlsConfig::new()
        .pin_file(format("ec.pem"))
        .identity_store(format("keytool.jks"), PASSPHRASE);
    let zk = connect(&hosts, pinned).await.unwrap();
    zk.close().await.unwrap();
}

/// In a living client, whose session moves on with the other certificate.
/// Guards: T4.
#[tokio::test]
async fn a_replaced_certificate_is_presented() {
    let server = mutual();
    let proxy = Proxy::start(server.server.secure_address().unwrap()).unwrap();
    let presenting = |name: &str| server.identified(&server.clients.issue_to_common_name(name));
    let zk = connect(&proxy.connect_string(), presenting("before"))
        .await
        .unwrap();
    let session = zk.session();
    zk.replace_tls(presenting("after")).unwrap();
    let mut states = zk.states();
    assert!(states.next().await.unwrap().is_connected());
    proxy.cut_all();
    assert!(!states.next().await.unwrap().is_connected());
    let back = soon("a connection", states.next()).await;
    assert!(back.unwrap().is_connected());
    zk.create("/replaced", "")
        .acl(Acl::creator_all())
        .await
        .unwrap();
    let (acl, _) = zk.acl("/replaced").await.unwrap();
    assert!(acl[0].id.id.contains("CN=after"), "{acl:?}");
    assert_eq!(zk.session(), session);
    zk.delete("/replaced").await.unwrap();
    zk.close().await.unwrap();
}

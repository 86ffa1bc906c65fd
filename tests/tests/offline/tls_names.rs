//! Which names a server's certificate is checked against: only names from an authenticated source.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::fmt;
use std::sync::{Arc, Mutex};

use crate::common::certificates::{Authority, Identity};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use zk_client::{
    Client, ClientBuilder, Dial, DialError, Dialing, ErrorKind, HostPort, Outcome, Resolve,
    Resolving, Servers, TlsConfig, TlsDial, Transport,
};
use zk_embedded::Server;

const SERVICE: &str = "dns-srv://_zookeeper._tcp.example.org";
/// A client of the ensemble, with a certificate of the same CA as the servers.
const WORKER: &str = "worker-17.example.org";
const SERVER: &str = "zk1.example.org";

/// A DNS whose answer about every service is the one host given.
#[derive(Debug, Clone, Copy)]
struct Answering(&'static str);

impl Resolve for Answering {
    fn resolve<'a>(&'a self, _: &'a HostPort) -> Resolving<'a> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn servers<'a>(&'a self, _: &'a str) -> Servers<'a> {
        let host = self.0.to_owned();
        Box::pin(async move { Ok(vec![HostPort { host, port: 2281 }]) })
    }
}

/// A network in which every address leads to one TLS server, whatever host is dialled. It records what
/// it decrypts.
#[derive(Clone)]
struct Network {
    server: Arc<Server>,
    acceptor: TlsAcceptor,
    received: Arc<Mutex<Vec<u8>>>,
    dialled: Arc<Mutex<u32>>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Network")
    }
}

impl Network {
    async fn of(identity: &Identity) -> Self {
        let server = Server::builder().in_memory().start().await.unwrap();
        Network {
            server: Arc::new(server),
            acceptor: TlsAcceptor::from(Arc::new(identity.server())),
            received: Arc::default(),
            dialled: Arc::default(),
        }
    }

    fn client(&self, hosts: &str) -> ClientBuilder {
        Client::builder(hosts)
            .dial(self.clone())
            .auth("digest", "user:canary")
    }

    fn has_received(&self, secret: &[u8]) -> bool {
        let received = self.received.lock().unwrap();
        received
            .windows(secret.len())
            .any(|window| window == secret)
    }
}

impl Dial for Network {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            *self.dialled.lock().unwrap() += 1;
            let (near, far) = tokio::io::duplex(65_536);
            let server = self.server.connect_in_memory().map_err(DialError::Other)?;
            let (acceptor, received) = (self.acceptor.clone(), self.received.clone());
            tokio::spawn(async move {
                // A client that refuses the certificate ends the handshake.
                let Ok(plain) = acceptor.accept(far).await else {
                    return;
                };
                let (mut from_client, mut to_client) = tokio::io::split(plain);
                let (mut from_server, mut to_server) = tokio::io::split(server);
                tokio::spawn(
                    async move { tokio::io::copy(&mut from_server, &mut to_client).await },
                );
                let mut buffer = vec![0; 65_536];
                while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
                    received.lock().unwrap().extend_from_slice(&buffer[..n]);
                    if to_server.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
            });
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }

    fn authenticates_host(&self) -> bool {
        false
    }
}

/// A dial of a program's own, with TLS inside.
#[derive(Debug)]
struct Wrapped(TlsDial);

impl Dial for Wrapped {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        self.0.dial(host)
    }

    fn authenticates_host(&self) -> bool {
        self.0.authenticates_host()
    }
}

/// One that does not say what is inside.
#[derive(Debug)]
struct Opaque(TlsDial);

impl Dial for Opaque {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        self.0.dial(host)
    }
}

#[track_caller]
fn is_refused_at_build(builder: ClientBuilder) {
    let error = builder.start().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert_eq!(error.outcome(), Outcome::NotSent);
    for part in [
        "dns-srv://",
        "server_name",
        "danger_trust_dns_names",
        "authenticates_host",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
}

/// Guards: M5.
#[tokio::test]
async fn names_from_the_dns_are_no_identity() {
    let ca = Authority::new("ours");
    let network = Network::of(&ca.issue(&[WORKER])).await;
    let client = || network.client(SERVICE).resolver(Answering(WORKER));
    is_refused_at_build(client().tls(ca.trusted()));
    let rustls = crate::common::certificates::rustls_client(&ca);
    is_refused_at_build(client().tls(TlsConfig::from_rustls(rustls.into())));
    // However TLS comes into it.
    let dial = || TlsDial::over(Arc::new(network.clone()), ca.trusted()).unwrap();
    is_refused_at_build(client().dial(dial()));
    is_refused_at_build(client().dial(Wrapped(dial())));
    is_refused_at_build(client().dial(Opaque(dial())));
    assert_eq!(*network.dialled.lock().unwrap(), 0);
}

/// Guards: M5.
#[tokio::test]
async fn a_forged_answer_gets_no_credentials() {
    let ca = Authority::new("ours");
    let attacker = Network::of(&ca.issue(&[WORKER])).await;
    let named = ca.trusted().server_name(SERVER);
    for (hosts, tls) in [(SERVICE, named.clone()), (SERVER, ca.trusted())] {
        let client = attacker.client(hosts).resolver(Answering(WORKER)).tls(tls);
        let error = client.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
    }
    assert!(*attacker.dialled.lock().unwrap() >= 2);
    assert!(!attacker.has_received(b"canary"));

    let genuine = Network::of(&ca.issue(&[SERVER])).await;
    let client = genuine.client(SERVICE).resolver(Answering("zk7.internal"));
    client.tls(named).connect().await.unwrap();
    assert!(genuine.has_received(b"canary"));
}

/// Guards: M5.
#[tokio::test]
async fn the_dns_can_be_trusted_on_request() {
    let ca = Authority::new("ours");
    let network = Network::of(&ca.issue(&[SERVER])).await;
    let tls = ca.trusted().danger_trust_dns_names();
    let client = |name| {
        network
            .client(SERVICE)
            .resolver(Answering(name))
            .tls(tls.clone())
    };
    client(SERVER).connect().await.unwrap();
    // The certificate has to be for the name in the answer nevertheless.
    let error = client(WORKER).connect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
    // Without a check of names there is nothing for a forged one to pass.
    let unchecked = ca.trusted().danger_accept_any_host_name();
    let client = network.client(SERVICE).resolver(Answering(WORKER));
    client.tls(unchecked).connect().await.unwrap();
}

//! A name with several addresses: one of them that accepts connections, and fails, hides no other.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::certificates::{Authority, Identity};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use zk_client::{
    Client, ClientBuilder, Dial, DialError, Dialing, ErrorKind, HostOrder, HostPort, Resolve,
    Resolving, TcpDial, Transport,
};
use zk_embedded::Server;
use zk_transport::Addresses;

/// Longer than anything here takes, however slow the machine is.
const NO_LIMIT: Duration = Duration::from_secs(120);
const HOST: &str = "zk.example.org:2181";

/// The addresses of every name.
#[derive(Debug, Clone)]
struct Named(Vec<SocketAddr>);

impl Resolve for Named {
    fn resolve<'a>(&'a self, _: &'a HostPort) -> Resolving<'a> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// A client of a host that has these addresses, and tries them in this order.
fn client(addresses: &[SocketAddr]) -> ClientBuilder {
    let dial = TcpDial::default().resolver(Named(addresses.to_vec()));
    Client::builder(HOST)
        .dial(dial)
        .order(HostOrder::AsGiven)
        .connect_timeout(NO_LIMIT)
        // A third of it, for a server to answer the handshake.
        .session_timeout(Duration::from_millis(900))
}

/// What a port does with each connection that it has accepted.
#[derive(Clone)]
enum Then {
    Close,
    NeverAnswer,
    Say(&'static [u8]),
    Tls(Box<Identity>),
    /// Serves, behind TLS.
    Serve(Box<Identity>, Arc<Server>),
}

/// A port that accepts every connection, and counts them.
struct Port {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Port {
    async fn open(then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        tokio::spawn(async move {
            let mut kept = Vec::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                kept.extend(serve(stream, then.clone()).await);
            }
        });
        Port { address, accepted }
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// The stream, if it is to be kept open.
async fn serve(mut stream: TcpStream, then: Then) -> Option<TcpStream> {
    match then {
        Then::Close => None,
        Then::NeverAnswer => Some(stream),
        Then::Say(text) => {
            // A client that has gone reads nothing.
            let _ = stream.write_all(text).await;
            Some(stream)
        }
        Then::Tls(identity) => {
            let _ = TlsAcceptor::from(Arc::new(identity.server()))
                .accept(stream)
                .await;
            None
        }
        Then::Serve(identity, server) => {
            let acceptor = TlsAcceptor::from(Arc::new(identity.server()));
            if let Ok(stream) = acceptor.accept(stream).await {
                server.serve(0, stream).unwrap();
            }
            None
        }
    }
}

/// Guards: P29.
#[tokio::test]
async fn a_failed_handshake_leads_to_the_next() {
    let server = Server::start().await.unwrap();
    let good: SocketAddr = server.connect_string().parse().unwrap();
    for then in [
        Then::Close,
        Then::NeverAnswer,
        Then::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ] {
        let bad = Port::open(then).await;
        let zk = client(&[bad.address, good]).connect().await.unwrap();
        assert!(bad.accepted() >= 1);
        zk.exists("/").await.unwrap();
        // After a loss it is tried again, and hides the good one no more than before.
        server.faults().disconnect_all();
        zk.exists("/").deadline(NO_LIMIT).await.unwrap();
        zk.close().await.unwrap();
    }
}

/// Guards: P29.
#[tokio::test]
async fn a_failed_tls_handshake_leads_to_the_next() {
    let ca = Authority::new("ours");
    let name = &["zk.example.org"];
    let server = Arc::new(Server::builder().in_memory().start().await.unwrap());
    let serve = Then::Serve(Box::new(ca.issue(name)), server);
    let good = Port::open(serve).await;
    let stranger = Authority::new("theirs").issue(name);
    let misnamed = ca.issue(&["zk9.example.org"]);
    for then in [
        Then::Close,
        Then::NeverAnswer,
        Then::Tls(Box::new(stranger)),
        Then::Tls(Box::new(misnamed)),
    ] {
        let bad = Port::open(then).await;
        let builder = client(&[bad.address, good.address]).tls(ca.trusted());
        let zk = builder.connect().await.unwrap();
        assert!(bad.accepted() >= 1);
        zk.close().await.unwrap();
    }
}

/// Guards: P29.
#[tokio::test]
async fn each_address_has_its_own_failure() {
    let ports = [
        Port::open(Then::Close).await,
        Port::open(Then::NeverAnswer).await,
        Port::open(Then::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n")).await,
    ];
    let addresses = ports.each_ref().map(|port| port.address);
    let started = Instant::now();
    let zk = client(&addresses).start().unwrap();
    let attempts = || ports.iter().map(Port::accepted).sum::<usize>();
    while attempts() < 6 {
        assert!(started.elapsed() < NO_LIMIT);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // No storm: one round, and then delays of at least half of 100, 200 and 400 ms.
    assert!(started.elapsed() >= Duration::from_millis(350));
    let brief = Duration::from_millis(1);
    let error = zk.exists("/").deadline(brief).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DeadlineExceeded);
    let text = error.to_string();
    for (address, failure) in addresses.iter().zip([
        "closed it without answering",
        "was not answered within",
        "does not speak the ZooKeeper protocol",
    ]) {
        let named = format!("{HOST} at {address}: ");
        let (_, said) = text
            .split_once(&named)
            .unwrap_or_else(|| panic!("{named}: {text}"));
        let (said, _) = said.split_once(" at ").unwrap_or((said, ""));
        assert!(said.contains(failure), "{text}");
    }
}

/// Guards: P29.
#[tokio::test]
async fn no_address_that_can_be_trusted_is_final() {
    let ca = Authority::new("ours");
    let stranger = Then::Tls(Box::new(
        Authority::new("theirs").issue(&["zk.example.org"]),
    ));
    let ports = [
        Port::open(stranger.clone()).await,
        Port::open(stranger).await,
    ];
    let addresses = ports.each_ref().map(|port| port.address);
    let error = client(&addresses)
        .session_timeout(NO_LIMIT)
        .tls(ca.trusted())
        .connect()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Untrusted, "{error}");
    for port in &ports {
        assert_eq!(port.accepted(), 1, "{error}");
        assert!(
            error
                .to_string()
                .contains(&format!("at {}: ", port.address)),
            "{error}"
        );
    }
}

/// A host with addresses that accept and never answer, and one that serves, on a paused clock.
#[derive(Debug, Clone)]
struct Mute {
    server: Arc<Server>,
    kept: Arc<std::sync::Mutex<Vec<DuplexStream>>>,
    addresses: Vec<SocketAddr>,
}

impl Dial for Mute {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        Box::pin(async { Err(DialError::NoAddresses) })
    }

    fn dial_next<'a>(&'a self, _: &'a HostPort, addresses: &'a mut Addresses) -> Dialing<'a> {
        Box::pin(async move {
            let order = addresses.begin(self.addresses.clone());
            let first = order.fresh.into_iter().chain(order.failed).next();
            let address = first.ok_or(DialError::NoAddresses)?;
            addresses.handle_tried(address);
            addresses.handle_connected(address);
            if Some(&address) == self.addresses.last() {
                let stream = self.server.connect_in_memory().map_err(DialError::Other)?;
                return Ok(Box::new(stream) as Box<dyn Transport>);
            }
            let (near, far) = tokio::io::duplex(4096);
            self.kept.lock().unwrap().push(far);
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

/// Guards: P29. All addresses share the time of a session, and so the time that connecting may take.
#[tokio::test(start_paused = true)]
async fn many_mute_addresses_fit_the_timeout() {
    let server = Server::builder().in_memory().start().await.unwrap();
    let dial = Mute {
        server: Arc::new(server),
        kept: Arc::default(),
        addresses: (1..=12)
            .map(|n| SocketAddr::from(([192, 0, 2, n], 2181)))
            .collect(),
    };
    let zk = Client::builder(HOST)
        .dial(dial.clone())
        .order(HostOrder::AsGiven)
        .connect()
        .await
        .unwrap();
    assert_eq!(dial.kept.lock().unwrap().len(), 11);
    zk.close().await.unwrap();
}

/// A network on which each exchange takes this long: opening a connection takes three of them, as TCP
/// with TLS does, and the handshake another.
#[derive(Debug)]
struct Far {
    server: Server,
    exchange: Duration,
    addresses: Vec<SocketAddr>,
}

impl Dial for Far {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        Box::pin(async { Err(DialError::NoAddresses) })
    }

    fn dial_next<'a>(&'a self, _: &'a HostPort, addresses: &'a mut Addresses) -> Dialing<'a> {
        Box::pin(async move {
            let order = addresses.begin(self.addresses.clone());
            let first = order.fresh.into_iter().chain(order.failed).next();
            let address = first.ok_or(DialError::NoAddresses)?;
            addresses.handle_tried(address);
            tokio::time::sleep(self.exchange * 3).await;
            addresses.handle_connected(address);
            let server = self.server.connect_in_memory().map_err(DialError::Other)?;
            let (near, mut far) = tokio::io::duplex(4096);
            let exchange = self.exchange;
            tokio::spawn(async move {
                tokio::time::sleep(exchange).await;
                let mut server = server;
                // Ends with the client.
                let _ = tokio::io::copy_bidirectional(&mut far, &mut server).await;
            });
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

/// Guards: P29. The part of one address in many is too short for a server that is far away, in the first
/// round.
#[tokio::test(start_paused = true)]
async fn many_far_addresses_are_reached() {
    let server = Server::builder().in_memory().start().await.unwrap();
    let dial = Far {
        server,
        exchange: Duration::from_millis(300),
        addresses: (1..=3)
            .map(|n| SocketAddr::from(([192, 0, 2, n], 2181)))
            .collect(),
    };
    let hosts: Vec<_> = (1..=5).map(|n| format!("zk{n}.example.org")).collect();
    let zk = Client::builder(hosts.join(","))
        .dial(dial)
        .session_timeout(Duration::from_secs(4))
        .connect_timeout(NO_LIMIT)
        .connect()
        .await
        .unwrap();
    zk.exists("/").await.unwrap();
    zk.close().await.unwrap();
}

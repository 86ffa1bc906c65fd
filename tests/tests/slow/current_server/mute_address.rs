//! A name with three addresses, of which one accepts connections and never answers, while servers are killed
//! and started again: ten times, or as often as `ZK_TESTS_RESTARTS` says. How long each attempt takes is
//! tested on a virtual clock, in `offline::placement`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use zk_client::{Client, HostPort, Outcome, Resolve, Resolving, TcpDial};

use crate::common::{TestEnsemble, blocking, soon, unless_starved, until};

const SESSION: Duration = Duration::from_secs(10);
const CLIENTS: usize = 4;

/// How often a server is killed.
fn restarts() -> usize {
    let given = std::env::var("ZK_TESTS_RESTARTS");
    given.map_or(10, |given| given.parse().expect("a number"))
}

/// The addresses of every name.
#[derive(Debug, Clone)]
struct Named(Vec<SocketAddr>);

impl Resolve for Named {
    fn resolve<'a>(&'a self, _: &'a HostPort) -> Resolving<'a> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Accepts every connection, keeps it open and never answers. Returns its address, and how many there
/// were.
fn mute_address() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            kept.push(stream);
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    (address, accepted)
}

/// A client with an ephemeral znode, which it reads and writes all the time.
struct Loaded {
    zk: Client,
    path: String,
    load: tokio::task::JoinHandle<(usize, usize)>,
}

impl Loaded {
    async fn start(addresses: &[SocketAddr], number: usize, over: Arc<AtomicBool>) -> Self {
        let dial = TcpDial::default().resolver(Named(addresses.to_vec()));
        let builder = Client::builder("zk.example.org").dial(dial);
        let connecting = builder.session_timeout(SESSION).connect();
        let zk = soon("a session", connecting).await.unwrap();
        let path = format!("/loaded-{number}");
        zk.create(&path, "").ephemeral().await.unwrap();
        let load = tokio::spawn(work(zk.clone(), path.clone(), over));
        Loaded { zk, path, load }
    }

    /// The address that serves the client.
    fn address(&self) -> Option<SocketAddr> {
        let hosts = self.zk.hosts();
        let mut addresses = hosts.iter().flat_map(|host| &host.addresses);
        Some(addresses.find(|at| at.connected)?.address)
    }
}

/// Writes with eight requests in flight. Returns how many writes took effect, and of how many that is not
/// known.
async fn work(zk: Client, path: String, over: Arc<AtomicBool>) -> (usize, usize) {
    let (mut done, mut unknown) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        let writes: Vec<_> = (0..8).map(|_| zk.set(&path, "").submit()).collect();
        let read = zk.get(&path).submit();
        for write in writes {
            match write.await {
                Ok(_) => done += 1,
                Err(error) => unknown += usize::from(error.outcome() == Outcome::Unknown),
            }
        }
        read.await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    (done, unknown)
}

/// Guards: P29.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mute_address_loses_no_session() {
    unless_starved(SESSION, survives_restarts).await;
}

async fn survives_restarts(_: Duration) {
    let ensemble = blocking(|| TestEnsemble::start().unwrap());
    let (mute, accepted) = mute_address();
    let [one, two, _] = ensemble.servers() else {
        panic!("an ensemble has three servers")
    };
    let addresses = [one.address(), two.address(), mute];
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(Loaded::start(&addresses, number, over.clone()).await);
    }
    let sessions: Vec<_> = clients.iter().map(|it| it.zk.session().id).collect();
    let restarts = restarts();
    for round in 0..restarts {
        let at = clients[round % CLIENTS].address();
        let server = match at {
            Some(at) if at == one.address() => one,
            _ => two,
        };
        blocking(|| server.kill().unwrap());
        for client in &clients {
            let elsewhere = || async { client.zk.get(&client.path).await.is_ok() };
            until("the client is served by the other server", elsewhere).await;
        }
        blocking(|| server.restart().unwrap());
    }
    over.store(true, Ordering::Relaxed);
    let mut lost = 0;
    for (client, session) in clients.into_iter().zip(sessions) {
        let (done, unknown) = client.load.await.unwrap();
        let statistics = client.zk.statistics();
        assert_eq!(client.zk.session().id, session);
        assert_eq!((statistics.sessions, statistics.expiries), (1, 0));
        lost += statistics.lost_connections;
        let stat = client.zk.exists(&client.path).await.unwrap().unwrap();
        let version = usize::try_from(stat.version).unwrap();
        assert!(
            done <= version && version <= done + unknown,
            "{done} {version} {unknown}"
        );
        client.zk.close().await.unwrap();
    }
    let mute = accepted.load(Ordering::Relaxed);
    eprintln!("{restarts} restarts: {lost} connections lost, {mute} to the mute address");
    assert!(lost >= restarts as u64 && mute > 0);
}

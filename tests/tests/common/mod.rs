//! What the end-to-end tests share: a server, a client on a chroot of its own, waiting for facts.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "each test binary uses a part of this, and a failed expectation is a failed test"
)]

pub mod child;
pub mod contest;
pub mod members;
pub mod program;
pub mod server;
pub mod status;
pub mod zkctl;

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use zk_client::{BackoffPolicy, Builder, Client, State, StateStream};
use zk_tests::Proxy;

pub use server::{TestEnsemble, TestServer};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One standalone server for all tests of a binary that leave it alone.
pub fn shared_server() -> &'static TestServer {
    static SERVER: OnceLock<TestServer> = OnceLock::new();
    SERVER.get_or_init(own_server)
}

/// A server of the test's own, to be broken.
pub fn own_server() -> TestServer {
    TestServer::start().unwrap()
}

/// Three servers with a quorum.
pub fn ensemble() -> TestEnsemble {
    TestEnsemble::start().unwrap()
}

/// Runs what blocks, such as killing a server, in a test that goes on meanwhile. Needs the
/// multi-threaded runtime.
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(f)
}

/// A client on a chroot that no other test uses, which exists.
pub async fn client() -> Client {
    client_of(&shared_server().connect_string()).await
}

pub async fn client_of(hosts: &str) -> Client {
    connect(hosts, |builder| builder).await
}

pub async fn connect(hosts: &str, options: impl FnOnce(Builder) -> Builder) -> Client {
    let root = unused_root();
    let zk = options(Client::builder(hosts).connect_timeout(PATIENCE))
        .connect()
        .await
        .unwrap();
    zk.ensure_path(&root).await.unwrap();
    zk.chroot(&root).unwrap()
}

/// A path that no other test uses.
pub fn unused_root() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("/t{n}-{}", std::process::id())
}

/// A client of another session, with the same root as `zk`.
pub async fn beside(zk: &Client, hosts: &str) -> Client {
    let other = Client::builder(hosts)
        .connect_timeout(PATIENCE)
        .connect()
        .await
        .unwrap();
    other.chroot(zk.root().as_str()).unwrap()
}

/// Comes back soon: for tests in which the network heals.
pub fn impatient() -> BackoffPolicy {
    BackoffPolicy {
        initial: Duration::from_millis(20),
        max: Duration::from_millis(200),
    }
}

/// Waits until `fact` is true.
pub async fn until<F: Future<Output = bool>>(what: &str, mut fact: impl FnMut() -> F) {
    let started = Instant::now();
    while !fact().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Fails instead of hanging.
pub async fn soon<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future.into_future()).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Reads states until one is `wanted`, and returns those read, that one last.
pub async fn states_until(
    states: &mut StateStream,
    what: &str,
    wanted: impl Fn(&State) -> bool,
) -> Vec<State> {
    let mut seen = Vec::new();
    soon(what, async {
        loop {
            let state = states.next().await.expect("the client is over");
            seen.push(state);
            if wanted(&state) {
                return;
            }
        }
    })
    .await;
    seen
}

pub async fn until_suspended(states: &mut StateStream) {
    let suspended = |state: &State| matches!(state, State::Suspended { .. });
    states_until(states, "the connection to be lost", suspended).await;
}

pub async fn until_connected(states: &mut StateStream) {
    states_until(states, "a connection", |state| state.is_connected()).await;
}

/// The server that serves the session, by the servers' own account.
pub fn serving<'a>(ensemble: &'a TestEnsemble, zk: &Client) -> Option<&'a TestServer> {
    let sid = format!("sid={},", zk.session().id);
    ensemble.servers().iter().find(|server| {
        server
            .four_letter("cons")
            .is_ok_and(|connections| connections.contains(&sid))
    })
}

/// A proxy before each server of an ensemble, so that a client can be cut off from all of them
/// while others are not.
#[derive(Debug)]
pub struct Proxies(Vec<Proxy>);

impl Proxies {
    pub fn start(ensemble: &TestEnsemble) -> Self {
        let servers = ensemble.servers().iter();
        Proxies(
            servers
                .map(|server| Proxy::start(server.address()).unwrap())
                .collect(),
        )
    }

    pub fn connect_string(&self) -> String {
        let hosts: Vec<_> = self.0.iter().map(Proxy::connect_string).collect();
        hosts.join(",")
    }

    pub fn refuse(&self, refuse: bool) {
        for proxy in &self.0 {
            proxy.refuse(refuse).unwrap();
        }
    }

    pub fn stall(&self, stall: bool) {
        for proxy in &self.0 {
            proxy.stall(stall);
        }
    }

    pub fn cut_all(&self) {
        for proxy in &self.0 {
            proxy.cut_all();
        }
    }

    /// The index of the server that a client behind the proxies is connected to, if it is the only
    /// such client.
    pub fn in_use(&self) -> Option<usize> {
        self.0.iter().position(|proxy| proxy.open() > 0)
    }
}

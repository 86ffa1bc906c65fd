//! What the end-to-end tests share: a server, a client on a chroot of its own, waiting for facts.
//!
//! No test has a limit by the clock. [`until`] and [`soon`] wait for as long as anything happens, by
//! the rule of [`zk_tests::watchdog`]; a session that a test means to keep has the length of
//! [`LONG_SESSION`]; and a time that something must not exceed is measured on tokio's paused clock, in
//! a test of the program `offline` or `memory`, and never against a real server.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "each test binary uses a part of this, and a failed expectation is a failed test"
)]

pub mod canned;
pub mod certificates;
pub mod child;
pub mod contest;
pub mod counting;
pub mod crashing;
pub mod divergence;
pub mod embedded;
pub mod members;
pub mod memory;
pub mod program;
pub mod server;
pub mod status;
#[path = "../../../crates/zk-client/tests/common/trees.rs"]
pub mod trees;
pub mod wire;
pub mod zkctl;

use std::future::Future;
use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::net::TcpSocket;
use zk_client::{BackoffPolicy, Client, ClientBuilder, State, StateStream};
use zk_tests::starvation::{Runs, always};
use zk_tests::{Proxy, Wait};

pub use server::{TestEnsemble, TestServer};

/// For options of the client that are limits, and that a test does not mean to reach: a day. Waits in
/// tests have no limit, see [`soon`].
pub const NO_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How long [`soon`] waits by tokio's clock where that is paused.
const VIRTUAL_LIMIT: Duration = Duration::from_secs(60);

/// Of a session that has to last: longer than a busy machine keeps a client or a server from running.
pub const LONG_SESSION: Duration = Duration::from_secs(60);

/// How much a test does whose outcome depends on how often it does something: `all`, or `few` where
/// `cargo xtask test` says that a newer release of the servers, which comes next, has all.
pub fn rounds(all: usize, few: usize) -> usize {
    let is_few = std::env::var("ZK_TESTS_ROUNDS").is_ok_and(|value| value == "few");
    if is_few { few } else { all }
}

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

/// Runs what blocks, such as killing a server, in a test that continues meanwhile. Needs the
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

pub async fn connect(hosts: &str, options: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
    let root = unused_root();
    let zk = soon("a session", options(builder(hosts)).connect())
        .await
        .unwrap();
    zk.ensure_path(&root).await.unwrap();
    zk.chroot(&root).unwrap()
}

/// A port that refuses connections, and that no other process gets while this lives.
#[derive(Debug)]
pub struct ClosedPort(TcpSocket);

impl ClosedPort {
    pub fn new() -> Self {
        // Bound, and never listening.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        ClosedPort(socket)
    }

    pub fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }
}

/// Options without a limit that a busy machine could reach.
pub fn builder(hosts: impl Into<zk_client::ServerList>) -> ClientBuilder {
    Client::builder(hosts)
        .session_timeout(LONG_SESSION)
        .connect_timeout(NO_LIMIT)
        .deadline(NO_LIMIT)
}

/// A path that no other test uses.
pub fn unused_root() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("/t{n}-{}", std::process::id())
}

/// A client of another session, with the same root as `zk`.
pub async fn beside(zk: &Client, hosts: &str) -> Client {
    let other = soon("a session", builder(hosts).connect()).await.unwrap();
    other.chroot(zk.root().as_str()).unwrap()
}

/// Comes back soon: for tests in which the network heals.
pub fn impatient() -> BackoffPolicy {
    BackoffPolicy::new(Duration::from_millis(20), Duration::from_millis(200))
}

/// Waits until `fact` is true, for as long as anything happens.
pub async fn until<F: Future<Output = bool>>(what: &str, mut fact: impl FnMut() -> F) {
    let facts = async {
        while !fact().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon(&format!("the fact that {what}"), facts).await;
}

/// Waits for `future`, for as long as anything happens.
///
/// On a paused clock that is [`VIRTUAL_LIMIT`]: virtual time passes only when nothing is left to do.
pub async fn soon<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    let mut future = pin!(Wait::begin(what).on(future.into_future()));
    loop {
        let began = Instant::now();
        match tokio::time::timeout(VIRTUAL_LIMIT, &mut future).await {
            Ok(value) => return value,
            // By the machine's clock far less has passed, so the clock is paused.
            Err(_) if began.elapsed() < VIRTUAL_LIMIT / 2 => {
                panic!("the wait for {what} timed out")
            }
            Err(_) => {}
        }
    }
}

/// Doubles a limit until what fails within it fails for a reason that takes time to learn: a slow
/// machine needs a longer one. Returns the limit with the failure.
pub async fn until_known<T, F: Future<Output = T>>(
    mut limit: Duration,
    attempt: impl Fn(Duration) -> F,
    is_known: impl Fn(&T) -> bool,
) -> (Duration, T) {
    let wait = Wait::begin("the reason of a failure");
    loop {
        let failure = attempt(limit).await;
        if is_known(&failure) || wait.verdict().is_some() {
            return (limit, failure);
        }
        limit *= 2;
    }
}

/// As [`zk_tests::starvation::unless_starved`]: runs a scene whose sessions have the length that it is
/// given, and runs it again with longer ones where it fails and the machine starved it.
pub async fn unless_starved<F>(session: Duration, scene: impl Fn(Duration) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut runs = Runs::with_sessions_of(session);
    while let Err(failed) = tokio::spawn(scene(runs.session())).await {
        runs = runs.again(failed.into_panic());
    }
}

/// Runs `scene`, and then `check`, also where the scene has failed: what has been recorded until then
/// is checked, and a failure of the scene cannot hide a violation.
pub async fn then_always(
    scene: impl Future<Output = ()> + Send + 'static,
    check: impl AsyncFnOnce(),
) {
    let ended = tokio::spawn(scene).await;
    check().await;
    if let Err(failed) = ended {
        resume_unwind(failed.into_panic());
    }
}

/// As [`until`], for a fact that becomes true however the machine schedules its processes.
pub async fn until_always<F: Future<Output = bool>>(what: &str, mut fact: impl FnMut() -> F) {
    let facts = async {
        while !fact().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon_always(&format!("the fact that {what}"), facts).await;
}

/// As [`soon`], for what happens however the machine schedules its processes: the wait is given up only
/// after a time in which the machine was free, and then no load before that excuses it.
pub async fn soon_always<T>(what: &str, future: impl IntoFuture<Output = T>) -> T {
    let wait = Wait::begin(what);
    let mut future = pin!(future.into_future());
    loop {
        if let Ok(value) = tokio::time::timeout(Duration::from_secs(1), &mut future).await {
            return value;
        }
        let verdict = wait.verdict();
        always(verdict.is_none(), verdict.unwrap_or_default());
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

//! An ensemble inside the process, without sockets, so that time can be virtual.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_client::{
    BackoffPolicy, Client, ClientBuilder, Dial, DialError, Dialing, ErrorKind, HostPort,
    SessionToken, Transport, WatchMode,
};
use zk_embedded::{Pose, Server, UnknownPose};
use zk_proto::OpCode;
use zk_recipes::Layout;
use zk_tests::Wait;

pub(crate) const LAYOUTS: [Layout; 3] = [Layout::Default, Layout::Kazoo, Layout::Curator];

/// The limit of [`soon`] by tokio's clock where that is paused.
const VIRTUAL_LIMIT: Duration = Duration::from_secs(60);

/// The root of all clients of a test: none, or a chroot in the second run of the tests in
/// `variants.rs`.
pub(crate) fn root() -> &'static str {
    if module_path!().contains("::chrooted::") {
        "/tenants/one"
    } else {
        ""
    }
}

/// What the crash of a client does to its session. Guards and waits that are dropped later have no effect.
pub(crate) fn crash(zk: Client) -> SessionToken {
    zk.detach().unwrap()
}

/// The path on the server of a path that clients see.
pub(crate) fn at(path: &str) -> String {
    format!("{}{path}", root())
}

/// The paths of all znodes below the root of the clients, as they see them.
pub(crate) fn paths(server: &Server) -> Vec<String> {
    let paths = server.paths().into_iter();
    let below = paths.filter_map(|path| path.strip_prefix(root()).map(str::to_owned));
    below.filter(|path| path.starts_with('/')).collect()
}

/// Whether [`end_session`] restores the ensemble.
pub(crate) fn is_restored() -> bool {
    module_path!().contains("::restored::")
}

/// Ends a client's session: by expiry, or, in the third run of the tests in `variants.rs`, by a restore of
/// the ensemble from a backup, which keeps the persistent znodes with smaller zxids, and ends all other
/// sessions as well.
pub(crate) fn end_session(server: &Server, zk: &Client) {
    if is_restored() {
        server.restore(|_| {});
    } else {
        server.expire_session(zk.session().id);
    }
}

/// The address of a server with sockets.
pub(crate) fn address(server: &Server) -> String {
    server.connect_string() + root()
}

/// Creates the znode of the client's root, unless there is none or the test runs without a chroot.
pub(crate) async fn has_root(zk: &Client) {
    if !root().is_empty() {
        zk.ensure_path("/").await.unwrap();
    }
}

/// An ensemble, and the dial to it.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    pub(crate) server: Arc<Server>,
    /// The member that was last connected to.
    dialled: Arc<AtomicUsize>,
    /// The number of four-letter words that [`received`] has sent.
    asked: Arc<AtomicU64>,
}

/// The server that the embedded one imitates, from `ZK_TESTS_SERVER`, with the names of `zk-tests`:
/// Apache ZooKeeper 3.9 if the variable is not set.
pub(crate) fn pose() -> Pose {
    const PARAMETER: &str = "ZK_TESTS_SERVER";
    let wanted = std::env::var(PARAMETER).unwrap_or_default();
    match wanted.strip_prefix("embedded-").map(str::parse) {
        Some(Ok(pose)) => pose,
        None if ["", "embedded", "apache"].contains(&&*wanted) => Pose::V3_9,
        _ => panic!("{PARAMETER} is embedded-POSE, and not {wanted:?}; {UnknownPose}"),
    }
}

/// A server in the requested pose, with the session timeouts of Apache ZooKeeper.
pub(crate) fn server() -> zk_embedded::ServerBuilder {
    Server::builder()
        .pose(pose())
        .session_timeouts(Duration::from_secs(4), Duration::from_secs(40))
}

/// The operation with which a client creates znodes, once it has found out what the server lacks.
pub(crate) fn create_op() -> OpCode {
    match pose().knows(OpCode::Create2) {
        true => OpCode::Create2,
        false => OpCode::Create,
    }
}

/// Lets a client find out what an old Apache server lacks, which costs a connection for each operation.
/// `other_servers.rs` tests this in the middle of a recipe.
pub(crate) async fn acquaint(zk: &Client) {
    if pose() == Pose::V3_4 {
        zk.create("/known", "").await.unwrap();
        zk.delete("/known").await.unwrap();
        zk.create("/known", "").container().await.unwrap();
        zk.delete("/known").await.unwrap();
        drop(zk.exists("/").watch().await.unwrap());
        zk.sync("/").await.unwrap();
    }
    if pose().resumes_sessions() && !pose().knows(OpCode::AddWatch) {
        let refused = zk.watch("/", WatchMode::PersistentRecursive).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unimplemented);
        zk.sync("/").await.unwrap();
    }
}

/// Waits until the server holds none of the counted watches, if it has a request to remove one.
pub(crate) async fn until_unwatched(count: impl Fn() -> usize) {
    if pose().knows(OpCode::RemoveWatches) {
        until("no watch stays", || count() == 0).await;
    }
}

pub(crate) async fn memory(members: usize) -> Memory {
    memory_with(server().members(members)).await
}

pub(crate) async fn memory_with(options: zk_embedded::ServerBuilder) -> Memory {
    Memory {
        server: Arc::new(options.in_memory().start().await.unwrap()),
        dialled: Arc::default(),
        asked: Arc::default(),
    }
}

impl Memory {
    /// The member that a client was last connected to.
    pub(crate) fn dialled(&self) -> usize {
        self.dialled.load(Ordering::Relaxed)
    }

    /// A client of only these members.
    pub(crate) async fn client(
        &self,
        members: &[usize],
        options: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Client {
        let hosts: Vec<_> = members.iter().map(|n| format!("member-{n}:1")).collect();
        let impatient = BackoffPolicy::new(Duration::from_millis(2), Duration::from_millis(20));
        let hosts = hosts.join(",") + root();
        let zk = options(Client::builder(hosts).backoff(impatient))
            .dial(self.clone())
            .connect()
            .await
            .unwrap();
        has_root(&zk).await;
        acquaint(&zk).await;
        zk
    }
}

impl Dial for Memory {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let number = host.host.rsplit('-').next().unwrap_or_default();
            let member = number.parse().unwrap_or(usize::MAX);
            let stream = self.server.connect_in_memory_to(member);
            let stream = stream.map_err(DialError::Other)?;
            self.dialled.store(member, Ordering::Relaxed);
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }
}

/// The time by tokio's clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Adds timeouts that a busy machine does not reach, for clients on the machine's clock.
pub(crate) fn unhurried(builder: ClientBuilder) -> ClientBuilder {
    builder
        .session_timeout(Duration::from_secs(40))
        .connect_timeout(Duration::from_secs(24 * 60 * 60))
        .deadline(None)
}

/// Waits while there is progress, as defined by [`zk_tests::watchdog`]; no test has a limit by the
/// clock.
///
/// On a paused clock the limit is [`VIRTUAL_LIMIT`]: virtual time advances only when all tasks wait.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let mut future = pin!(Wait::begin(what).on(future));
    loop {
        let began = Instant::now();
        match tokio::time::timeout(VIRTUAL_LIMIT, &mut future).await {
            Ok(value) => return value,
            // Far less time has passed by the machine's clock, so tokio's clock is paused.
            Err(_) if began.elapsed() < VIRTUAL_LIMIT / 2 => panic!("timed out: {what}"),
            Err(_) => {}
        }
    }
}

/// Waits until `fact` is true.
pub(crate) async fn until(what: &str, mut fact: impl FnMut() -> bool) {
    soon(what, async {
        while !fact() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Polls a future this many times, woken or not, and then drops it, at whichever await that is. Returns
/// whether it was ready before.
pub(crate) async fn dropped_after<T>(polls: u32, future: impl Future<Output = T>) -> bool {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|cx| {
        let through = future.as_mut().poll(cx).is_ready();
        polled += 1;
        cx.waker().wake_by_ref();
        if through || polled >= polls {
            Poll::Ready(through)
        } else {
            Poll::Pending
        }
    })
    .await
}

/// Creates many znodes that hold their paths, a thousand at a time.
pub(crate) async fn fill(zk: &Client, count: usize, path: impl Fn(usize) -> String) {
    let paths: Vec<_> = (0..count).map(path).collect();
    for paths in paths.chunks(1000) {
        let creates = paths.iter().map(|path| zk.create(path, path).submit());
        for create in creates.collect::<Vec<_>>() {
            create.await.unwrap();
        }
    }
}

/// The number of requests that the server has received, with pings, without the four-letter words.
pub(crate) async fn received(memory: &Memory) -> u64 {
    let mut wire = memory.server.connect_in_memory().unwrap();
    wire.write_all(b"srvr").await.unwrap();
    let mut text = String::new();
    wire.read_to_string(&mut text).await.unwrap();
    let line = text.lines().find(|line| line.starts_with("Received: "));
    let packets: u64 = line
        .unwrap()
        .trim_start_matches("Received: ")
        .parse()
        .unwrap();
    // ClickHouse Keeper does not count them.
    match text.starts_with("ClickHouse") {
        true => packets,
        false => packets - memory.asked.fetch_add(1, Ordering::Relaxed) - 1,
    }
}

/// A task that runs in the background until it is joined.
pub(crate) fn start<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(future)
}

impl Memory {
    /// A client of any member.
    pub(crate) async fn any(&self) -> Client {
        let members: Vec<_> = (0..self.server.member_count()).collect();
        self.client(&members, |options| options).await
    }

    /// The client of the process that follows one that has crashed, connected to this member.
    pub(crate) async fn successor_on(&self, member: usize, token: SessionToken) -> Client {
        let options = Client::builder(format!("member-{member}:1{}", root()));
        let resuming = options.dial(self.clone()).resume(token);
        soon("the session", resuming).await.unwrap()
    }

    /// The same, connected to the first member.
    pub(crate) async fn successor(&self, token: SessionToken) -> Client {
        self.successor_on(0, token).await
    }

    /// The names of the znodes directly under `parent`.
    pub(crate) fn names(&self, parent: &str) -> Vec<String> {
        let prefix = format!("{parent}/");
        let paths = paths(&self.server).into_iter();
        paths
            .filter_map(|path| path.strip_prefix(&prefix).map(str::to_owned))
            .filter(|name| !name.contains('/'))
            .collect()
    }

    /// Waits until this many znodes are directly under `parent`.
    pub(crate) async fn until_names(&self, parent: &str, count: usize) {
        until(&format!("{count} under {parent}"), || {
            self.names(parent).len() == count
        })
        .await;
    }
}

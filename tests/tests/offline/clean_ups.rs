//! What a client does in the background after a drop, and how long it repeats a request: clean-ups
//! are done when `close()` returns, belong to their session, and end; so does every repetition.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{sleep, timeout};
use zk_client::{
    BackoffPolicy, Client, ClientBuilder, Dial, DialError, Dialing, ErrorKind, HostPort, Outcome,
    State, Transport,
};
use zk_embedded::Server;
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};
use zk_recipes::{Barrier, Layout, Lock, Semaphore, WriteLock};

/// A server, and a network to it that can be down.
#[derive(Clone, Debug)]
struct Network {
    server: Arc<Server>,
    down: Arc<AtomicBool>,
}

impl Dial for Network {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            if self.down.load(Ordering::SeqCst) {
                return Err(DialError::Other(
                    std::io::ErrorKind::ConnectionRefused.into(),
                ));
            }
            let stream = self.server.connect_in_memory().map_err(DialError::Other)?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }
}

impl Network {
    async fn new() -> Self {
        Network {
            server: Arc::new(Server::builder().in_memory().start().await.unwrap()),
            down: Arc::default(),
        }
    }

    /// Another way to the same server.
    fn beside(&self) -> Self {
        Network {
            server: self.server.clone(),
            down: Arc::default(),
        }
    }

    fn builder(&self) -> ClientBuilder {
        let backoff = BackoffPolicy::new(Duration::from_millis(2), Duration::from_millis(20));
        Client::builder("memory")
            .session_timeout(Duration::from_secs(10))
            .backoff(backoff)
            .dial(self.clone())
    }

    async fn client(&self) -> Client {
        self.builder().connect().await.unwrap()
    }

    fn cut(&self, zk: &Client) {
        self.down.store(true, Ordering::SeqCst);
        self.server.faults().disconnect(zk.session().id);
    }

    fn mend(&self) {
        self.down.store(false, Ordering::SeqCst);
    }

    fn below(&self, parent: &str) -> Vec<String> {
        let mut paths = self.server.paths();
        paths.retain(|path| path.starts_with(&format!("{parent}/")));
        paths
    }
}

async fn reach(states: &mut zk_client::StateStream, wanted: impl Fn(State) -> bool) {
    while !wanted(states.next().await.unwrap()) {}
}

/// Guards: H5.
#[tokio::test(start_paused = true)]
async fn close_names_what_it_could_not_clean_up() {
    let network = Network::new().await;
    let zk = network.client().await;
    let held = Lock::new(&zk, "/lock")
        .persistent()
        .acquire()
        .await
        .unwrap();
    let path = held.path().to_owned();
    let refusal = Action::Refuse(ErrorCode::NoAuth);
    network
        .server
        .faults()
        .rule(on(OpCode::Delete).then(refusal).always());
    drop(held);
    let error = zk.close().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::CleanupFailed, Outcome::Unknown)
    );
    assert!(error.to_string().contains(&path), "{error}");
    assert_eq!(network.server.sessions().len(), 0);
}

/// Guards: H5.
#[tokio::test(start_paused = true)]
async fn close_ends_despite_endless_clean_up() {
    let network = Network::new().await;
    let zk = network.client().await;
    let held = Lock::new(&zk, "/lock")
        .persistent()
        .acquire()
        .await
        .unwrap();
    let path = held.path().to_owned();
    network
        .server
        .faults()
        .rule(on(OpCode::Delete).then(Action::Swallow));
    drop(held);
    let begun = tokio::time::Instant::now();
    let error = zk.close().await.unwrap_err();
    assert!(error.to_string().contains(&path), "{error}");
    assert!(
        begun.elapsed() <= Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
}

/// A creation that waits for a connection creates nothing if the client ends first; one that was
/// sent may have. Guards: H5, G11.
#[tokio::test(start_paused = true)]
async fn close_names_no_creation_never_sent() {
    for sent in [false, true] {
        let network = Network::new().await;
        let zk = network.client().await;
        if sent {
            let swallow = on(OpCode::Create2).then(Action::Swallow);
            network.server.faults().rule(swallow);
        }
        let mut states = zk.states();
        let mut created = None;
        if sent {
            created = Some(zk.create("/a", "").protected().submit());
            sleep(Duration::from_millis(10)).await;
        }
        network.cut(&zk);
        reach(&mut states, |state| {
            matches!(state, State::Suspended { .. })
        })
        .await;
        let created = created.unwrap_or_else(|| zk.create("/a", "").protected().submit());
        let error = zk.clone().close().await.unwrap_err();
        assert_eq!(error.to_string().contains("-a"), sent, "{error}");
        drop(created);
    }
}

/// The end is a clean one only if a server has said that the first session is over. Guards: H5.
#[tokio::test(start_paused = true)]
async fn close_cleans_up_in_the_next_session() {
    for proven in [true, false] {
        let network = Network::new().await;
        let zk = network
            .builder()
            .close_timeout(Duration::from_secs(60))
            .connect()
            .await
            .unwrap();
        let held = Lock::new(&zk, "/lock")
            .persistent()
            .acquire()
            .await
            .unwrap();
        let mut states = zk.states();
        network.cut(&zk);
        drop(held);
        let session = zk.session().id;
        let closing = tokio::spawn(zk.close());
        if !proven {
            reach(&mut states, |state| matches!(state, State::Expired { .. })).await;
        }
        network.server.expire_session(session);
        network.mend();
        let closed = closing.await.unwrap();
        assert_eq!(closed.is_ok(), proven, "{closed:?}");
        if let Err(error) = closed {
            assert_eq!(error.kind(), ErrorKind::CloseUnacknowledged);
            assert_eq!(error.outcome(), Outcome::Unknown);
        }
        assert_eq!(network.below("/lock"), Vec::<String>::new());
        assert_eq!(network.server.sessions().len(), 0);
    }
}

/// Guards: H5.
#[tokio::test(start_paused = true)]
async fn the_last_drop_cleans_up_before_it_closes() {
    let network = Network::new().await;
    let zk = network.client().await;
    zk.create("/q", "").await.unwrap();
    drop(
        Lock::new(&zk, "/lock")
            .persistent()
            .acquire()
            .await
            .unwrap(),
    );
    drop(Lock::new(&zk, "/lock").acquire().await.unwrap());
    drop(zk.create("/q/x-", "").sequential().protected().submit());
    drop(zk);
    while !network.server.sessions().is_empty() {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(network.below("/lock"), Vec::<String>::new());
    assert_eq!(network.below("/q"), Vec::<String>::new());
}

/// Guards: H5.
#[tokio::test(start_paused = true)]
async fn close_waits_for_what_other_tasks_leave() {
    for abort in [true, false] {
        let network = Network::new().await;
        let (holder, zk) = (network.client().await, network.client().await);
        zk.create("/q", "").await.unwrap();
        let held = Lock::new(&holder, "/lock").acquire().await.unwrap();
        network
            .server
            .faults()
            .delay_replies(Duration::from_millis(5));
        let waiting = Lock::new(&zk, "/lock").persistent();
        let tasks = [
            tokio::spawn(async move { waiting.acquire().await.map(drop).is_ok() }),
            tokio::spawn({
                let zk = zk.clone();
                async move {
                    zk.create("/q/x-", "")
                        .sequential()
                        .protected()
                        .await
                        .is_ok()
                }
            }),
        ];
        // Long enough for the one to wait and too short for the other to be answered.
        while network.below("/lock").len() < 2 || network.below("/q").is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        if abort {
            tasks.iter().for_each(tokio::task::JoinHandle::abort);
        }
        zk.close().await.unwrap();
        assert_eq!(network.below("/lock"), [held.path()], "aborted: {abort}");
        let [waited, created] = tasks;
        assert!(!waited.await.unwrap_or_default());
        // A creation that was answered is its caller's.
        let created = created.await.unwrap_or_default();
        assert_eq!(
            network.below("/q").len(),
            usize::from(created),
            "aborted: {abort}"
        );
    }
}

/// Guards: H5.
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_kept_is_reported_by_close() {
    let network = Network::new().await;
    let (holder, zk) = (network.client().await, network.client().await);
    let _held = Lock::new(&holder, "/lock").acquire().await.unwrap();
    let lock = Lock::new(&zk, "/lock").persistent();
    let mut waiting = Box::pin(lock.acquire());
    assert!(timeout(Duration::from_secs(1), &mut waiting).await.is_err());
    let error = zk.close().await.unwrap_err();
    assert!(error.to_string().contains("/lock/"), "{error}");
}

/// Guards: H5.
#[test]
fn a_blocking_drop_waits_for_clean_ups() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let network = runtime.block_on(Network::new());
    for _ in 0..20 {
        let zk = zk_client::blocking::Client::connect_with(network.builder()).unwrap();
        drop(
            zk.wait(Lock::new(zk.as_async(), "/lock").persistent().acquire())
                .unwrap(),
        );
        drop(
            zk.wait(Lock::new(zk.as_async(), "/lock").acquire())
                .unwrap(),
        );
        drop(zk);
        assert_eq!(network.below("/lock"), Vec::<String>::new());
        assert_eq!(network.server.sessions().len(), 0);
    }
}

/// The last act of a program: it drops what it holds, and then its runtime.
fn program(runtime: &mut tokio::runtime::Builder, hosts: &str) {
    let runtime = runtime.enable_all().build().unwrap();
    let hosts = hosts.to_owned();
    runtime.block_on(async move {
        let builder = Client::builder(hosts).session_timeout(Duration::from_secs(3600));
        let zk = builder.connect().await.unwrap();
        zk.create("/here", "").ephemeral().await.unwrap();
        let lock = Lock::new(&zk, "/lock");
        let held = lock.clone().persistent().acquire().await.unwrap();
        drop(held);
    });
}

/// Guards: P65.
#[test]
fn a_program_may_end_with_a_drop() {
    let own = tokio::runtime::Runtime::new().unwrap();
    let server = own.block_on(async {
        let hour = Duration::from_secs(3600);
        let builder = Server::builder().session_timeouts(Duration::from_secs(1), hour);
        builder
            .listen([([127, 0, 0, 1], 0).into()])
            .start()
            .await
            .unwrap()
    });
    for round in 0..10 {
        program(
            &mut tokio::runtime::Builder::new_current_thread(),
            &server.connect_string(),
        );
        program(
            &mut tokio::runtime::Builder::new_multi_thread(),
            &server.connect_string(),
        );
        let ended = own.block_on(async {
            let ended = async {
                while !server.sessions().is_empty() {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            timeout(Duration::from_secs(60), ended).await
        });
        assert!(ended.is_ok(), "round {round}: a session has not ended");
        assert_eq!(
            server
                .paths()
                .iter()
                .filter(|path| path.starts_with("/lock/"))
                .count(),
            0
        );
    }
}

/// Guards: L1.
#[tokio::test(start_paused = true)]
async fn guaranteed_delete_stays_in_its_session() {
    let network = Network::new().await;
    let zk = network.client().await;
    let other = network.beside().client().await;
    zk.create("/x", "mine").await.unwrap();
    let mut states = zk.states();
    network
        .server
        .faults()
        .rule(on(OpCode::Delete).then(Action::DropReply));
    let session = zk.session().id;
    network.down.store(true, Ordering::SeqCst);
    zk.delete("/x").guaranteed();
    reach(&mut states, |state| matches!(state, State::Expired { .. })).await;
    network.server.expire_session(session);
    // Asked for between two sessions, a deletion belongs to the second.
    zk.delete("/y").guaranteed();
    // Longer than any pause between two attempts.
    sleep(Duration::from_secs(10)).await;
    for path in ["/x", "/y"] {
        other.create(path, "another's").await.unwrap();
    }
    network.mend();
    zk.connected().await.unwrap();
    zk.sync("/").await.unwrap();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(zk.session().epoch, 2);
    assert!(network.server.node("/x").is_some());
    assert!(network.server.node("/y").is_none());
}

type Done = Pin<Box<dyn Future<Output = ()>>>;

/// Connections lost in ten minutes, beside another caller's writes.
async fn below_a_large_parent(how: fn(&Network, Client) -> Done) -> u64 {
    let network = Network::new().await;
    let filler = network.beside().client().await;
    let zk = network
        .builder()
        .max_reply_bytes(4096)
        .connect()
        .await
        .unwrap();
    filler.create("/queue", "").await.unwrap();
    for number in 0..200 {
        let path = format!("/queue/item-with-a-name-of-some-length-{number:07}");
        filler.create(&path, "").await.unwrap();
    }
    how(&network, zk.clone()).await;
    for _ in 0..600 {
        drop(zk.set("/queue", "").await);
        sleep(Duration::from_secs(1)).await;
    }
    zk.statistics().lost_connections
}

/// Guards: M3.
#[tokio::test(start_paused = true)]
async fn a_list_too_large_costs_one_connection() {
    let lost = below_a_large_parent(|_, zk| {
        Box::pin(async move {
            drop(zk.create("/queue/x-", "").sequential().protected().submit());
        })
    });
    assert_eq!(lost.await, 1);
    let lost = below_a_large_parent(|network, zk| {
        let dropped = on(OpCode::Create2).then(Action::DropReply);
        network.server.faults().rule(dropped);
        Box::pin(async move {
            let create = zk.create("/queue/x-", "").sequential().protected();
            let error = create.await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::Unknown);
            assert!(
                error
                    .to_string()
                    .contains("whether it took effect is unknown"),
                "{error}"
            );
        })
    });
    assert_eq!(lost.await, 2);
    // A znode without a number is found and deleted by its path.
    let lost = below_a_large_parent(|network, zk| {
        let dropped = on(OpCode::Create2).then(Action::DropReply);
        network.server.faults().rule(dropped);
        Box::pin(async move {
            zk.create("/queue/x", "").protected().await.unwrap();
            drop(zk.create("/queue/y", "").protected().submit());
        })
    });
    assert_eq!(lost.await, 1);
}

type Ends = Pin<Box<dyn Future<Output = Option<ErrorKind>>>>;

/// What is repeated, and the request of it that costs the connection each time.
struct Costly {
    what: &'static str,
    op: OpCode,
    run: fn(Client) -> Ends,
}

fn kind<T>(result: zk_recipes::Result<T>) -> Option<ErrorKind> {
    match result {
        Err(zk_recipes::Error::Client(error)) => Some(error.kind()),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

macro_rules! costly {
    ($($what:literal, $op:ident, |$zk:ident| $run:expr;)*) => {
        vec![$(Costly {
            what: $what,
            op: OpCode::$op,
            run: |$zk| Box::pin(async move { kind(async { Ok({ $run }) }.await) }),
        }),*]
    };
}

#[rustfmt::skip]
fn repeated() -> Vec<Costly> {
    costly! {
        "a path", Create2, |zk| zk.ensure_path("/new/a").await?;
        "a path that ends in a container", CreateContainer, |zk| zk.ensure_path("/new/a").container().await?;
        "a creation with parents", Create2, |zk| zk.create("/new/a", "").parents().await?;
        "a protected creation", Create2, |zk| zk.create("/base/a-", "").sequential().protected().await?;
        "a read", GetData, |zk| zk.get("/base").await?;
        "a list", GetChildren2, |zk| zk.children("/base").await?;
        "a synced read", Sync, |zk| zk.get("/base").synced().await?;
        "a lock whose parent is not there", CreateContainer, |zk| Lock::new(&zk, "/new/l").acquire().await?;
        "a lock", Create2, |zk| Lock::new(&zk, "/base").acquire().await?;
        "a lock's line", GetChildren2, |zk| Lock::new(&zk, "/base").acquire().await?;
        "a release", Delete, |zk| Lock::new(&zk, "/base").acquire().await?.release().await?;
        "a persistent lock's release", Delete, |zk| Lock::new(&zk, "/base").persistent().acquire().await?.release().await?;
        "a downgrade", Multi, |zk| WriteLock::new(&zk, "/base").lease_basis(zk_recipes::LeaseBasis::Server).acquire().await?.downgrade().await?;
        "a lease", CreateContainer, |zk| Semaphore::new(&zk, "/new/s", 1).acquire().await?;
        "a lease of kazoo's", Create2, |zk| Semaphore::new(&zk, "/new/s", 1).layout(Layout::Kazoo).acquire().await?;
        "a barrier closed", Create2, |zk| Barrier::new(&zk, "/new/b").close().await?;
        "a barrier opened", Delete, |zk| Barrier::new(&zk, "/base").open().await?;
        "a barrier's wait", Exists, |zk| Barrier::new(&zk, "/base").wait().await?;
    }
}

/// Guards: P7.
#[tokio::test(start_paused = true)]
async fn no_request_closes_connections_forever() {
    for Costly { what, op, run } in repeated() {
        let network = Network::new().await;
        let zk = network.builder().deadline(None).connect().await.unwrap();
        zk.create("/base", "").await.unwrap();
        network
            .server
            .faults()
            .rule(on(op).then(Action::Close).always());
        let ended = timeout(Duration::from_secs(3600), run(zk.clone())).await;
        // No server of this client has ever answered it, and there is another operation for it.
        let is_replaced = op == OpCode::CreateContainer;
        let expected = (!is_replaced).then_some(ErrorKind::ConnectionLost);
        assert_eq!(ended, Ok(expected), "{what}");
        // What is cleaned up in the background ends, too.
        sleep(Duration::from_secs(3600)).await;
        let lost = zk.statistics().lost_connections;
        assert!((1..=25).contains(&lost), "{what}: {lost} connections");
    }
}

/// Guards: P7.
#[tokio::test(start_paused = true)]
async fn no_wait_ends_sessions_forever() {
    let network = Network::new().await;
    let (holder, zk) = (network.client().await, network.client().await);
    let held = Lock::new(&holder, "/base").acquire().await.unwrap();
    let (server, survivor) = (network.server.clone(), holder.session().id);
    // As a server that ends a session on a request which it does not know.
    let killer = tokio::spawn(async move {
        loop {
            let waits = server.watches_on(held.path()).data > 0;
            let sessions = server.sessions().into_iter();
            for session in sessions.filter(|session| waits && session.id != survivor) {
                server.expire_session(session.id);
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    let waits = Lock::new(&zk, "/base");
    let ended = timeout(Duration::from_secs(3600), waits.acquire()).await;
    killer.abort();
    assert!(
        matches!(ended, Ok(Err(zk_recipes::Error::PlacesLost { count: 10 }))),
        "{ended:?}"
    );
    assert!(zk.session().epoch <= 12, "{}", zk.session().epoch);
}

/// Waiting for a server that cannot be reached is not bounded by attempts.
#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out() {
    let network = Network::new().await;
    let zk = network.client().await;
    network.cut(&zk);
    let waiting = tokio::spawn({
        let zk = zk.with_deadline(None);
        async move { Lock::new(&zk, "/new/lock").acquire().await.map(drop) }
    });
    sleep(Duration::from_secs(600)).await;
    network.mend();
    waiting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_longest_close_timeout_is_taken() {
    let network = Network::new().await;
    for closes in [true, false] {
        let builder = network.builder().close_timeout(Duration::MAX);
        let zk = builder.connect().await.unwrap();
        drop(Lock::new(&zk, "/lock").acquire().await.unwrap());
        match closes {
            true => zk.close().await.unwrap(),
            false => drop(zk),
        }
        while !network.server.sessions().is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

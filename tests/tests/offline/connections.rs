//! Failures of other clients in their sessions and requests, asked for one by one on the embedded
//! server. The numbers are those of `CATALOGUE.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::common::memory::{Wire, at_once};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep, timeout};
use zk_client::{
    BackoffPolicy, Dial, Dialing, ErrorKind, HostPort, Outcome, SessionPolicy, State, StateStream,
    Transport, WatchMode,
};
use zk_embedded::Server;
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};

const SESSION: Duration = Duration::from_secs(30);

async fn until_state(states: &mut StateStream, wanted: impl Fn(State) -> bool) {
    while !wanted(states.next().await.expect("the client is over")) {}
}

/// A server that closes after it has accepted costs neither the session nor a request.
/// Guards: A3.
#[tokio::test(start_paused = true)]
async fn closing_servers_are_passed_over() {
    let wire = Wire::to(
        Server::builder()
            .in_memory()
            .members(3)
            .start()
            .await
            .unwrap(),
    );
    let zk = wire.client().await;
    zk.create("/mine", "").ephemeral().await.unwrap();
    let session = zk.session();
    for healthy in 0..3 {
        for member in 0..3 {
            let faults = wire.server.member(member);
            faults.close_after_accept(member != healthy);
        }
        wire.disconnect(&zk);
        let stat = zk.exists("/mine").await.unwrap().expect("still there");
        assert_eq!(stat.owner(), Some(session.id));
        assert_eq!(zk.session(), session);
        assert_eq!(zk.statistics().outstanding, 0);
    }
}

/// Every server of an ensemble that was restored from a backup turns its old clients away, without a
/// word: the session is given up when its time is over, and a new one is established.
/// Guards: A10.
#[tokio::test(start_paused = true)]
async fn client_ahead_of_restored_server_expires() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    for _ in 0..10 {
        zk.create("/a-", "").sequential().await.unwrap();
    }
    let mut states = zk.states();
    wire.server.wipe();
    until_state(&mut states, |state| {
        matches!(state, State::Expired { epoch: 1 })
    })
    .await;
    zk.connected().await.unwrap();
    assert_eq!(zk.session().epoch, 2);
    assert!(
        zk.children("/")
            .await
            .unwrap()
            .iter()
            .all(|name| name == "zookeeper")
    );
}

/// A server that does not know an operation says so and closes the connection; the operation is not
/// sent to it again.
/// Guards: A20.
#[tokio::test(start_paused = true)]
async fn unknown_operation_is_requested_once() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    let (_, _, mut watch) = zk.get("/").watch().await.unwrap();
    let refuse = Action::Refuse(ErrorCode::Unimplemented);
    wire.server.faults().rule(on(OpCode::AddWatch).then(refuse));
    let error = zk.watch("/", WatchMode::Persistent).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unimplemented, Outcome::Rejected)
    );
    let session = zk.session();
    wire.disconnect(&zk);
    zk.sync("/").await.unwrap();
    assert_eq!(zk.session(), session);
    assert_eq!(at_once(&mut watch), None);
    // Had it been asked for again, it would have been granted.
    assert_eq!(wire.server.watch_counts().child, 0);
    assert_eq!(zk.statistics().watches, 1);
}

/// ZOOKEEPER-795, 3059, 4367: whatever ends a client, its task ends.
/// Guards: A25, B40.
#[tokio::test(start_paused = true)]
async fn no_task_outlives_its_client() {
    let wire = Wire::new().await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    for n in 0..200 {
        let zk = wire
            .builder()
            .session_policy(SessionPolicy::Close)
            .connect()
            .await
            .unwrap();
        let mut states = zk.states();
        match n % 4 {
            0 => assert!(wire.server.expire_session(zk.session().id)),
            1 => assert!(zk.add_auth("nonsense", "").await.is_err()),
            2 => drop(zk.clone().close().await),
            _ => drop(zk),
        }
        while states.next().await.is_some() {}
    }
    // The last of them still have to be seen to end.
    while tasks() > before {
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(wire.server.connection_count(), 0);
}

/// Sessions, locks and watches do not depend on the wall clock, which can be set. The formats of other
/// clients have its time in three recipes: the end of a lease, the time of a registration, and the delay of
/// an item.
/// Guards: A26, B35.
#[test]
fn sessions_ignore_the_wall_clock() {
    fn check(directory: &Path, files: &mut usize) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                let name = path.file_name().unwrap().to_str().unwrap();
                if !["leases", "discovery", "queues"].contains(&name) {
                    check(&path, files);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                *files += 1;
                let source = std::fs::read_to_string(&path).unwrap();
                assert!(!source.contains("SystemTime"), "{}", path.display());
            }
        }
    }
    let mut files = 0;
    for name in ["zk-transport", "zk-client", "zk-recipes"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        check(&root.join(name).join("src"), &mut files);
    }
    assert!(files > 30);
}

/// CURATOR-45, CURATOR-79: a znode that appears after its create was given up is deleted.
/// Guards: A53.
#[tokio::test(start_paused = true)]
async fn late_protected_znode_is_deleted() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    zk.create("/line", "").await.unwrap();
    wire.server
        .faults()
        .drop_reply_after_apply(on(OpCode::Create2));
    wire.block(true);
    let create = zk.create("/line/n-", "").ephemeral().sequential();
    let giving_up = timeout(Duration::from_millis(100), create.protected().into_future());
    assert!(giving_up.await.is_err());
    let line = || {
        let mut paths = wire.server.paths();
        paths.retain(|path| path.starts_with("/line/"));
        paths
    };
    assert_eq!(line().len(), 1, "it was made, and its reply was lost");
    wire.block(false);
    while !line().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(zk.session().epoch, 1, "it was deleted, and did not expire");
}

/// A session is not thrown away with its connection, however often that is lost.
/// Guards: B37, B43.
#[tokio::test(start_paused = true)]
async fn session_resumed_in_time_lives_on() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    let session = zk.session();
    zk.create("/mine", "").ephemeral().await.unwrap();
    for _ in 0..50 {
        wire.cut_off(&zk).await;
        sleep(SESSION / 2).await;
        wire.reconnect(&zk).await;
        // Multis only, as in ZOOKEEPER-710.
        zk.multi().set("/mine", "x").commit().await.unwrap();
    }
    assert_eq!(zk.session(), session);
}

/// A deletion that must not be forgotten is made again, through lost requests, lost replies and a
/// server that is away.
/// Guards: A59.
#[tokio::test(start_paused = true)]
async fn guaranteed_delete_repeats_until_done() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    for action in [
        Action::Close,
        Action::DropReply,
        Action::Refuse(ErrorCode::ThrottledOp),
    ] {
        zk.create("/orphan", "").await.unwrap();
        wire.server
            .faults()
            .rule(on(OpCode::Delete).then(action).times(3));
        wire.block(true);
        zk.delete("/orphan").guaranteed();
        sleep(Duration::from_secs(1)).await;
        wire.block(false);
        while wire.server.node("/orphan").is_some() {
            sleep(Duration::from_millis(10)).await;
        }
        wire.server.faults().clear();
        zk.sync("/").await.unwrap();
    }
    assert_eq!(zk.session().epoch, 1);
}

/// An expiry during a long pause between attempts is reported in time.
/// Guards: B30.
#[tokio::test(start_paused = true)]
async fn expiry_is_on_time_whatever_the_backoff() {
    let wire = Wire::new().await;
    let lazy = BackoffPolicy::new(Duration::from_secs(600), Duration::from_secs(600));
    let zk = wire.builder().backoff(lazy).connect().await.unwrap();
    let mut states = zk.states();
    wire.cut_off(&zk).await;
    let started = Instant::now();
    until_state(&mut states, |state| matches!(state, State::Expired { .. })).await;
    let took = started.elapsed();
    assert!(took >= SESSION, "{took:?}");
    assert!(
        took <= SESSION * 4 / 3 + Duration::from_millis(10),
        "{took:?}"
    );
}

async fn three_members() -> Wire {
    let server = Server::builder().in_memory().members(3);
    Wire::to(server.start().await.unwrap())
}

/// Guards: A1.
#[tokio::test(start_paused = true)]
async fn frozen_server_costs_part_of_the_session() {
    let wire = three_members().await;
    let zk = wire.client().await;
    zk.create("/mine", "").ephemeral().await.unwrap();
    for _ in 0..3 {
        let (session, mut states) = (zk.session(), zk.states());
        let at = usize::from(zk.server().unwrap().port) - 1;
        wire.server.member(at).freeze();
        let frozen = Instant::now();
        until_state(&mut states, |state| {
            matches!(state, State::Suspended { .. })
        })
        .await;
        until_state(&mut states, |state| state.is_connected()).await;
        let took = frozen.elapsed();
        assert!(took < SESSION, "{took:?}");
        assert_eq!(zk.session(), session);
        wire.server.member(at).thaw();
    }
}

/// Guards: A2, B45.
#[tokio::test(start_paused = true)]
async fn a_host_that_never_answers_costs_a_share() {
    let wire = three_members().await;
    wire.server.member(0).freeze();
    let mut slow = 0;
    for seed in 0..12 {
        let started = Instant::now();
        let zk = wire.builder().seed(seed).connect().await.unwrap();
        let took = started.elapsed();
        assert!(took < SESSION, "{took:?} with seed {seed}");
        slow += usize::from(took > Duration::from_secs(1));
        // With the session that there is now, as without.
        let (session, mut states) = (zk.session(), zk.states());
        wire.disconnect(&zk);
        let lost = Instant::now();
        until_state(&mut states, |state| {
            matches!(state, State::Suspended { .. })
        })
        .await;
        until_state(&mut states, |state| state.is_connected()).await;
        assert!(lost.elapsed() < SESSION * 2 / 3, "{:?}", lost.elapsed());
        assert_eq!(zk.session(), session);
        zk.close().await.unwrap();
    }
    assert!(slow > 0, "the frozen host was never the first");
}

/// Guards: C4, B36.
#[tokio::test(start_paused = true)]
async fn a_deadline_passes_to_the_millisecond() {
    let deadline = Duration::from_millis(300);
    let wire = Wire::new().await;
    let zk = wire.client().await;
    for outcome in [Outcome::NotSent, Outcome::Unknown] {
        if outcome == Outcome::NotSent {
            wire.cut_off(&zk).await;
        } else {
            wire.server.member(0).freeze();
        }
        let started = Instant::now();
        let error = zk.create("/a", "").deadline(deadline).await.unwrap_err();
        let said = (error.kind(), error.outcome());
        assert_eq!(said, (ErrorKind::DeadlineExceeded, outcome));
        let late = started.elapsed() - deadline;
        assert!(late <= Duration::from_millis(1), "{late:?} late");
        if outcome == Outcome::NotSent {
            wire.reconnect(&zk).await;
        }
    }
}

/// A stream that takes and gives a few bytes at a time.
struct Narrow(Box<dyn Transport>);

const NARROW: usize = 61;

impl AsyncRead for Narrow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut part = buffer.take(NARROW);
        let polled = Pin::new(&mut self.0).poll_read(cx, &mut part);
        let read = part.filled().to_vec();
        buffer.put_slice(&read);
        polled
    }
}

impl AsyncWrite for Narrow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let part = &bytes[..bytes.len().min(NARROW)];
        Pin::new(&mut self.0).poll_write(cx, part)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[derive(Debug)]
struct NarrowWire(Wire);

impl Dial for NarrowWire {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let stream = self.0.dial(host).await?;
            Ok(Box::new(Narrow(stream)) as Box<dyn Transport>)
        })
    }
}

/// ZOOKEEPER-1560: large data through a socket that takes and gives little.
/// Guards: B6, B7.
#[tokio::test(start_paused = true)]
async fn large_data_passes_a_narrow_stream() {
    let wire = Wire::new().await;
    let zk = wire.builder().dial(NarrowWire(wire.clone()));
    let zk = zk.connect().await.unwrap();
    zk.create("/large", "").await.unwrap();
    for size in [0_usize, 1, 4096, 16 * 1024 + 1, 1024 * 1024 - 100] {
        let data: Vec<u8> = (0..size).map(|n| n.to_le_bytes()[0]).collect();
        zk.set("/large", &data).await.unwrap();
        assert!(zk.get("/large").await.unwrap().0 == data, "{size}");
    }
}

trait NotCloneUnlessAmbiguous<Marker> {
    fn is_not_clone() {}
}
impl<T: ?Sized> NotCloneUnlessAmbiguous<()> for T {}
struct Cloned;
impl<T: Clone> NotCloneUnlessAmbiguous<Cloned> for T {}

/// A copy of a guard would let go for the other. This does not compile if there can be one.
/// Guards: D12.
#[test]
fn guards_cannot_be_copied() {
    <zk_recipes::LockGuard as NotCloneUnlessAmbiguous<_>>::is_not_clone();
    <zk_recipes::Term as NotCloneUnlessAmbiguous<_>>::is_not_clone();
}

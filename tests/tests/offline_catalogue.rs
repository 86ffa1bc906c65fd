//! Failures of other clients, asked for one by one on the embedded server. The numbers are those of
//! `CATALOGUE.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

#[path = "common/memory.rs"]
mod memory;

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use memory::Wire;
use zk_client::{
    Client, ErrorKind, NodeEventKind, Outcome, SessionPolicy, State, StateStream, Watch,
    WatchEvent, WatchMode, WatchStream,
};
use zk_embedded::Server;
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};

const SESSION: Duration = Duration::from_secs(30);

async fn until_state(states: &mut StateStream, wanted: impl Fn(State) -> bool) {
    while !wanted(states.next().await.expect("the client is over")) {}
}

/// Cuts this client off and returns when it knows.
async fn cut_off(wire: &Wire, zk: &Client) {
    let mut states = zk.states();
    wire.block(true);
    wire.disconnect(zk);
    until_state(&mut states, |state| {
        matches!(state, State::Suspended { .. })
    })
    .await;
}

/// Lets it come back; what the server had to tell has been told.
async fn reconnect(wire: &Wire, zk: &Client) {
    wire.block(false);
    zk.sync("/").await.unwrap();
}

/// What a watch has told already.
fn told(watch: &mut Watch) -> Option<WatchEvent> {
    match pin!(watch).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(event) => Some(event),
        Poll::Pending => None,
    }
}

fn told_kind(watch: &mut Watch) -> Option<NodeEventKind> {
    told(watch).map(|event| event.node().expect("a change").kind)
}

async fn next(events: &mut WatchStream) -> (NodeEventKind, String) {
    let event = events.next().await.expect("the session goes on");
    let node = event.node().unwrap_or_else(|| panic!("{event:?}"));
    (node.kind, node.path.clone())
}

/// A server that closes after it has accepted costs neither the session nor a request.
#[tokio::test(start_paused = true)]
async fn a3_servers_that_close_before_the_handshake_are_passed_over() {
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
/// word: the session is given up when its time is over, and a new one is had.
#[tokio::test(start_paused = true)]
async fn a10_a_client_ahead_of_a_restored_ensemble_expires_and_begins_anew() {
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

/// ZOOKEEPER-706, to its end: a path that is longer than a batch.
#[tokio::test(start_paused = true)]
async fn a19_one_path_longer_than_a_batch_is_armed_again() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    let admin = wire.beside().client().await;
    let long = format!("/{}", "x".repeat(200 * 1024));
    admin.create(&long, "").await.unwrap();
    let (_, _, mut watch) = zk.get(&long).watch().await.unwrap();
    let (_, mut other) = zk.exists("/short").watch().await.unwrap();
    cut_off(&wire, &zk).await;
    admin.create("/short", "").await.unwrap();
    reconnect(&wire, &zk).await;
    assert_eq!(told_kind(&mut other), Some(NodeEventKind::Created));
    assert_eq!(told(&mut watch), None);
    admin.set(&long, "new").await.unwrap();
    zk.sync("/").await.unwrap();
    assert_eq!(told_kind(&mut watch), Some(NodeEventKind::DataChanged));
}

/// A server that does not know an operation says so and closes the connection; the operation is not
/// sent to it again.
#[tokio::test(start_paused = true)]
async fn a20_an_operation_the_server_does_not_know_is_asked_for_once() {
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
    assert_eq!(told(&mut watch), None);
    // Had it been asked for again, it would have been granted.
    assert_eq!(wire.server.watch_counts().child, 0);
    assert_eq!(zk.statistics().watches, 1);
}

/// ZOOKEEPER-795, 3059, 4367: whatever ends a client, its task ends.
#[tokio::test(start_paused = true)]
async fn a25_b40_no_task_outlives_a_client_that_is_over() {
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
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(wire.server.connection_count(), 0);
}

/// Clocks that people can set are for people: nothing of a session rests on them.
#[test]
fn a26_b35_no_session_looks_at_the_wall_clock() {
    fn check(directory: &Path, files: &mut usize) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                check(&path, files);
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

/// What a server tells of the time while nobody was connected: one event for each watch.
#[tokio::test(start_paused = true)]
async fn a39_whatever_happens_meanwhile_is_told_once() {
    use NodeEventKind::{ChildrenChanged, Created, DataChanged, Deleted};
    let wire = Wire::new().await;
    let zk = wire.client().await;
    let admin = wire.beside().client().await;
    for path in ["/set", "/gone", "/again", "/parent", "/parent/old", "/same"] {
        admin.create(path, "").await.unwrap();
    }
    let mut watches = Vec::new();
    for (path, expected) in [
        ("/set", Some(DataChanged)),
        ("/gone", Some(Deleted)),
        // Deleted and created again: all that is left of it is a change.
        ("/again", Some(DataChanged)),
        ("/same", None),
    ] {
        let (_, _, watch) = zk.get(path).watch().await.unwrap();
        watches.push((path, watch, expected));
    }
    let (_, made) = zk.exists("/made").watch().await.unwrap();
    watches.push(("/made", made, Some(Created)));
    let (_, there) = zk.exists("/set").watch().await.unwrap();
    watches.push(("/set, exists", there, Some(DataChanged)));
    for (path, expected) in [
        ("/parent", Some(ChildrenChanged)),
        ("/gone", Some(Deleted)),
        ("/same", None),
    ] {
        let (_, _, watch) = zk.children(path).watch().await.unwrap();
        watches.push((path, watch, expected));
    }

    cut_off(&wire, &zk).await;
    admin.set("/set", "1").await.unwrap();
    admin.set("/set", "2").await.unwrap();
    admin.delete("/gone").await.unwrap();
    admin.delete("/again").await.unwrap();
    admin.create("/again", "").await.unwrap();
    admin.create("/made", "").await.unwrap();
    admin.create("/parent/new", "").await.unwrap();
    admin.delete("/parent/old").await.unwrap();
    reconnect(&wire, &zk).await;
    for (path, watch, expected) in &mut watches {
        assert_eq!(told_kind(watch), *expected, "{path}");
    }
    let silent = watches.iter().filter(|(_, _, told)| told.is_none());
    assert_eq!(zk.statistics().watches, silent.count());
}

/// Of all that fails, only `exists` leaves a watch, on what is not there.
#[tokio::test(start_paused = true)]
async fn a43_what_fails_sets_no_watch() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    assert_eq!(
        zk.get("/none").watch().await.unwrap_err().kind(),
        ErrorKind::NoNode
    );
    assert_eq!(
        zk.children("/none").watch().await.unwrap_err().kind(),
        ErrorKind::NoNode
    );
    let throttled = Action::Refuse(ErrorCode::SystemError);
    wire.server
        .faults()
        .rule(on(OpCode::Exists).then(throttled));
    zk.exists("/none").watch().await.unwrap_err();
    assert_eq!(zk.statistics().watches, 0);
    assert_eq!(wire.server.watch_counts().data, 0);
    let (stat, _watch) = zk.exists("/none").watch().await.unwrap();
    assert_eq!(stat, None);
    assert_eq!(zk.statistics().watches, 1);
    assert_eq!(wire.server.watches_on("/none").data, 1);
}

/// A removal that meets a lost connection is achieved by it: the next server is not asked to watch.
#[tokio::test(start_paused = true)]
async fn a47_a_watch_removed_around_an_outage_is_gone_on_both_sides() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    zk.create("/a", "").await.unwrap();
    // Away.
    let (_, _, watch) = zk.get("/a").watch().await.unwrap();
    let events = zk
        .watch("/a", WatchMode::PersistentRecursive)
        .await
        .unwrap();
    cut_off(&wire, &zk).await;
    drop((watch, events));
    assert_eq!(zk.statistics().watches, 0);
    reconnect(&wire, &zk).await;
    assert_eq!(wire.server.watches_on("/a").data, 0);

    // Not sent, not executed, or not answered; or the server fails at it.
    for action in [
        Action::Close,
        Action::DropReply,
        Action::Refuse(ErrorCode::SystemError),
    ] {
        let session = zk.session();
        let (_, _, watch) = zk.get("/a").watch().await.unwrap();
        let refused = matches!(action, Action::Refuse(_));
        wire.server
            .faults()
            .rule(on(OpCode::RemoveWatches).then(action));
        drop(watch);
        zk.sync("/").await.unwrap();
        assert_eq!(zk.statistics().watches, 0);
        assert_eq!(zk.session(), session);
        // A server that fails keeps it, and the client ignores what it tells.
        assert_eq!(wire.server.watches_on("/a").data, usize::from(refused));
    }
    zk.set("/a", "x").await.unwrap();
    assert_eq!(wire.server.watches_on("/a").data, 0);
}

/// ZOOKEEPER-961, 682, 4565: every kind of watch under a chroot, its root among them, across a
/// reconnect; and what is outside stays outside.
#[tokio::test(start_paused = true)]
async fn a48_b59_b60_a_chroot_is_taken_off_what_watches_tell() {
    use NodeEventKind::{ChildrenChanged, Created, DataChanged};
    let wire = Wire::new().await;
    let admin = wire.beside().client().await;
    let whole = wire.client().await;
    // `/zoo` is the beginning of `/zookeeper`, and of nothing in it.
    for root in ["/zoo", "/a", "/a/longer/one"] {
        admin.ensure_path(root).await.unwrap();
        let zk = whole.chroot(root).unwrap();
        let (_, _, mut data) = zk.get("/").watch().await.unwrap();
        let (_, _, mut children) = zk.children("/").watch().await.unwrap();
        let (_, mut exists) = zk.exists("/x").watch().await.unwrap();
        let mut one = zk.watch("/", WatchMode::Persistent).await.unwrap();
        let mut tree = zk.watch("/", WatchMode::PersistentRecursive).await.unwrap();
        cut_off(&wire, &zk).await;
        reconnect(&wire, &zk).await;
        for events in [&mut one, &mut tree] {
            assert!(matches!(events.next().await, Some(WatchEvent::Gap { .. })));
        }
        // Nothing happened to it, and no server could say so.
        assert!(matches!(told(&mut exists), Some(WatchEvent::Gap { .. })));

        admin.create(&format!("{root}/x"), "").await.unwrap();
        admin.set(root, "new").await.unwrap();
        zk.sync("/").await.unwrap();
        assert_eq!(next(&mut tree).await, (Created, "/x".to_owned()));
        assert_eq!(next(&mut tree).await, (DataChanged, "/".to_owned()));
        assert_eq!(next(&mut one).await, (ChildrenChanged, "/".to_owned()));
        assert_eq!(next(&mut one).await, (DataChanged, "/".to_owned()));
        assert_eq!(told_kind(&mut data), Some(DataChanged));
        assert_eq!(told_kind(&mut children), Some(ChildrenChanged));
    }
}

/// CURATOR-45, CURATOR-79: whoever gave up creating a znode does not want it, whenever it appears.
#[tokio::test(start_paused = true)]
async fn a53_a_protected_znode_that_appears_after_its_maker_gave_up_is_deleted() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    zk.create("/line", "").await.unwrap();
    wire.server
        .faults()
        .drop_reply_after_apply(on(OpCode::Create2));
    wire.block(true);
    let create = zk.create("/line/n-", "").ephemeral().sequential();
    let giving_up =
        tokio::time::timeout(Duration::from_millis(100), create.protected().into_future());
    assert!(giving_up.await.is_err());
    let line = || {
        let mut paths = wire.server.paths();
        paths.retain(|path| path.starts_with("/line/"));
        paths
    };
    assert_eq!(line().len(), 1, "it was made, and nobody heard of it");
    wire.block(false);
    while !line().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(zk.session().epoch, 1, "it was deleted, and did not expire");
}

/// kazoo 543, CURATOR-710: what is watched and let go of leaves nothing, here or there.
#[tokio::test(start_paused = true)]
async fn b26_b67_watches_that_come_and_go_leave_nothing() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    // In one of the clients, removals queued at once shared an xid.
    let mut many = Vec::new();
    for n in 0..1000 {
        let (_, watch) = zk.exists(&format!("/none-{n}")).watch().await.unwrap();
        many.push(watch);
    }
    drop(many);
    for n in 0..2000 {
        let path = format!("/{n}");
        let (_, watch) = zk.exists(&path).watch().await.unwrap();
        let mode = match n % 2 {
            0 => WatchMode::Persistent,
            _ => WatchMode::PersistentRecursive,
        };
        let events = zk.watch(&path, mode).await.unwrap();
        match n % 3 {
            0 => drop((watch, events)),
            1 => drop((events, watch)),
            _ => {
                zk.create(&path, "").await.unwrap();
                drop((events, watch));
            }
        }
    }
    zk.sync("/").await.unwrap();
    let left = zk.statistics();
    assert_eq!((left.watches, left.subscribers), (0, 0));
    let there = wire.server.watch_counts();
    assert_eq!((there.data, there.child), (0, 0));
}

/// ZOOKEEPER-2368, CURATOR-729: who still waits when the client is closed is told.
#[tokio::test(start_paused = true)]
async fn b69_watches_end_when_the_client_is_closed() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    let (_, watch) = zk.exists("/a").watch().await.unwrap();
    let mut events = zk.watch("/", WatchMode::PersistentRecursive).await.unwrap();
    zk.clone().close().await.unwrap();
    assert_eq!(watch.await, WatchEvent::SessionEnded);
    assert_eq!(events.next().await, Some(WatchEvent::SessionEnded));
    assert_eq!(events.next().await, None);
}

/// A session is not thrown away with its connection, however often that is lost.
#[tokio::test(start_paused = true)]
async fn b37_b43_a_session_lives_as_long_as_it_is_picked_up_in_time() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    let session = zk.session();
    zk.create("/mine", "").ephemeral().await.unwrap();
    for _ in 0..50 {
        cut_off(&wire, &zk).await;
        tokio::time::sleep(SESSION / 2).await;
        reconnect(&wire, &zk).await;
        // Multis only, as in ZOOKEEPER-710.
        zk.multi().set("/mine", "x").commit().await.unwrap();
    }
    assert_eq!(zk.session(), session);
}

/// A deletion that must not be forgotten is made again, through lost requests, lost replies and a
/// server that is away.
#[tokio::test(start_paused = true)]
async fn a59_a_guaranteed_deletion_is_made_again_until_it_is_done() {
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
        tokio::time::sleep(Duration::from_secs(1)).await;
        wire.block(false);
        while wire.server.node("/orphan").is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        wire.server.faults().clear();
        zk.sync("/").await.unwrap();
    }
    assert_eq!(zk.session().epoch, 1);
}

/// Whoever waits long between attempts is still told in time that the session is over.
#[tokio::test(start_paused = true)]
async fn b30_an_expiry_is_told_on_time_whatever_the_backoff() {
    let wire = Wire::new().await;
    let lazy = zk_client::BackoffPolicy {
        initial: Duration::from_secs(600),
        max: Duration::from_secs(600),
    };
    let zk = wire.builder().backoff(lazy).connect().await.unwrap();
    let mut states = zk.states();
    cut_off(&wire, &zk).await;
    let started = tokio::time::Instant::now();
    until_state(&mut states, |state| matches!(state, State::Expired { .. })).await;
    let took = started.elapsed();
    assert!(took >= SESSION, "{took:?}");
    assert!(
        took <= SESSION * 4 / 3 + Duration::from_millis(10),
        "{took:?}"
    );
}

/// A stream that takes and gives a few bytes at a time.
struct Narrow(Box<dyn zk_client::Stream>);

const NARROW: usize = 61;

impl tokio::io::AsyncRead for Narrow {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut part = buffer.take(NARROW);
        let polled = std::pin::Pin::new(&mut self.0).poll_read(cx, &mut part);
        let read = part.filled().to_vec();
        buffer.put_slice(&read);
        polled
    }
}

impl tokio::io::AsyncWrite for Narrow {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let part = &bytes[..bytes.len().min(NARROW)];
        std::pin::Pin::new(&mut self.0).poll_write(cx, part)
    }
    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[derive(Debug)]
struct NarrowWire(Wire);

impl zk_client::Dial for NarrowWire {
    fn dial<'a>(&'a self, host: &'a zk_client::HostPort) -> zk_client::Dialing<'a> {
        Box::pin(async move {
            let stream = self.0.dial(host).await?;
            Ok(Box::new(Narrow(stream)) as Box<dyn zk_client::Stream>)
        })
    }
}

/// ZOOKEEPER-1560: large data through a socket that takes and gives little.
#[tokio::test(start_paused = true)]
async fn b6_b7_large_data_pass_through_a_narrow_stream() {
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
#[test]
fn d12_guards_cannot_be_copied() {
    <zk_recipes::LockGuard as NotCloneUnlessAmbiguous<_>>::is_not_clone();
    <zk_recipes::Term as NotCloneUnlessAmbiguous<_>>::is_not_clone();
}

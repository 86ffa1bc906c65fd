//! Failures of other clients in what they watch, asked for one by one on the embedded server. The
//! numbers are those of `CATALOGUE.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use crate::common::memory::{Wire, at_once};
use zk_client::{ErrorKind, NodeEventKind, Watch, WatchEvent, WatchMode, WatchStream};
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};

fn delivered_kind(watch: &mut Watch) -> Option<NodeEventKind> {
    at_once(watch).map(|event| event.node().expect("a change").kind)
}

async fn next(events: &mut WatchStream) -> (NodeEventKind, String) {
    let event = events.next().await.expect("the stream has not ended");
    let node = event.node().unwrap_or_else(|| panic!("{event:?}"));
    (node.kind, node.path.clone())
}

/// ZOOKEEPER-706, to its end: a path that is longer than a batch.
/// Guards: A19.
#[tokio::test(start_paused = true)]
async fn path_longer_than_a_batch_is_rearmed() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    let admin = wire.beside().client().await;
    let long = format!("/{}", "x".repeat(200 * 1024));
    admin.create(&long, "").await.unwrap();
    let (_, _, mut watch) = zk.get(&long).watch().await.unwrap();
    let (_, mut other) = zk.exists("/short").watch().await.unwrap();
    wire.cut_off(&zk).await;
    admin.create("/short", "").await.unwrap();
    wire.reconnect(&zk).await;
    assert_eq!(delivered_kind(&mut other), Some(NodeEventKind::Created));
    assert_eq!(at_once(&mut watch), None);
    admin.set(&long, "new").await.unwrap();
    zk.sync("/").await.unwrap();
    assert_eq!(delivered_kind(&mut watch), Some(NodeEventKind::DataChanged));
}

/// For changes during a disconnection a server sends one event to each watch.
/// Guards: A39.
#[tokio::test(start_paused = true)]
async fn change_meanwhile_is_delivered_once() {
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

    wire.cut_off(&zk).await;
    admin.set("/set", "1").await.unwrap();
    admin.set("/set", "2").await.unwrap();
    admin.delete("/gone").await.unwrap();
    admin.delete("/again").await.unwrap();
    admin.create("/again", "").await.unwrap();
    admin.create("/made", "").await.unwrap();
    admin.create("/parent/new", "").await.unwrap();
    admin.delete("/parent/old").await.unwrap();
    wire.reconnect(&zk).await;
    for (path, watch, expected) in &mut watches {
        assert_eq!(delivered_kind(watch), *expected, "{path}");
    }
    let quiet = watches
        .iter()
        .filter(|(_, _, delivered)| delivered.is_none());
    assert_eq!(zk.statistics().watches, quiet.count());
}

/// Of all that fails, only `exists` leaves a watch, on what is not there.
/// Guards: A43.
#[tokio::test(start_paused = true)]
async fn failed_request_sets_no_watch() {
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
/// Guards: A47.
#[tokio::test(start_paused = true)]
async fn watch_removed_in_an_outage_is_gone() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    zk.create("/a", "").await.unwrap();
    // Away.
    let (_, _, watch) = zk.get("/a").watch().await.unwrap();
    let events = zk
        .watch("/a", WatchMode::PersistentRecursive)
        .await
        .unwrap();
    wire.cut_off(&zk).await;
    drop((watch, events));
    assert_eq!(zk.statistics().watches, 0);
    wire.reconnect(&zk).await;
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
        // A server that fails keeps it, and the client ignores its events.
        assert_eq!(wire.server.watches_on("/a").data, usize::from(refused));
    }
    zk.set("/a", "x").await.unwrap();
    assert_eq!(wire.server.watches_on("/a").data, 0);
}

/// ZOOKEEPER-961, 682, 4565: every kind of watch under a chroot, its root among them, across a
/// reconnect; and what is outside stays outside.
/// Guards: A48, B59, B60.
#[tokio::test(start_paused = true)]
async fn events_have_no_chroot() {
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
        wire.cut_off(&zk).await;
        wire.reconnect(&zk).await;
        for events in [&mut one, &mut tree] {
            assert!(matches!(events.next().await, Some(WatchEvent::Gap { .. })));
        }
        // Nothing happened to it, and no server could say so.
        assert!(matches!(at_once(&mut exists), Some(WatchEvent::Gap { .. })));

        admin.create(&format!("{root}/x"), "").await.unwrap();
        admin.set(root, "new").await.unwrap();
        zk.sync("/").await.unwrap();
        assert_eq!(next(&mut tree).await, (Created, "/x".to_owned()));
        assert_eq!(next(&mut tree).await, (DataChanged, "/".to_owned()));
        assert_eq!(next(&mut one).await, (ChildrenChanged, "/".to_owned()));
        assert_eq!(next(&mut one).await, (DataChanged, "/".to_owned()));
        assert_eq!(delivered_kind(&mut data), Some(DataChanged));
        assert_eq!(delivered_kind(&mut children), Some(ChildrenChanged));
    }
}

/// kazoo 543, CURATOR-710: what is watched and let go of leaves nothing, here or there.
/// Guards: B26, B67.
#[tokio::test(start_paused = true)]
async fn dropped_watches_leave_nothing() {
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

/// ZOOKEEPER-2368, CURATOR-729: a subscriber that still waits when the client is closed is notified.
/// Guards: B69.
#[tokio::test(start_paused = true)]
async fn close_ends_watches() {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    let (_, watch) = zk.exists("/a").watch().await.unwrap();
    let mut events = zk.watch("/", WatchMode::PersistentRecursive).await.unwrap();
    zk.clone().close().await.unwrap();
    assert_eq!(watch.await, WatchEvent::SessionEnded);
    assert_eq!(events.next().await, Some(WatchEvent::SessionEnded));
    assert_eq!(events.next().await, None);
}

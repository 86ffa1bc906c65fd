//! Events and their order, and the events for missed changes after a reconnect.

// Clippy exempts `#[test]` functions from these lints, but not their helpers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod raw;

use raw::Raw;
use zk_embedded::Server;
use zk_proto::records::*;
use zk_proto::*;

use CreateMode::{Ephemeral, Persistent};
use EventType::{NodeChildrenChanged, NodeCreated, NodeDataChanged, NodeDeleted};

async fn server() -> Server {
    Server::builder().in_memory().start().await.unwrap()
}

fn event(kind: EventType, path: &str) -> (EventType, String) {
    (kind, path.to_owned())
}

#[tokio::test]
async fn one_shot_watches_fire_before_the_reply() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    assert_eq!(raw.exists("/a", true).await.err, -101);
    // A failed read leaves no watch.
    assert_eq!(raw.get("/b", true).await.err, -101);
    assert_eq!(raw.children("/b", true).await.err, -101);
    assert_eq!(
        (server.watch_counts().data, server.watch_counts().child),
        (1, 0)
    );
    raw.make("/a", Persistent).await;
    let zxid = server.node("/a").unwrap().stat.czxid.0;
    assert_eq!(raw.events, [(zxid, NodeCreated, "/a".to_owned())]);
    raw.events.clear();
    raw.set("/a", b"", -1).await;
    assert_eq!(raw.take_events(), []);
    raw.exists("/a", true).await;
    raw.children("/a", true).await;
    raw.children("/", true).await;
    raw.make("/a/b", Persistent).await;
    assert_eq!(raw.take_events(), [event(NodeChildrenChanged, "/a")]);
    raw.children("/a", true).await;
    raw.delete("/a/b").await;
    assert_eq!(raw.take_events(), [event(NodeChildrenChanged, "/a")]);
    raw.children("/a", true).await;
    raw.delete("/a").await;
    // One event, although data and children are watched.
    let expected = [event(NodeDeleted, "/a"), event(NodeChildrenChanged, "/")];
    assert_eq!(raw.take_events(), expected);
    assert_eq!(server.watch_counts(), Default::default());
}

#[tokio::test]
async fn persistent_and_recursive_watches_stay() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    raw.add_watch("/p", AddWatchMode::Persistent).await;
    raw.add_watch("/r", AddWatchMode::PersistentRecursive).await;
    raw.make("/p", Persistent).await;
    raw.set("/p", b"", -1).await;
    raw.make("/p/c", Persistent).await;
    raw.set("/p/c", b"", -1).await;
    raw.delete("/p/c").await;
    raw.delete("/p").await;
    let expected = [
        event(NodeCreated, "/p"),
        event(NodeDataChanged, "/p"),
        event(NodeChildrenChanged, "/p"),
        event(NodeChildrenChanged, "/p"),
        event(NodeDeleted, "/p"),
    ];
    assert_eq!(raw.take_events(), expected);
    raw.make("/r", Persistent).await;
    raw.make("/r/c", Persistent).await;
    raw.set("/r/c", b"", -1).await;
    // One event for two watches that match. The child watch gets its own event (ZOOKEEPER-4475).
    raw.get("/r/c", true).await;
    raw.children("/r", true).await;
    raw.delete("/r/c").await;
    let expected = [
        event(NodeCreated, "/r"),
        event(NodeCreated, "/r/c"),
        event(NodeDataChanged, "/r/c"),
        event(NodeDeleted, "/r/c"),
        event(NodeChildrenChanged, "/r"),
    ];
    assert_eq!(raw.take_events(), expected);
}

#[tokio::test]
async fn watches_are_checked_and_removed_by_kind() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    let mut ask = async |op, kind| {
        let path = "/".into();
        raw.call(op, &RemoveWatchesRequest { path, kind }).await.err
    };
    assert_eq!(ask(OpCode::CheckWatches, WatcherType::Any).await, -121);
    assert_eq!(
        ask(OpCode::RemoveWatches, WatcherType::Unknown(9)).await,
        -5
    );
    raw.get("/", true).await;
    raw.add_watch("/", AddWatchMode::PersistentRecursive).await;
    let mut ask = async |op, kind| {
        let path = "/".into();
        raw.call(op, &RemoveWatchesRequest { path, kind }).await.err
    };
    assert_eq!(ask(OpCode::CheckWatches, WatcherType::Data).await, 0);
    assert_eq!(ask(OpCode::CheckWatches, WatcherType::Children).await, -121);
    assert_eq!(
        ask(OpCode::RemoveWatches, WatcherType::Persistent).await,
        -121
    );
    assert_eq!(ask(OpCode::RemoveWatches, WatcherType::Data).await, 0);
    assert_eq!(ask(OpCode::RemoveWatches, WatcherType::Data).await, -121);
    assert_eq!(ask(OpCode::RemoveWatches, WatcherType::Any).await, 0);
    assert_eq!(server.watch_counts(), Default::default());
    let bad = AddWatchMode::Unknown(7);
    assert_eq!(raw.add_watch("/", bad).await.err, -5);
}

#[tokio::test]
async fn set_watches_sends_missed_events_first() {
    let server = server().await;
    let mut raw = Raw::new(&server).await;
    for path in ["/changed", "/same", "/kids", "/quiet"] {
        raw.make(path, Persistent).await;
    }
    let seen = raw.ping().await.unwrap().zxid;
    raw.set("/changed", b"", -1).await;
    raw.make("/kids/a", Persistent).await;
    raw.make("/made", Persistent).await;
    let mut raw = Raw::with(&server, 0, &raw.resume()).await.unwrap();
    let list = |paths: &[&str]| paths.iter().collect::<Children>();
    let request = SetWatches2Request {
        relative_zxid: Zxid(seen),
        data: list(&["/changed", "/same", "/gone"]),
        exist: list(&["/made", "/never"]),
        child: list(&["/kids", "/quiet", "/gone"]),
        persistent: list(&["/changed"]),
        recursive: list(&["/kids"]),
    };
    let mut out = bytes::BytesMut::new();
    request.encode(&mut out);
    let body = raw::Literal(out.to_vec());
    raw.send(xid::SET_WATCHES, OpCode::SetWatches2.code(), &body)
        .await;
    let reply = raw.reply().await.unwrap();
    assert_eq!(
        (reply.xid, reply.err, reply.body_len()),
        (xid::SET_WATCHES, 0, 0)
    );
    assert!(raw.events.iter().all(|(zxid, ..)| *zxid == -1));
    let expected = [
        event(NodeDataChanged, "/changed"),
        event(NodeDeleted, "/gone"),
        event(NodeCreated, "/made"),
        event(NodeChildrenChanged, "/kids"),
        event(NodeDeleted, "/gone"),
    ];
    assert_eq!(raw.take_events(), expected);
    raw.set("/same", b"", -1).await;
    raw.make("/never", Persistent).await;
    raw.make("/quiet/a", Persistent).await;
    raw.set("/changed", b"", -1).await;
    raw.set("/kids/a", b"", -1).await;
    let expected = [
        event(NodeDataChanged, "/same"),
        event(NodeCreated, "/never"),
        event(NodeChildrenChanged, "/quiet"),
        event(NodeDataChanged, "/changed"),
        event(NodeDataChanged, "/kids/a"),
    ];
    assert_eq!(raw.take_events(), expected);
}

#[tokio::test]
async fn expiry_fires_watches_on_ephemerals() {
    let server = server().await;
    let mut owner = Raw::new(&server).await;
    owner.make("/e", Ephemeral).await;
    let mut other = Raw::new(&server).await;
    other.exists("/e", true).await;
    assert!(server.expire_session(owner.id()));
    assert!(owner.closed().await);
    other.ping().await.unwrap();
    assert_eq!(other.take_events(), [event(NodeDeleted, "/e")]);
}

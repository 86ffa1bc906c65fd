//! Operations that depend on what is there already, or consist of several requests.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use crate::common::server::{is_keeper, server_has};
use crate::common::{TestServer, client, connect, shared_server, soon, until};
use bytes::Bytes;
use std::time::Duration;
use zk_client::{CreatedOrSet, ErrorKind, Outcome};
use zk_proto::OpCode;

#[tokio::test]
async fn or_set_creates_or_sets() {
    let zk = client().await;
    let made = zk.create("/a/b", "1").parents().or_set().await.unwrap();
    assert!(matches!(made, CreatedOrSet::Created(_)), "{made:?}");
    let made = zk.create("/a/b", "2").or_set().version(0).await.unwrap();
    assert!(matches!(made, CreatedOrSet::Set(_)), "{made:?}");
    let (data, stat) = zk.get("/a/b").await.unwrap();
    assert_eq!((&data[..], stat), (&b"2"[..], *made.stat()));
    let stale = zk
        .create("/a/b", "3")
        .or_set()
        .version(0)
        .await
        .unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::BadVersion);
}

#[tokio::test]
async fn idempotent_writes_are_as_others() {
    let zk = client().await;
    let created = zk.create("/a", "1").idempotent().await.unwrap();
    assert_eq!(zk.exists("/a").await.unwrap(), Some(created.stat));
    // The znode is older than this call.
    let again = zk.create("/a", "1").idempotent().await.unwrap_err();
    assert_eq!(
        (again.kind(), again.outcome()),
        (ErrorKind::NodeExists, Outcome::Rejected)
    );
    let stat = zk.set("/a", "2").version(0).idempotent().await.unwrap();
    assert_eq!(stat.version, 1);
    let stale = zk.set("/a", "2").version(0).idempotent().await.unwrap_err();
    assert_eq!(stale.kind(), ErrorKind::BadVersion);
    zk.delete("/a").idempotent().await.unwrap();
    let missing = zk.delete("/a").idempotent().await.unwrap_err();
    assert_eq!(
        (missing.kind(), missing.outcome()),
        (ErrorKind::NoNode, Outcome::Rejected)
    );
}

#[tokio::test]
async fn quiet_deletions_miss_nothing() {
    let zk = client().await;
    zk.create("/a/b", "").parents().await.unwrap();
    assert!(zk.delete("/a/b").quietly().await.unwrap());
    assert!(!zk.delete("/a/b").quietly().await.unwrap());
    zk.create("/a/c", "").await.unwrap();
    let full = zk.delete("/a").quietly().await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::NotEmpty);
    zk.delete("/a").recursive().children_only().await.unwrap();
    assert!(zk.children("/a").await.unwrap().is_empty());
    zk.delete("/a").recursive().quietly().await.unwrap();
    zk.delete("/a").recursive().quietly().await.unwrap();
}

/// Null data, which only ClickHouse Keeper stores as empty ones.
#[tokio::test]
async fn null_is_not_empty() {
    let zk = client().await;
    let null = |data: Option<Bytes>| match is_keeper() {
        true => data.is_some_and(|data| data.is_empty()),
        false => data.is_none(),
    };
    zk.create("/a", "ignored").null().await.unwrap();
    assert!(null(zk.get("/a").nullable().await.unwrap().0));
    assert!(zk.get("/a").await.unwrap().0.is_empty());
    zk.set("/a", "").await.unwrap();
    let (data, _, watch) = zk.get("/a").nullable().watch().await.unwrap();
    assert_eq!(data.as_deref(), Some(&b""[..]));
    let multi = zk.multi().set_as(zk.set("/a", "ignored").null().version(1));
    multi.commit().await.unwrap();
    soon("the event", watch).await;
    let (data, stat) = zk.get("/a").nullable().synced().await.unwrap();
    assert!(null(data));
    assert_eq!((stat.version, stat.data_length), (2, 0));
}

#[tokio::test]
async fn paths_are_ensured_and_say_so() {
    let zk = client().await;
    assert!(zk.ensure_path("/a/b").await.unwrap());
    assert!(!zk.ensure_path("/a/b").await.unwrap());
    assert!(!zk.ensure_path("/a").await.unwrap());
}

#[tokio::test]
async fn descendants_are_listed() {
    let zk = client().await;
    for path in ["/a/b/c", "/a/b/d", "/a/e"] {
        zk.create(path, "").parents().await.unwrap();
    }
    let mut below = zk.descendants("/a").breadth_first().submit();
    let mut paths = Vec::new();
    while let Some(path) = soon("a path", below.next()).await {
        paths.push(path.unwrap());
    }
    assert_eq!(paths[..2].iter().max().unwrap(), "/a/e");
    paths.sort_unstable();
    assert_eq!(paths, ["/a/b", "/a/b/c", "/a/b/d", "/a/e"]);
}

#[tokio::test]
async fn calls_wait_for_room() {
    let server = shared_server();
    let zk = connect(&server.connect_string(), |builder| {
        builder.max_outstanding(4)
    })
    .await;
    let creations = (0..100).map(|n| {
        let zk = zk.clone();
        tokio::spawn(async move {
            let room = zk.wait_for_room().await.unwrap();
            room.create(&format!("/{n}"), "").await.unwrap();
        })
    });
    for creation in creations.collect::<Vec<_>>() {
        soon("a creation", creation).await.unwrap();
    }
    assert_eq!(zk.children("/").await.unwrap().len(), 100);
}

/// The server deletes a container that had a child and lost it, and no other znode.
#[tokio::test]
async fn parents_as_containers_vanish() {
    if !server_has(OpCode::CreateContainer) {
        return;
    }
    let server = TestServer::start_reaping(Duration::from_millis(100)).unwrap();
    let zk = connect(&server.connect_string(), |builder| builder).await;
    let create = zk.create("/plain/b", "").parents();
    create.await.unwrap();
    let create = zk.create("/kept/b/c", "").parents_as_containers();
    create.await.unwrap();
    let create = zk.create("/gone/b/c-", "").sequential();
    let created = create.parents_as_containers().await.unwrap();
    assert!(zk.ensure_path("/ensured/b").containers().await.unwrap());
    for path in ["/plain/b", &created.path] {
        zk.delete(path).await.unwrap();
    }
    let is_gone = async || zk.exists("/gone").await.unwrap().is_none();
    until("the containers to be deleted", is_gone).await;
    // The lower one was deleted before, so this one has been looked at as often.
    assert!(zk.exists("/plain").await.unwrap().is_some());
    assert!(zk.exists("/kept/b/c").await.unwrap().is_some());
    zk.create("/ensured/b/c", "").await.unwrap();
    zk.delete("/ensured/b/c").await.unwrap();
    let is_gone = async || zk.exists("/ensured").await.unwrap().is_none();
    until("the ensured path to be deleted", is_gone).await;
}

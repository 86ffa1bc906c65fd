//! Operations of several requests, with an embedded server: their futures own what they need, and what
//! they do about znodes that are missing or exist already.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod common;

use common::connect;
use zk_client::{Client, ErrorKind, Guid, RetryPolicy};

#[tokio::test]
async fn futures_can_be_spawned() {
    let (_server, zk) = connect().await;
    let policy = RetryPolicy::new();
    // Everything that the futures could borrow is gone before they run.
    let first = {
        let zk = zk.clone();
        let path = |name: &str| format!("/a/{name}");
        [
            tokio::spawn(zk.create(&path("b/c"), vec![1]).parents().submit()),
            tokio::spawn(
                zk.create(&path("d"), vec![2])
                    .protected()
                    .parents()
                    .submit(),
            ),
        ]
    };
    for created in first {
        created.await.unwrap().unwrap();
    }
    let (existing, parents, ensured) = {
        let zk = zk.clone();
        let path = |name: &str| format!("/a/{name}");
        let existing = zk.create(&path("b/c"), "").or_exists().submit();
        let parents = zk.create(&path("b/e"), "").parents().or_exists().submit();
        let ensured = zk.ensure_path(&path("f/g")).submit();
        (
            tokio::spawn(existing),
            tokio::spawn(parents),
            tokio::spawn(ensured),
        )
    };
    assert_eq!(existing.await.unwrap().unwrap(), None);
    assert!(parents.await.unwrap().unwrap().is_some());
    ensured.await.unwrap().unwrap();
    let (set, delete, read, write) = {
        let zk = zk.clone();
        let policy = policy.clone();
        let path = String::from("/a/b/c");
        let set = zk.set(&path, "x").version(0).retry(&policy).submit();
        let delete = zk.delete("/a/b/e").version(0).retry(&policy).submit();
        let handle = zk.clone();
        let read = zk.retry_read(&policy, move || handle.get("/a/b/c").submit());
        let handle = zk.clone();
        let write = zk.retry(&policy, move || handle.set("/a/f", "y").submit());
        (
            tokio::spawn(set),
            tokio::spawn(delete),
            tokio::spawn(read),
            tokio::spawn(write),
        )
    };
    assert_eq!(set.await.unwrap().unwrap().version, 1);
    delete.await.unwrap().unwrap();
    read.await.unwrap().unwrap();
    write.await.unwrap().unwrap();
    let deleted = tokio::spawn(zk.delete("/a").recursive().submit());
    deleted.await.unwrap().unwrap();
    assert_eq!(zk.exists("/a").await.unwrap(), None);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn a_submitted_path_precedes_later_requests() {
    let (_server, zk) = connect().await;
    let ensured = zk.ensure_path("/a").submit();
    let set = zk.set("/a", "x").submit();
    let deleted = zk.delete("/a").recursive().submit();
    let gone = zk.exists("/a").submit();
    assert_eq!(set.await.unwrap().version, 1);
    assert_eq!(gone.await.unwrap(), None);
    ensured.await.unwrap();
    deleted.await.unwrap();
}

#[tokio::test]
async fn an_existing_znode_is_none() {
    let (_server, zk) = connect().await;
    let created = zk.create("/a", "1").or_exists().await.unwrap();
    assert_eq!(created.unwrap().path, "/a");
    assert_eq!(zk.create("/a", "2").or_exists().await.unwrap(), None);
    assert_eq!(zk.get("/a").await.unwrap().0, "1");
    let error = zk.create("/b/c", "").or_exists().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    let created = zk.create("/b/c", "").parents().or_exists().await.unwrap();
    assert_eq!(created.unwrap().path, "/b/c");
}

#[tokio::test]
async fn parents_create_the_chroot() {
    let (server, _) = connect().await;
    let hosts = format!("{}/tenant/one", server.connect_string());
    let zk = Client::connect(hosts).await.unwrap();
    let error = zk.create("/a", "").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "create /a: the client's chroot /tenant/one does not exist; it had no effect \
         (ensure_path(\"/\") creates the chroot, and so does parents())"
    );
    let error = zk.create("/a/b", "").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "create /a/b: the znode's parent does not exist in the chroot /tenant/one; it had no effect \
         (create it first, or use parents())"
    );
    let created = zk.create("/a", "").protected().parents().await.unwrap();
    assert!(created.path.starts_with("/_c_"), "{}", created.path);
    zk.delete(&created.path).await.unwrap();
    assert!(zk.children("/").await.unwrap().is_empty());
    let created = zk.create("/a/b", "").parents().await.unwrap();
    assert_eq!(created.path, "/a/b");
}

#[tokio::test]
async fn protected_creations_create_parents() {
    let (_server, zk) = connect().await;
    let path = "/queue/high/job-";
    let error = zk.create(path, "").protected().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    for sequential in [false, true] {
        let create = zk.create(path, "");
        let create = if sequential {
            create.sequential()
        } else {
            create
        };
        let created = create.parents().protected().await.unwrap();
        assert!(
            created.path.starts_with("/queue/high/_c_"),
            "{}",
            created.path
        );
        zk.delete("/queue").recursive().await.unwrap();
    }
    // A prefix keeps the caller's order, with the id behind it.
    for priority in [7, 3] {
        let prefix = format!("{priority:03}-{}-", Guid::random());
        let create = zk.create("/jobs/", "").sequential().protected();
        create.prefix(prefix).parents().await.unwrap();
    }
    let jobs = zk.children("/jobs").await.unwrap();
    let mut jobs: Vec<_> = jobs.iter().collect();
    jobs.sort_unstable();
    assert!(jobs.first().unwrap().starts_with("003-"), "{jobs:?}");
    zk.close().await.unwrap();
}

#[cfg(feature = "serde")]
#[tokio::test]
async fn events_and_states_are_serialized() {
    use zk_client::{NodeEvent, NodeEventKind, WatchEvent, Zxid};

    let (_server, zk) = connect().await;
    let event = NodeEvent::new(NodeEventKind::DataChanged, "/a", Some(Zxid(7)));
    let event = WatchEvent::Node(event);
    let json = serde_json::to_value(&event).unwrap();
    assert_eq!(json["node"]["kind"], NodeEventKind::DataChanged.as_str());
    assert_eq!(serde_json::from_value::<WatchEvent>(json).unwrap(), event);
    let json = serde_json::to_value(zk.statistics()).unwrap();
    assert_eq!(json["state"]["state"], zk.state().as_str());
    assert_eq!(json["session"]["epoch"], 1);
    let json = serde_json::to_value(zk.session()).unwrap();
    assert!(serde_json::from_value::<zk_client::SessionInfo>(json).is_ok());
}

//! Caches of trees that change while connections and sessions are lost.

use super::cache_reader::{Reader, start};
use super::common::{self, pose, soon, until_unwatched};
use super::trees::client;
use zk_client::Client;
use zk_embedded::Pose;
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};
use zk_recipes::{CacheError, CacheEvent, TreeCache};

/// Whether the server has recursive watches that report which znode has changed.
fn has_recursive_watches() -> bool {
    pose().knows(OpCode::AddWatch) && pose() != Pose::KeeperNew
}

/// A server without recursive watches answers with an error, and then closes the connection.
///
/// Guards: A20.
#[tokio::test]
async fn it_falls_back_to_one_shot_watches() {
    for code in [ErrorCode::Unimplemented, ErrorCode::MarshallingError] {
        let server = common::server().start().await.unwrap();
        let zk = client(&server).await;
        let refusal = on(OpCode::AddWatch).then(Action::Refuse(code)).always();
        server.faults().rule(refusal);
        zk.ensure_path("/app/a").await.unwrap();
        let cache = TreeCache::new(&zk, "/app");
        let snapshot = soon("the tree", cache.initialized()).await.unwrap();
        assert_eq!(snapshot.len(), 2);
        let mut reader = Reader::new(&cache);
        zk.create("/app/a/b", "1").await.unwrap();
        zk.set("/app/a", "2").await.unwrap();
        soon("the change", reader.catch_up(&cache, &server, "/app")).await;
        let watches = server.watch_counts();
        // One recursive watch would cover the tree.
        assert!(watches.data >= 3 && watches.child >= 3, "{watches:?}");
    }
}

/// The root is created, deleted and created again, on a client with a chroot.
///
/// Guards: C18.
#[tokio::test]
async fn it_contains_only_what_is_below_the_root() {
    let server = common::server().start().await.unwrap();
    let admin = client(&server).await;
    admin.ensure_path("/team").await.unwrap();
    let zk = client(&server).await.chroot("/team").unwrap();
    for one_shot in [false, true] {
        let cache = start(TreeCache::builder(&zk, "/a"), one_shot);
        assert!(
            soon("nothing", cache.initialized())
                .await
                .unwrap()
                .is_empty()
        );
        let (_, mut events) = cache.subscribe().unwrap();
        let mut next = async || soon("an event", events.next()).await.unwrap().unwrap();
        for round in 0..2 {
            zk.create("/ab", "").await.unwrap();
            zk.create("/ab/c", "").await.unwrap();
            zk.create("/a", "1").await.unwrap();
            let added = next().await;
            assert!(
                matches!(&added, CacheEvent::Added { path, node } if path == "/a" && node.data == "1"),
                "{one_shot} {round} {added:?}"
            );
            zk.create("/a/b", "2").await.unwrap();
            let added = next().await;
            assert!(
                matches!(&added, CacheEvent::Added { path, .. } if path == "/a/b"),
                "{added:?}"
            );
            let snapshot = cache.snapshot().unwrap();
            assert_eq!(snapshot.len(), 2);
            assert_eq!(snapshot.get("/a/b").unwrap().data, "2");
            assert!(snapshot.get("/ab").is_none() && snapshot.get("/ab/c").is_none());
            let names: Vec<_> = snapshot.children("/a").map(|(name, _)| name).collect();
            assert_eq!(names, ["b"]);
            zk.delete("/ab").recursive().await.unwrap();
            zk.delete("/a").recursive().await.unwrap();
            for removed in ["/a/b", "/a"] {
                let event = next().await;
                assert!(
                    matches!(&event, CacheEvent::Removed { path, .. } if path == removed),
                    "{event:?}"
                );
            }
            assert!(cache.snapshot().unwrap().is_empty());
            // An older snapshot does not change.
            assert_eq!(snapshot.len(), 2);
        }
    }
}

#[tokio::test]
async fn levels_and_data_can_be_left_out() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    zk.ensure_path("/a/b/c/d").await.unwrap();
    zk.set("/a/b", "data").await.unwrap();
    let cache = TreeCache::builder(&zk, "/a")
        .max_depth(1)
        .data(false)
        .start();
    let snapshot = soon("the tree", cache.initialized()).await.unwrap();
    let paths: Vec<_> = snapshot.iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/a", "/a/b"]);
    let node = snapshot.get("/a/b").unwrap();
    assert_eq!((node.data.len(), node.stat.data_length), (0, 4));
    let (_, mut events) = cache.subscribe().unwrap();
    zk.set("/a/b/c", "unseen").await.unwrap();
    zk.set("/a/b", "seen").await.unwrap();
    let event = soon("an event", events.next()).await.unwrap().unwrap();
    assert!(
        matches!(&event, CacheEvent::Changed { path, node, .. } if path == "/a/b" && node.stat.version == 2),
        "{event:?}"
    );
}

#[tokio::test]
async fn a_tree_that_is_too_large_ends_the_cache() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    for n in 0..20 {
        zk.ensure_path(&format!("/a/{n}")).await.unwrap();
    }
    let cache = TreeCache::builder(&zk, "/a").max_nodes(20).start();
    let error = soon("the end", cache.initialized()).await.unwrap_err();
    assert!(
        matches!(error, CacheError::TooManyNodes { limit: 20 }),
        "{error}"
    );
    assert!(cache.snapshot().is_err() && cache.subscribe().is_err());

    // The node that is one too many is created later.
    let cache = TreeCache::builder(&zk, "/a").max_nodes(21).start();
    soon("the tree", cache.initialized()).await.unwrap();
    let (_, mut events) = cache.subscribe().unwrap();
    zk.create("/a/one-more", "").await.unwrap();
    let end = soon("the end", async {
        loop {
            if let Err(error) = events.next().await.unwrap() {
                return error;
            }
        }
    });
    assert!(matches!(end.await, CacheError::TooManyNodes { limit: 21 }));
    assert!(soon("the end", events.next()).await.is_none());
    until_unwatched(|| server.watch_counts().data).await;

    let cache = TreeCache::builder(&zk, "/a").max_bytes(4096).start();
    let error = soon("the end", cache.initialized()).await.unwrap_err();
    assert!(
        matches!(error, CacheError::TooManyBytes { limit: 4096 }),
        "{error}"
    );
}

#[tokio::test]
async fn unread_events_are_dropped_and_resumable() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    zk.create("/a", "0").await.unwrap();
    let cache = TreeCache::builder(&zk, "/a").max_events(4).start();
    soon("the tree", cache.initialized()).await.unwrap();
    let (_, mut lazy) = cache.subscribe().unwrap();
    let mut eager = Reader::new(&cache);
    for n in 0..20 {
        zk.create(&format!("/a/{n}"), "").await.unwrap();
        soon("the change", eager.catch_up(&cache, &server, "/a")).await;
    }
    for _ in 0..4 {
        assert!(matches!(
            lazy.next().await,
            Some(Ok(CacheEvent::Added { .. }))
        ));
    }
    let lagged = lazy.next().await;
    assert!(
        matches!(lagged, Some(Ok(CacheEvent::Lagged { dropped: 16 }))),
        "{lagged:?}"
    );
    assert_eq!(lazy.resume().unwrap().len(), 21);
    zk.create("/a/last", "").await.unwrap();
    let event = soon("an event", lazy.next()).await;
    assert!(matches!(&event, Some(Ok(CacheEvent::Added { path, .. })) if path == "/a/last"));
}

/// A cache that reads its watch too slowly reads everything again. A one-shot watch has one event, and
/// does not overflow.
///
/// Guards: G8.
#[tokio::test]
async fn a_watch_that_overflows_is_a_gap() {
    let server = common::server().start().await.unwrap();
    let admin = client(&server).await;
    let zk = Client::builder(server.connect_string())
        .max_watch_events(1)
        .connect()
        .await
        .unwrap();
    admin.create("/a", "").await.unwrap();
    let cache = TreeCache::new(&zk, "/a");
    soon("the tree", cache.initialized()).await.unwrap();
    let mut reader = Reader::new(&cache);
    let creates: Vec<_> = (0..200)
        .map(|n| admin.create(&format!("/a/{n}"), "").submit())
        .collect();
    for create in creates {
        create.await.unwrap();
    }
    soon("the reader is even", reader.catch_up(&cache, &server, "/a")).await;
    if has_recursive_watches() {
        assert!(cache.snapshot().unwrap().generation() > 1);
    }
}

#[tokio::test]
async fn it_ends_with_its_client() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let cache = TreeCache::new(&zk, "/");
    soon("the tree", cache.initialized()).await.unwrap();
    let (_, mut events) = cache.subscribe().unwrap();
    zk.close().await.unwrap();
    while let Some(event) = soon("the end", events.next()).await {
        assert!(matches!(event.unwrap(), CacheEvent::Gap { generation: 2 }));
    }
    assert!(matches!(cache.snapshot(), Err(CacheError::Closed)));
}

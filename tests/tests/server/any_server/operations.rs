//! Every operation of the client.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::time::Duration;

use crate::common::server::{
    assert_unimplemented, if_server_has, is_keeper, server_has, server_has_recursive_watches,
};
use crate::common::{client, soon};
use zk_client::{
    Acl, Client, CreateMode, ErrorCode, ErrorKind, NodeEventKind, OpResult, Outcome, Permissions,
    ReadResult, WatchEvent, WatchMode, digest_id,
};
use zk_proto::OpCode;

#[tokio::test]
async fn create_read_set_and_delete() {
    let zk = client().await;
    let made = zk.create("/a", "one").await.unwrap();
    assert_eq!(made.path, "/a");
    assert_eq!(made.stat.data_length, 3);
    let (data, stat) = zk.get("/a").await.unwrap();
    assert_eq!((&data[..], stat), (&b"one"[..], made.stat));
    let stat = zk.set("/a", b"two").version(0).await.unwrap();
    assert_eq!(stat.version, 1);
    assert_eq!(zk.exists("/a").await.unwrap(), Some(stat));
    assert_eq!(zk.exists("/b").await.unwrap(), None);
    let stale = zk.set("/a", b"three").version(0).await.unwrap_err();
    assert_eq!(
        (stale.kind(), stale.outcome()),
        (ErrorKind::BadVersion, Outcome::Rejected)
    );
    assert_eq!((stale.op(), stale.path()), (Some("setData"), Some("/a")));
    zk.delete("/a").version(1).await.unwrap();
    assert_eq!(zk.get("/a").await.unwrap_err().kind(), ErrorKind::NoNode);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn every_create_mode_makes_what_it_says() {
    let zk = client().await;
    let me = zk.session().id;
    let plain = zk.create("/p", b"").await.unwrap();
    assert!(!plain.stat.is_ephemeral());
    let ephemeral = zk.create("/e", b"").ephemeral().await.unwrap();
    assert_eq!(ephemeral.stat.owner(), Some(me));
    let first = zk.create("/p/s-", b"").sequential().await.unwrap();
    let second = zk
        .create("/p/s-", b"")
        .sequential()
        .ephemeral()
        .await
        .unwrap();
    assert_eq!(
        (&*first.path, &*second.path),
        ("/p/s-0000000000", "/p/s-0000000001")
    );
    assert_eq!(
        zk.create("/p/", b"").sequential().await.unwrap().path,
        "/p/0000000002"
    );
    zk.create("/c", b"").container().await.unwrap();
    let container = zk.exists("/c").await.unwrap().unwrap();
    assert_eq!(container.ephemeral_owner, 0);
    let refused = zk.create("/e/x", b"").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoChildrenForEphemerals);
    let nonsense = zk
        .create("/x", b"")
        .container()
        .ephemeral()
        .await
        .unwrap_err();
    assert_eq!(nonsense.kind(), ErrorKind::InvalidArgument);
    assert_eq!(
        zk.create("/p", b"").await.unwrap_err().kind(),
        ErrorKind::NodeExists
    );
    assert_eq!(
        zk.create("/no/where", b"").await.unwrap_err().kind(),
        ErrorKind::NoNode
    );
    zk.create("/now/there/is", b"x").parents().await.unwrap();
    assert_eq!(zk.get("/now/there/is").await.unwrap().0, "x");
    // Last, for a server that does not know it closes the connection.
    let ttl = zk.create("/t", b"").ttl(Duration::from_secs(3600)).await;
    if if_server_has(OpCode::CreateTtl, ttl).is_some() {
        let ttl = zk.exists("/t").await.unwrap().unwrap();
        assert_eq!(ttl.ephemeral_owner, 0);
    }
}

#[tokio::test]
async fn children_come_with_a_stat_if_wanted() {
    let zk = client().await;
    for name in ["/x", "/y", "/z"] {
        zk.create(name, b"").await.unwrap();
    }
    let mut names = zk.children("/").await.unwrap().to_vec();
    names.sort();
    assert_eq!(names, ["x", "y", "z"]);
    let (children, stat) = zk.children("/").stat().await.unwrap();
    assert_eq!((children.len(), stat.num_children), (3, 3));
}

#[tokio::test]
async fn trees_are_made_and_unmade() {
    let zk = client().await;
    zk.ensure_path("/a/b/c").await.unwrap();
    zk.ensure_path("/a/b/c").await.unwrap();
    zk.create("/a/b/d", b"").await.unwrap();
    zk.delete("/a").recursive().await.unwrap();
    assert_eq!(zk.exists("/a").await.unwrap(), None);
    let missing = zk.delete("/a").recursive().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NoNode);
}

#[tokio::test]
async fn transaction_is_atomic() {
    let zk = client().await;
    let results = zk
        .multi()
        .create("/a", "x")
        .create_mode("/s-", "", CreateMode::PersistentSequential)
        .set_version("/a", "y", 0)
        .check("/a", 1)
        .delete("/a")
        .commit()
        .await
        .unwrap();
    let OpResult::Created { path, .. } = &results[1] else {
        panic!("{results:?}")
    };
    assert_eq!(path, "/s-0000000001");
    assert!(matches!(results[2], OpResult::Set(stat) if stat.version == 1));
    assert!(matches!(
        results[3..],
        [OpResult::Checked, OpResult::Deleted]
    ));

    let error = zk
        .multi()
        .create("/b", "")
        .delete("/nope")
        .create("/c", "")
        .commit()
        .await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.failed_op()),
        (ErrorKind::NoNode, Some(1))
    );
    assert_eq!(zk.exists("/b").await.unwrap(), None);
    assert!(
        zk.multi().commit().await.unwrap().is_empty(),
        "ZOOKEEPER-3895"
    );
}

#[tokio::test]
async fn several_reads_have_a_result_each() {
    let zk = client().await;
    zk.create("/a", "x").await.unwrap();
    let results = zk.multi_read().get("/a").children("/").get("/nope").await;
    let Some(results) = if_server_has(OpCode::MultiRead, results) else {
        return;
    };
    assert!(matches!(&results[0], ReadResult::Data(data, _) if data == "x"));
    assert!(matches!(&results[1], ReadResult::Children(names) if names.to_vec() == ["a"]));
    assert_eq!(results[2], ReadResult::Refused(ErrorCode::NoNode));
}

#[tokio::test]
async fn one_shot_watches_fire_once() {
    let zk = client().await;
    zk.create("/a", "").await.unwrap();
    let (_, _, data) = zk.get("/a").watch().await.unwrap();
    let (missing, born) = zk.exists("/b").watch().await.unwrap();
    assert!(missing.is_none());
    let (_, _, children) = zk.children("/").watch().await.unwrap();
    assert_eq!(zk.statistics().watches, 3);
    zk.set("/a", "x").await.unwrap();
    zk.create("/b", "").await.unwrap();
    for (watch, kind, path) in [
        (data, NodeEventKind::DataChanged, "/a"),
        (born, NodeEventKind::Created, "/b"),
        (children, NodeEventKind::ChildrenChanged, "/"),
    ] {
        let event = soon("the event", watch).await;
        let event = event.node().expect("a change");
        assert_eq!((event.kind, &*event.path), (kind, path));
    }
    assert_eq!(zk.statistics().watches, 0);
    assert_eq!(zk.statistics().subscribers, 0);
}

#[tokio::test]
async fn event_precedes_the_reply_that_shows_it() {
    let zk = client().await;
    zk.create("/a", "0").await.unwrap();
    for n in 1..100 {
        let (_, _, mut watch) = zk.get("/a").watch().await.unwrap();
        let set = zk.set("/a", n.to_string()).submit();
        let (data, _) = zk.get("/a").await.unwrap();
        assert_eq!(data, n.to_string());
        let delivered = futures_now(&mut watch);
        assert!(
            delivered.is_some(),
            "the read was answered and the event was not there"
        );
        set.await.unwrap();
    }
}

/// What the future has now, without waiting.
fn futures_now<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut cx) {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn recursive_watch_covers_the_subtree() {
    let zk = client().await;
    let events = zk.watch("/", WatchMode::PersistentRecursive).await;
    if !server_has_recursive_watches() {
        let said = match server_has(OpCode::AddWatch) {
            true => "do not report which znode has changed",
            false => "addWatch",
        };
        return assert_unimplemented(&events.unwrap_err(), said);
    }
    let mut events = events.unwrap();
    zk.create("/a", "").await.unwrap();
    zk.create("/a/b", "").await.unwrap();
    zk.set("/a/b", "x").await.unwrap();
    zk.delete("/a/b").await.unwrap();
    let expected = [
        (NodeEventKind::Created, "/a"),
        (NodeEventKind::Created, "/a/b"),
        (NodeEventKind::DataChanged, "/a/b"),
        (NodeEventKind::Deleted, "/a/b"),
    ];
    for (kind, path) in expected {
        let Some(WatchEvent::Node(event)) = soon("the event", events.next()).await else {
            panic!("no change")
        };
        assert_eq!((event.kind, &*event.path), (kind, path));
    }
    drop(events);
    assert_eq!(zk.statistics().watches, 0);
}

/// ZOOKEEPER-1910: the watch is removed on the server with its last handle, and not before.
/// Guards: A46, B63.
#[tokio::test]
async fn last_dropped_handle_removes_the_watch() {
    let zk = client().await;
    zk.create("/a", "").await.unwrap();
    let (_, _, first) = zk.get("/a").watch().await.unwrap();
    let (_, _, second) = zk.get("/a").watch().await.unwrap();
    drop(first);
    zk.set("/a", "x").await.unwrap();
    assert!(soon("the event", second).await.node().is_some());

    let full = zk.root().join("/a");
    let (_, _, third) = zk.get("/a").watch().await.unwrap();
    assert!(watched(&full), "the server watches");
    drop(third);
    zk.sync("/").await.unwrap();
    spend_unremovable(&zk, "/a").await;
    assert!(!watched(&full), "the server no longer watches");
    assert_eq!(zk.statistics().watches, 0);
}

/// Changes the znode where the server cannot be asked to forget a watch, so that the watch's event, which
/// has no subscriber left, spends it.
async fn spend_unremovable(zk: &Client, path: &str) {
    if !server_has(OpCode::RemoveWatches) {
        zk.set(path, "spent").await.unwrap();
        zk.sync("/").await.unwrap();
    }
}

/// Whether the shared server holds a watch on the path.
fn watched(path: &str) -> bool {
    crate::common::shared_server()
        .four_letter("wchp")
        .unwrap()
        .lines()
        .any(|line| line == path)
}

/// Losing a race does not lose the watch; dropping a request drops its watch.
/// Guards: D14, G7.
#[tokio::test]
async fn watch_can_be_awaited_again_after_select() {
    let zk = client().await;
    zk.create("/a", "").await.unwrap();
    let (_, _, mut watch) = zk.get("/a").watch().await.unwrap();
    tokio::select! {
        biased;
        _ = &mut watch => panic!("nothing has happened"),
        () = std::future::ready(()) => {}
    }
    zk.set("/a", "x").await.unwrap();
    assert!(soon("the event", watch).await.node().is_some());

    drop(zk.get("/a").watch().submit());
    zk.sync("/").await.unwrap();
    zk.sync("/").await.unwrap();
    spend_unremovable(&zk, "/a").await;
    assert!(!watched(&zk.root().join("/a")), "it has no subscriber");
    assert_eq!(zk.statistics().outstanding, 0);
}

#[tokio::test]
async fn acls_are_read_replaced_and_enforced() {
    let zk = client().await;
    zk.create("/a", "secret").await.unwrap();
    let (acl, stat) = zk.acl("/a").await.unwrap();
    // Keeper does not store an entry that grants everything to `world:anyone`.
    let open = if is_keeper() { Vec::new() } else { Acl::open() };
    assert_eq!((acl, stat.aversion), (open, 0));
    let mine = Acl::new(Permissions::ALL, "digest", digest_id("me", "pw"));
    zk.set_acl("/a", vec![mine]).version(0).await.unwrap();
    assert_eq!(zk.get("/a").await.unwrap_err().kind(), ErrorKind::NoAuth);
    zk.add_auth("digest", "me:pw").await.unwrap();
    assert_eq!(zk.get("/a").await.unwrap().0, "secret");
    zk.create("/mine", "")
        .acl(Acl::creator_all())
        .await
        .unwrap();
    let empty = zk.create("/empty", "").acl(Vec::new()).await;
    if is_keeper() {
        assert!(empty.is_ok(), "Keeper takes it for an open one");
    } else {
        assert_eq!(empty.unwrap_err().kind(), ErrorKind::InvalidAcl);
    }
}

/// Every path goes out with the chroot and comes back without.
/// Guards: B61.
#[tokio::test]
async fn created_path_has_no_chroot() {
    let zk = client().await;
    let team = zk.chroot("/team").unwrap();
    team.ensure_path("/").await.unwrap();
    let made = team.create("/job-", "").sequential().await.unwrap();
    assert_eq!(made.path, "/job-0000000000");
    assert!(zk.exists("/team/job-0000000000").await.unwrap().is_some());
    let (_, _, watch) = team.children("/").watch().await.unwrap();
    let results = team.multi().create("/m", "").commit().await.unwrap();
    assert!(matches!(&results[0], OpResult::Created { path, .. } if path == "/m"));
    assert_eq!(soon("the event", watch).await.node().unwrap().path, "/");
    let error = team.get("/nope").await.unwrap_err();
    assert_eq!(error.path(), Some("/nope"));
}

/// Guards: B41, G11.
#[tokio::test]
async fn submitted_requests_precede_the_close() {
    let zk = client().await;
    let other = zk.unrelated().await;
    let creates: Vec<_> = (0..100)
        .map(|n| zk.create(&format!("/e{n}"), "").ephemeral().submit())
        .collect();
    let root = zk.root().clone();
    zk.clone().close().await.unwrap();
    for create in creates {
        create.await.unwrap();
    }
    let names = other.children(root.as_str()).await.unwrap();
    assert!(names.is_empty(), "{names:?}");
    let late = zk.get("/").await.unwrap_err();
    assert_eq!(
        (late.kind(), late.outcome()),
        (ErrorKind::Closed, Outcome::NotSent)
    );
}

#[tokio::test]
async fn last_drop_closes_the_session() {
    let zk = client().await;
    let other = zk.unrelated().await;
    let path = zk.root().join("/e");
    zk.create("/e", "").ephemeral().await.unwrap();
    drop(zk);
    crate::common::until("the ephemeral is gone", || async {
        other.exists(&path).await.unwrap().is_none()
    })
    .await;
}

trait Unrelated {
    /// A client of another session, without a chroot.
    async fn unrelated(&self) -> Client;
}

impl Unrelated for Client {
    async fn unrelated(&self) -> Client {
        Client::connect(crate::common::shared_server().connect_string())
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn replies_come_in_submission_order() {
    let zk = client().await;
    zk.create("/n", "").await.unwrap();
    let sets: Vec<_> = (0..1000)
        .map(|n| zk.set("/n", n.to_string()).submit())
        .collect();
    let mut versions = Vec::new();
    for set in sets {
        versions.push(set.await.unwrap().version);
    }
    assert_eq!(versions, (1..=1000).collect::<Vec<_>>());
    assert_eq!(zk.get("/n").await.unwrap().0, "999");
}

#[tokio::test]
async fn a_protected_znode_carries_its_guid() {
    let zk = client().await;
    let made = zk
        .create("/lock-", "")
        .ephemeral()
        .sequential()
        .protected()
        .await
        .unwrap();
    assert!(made.path.starts_with("/_c_"), "{}", made.path);
    assert!(made.path.ends_with("-lock-0000000000"), "{}", made.path);
}

#[tokio::test]
async fn transaction_creates_all_kinds_with_acls() {
    let zk = client().await;
    let only_read = vec![Acl::new(
        Permissions::READ | Permissions::DELETE,
        "world",
        "anyone",
    )];
    let results = zk
        .multi()
        .create_as(zk.create("/c", "").container())
        .create_as(zk.create("/t", "x").ttl(Duration::from_secs(3600)))
        .create_as(zk.create("/r", "").acl(only_read.clone()))
        .create_as(zk.create("/r-", "").sequential().ephemeral())
        .commit()
        .await;
    if !server_has(OpCode::CreateTtl) {
        return assert_unimplemented(&results.unwrap_err(), "createTTL");
    }
    let results = results.unwrap();
    let paths: Vec<&str> = results
        .iter()
        .map(|result| match result {
            OpResult::Created { path, .. } => &**path,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(paths, ["/c", "/t", "/r", "/r-0000000003"]);
    assert_eq!(zk.acl("/r").await.unwrap().0, only_read);
    let owner = zk.exists(paths[3]).await.unwrap().unwrap().owner();
    assert_eq!(owner, Some(zk.session().id));

    let nonsense = zk
        .multi()
        .create_as(zk.create("/x", "").ttl(Duration::ZERO))
        .commit()
        .await
        .unwrap_err();
    assert_eq!(
        (nonsense.kind(), nonsense.outcome()),
        (ErrorKind::InvalidArgument, Outcome::NotSent)
    );
    zk.close().await.unwrap();
}

#[tokio::test]
async fn counts_descendants_lists_ephemerals() {
    let zk = client().await;
    zk.create("/a", "").await.unwrap();
    zk.create("/a/b", "").await.unwrap();
    for path in ["/a/e", "/a/b/e", "/ab"] {
        zk.create(path, "").ephemeral().await.unwrap();
    }
    let count = if_server_has(OpCode::GetAllChildrenNumber, zk.count("/a").await);
    if let Some(count) = count {
        assert_eq!(count, 3);
        assert_eq!(zk.count("/a/b/e").await.unwrap(), 0);
        let missing = zk.count("/none").await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NoNode);
    }
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let all = if_server_has(OpCode::GetEphemerals, zk.ephemerals().await);
    let Some(all) = all.map(sorted) else {
        return;
    };
    assert_eq!(all, ["/a/b/e", "/a/e", "/ab"]);
    // To the server /ab begins with /a.
    let below = zk.chroot("/a").unwrap();
    assert_eq!(sorted(below.ephemerals().await.unwrap()), ["/b/e", "/e"]);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn whoami_names_the_identities() {
    let zk = client().await;
    let users = |infos: Vec<zk_client::ClientInfo>| -> Vec<(String, String)> {
        (infos.into_iter())
            .map(|info| (info.auth_scheme, info.user))
            .collect()
    };
    let before = if_server_has(OpCode::WhoAmI, zk.whoami().await);
    let Some(before) = before.map(users) else {
        return;
    };
    assert!(
        before.contains(&("ip".to_owned(), "127.0.0.1".to_owned())),
        "{before:?}"
    );
    zk.add_auth("digest", "ann:secret").await.unwrap();
    let after = users(zk.whoami().await.unwrap());
    assert!(
        after.contains(&("digest".to_owned(), "ann".to_owned())),
        "{after:?}"
    );
    zk.close().await.unwrap();
}

#[tokio::test]
async fn composite_operations_have_deadlines() {
    let zk = client().await;
    let soon = Duration::from_secs(60);
    zk.ensure_path("/a/b").deadline(soon).await.unwrap();
    zk.create("/a/c/d", "")
        .parents()
        .deadline(soon)
        .await
        .unwrap();
    zk.create("/a/p-", "")
        .protected()
        .deadline(soon)
        .await
        .unwrap();
    zk.delete("/a").recursive().deadline(soon).await.unwrap();
    let never = Duration::ZERO;
    let errors = [
        zk.ensure_path("/x").deadline(never).await.unwrap_err(),
        zk.create("/y/z", "")
            .parents()
            .deadline(never)
            .await
            .unwrap_err(),
        zk.create("/p-", "")
            .protected()
            .deadline(never)
            .await
            .unwrap_err(),
        zk.watch("/w", WatchMode::Persistent)
            .deadline(never)
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::DeadlineExceeded, "{error}");
    }
    zk.close().await.unwrap();
}

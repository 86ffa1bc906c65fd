//! Writes that depend on what is there already, with an embedded server that loses replies: creations
//! that set, idempotent and quiet ones, null data, and the znodes above.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod common;

use std::time::Duration;

use common::connect;
use zk_client::{
    Acl, BackoffPolicy, Client, CreatedOrSet, ErrorKind, Outcome, Permissions, RetryPolicy,
    WatchEvent, path,
};
use zk_embedded::Server;
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;

/// How the connection ends at the next request of this kind: before or after its execution.
fn lose(server: &Server, op: OpCode, executed: bool) {
    let action = match executed {
        true => Action::DropReply,
        false => Action::Close,
    };
    server.faults().script([on(op).then(action)]);
}

#[tokio::test]
async fn or_set_creates_or_sets() {
    let (server, zk) = connect().await;
    let made = zk.create("/a", "1").or_set().await.unwrap();
    assert!(matches!(made, CreatedOrSet::Created(_)), "{made:?}");
    let made = zk.create("/a", "2").or_set().await.unwrap();
    assert!(matches!(made, CreatedOrSet::Set(_)), "{made:?}");
    assert_eq!(made.stat().version, 1);
    let error = zk.create("/a", "3").or_set().version(0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadVersion);
    let made = zk.create("/a", "3").or_set().version(1).await.unwrap();
    assert_eq!(made.stat().version, 2);
    let error = zk.create("/b/c", "").or_set().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
    let made = zk.create("/b/c", "").parents().or_set().await.unwrap();
    assert!(matches!(made, CreatedOrSet::Created(_)), "{made:?}");
    // A lost creation is not followed by a set.
    lose(&server, OpCode::Create2, true);
    let error = zk.create("/d", "1").or_set().await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(zk.get("/d").await.unwrap().1.version, 0);
    zk.close().await.unwrap();
}

// The znode is deleted between the two requests.
#[tokio::test]
async fn or_set_creates_what_was_deleted() {
    let (_server, zk) = connect().await;
    zk.create("/a", "old").await.unwrap();
    let writing = zk.create("/a", "new").or_set().submit();
    // In order: the creation fails, and the set comes after the deletion.
    let deleting = zk.delete("/a").submit();
    assert!(matches!(writing.await.unwrap(), CreatedOrSet::Created(_)));
    deleting.await.unwrap();
    assert_eq!(zk.get("/a").await.unwrap().0, "new");
}

/// Guards: G2.
#[tokio::test]
async fn an_idempotent_creation_is_repeated() {
    let (server, zk) = connect().await;
    for executed in [true, false] {
        lose(&server, OpCode::Create2, executed);
        let path = format!("/{executed}");
        let created = zk.create(&path, "x").idempotent().await.unwrap();
        assert_eq!(created.path, path);
        assert_eq!(zk.exists(&path).await.unwrap(), Some(created.stat));
        lose(&server, OpCode::Create2, executed);
        let path = format!("/ephemeral-{executed}");
        let create = zk.create(&path, "x").ephemeral().idempotent();
        let owner = create.await.unwrap().stat.owner();
        assert_eq!(owner, Some(zk.session().id));
    }
    let error = zk.create("/s-", "").sequential().idempotent().await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidArgument);
    zk.close().await.unwrap();
}

/// Guards: G2.
#[tokio::test]
async fn an_idempotent_creation_claims_no_older() {
    let (server, zk) = connect().await;
    let other = Client::connect(server.connect_string()).await.unwrap();
    other.create("/a", "x").await.unwrap();
    let refused = zk.create("/a", "x").idempotent().await.unwrap_err();
    assert_eq!(refused.outcome(), Outcome::Rejected);
    zk.sync("/").await.unwrap();
    zk.exists("/a").await.unwrap();
    // The znode is older than the lost attempt.
    lose(&server, OpCode::Create2, false);
    let refused = zk.create("/a", "x").idempotent().await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.outcome()),
        (ErrorKind::NodeExists, Outcome::Rejected)
    );
    // Changed by another client before the second attempt: it may be the one of the first.
    server.faults().script([
        on(OpCode::Create2).then(Action::DropReply),
        on(OpCode::Create2).then(Action::Close),
    ]);
    let creating = tokio::spawn(zk.create("/b", "x").idempotent().submit());
    while other.exists("/b").await.unwrap().is_none() {}
    other.set("/b", "y").await.unwrap();
    let error = creating.await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    zk.close().await.unwrap();
}

/// Guards: G2.
#[tokio::test]
async fn idempotent_sets_and_deletes_are_repeated() {
    let (server, zk) = connect().await;
    for executed in [true, false] {
        zk.create("/a", "0").await.unwrap();
        lose(&server, OpCode::SetData, executed);
        let set = zk.set("/a", "1").version(0).idempotent();
        assert_eq!(set.await.unwrap().version, 1);
        let stale = zk.set("/a", "1").version(0).idempotent();
        let error = stale.await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::BadVersion, Outcome::Rejected)
        );
        // Without a version it may be executed twice.
        lose(&server, OpCode::SetData, executed);
        let stat = zk.set("/a", "2").idempotent().await.unwrap();
        assert_eq!(stat.version, 2 + i32::from(executed));
        lose(&server, OpCode::Delete, executed);
        zk.delete("/a").idempotent().await.unwrap();
        assert_eq!(zk.exists("/a").await.unwrap(), None);
        let error = zk.delete("/a").idempotent().await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::NoNode, Outcome::Rejected)
        );
    }
    zk.close().await.unwrap();
}

#[tokio::test]
async fn idempotent_writes_end_with_their_session() {
    let (server, zk) = connect().await;
    lose(&server, OpCode::Create2, true);
    let id = zk.session().id;
    server.faults().refuse_connections(true).await;
    let creating = tokio::spawn(zk.create("/a", "x").idempotent().submit());
    while zk.state().is_connected() {
        tokio::task::yield_now().await;
    }
    server.faults().expire_session(id);
    server.faults().refuse_connections(false).await;
    let error = creating.await.unwrap().unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    zk.close().await.unwrap();
}

#[tokio::test]
async fn a_quiet_deletion_misses_nothing() {
    let (_server, zk) = connect().await;
    zk.create("/a", "").await.unwrap();
    let error = zk.delete("/a").version(7).quietly().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadVersion);
    assert!(zk.delete("/a").quietly().await.unwrap());
    assert!(!zk.delete("/a").quietly().await.unwrap());
    zk.delete("/a").recursive().quietly().await.unwrap();
    let error = zk.delete("/a").recursive().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoNode);
}

#[tokio::test]
async fn children_are_deleted_without_the_parent() {
    let (_server, zk) = connect().await;
    for path in ["/a/b/c", "/a/b/d", "/a/e"] {
        zk.create(path, "").parents().await.unwrap();
    }
    zk.delete("/a").recursive().children_only().await.unwrap();
    assert!(zk.children("/a").await.unwrap().is_empty());
    // There are none.
    zk.delete("/a").recursive().children_only().await.unwrap();
    let absent = || zk.delete("/b").recursive().children_only();
    assert_eq!(absent().await.unwrap_err().kind(), ErrorKind::NoNode);
    absent().quietly().await.unwrap();
}

#[tokio::test]
async fn null_is_not_empty() {
    let (server, zk) = connect().await;
    zk.create("/null", "ignored").null().await.unwrap();
    zk.create("/empty", "").await.unwrap();
    let read = async |path: &'static str| zk.get(path).nullable().await.unwrap().0;
    assert_eq!(read("/null").await, None);
    assert_eq!(read("/empty").await.as_deref(), Some(&b""[..]));
    assert!(zk.get("/null").await.unwrap().0.is_empty());
    zk.set("/empty", "ignored").null().await.unwrap();
    let (data, stat) = zk.get("/empty").nullable().synced().await.unwrap();
    assert_eq!((data, stat.version), (None, 1));
    zk.set("/null", "x").await.unwrap();
    assert_eq!(read("/null").await.as_deref(), Some(&b"x"[..]));
    // As an effect of what is built on them.
    zk.create("/null", "ignored").null().or_set().await.unwrap();
    assert_eq!(read("/null").await, None);
    let tx = zk.multi().create_as(zk.create("/tx", "").null());
    tx.commit().await.unwrap();
    assert_eq!(read("/tx").await, None);
    let set = zk.set("/tx", "").null().version(0).idempotent();
    assert_eq!(set.await.unwrap().version, 1);
    assert_eq!(read("/tx").await, None);
    let policy = RetryPolicy::new();
    for executed in [false, true] {
        let stat = zk.set("/tx", "x").await.unwrap();
        lose(&server, OpCode::SetData, executed);
        let set = zk.set("/tx", "ignored").null().version(stat.version);
        let stat = set.retry(&policy).await.unwrap();
        assert_eq!(read("/tx").await, None);
        assert_eq!(zk.exists("/tx").await.unwrap(), Some(stat));
    }
}

#[tokio::test]
async fn ensure_path_says_what_it_created() {
    let (server, zk) = connect().await;
    assert!(zk.ensure_path("/a/b").await.unwrap());
    assert!(!zk.ensure_path("/a/b").await.unwrap());
    assert!(!zk.ensure_path("/").await.unwrap());
    assert!(zk.ensure_path("/a/b/c").await.unwrap());
    let hosts = format!("{}/tenant/one", server.connect_string());
    let tenant = Client::connect(hosts).await.unwrap();
    assert!(tenant.ensure_path("/").await.unwrap());
    assert!(!tenant.ensure_path("/").await.unwrap());
}

#[tokio::test]
async fn a_builder_ensures_the_chroot() {
    let (server, zk) = connect().await;
    let hosts = format!("{}/tenant/one", server.connect_string());
    let builder = Client::builder(&hosts).ensure_chroot(true);
    for _ in 0..2 {
        let tenant = builder.clone().connect().await.unwrap();
        tenant.create("/a", "").or_exists().await.unwrap();
    }
    assert!(zk.exists("/tenant/one/a").await.unwrap().is_some());
    // Without a chroot there is nothing to create.
    let plain = Client::builder(server.connect_string()).ensure_chroot(true);
    plain.connect().await.unwrap();
}

/// `update` retries as the client's policy says.
#[tokio::test]
async fn an_update_follows_the_clients_policy() {
    let (server, _) = connect().await;
    let policy = RetryPolicy::new().attempts(2).backoff(BackoffPolicy::new(
        Duration::from_millis(1),
        Duration::from_millis(1),
    ));
    let builder = Client::builder(server.connect_string()).retry_policy(policy);
    let zk = builder.connect().await.unwrap();
    zk.create("/a", "1").await.unwrap();
    server.faults().throttle(1);
    zk.update("/a", |_| Some("2")).await.unwrap();
    server.faults().throttle(2);
    let error = zk.update("/a", |_| Some("3")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(error.retries_exhausted());
    let patient = zk.with_retry_policy(zk.retry_policy().clone().attempts(3));
    server.faults().throttle(2);
    patient.update("/a", |_| Some("4")).await.unwrap();
    assert_eq!(zk.get("/a").await.unwrap().0, "4");
    zk.close().await.unwrap();
}

/// A write is made again in the next session if the policy ignores the end of this one.
#[tokio::test]
async fn a_write_is_retried_in_the_next_session() {
    for ignore in [false, true] {
        let (server, zk) = connect().await;
        server.faults().refuse_connections(true).await;
        server.faults().expire_session(zk.session().id);
        while zk.state().is_connected() {
            tokio::task::yield_now().await;
        }
        let policy = RetryPolicy::new().ignore_expire(ignore);
        let handle = zk.clone();
        let mut made = 0;
        let writing = zk.retry(&policy, move || {
            made += 1;
            handle.create("/a", made.to_string()).submit()
        });
        let writing = tokio::spawn(writing);
        while zk.statistics().parked == 0 {
            tokio::task::yield_now().await;
        }
        server.faults().refuse_connections(false).await;
        let written = writing.await.unwrap();
        match ignore {
            true => assert_eq!(written.unwrap().path, "/a"),
            false => {
                let error = written.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::SessionExpired);
                assert_eq!(error.outcome(), Outcome::NotSent);
            }
        }
        let found = zk.get("/a").await.ok().map(|(data, _)| data);
        assert_eq!(found.as_deref(), ignore.then_some(&b"2"[..]));
        zk.close().await.unwrap();
    }
}

#[tokio::test]
async fn null_is_written_in_transactions() {
    let (_server, zk) = connect().await;
    zk.create("/a", "x").await.unwrap();
    let (data, _, watch) = zk.get("/a").nullable().watch().await.unwrap();
    assert_eq!(data.as_deref(), Some(&b"x"[..]));
    let multi = zk.multi().set_as(zk.set("/a", "ignored").null().version(0));
    multi.commit().await.unwrap();
    assert!(matches!(watch.await, WatchEvent::Node(_)));
    let (data, stat, watch) = zk.get("/a").nullable().watch().synced().await.unwrap();
    assert_eq!((data, stat.version), (None, 1));
    let multi = zk.multi().set_as(zk.set("/a", "y").version(0));
    let error = multi.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadVersion);
    // The drop removes the watch.
    drop(watch);
    assert_eq!(zk.statistics().subscribers, 0);
}

#[tokio::test]
async fn parents_as_containers_are_created() {
    let builder = Server::builder().container_check_interval(Duration::from_millis(20));
    let server = builder.start().await.unwrap();
    let zk = Client::connect(server.connect_string()).await.unwrap();
    zk.create("/plain/b", "").parents().await.unwrap();
    zk.delete("/plain/b").await.unwrap();
    let create = zk.create("/a/b/c", "").parents_as_containers();
    create.await.unwrap();
    // The server deletes a container that has lost its last child, and no other znode.
    zk.delete("/a/b/c").await.unwrap();
    while zk.exists("/a").await.unwrap().is_some() {}
    assert!(zk.exists("/plain").await.unwrap().is_some());
    let create = zk.create("/d/e", "").parents_as_containers();
    let created = create.protected().await.unwrap();
    assert!(created.path.starts_with("/d/_c_"), "{}", created.path);
    assert!(zk.ensure_path("/f/g").containers().await.unwrap());
}

#[tokio::test]
async fn acls_follow_the_path() {
    let (server, _) = connect().await;
    let by_path = |path: &str| match path.starts_with("/tenant/secret") {
        true => Acl::read_only(),
        false => Acl::open(),
    };
    let hosts = format!("{}/tenant", server.connect_string());
    let builder = Client::builder(hosts).default_acl_by_path(by_path);
    let zk = builder.ensure_chroot(true).connect().await.unwrap();
    let acl = async |path: &str| zk.acl(path).await.unwrap().0;
    zk.create("/open/a", "").parents().await.unwrap();
    assert_eq!(acl("/open").await, Acl::open());
    assert_eq!(acl("/open/a").await, Acl::open());
    zk.create("/secret", "").await.unwrap();
    assert_eq!(acl("/secret").await, Acl::read_only());
    zk.multi().create("/secrets", "").commit().await.unwrap();
    assert_eq!(acl("/secrets").await, Acl::read_only());
    // A handle can have another rule, or one ACL.
    let other = zk.with_acl_by_path(|path| match path::name(path) {
        "x" => Acl::read_only(),
        _ => Acl::open(),
    });
    other.create("/y/x", "").parents().await.unwrap();
    assert_eq!(acl("/y").await, Acl::open());
    assert_eq!(acl("/y/x").await, Acl::read_only());
    let one = other.with_acl(Acl::open());
    one.create("/y/z/x", "").parents().await.unwrap();
    assert_eq!(acl("/y/z/x").await, Acl::open());
}

#[tokio::test]
async fn parents_have_the_acl_asked_for() {
    let (_server, zk) = connect().await;
    let acl = async |path: &str| zk.acl(path).await.unwrap().0;
    let anyone = |perms| vec![Acl::new(perms, "world", "anyone")];
    let both = anyone(Permissions::READ | Permissions::CREATE);
    let create = zk.create("/a/x", "").acl(both.clone()).parents();
    create.await.unwrap();
    assert_eq!(acl("/a").await, both);
    let create = zk.create("/b/x", "").acl(Acl::read_only()).parents();
    create.default_parents_acl().await.unwrap();
    assert_eq!(acl("/b").await, Acl::open());
    assert_eq!(acl("/b/x").await, Acl::read_only());
    let create = zk.create("/c/x", "").parents().parents_acl(both.clone());
    create.protected().await.unwrap();
    assert_eq!(acl("/c").await, both);
}

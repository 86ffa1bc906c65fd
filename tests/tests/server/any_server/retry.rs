//! Conditional writes whose reply is lost, tried again: each takes effect once, or its outcome is
//! unknown.
//!
//! On ClickHouse Keeper the session ends with the connection. No later read belongs to the session of such
//! a write, so its outcome stays unknown whatever the read finds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::fmt::Debug;
use std::time::Duration;

use crate::common::server::server_resumes_sessions;
use crate::common::{beside, connect, shared_server, soon, until_suspended};
use zk_client::{BackoffPolicy, Client, Error, ErrorKind, Guid, OpResult, Outcome, RetryPolicy};
use zk_tests::{Direction, Proxy};

fn policy() -> RetryPolicy {
    RetryPolicy::new().backoff(BackoffPolicy::new(
        Duration::from_millis(10),
        Duration::from_millis(50),
    ))
}

/// A client behind a proxy, and one beside it that is not.
struct Scene {
    proxy: Proxy,
    zk: Client,
    other: Client,
    /// How many connections there were before one was cut.
    connections: u64,
}

impl Scene {
    /// With a znode `/a` of version 1.
    async fn new() -> Self {
        let server = shared_server();
        let proxy = Proxy::start(server.address()).unwrap();
        let zk = connect(&proxy.connect_string(), |builder| {
            builder.backoff(crate::common::impatient())
        })
        .await;
        let other = beside(&zk, &server.connect_string()).await;
        zk.create("/a", "0").await.unwrap();
        zk.set("/a", "1").await.unwrap();
        let connections = proxy.accepted();
        Scene {
            proxy,
            zk,
            other,
            connections,
        }
    }

    async fn found(&self) -> (String, i32) {
        self.other.sync("/a").await.unwrap();
        let (data, stat) = self.other.get("/a").await.unwrap();
        (String::from_utf8(data.to_vec()).unwrap(), stat.version)
    }
}

fn assert_unknown<T: Debug>(written: zk_client::Result<T>) {
    let error = written.unwrap_err();
    let kinds: &[_] = match server_resumes_sessions() {
        true => &[ErrorKind::ConnectionLost],
        false => &[ErrorKind::ConnectionLost, ErrorKind::SessionExpired],
    };
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
}

/// The result of a write of which a read in its session proves that it is done.
fn proven<T: Debug>(written: zk_client::Result<T>) -> Option<T> {
    if server_resumes_sessions() {
        return Some(written.unwrap());
    }
    assert_unknown(written);
    None
}

/// Of a write of which a read in its session proves that another came first. Returns the error of it.
fn conflict<T: Debug>(written: zk_client::Result<T>) -> Option<Error> {
    if server_resumes_sessions() {
        let error = written.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadVersion, "{error:?}");
        assert_eq!(error.outcome(), Outcome::Rejected, "{error:?}");
        return Some(error);
    }
    assert_unknown(written);
    None
}

/// Guards: A55.
#[tokio::test]
async fn applied_set_is_not_repeated() {
    let scene = Scene::new().await;
    scene.proxy.cut_after(Direction::ToClient, 0);
    let policy = policy();
    let retried = scene.zk.set("/a", "2").version(1).retry(&policy);
    let stat = proven(soon("the verdict", retried).await);
    assert_eq!(scene.found().await, ("2".to_owned(), 2));
    let found = scene.zk.get("/a").await.unwrap().1;
    assert_eq!(stat.unwrap_or(found), found);
    let accepted = scene.proxy.accepted();
    assert_eq!(accepted, scene.connections + 1, "its reply was not lost");
}

/// Guards: A55.
#[tokio::test]
async fn lost_set_is_repeated() {
    let scene = Scene::new().await;
    scene.proxy.cut_after(Direction::ToServer, 0);
    let policy = policy();
    let retried = scene.zk.set("/a", "2").version(1).retry(&policy);
    let found = match proven(soon("the verdict", retried).await) {
        Some(stat) => ("2".to_owned(), stat.version),
        None => ("1".to_owned(), 1),
    };
    assert_eq!(scene.found().await, found);
    scene.zk.get("/a").await.unwrap();
    assert_eq!(scene.proxy.accepted(), scene.connections + 1);
}

/// Makes `write` with its request kept from the server, and `meanwhile` before the client is back.
async fn kept<T>(
    scene: &Scene,
    write: impl Future<Output = zk_client::Result<T>>,
    meanwhile: impl AsyncFn(&Client),
) -> zk_client::Result<T> {
    scene.proxy.refuse(true).unwrap();
    scene.proxy.cut_after(Direction::ToServer, 0);
    lost(scene, write, meanwhile).await
}

async fn lost<T>(
    scene: &Scene,
    write: impl Future<Output = zk_client::Result<T>>,
    meanwhile: impl AsyncFn(&Client),
) -> zk_client::Result<T> {
    let mut states = scene.zk.states();
    let others = async {
        until_suspended(&mut states).await;
        meanwhile(&scene.other).await;
        scene.proxy.refuse(false).unwrap();
    };
    let (written, ()) = soon("the verdict", async { tokio::join!(write, others) }).await;
    written
}

/// Guards: A55.
#[tokio::test]
async fn foreign_write_is_a_conflict() {
    let scene = Scene::new().await;
    let policy = policy();
    let set = scene.zk.set("/a", "2").version(1).retry(&policy);
    let written = kept(&scene, set.into_future(), async |other: &Client| {
        other.set("/a", "theirs").version(1).await.unwrap();
    });
    if let Some(error) = conflict(written.await) {
        assert_eq!((error.op(), error.path()), (Some("setData"), Some("/a")));
    }
    assert_eq!(scene.found().await, ("theirs".to_owned(), 2));
}

/// Never a plain conflict, and never a success that may not be one.
/// Guards: A55, G2.
#[tokio::test]
async fn overwritten_set_stays_unknown() {
    for arrives in [true, false] {
        let scene = Scene::new().await;
        let policy = policy();
        let set = scene.zk.set("/a", "2").version(1).retry(&policy);
        let meanwhile = async |other: &Client| {
            if !arrives {
                other.set("/a", "theirs").version(1).await.unwrap();
            }
            other.set("/a", "theirs").version(2).await.unwrap();
        };
        assert_unknown(if arrives {
            scene.proxy.refuse(true).unwrap();
            scene.proxy.cut_after(Direction::ToClient, 0);
            lost(&scene, set.into_future(), meanwhile).await
        } else {
            kept(&scene, set.into_future(), meanwhile).await
        });
    }
}

/// Guards: A55.
#[tokio::test]
async fn recreated_znode_proves_nothing() {
    let scene = Scene::new().await;
    let policy = policy();
    let set = scene.zk.set("/a", "2").version(1).retry(&policy);
    let error = kept(&scene, set.into_future(), async |other: &Client| {
        other.delete("/a").await.unwrap();
        other.create("/a", "0").await.unwrap();
        other.set("/a", "1").await.unwrap();
    })
    .await
    .unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    assert_eq!(scene.found().await, ("1".to_owned(), 1), "{error}");
}

/// Guards: A56.
#[tokio::test]
async fn delete_is_repeated_only_if_znode_exists() {
    let scene = Scene::new().await;
    let policy = policy();
    scene.proxy.cut_after(Direction::ToServer, 0);
    let retried = scene.zk.delete("/a").version(1).retry(&policy);
    if proven(soon("the verdict", retried).await).is_none() {
        assert_eq!(scene.found().await, ("1".to_owned(), 1));
        scene.zk.delete("/a").await.unwrap();
    }
    assert!(scene.other.exists("/a").await.unwrap().is_none());

    // Deleted by either client: the outcome is not the other's.
    for arrives in [true, false] {
        scene.zk.create("/a", "").await.unwrap();
        let delete = scene.zk.delete("/a").version(0).retry(&policy);
        assert_unknown(if arrives {
            scene.proxy.cut_after(Direction::ToClient, 0);
            soon("the verdict", delete).await
        } else {
            let other = async |other: &Client| other.delete("/a").await.unwrap();
            kept(&scene, delete.into_future(), other).await
        });
    }
    scene.zk.create("/a", "").await.unwrap();
    let delete = scene.zk.delete("/a").version(0).retry(&policy);
    let written = kept(&scene, delete.into_future(), async |other: &Client| {
        other.set("/a", "theirs").await.unwrap();
    });
    conflict(written.await);
    assert_eq!(scene.found().await, ("theirs".to_owned(), 1));
}

/// Guards: G2.
#[tokio::test]
async fn unconditional_writes_stay_unknown() {
    let scene = Scene::new().await;
    let (zk, policy) = (&scene.zk, policy());
    scene.proxy.cut_after(Direction::ToClient, 0);
    let set = soon("the set", zk.set("/a", "2").retry(&policy)).await;
    soon("the next connection", zk.get("/a")).await.unwrap();
    scene.proxy.cut_after(Direction::ToClient, 0);
    let multi = zk.retry(&policy, || zk.multi().check("/a", 2).set("/a", "3"));
    let multi = soon("the transaction", multi).await.map(drop);
    assert_unknown(set);
    assert_unknown(multi);
    // Each was executed, once.
    assert_eq!(scene.found().await, ("3".to_owned(), 3));
}

/// One operation of a transaction proves what became of all.
/// Guards: G2.
#[tokio::test]
async fn lost_transactions_are_resolved() {
    for arrives in [true, false] {
        let scene = Scene::new().await;
        let (zk, policy) = (&scene.zk, policy());
        let direction = match arrives {
            true => Direction::ToClient,
            false => Direction::ToServer,
        };
        scene.proxy.cut_after(direction, 0);
        let multi = zk.multi().check("/", -1).set_version("/a", "2", 1);
        let multi = multi
            .create("/b", "")
            .create_as(zk.create("/s-", "").sequential());
        let done = proven(soon("the verdict", multi.retry(&policy)).await);
        assert_eq!(scene.proxy.accepted(), scene.connections + 1);
        let written = done.is_some() || arrives;
        let found = if written { ("2", 2) } else { ("1", 1) };
        assert_eq!(scene.found().await, (found.0.to_owned(), found.1));
        let children = scene.other.children("/").await.unwrap();
        assert_eq!(children.len(), if written { 3 } else { 1 });
        let Some(done) = done else {
            continue;
        };
        let stat = scene.other.exists("/a").await.unwrap().unwrap();
        assert_eq!(done[..2], [OpResult::Checked, OpResult::Set(stat)]);
        let created = scene.other.exists("/b").await.unwrap();
        match &done[2] {
            OpResult::Created { path, stat } => {
                assert_eq!(path, "/b");
                // Servers before 3.9 answer without it.
                assert!(stat.is_none() || *stat == created);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(done[3] == OpResult::Applied, arrives, "{done:?}");
    }
}

/// Guards: G2.
#[tokio::test]
async fn own_znodes_resolve_transactions() {
    for guarded in [false, true] {
        let scene = Scene::new().await;
        let (zk, policy) = (&scene.zk, policy());
        let path = match guarded {
            true => format!("/{}b", Guid::random().prefix()),
            false => "/b".to_owned(),
        };
        let create = || match guarded {
            true => zk.create(&path, "x"),
            false => zk.create(&path, "x").ephemeral(),
        };
        scene.proxy.cut_after(Direction::ToClient, 0);
        let multi = zk.multi().create_as(create()).set("/a", "2");
        proven(soon("the verdict", multi.retry(&policy)).await.map(drop));
        assert_eq!(scene.found().await, ("2".to_owned(), 2));
        if !server_resumes_sessions() {
            continue;
        }
        // Not sent: the znode above has no new child.
        zk.delete(&path).await.unwrap();
        zk.get("/").await.unwrap();
        scene.proxy.cut_after(Direction::ToServer, 0);
        let multi = zk.multi().create_as(create()).set("/a", "3");
        soon("the verdict", multi.retry(&policy)).await.unwrap();
        assert_eq!(scene.found().await, ("3".to_owned(), 3));
    }
}

/// The refusal of a later attempt is the result if no attempt took effect.
/// Guards: G2.
#[tokio::test]
async fn refused_transactions_say_which_operation() {
    let scene = Scene::new().await;
    let (zk, policy) = (&scene.zk, policy());
    let multi = zk.multi().check("/a", 1).create("/b", "").retry(&policy);
    let written = kept(&scene, multi.into_future(), async |other: &Client| {
        other.set("/a", "theirs").await.unwrap();
    });
    let written = written.await.map(drop);
    if let Some(error) = conflict(written) {
        assert_eq!((error.failed_op(), error.path()), (Some(0), Some("/a")));
    }
    assert!(scene.other.exists("/b").await.unwrap().is_none());
}

/// Guards: G2.
#[tokio::test]
async fn undecided_transactions_stay_unknown() {
    for arrives in [true, false] {
        let scene = Scene::new().await;
        let (zk, policy) = (&scene.zk, policy());
        let multi = zk.multi().create("/b", "").retry(&policy);
        // The znode may be of either transaction.
        let meanwhile = async |other: &Client| {
            if !arrives {
                other.create("/b", "").await.unwrap();
            }
        };
        let written = if arrives {
            scene.proxy.refuse(true).unwrap();
            scene.proxy.cut_after(Direction::ToClient, 0);
            lost(&scene, multi.into_future(), meanwhile).await
        } else {
            kept(&scene, multi.into_future(), meanwhile).await
        };
        if server_resumes_sessions() {
            let text = written.as_ref().unwrap_err().to_string();
            let what =
                "multi /b: the connection was lost, and its znodes do not show its effect; whether";
            assert!(text.starts_with(what), "{text}");
        }
        assert_unknown(written);
    }
    // What could be executed twice is not repeated.
    let scene = Scene::new().await;
    let (zk, policy) = (&scene.zk, policy());
    scene.proxy.cut_after(Direction::ToServer, 0);
    let multi = zk.multi().set("/a", "2").retry(&policy);
    assert_unknown(soon("the end", multi).await);
    assert_eq!(scene.found().await, ("1".to_owned(), 1));
}

/// A transaction that only checks is a read.
/// Guards: A58.
#[tokio::test]
async fn transaction_of_checks_is_repeated() {
    let scene = Scene::new().await;
    let (zk, policy) = (&scene.zk, policy());
    scene.proxy.cut_after(Direction::ToClient, 0);
    let checked = zk.retry_read(&policy, || zk.multi().check("/a", 1));
    match soon("the verdict", checked).await {
        Ok(results) => assert_eq!(results.len(), 1),
        // The next attempt waited for the connection, and the session has ended meanwhile.
        Err(error) => {
            assert!(!server_resumes_sessions(), "{error:?}");
            assert_eq!(error.kind(), ErrorKind::SessionExpired);
            zk.get("/a").await.unwrap();
        }
    }
    assert_eq!(scene.proxy.accepted(), scene.connections + 1);
}

/// A36, on the server that can be made to throttle.
/// Guards: A36.
#[tokio::test]
async fn throttled_requests_execute_once() {
    let server = zk_embedded::Server::start().await.unwrap();
    let zk = Client::connect(server.connect_string()).await.unwrap();
    zk.create("/a", "0").await.unwrap();
    let policy = policy();
    server.faults().throttle(1);
    let error = zk.set("/a", "x").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Throttled, Outcome::Rejected)
    );
    server.faults().throttle(3);
    let stat = soon("the set", zk.retry(&policy, || zk.set("/a", "1")))
        .await
        .unwrap();
    assert_eq!(stat.version, 1);
    server.faults().throttle(3);
    let set = zk.set("/a", "2").version(1).retry(&policy);
    assert_eq!(soon("the set", set).await.unwrap().version, 2);
    server.faults().throttle(3);
    let get = zk.retry(&policy, || zk.get("/a"));
    assert_eq!(soon("the read", get).await.unwrap().0, "2");
    server.faults().throttle(u32::MAX);
    let three = RetryPolicy::new().attempts(3);
    let error = soon("the end", zk.retry(&three, || zk.get("/a")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    assert!(error.retries_exhausted());
    // Those of this policy, and the three before.
    assert_eq!(zk.statistics().reads.rejected, 6);
}

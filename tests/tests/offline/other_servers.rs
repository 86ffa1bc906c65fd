//! Servers that know fewer operations than Apache ZooKeeper 3.9, as the embedded server poses as them:
//! what is done by another operation, what is a typed error, and what finding it out costs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::time::Duration;

use crate::common::memory::Wire;
use zk_client::{Client, CreateMode, Error, ErrorKind, OpResult, Outcome, State, WatchMode};
use zk_embedded::fault::{Action, on};
use zk_embedded::{Pose, Server};
use zk_proto::OpCode;

async fn posing(pose: Pose) -> (Wire, Client) {
    let builder = Server::builder().in_memory().pose(pose);
    let wire = Wire::to(builder.start().await.unwrap());
    let zk = wire.client().await;
    (wire, zk)
}

/// Closes the connection on each request for one of these.
async fn closing_on(ops: &[OpCode]) -> (Wire, Client) {
    let wire = Wire::new().await;
    let zk = wire.client().await;
    for op in ops {
        wire.server
            .faults()
            .rule(on(*op).then(Action::Close).always());
    }
    (wire, zk)
}

/// Guards: P1.
#[tokio::test(start_paused = true)]
async fn a_close_on_create_says_what_may_lack() {
    let (_wire, zk) = closing_on(&[OpCode::Create2]).await;
    for _ in 0..2 {
        let error = zk.create("/x", "v").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::ConnectionLost, Outcome::Unknown)
        );
        assert!(error.lacks_operation());
        let text = error.to_string();
        assert!(text.contains("create2") && text.contains("3.5"), "{text}");
        assert!(text.contains("whether it took effect is unknown"), "{text}");
    }
    let created = zk.create("/x", "v").await.unwrap();
    assert_eq!(zk.exists("/x").await.unwrap(), Some(created.stat));
    assert_eq!(zk.statistics().sessions, 1);
}

/// Ends each session whose connection is lost, before the client is back.
fn end_lost_sessions(wire: &Wire, zk: &Client) -> tokio::task::JoinHandle<()> {
    let (server, mut states) = (wire.server.clone(), zk.states());
    tokio::spawn(async move {
        let mut current = None;
        while let Some(state) = states.next().await {
            match state {
                State::Connected { session, .. } => current = Some(session),
                State::Suspended { .. } => {
                    server.expire_session(current.expect("it was connected"));
                }
                _ => {}
            }
        }
    })
}

/// Guards: P1, P2, P4.
#[tokio::test(start_paused = true)]
async fn one_session_is_lost_for_each_operation() {
    let ops = [
        OpCode::CreateContainer,
        OpCode::Create2,
        OpCode::RemoveWatches,
        OpCode::AddWatch,
    ];
    let (wire, zk) = closing_on(&ops).await;
    let ending = end_lost_sessions(&wire, &zk);
    for round in 0..3 {
        let parent = format!("/p{round}/x");
        zk.ensure_path(&parent).container().await.unwrap();
        let path = format!("{parent}/a-");
        let held = zk.create(&path, "").ephemeral().sequential().protected();
        let held = held.await.unwrap();
        assert_eq!(held.stat.owner(), Some(zk.session().id));
        let kept = zk.create(&path, "").sequential().protected().await.unwrap();
        assert_eq!(zk.exists(&kept.path).await.unwrap(), Some(kept.stat));
        drop(zk.exists(&parent).watch().await.unwrap());
        zk.sync("/").await.unwrap();
        let error = zk.watch("/", WatchMode::Persistent).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unimplemented);
    }
    let sessions = zk.statistics().sessions;
    assert!(sessions <= 1 + ops.len() as u64, "{sessions}");
    ending.abort();
}

/// Guards: P7.
#[tokio::test(start_paused = true)]
async fn closes_on_one_operation_are_bounded() {
    let ops = [
        OpCode::CreateContainer,
        OpCode::Create2,
        OpCode::RemoveWatches,
    ];
    let (_wire, zk) = closing_on(&ops).await;
    zk.ensure_path("/p7/x").container().await.unwrap();
    let protected = zk
        .create("/p7/x/a-", "")
        .ephemeral()
        .sequential()
        .protected();
    let held = protected.await.unwrap();
    assert_eq!(held.stat.owner(), Some(zk.session().id));
    for _ in 0..3 {
        drop(zk.exists("/p7").watch().await.unwrap());
        zk.sync("/").await.unwrap();
    }
    let statistics = zk.statistics();
    assert_eq!(statistics.sessions, 1);
    // Two for each operation.
    assert!(statistics.lost_connections <= 6, "{statistics:?}");
}

/// What every server must be able to do, twice with one client.
async fn creates(zk: &Client, root: &str) {
    let at = |name: &str| format!("{root}/{name}");
    zk.ensure_path(&at("made/parents"))
        .container()
        .await
        .unwrap();
    let created = zk.create(&at("plain"), "data").await.unwrap();
    let stat = zk.exists(&at("plain")).await.unwrap().unwrap();
    assert_eq!((created.path, created.stat), (at("plain"), stat));
    let numbered = zk
        .create(&at("n-"), "")
        .sequential()
        .ephemeral()
        .await
        .unwrap();
    assert_eq!(numbered.stat.owner(), Some(zk.session().id));
    assert_eq!(
        zk.exists(&numbered.path).await.unwrap(),
        Some(numbered.stat)
    );
    let protected = zk
        .create(&at("p-"), "")
        .sequential()
        .protected()
        .await
        .unwrap();
    assert_eq!(
        zk.exists(&protected.path).await.unwrap(),
        Some(protected.stat)
    );
    zk.create(&at("box"), "").container().await.unwrap();
    let exists = zk.create(&at("box"), "").container().await.unwrap_err();
    assert_eq!(exists.kind(), ErrorKind::NodeExists);
    let orphan = zk.create(&at("no/parent"), "").await.unwrap_err();
    assert_eq!(
        (orphan.kind(), orphan.outcome()),
        (ErrorKind::NoNode, Outcome::Rejected)
    );
    let results = zk
        .multi()
        .check(root, -1)
        .create(&at("m"), "1")
        .create_mode(&at("m-c"), "", CreateMode::Container)
        .create_mode(&at("m-"), "", CreateMode::PersistentSequential)
        .set(&at("plain"), "2")
        .commit()
        .await
        .unwrap();
    for result in results.iter().skip(1).take(3) {
        let OpResult::Created { path, stat } = result else {
            panic!("{result:?}");
        };
        let there = zk.exists(path).await.unwrap().unwrap();
        assert!(stat.is_none_or(|stat| stat == there));
    }
    let failed = zk
        .multi()
        .create(&at("m2"), "")
        .check(&at("plain"), 99)
        .commit()
        .await;
    let failed = failed.unwrap_err();
    assert_eq!(
        (failed.kind(), failed.failed_op()),
        (ErrorKind::BadVersion, Some(1))
    );
    assert_eq!(zk.exists(&at("m2")).await.unwrap(), None);
    drop(zk.children(root).watch().await.unwrap());
    drop(zk.exists(&at("nothing")).watch().await.unwrap());
    zk.sync("/").await.unwrap();
}

/// Guards: P1, P2, P4, P6.
#[tokio::test(start_paused = true)]
async fn every_server_creates_and_forgets() {
    for &pose in Pose::ALL {
        let (_wire, zk) = posing(pose).await;
        creates(&zk, "/first").await;
        let before = zk.statistics();
        creates(&zk, "/second").await;
        let after = zk.statistics();
        assert_eq!(after.sessions, 1, "{pose}: no session is lost");
        assert_eq!(
            after.lost_connections, before.lost_connections,
            "{pose}: what is known costs nothing"
        );
        zk.close().await.unwrap();
    }
}

/// What only newer servers have, the operation that it is, and the version that has it.
async fn newer(zk: &Client) -> Vec<(OpCode, &'static str, Option<Error>)> {
    let day = Duration::from_secs(86_400);
    let lasting = zk.watch("/", WatchMode::Persistent).await;
    vec![
        (OpCode::AddWatch, "3.6", lasting.err()),
        (
            OpCode::CreateTtl,
            "3.5.3",
            zk.create("/t-", "").sequential().ttl(day).await.err(),
        ),
        (
            OpCode::MultiRead,
            "3.6",
            zk.multi_read().get("/").await.err(),
        ),
        (
            OpCode::GetAllChildrenNumber,
            "3.6",
            zk.count("/").await.err(),
        ),
        (OpCode::GetEphemerals, "3.6", zk.ephemerals().await.err()),
        (OpCode::WhoAmI, "3.7", zk.whoami().await.err()),
    ]
}

/// Guards: P6.
#[tokio::test(start_paused = true)]
async fn what_a_server_lacks_is_a_typed_error() {
    for &pose in Pose::ALL {
        let (_wire, zk) = posing(pose).await;
        for round in 0..3 {
            for (op, version, error) in newer(&zk).await {
                let Some(error) = error else {
                    assert!(pose.knows(op), "{pose}: {op}");
                    continue;
                };
                let text = error.to_string();
                // It may be known and switched off.
                assert!(!pose.knows(op) || op == OpCode::CreateTtl, "{pose}: {text}");
                assert_eq!(error.kind(), ErrorKind::Unimplemented, "{pose}: {text}");
                assert_ne!(error.outcome(), Outcome::Unknown, "{pose}: {text}");
                assert!(
                    text.contains(op.name()) && text.contains(version),
                    "{pose}: {text}"
                );
                let is_known = round > 0 && op != OpCode::CreateTtl;
                assert!(
                    !is_known || error.outcome() == Outcome::NotSent,
                    "{pose}: {text}"
                );
            }
        }
        assert_eq!(zk.statistics().sessions, 1, "{pose}");
    }
}

/// Keeper resumes no session, and the old one exists until it times out.
#[tokio::test(start_paused = true)]
async fn a_replaced_session_is_not_proven_over() {
    for pose in [Pose::KeeperOld, Pose::KeeperNew] {
        let (wire, zk) = posing(pose).await;
        zk.create("/mine", "").ephemeral().await.unwrap();
        let old = zk.session();
        wire.disconnect(&zk);
        zk.sync("/").await.unwrap();
        assert_eq!(zk.session().epoch, old.epoch + 1, "{pose}");
        let left = zk.exists("/mine").await.unwrap().expect("it is not over");
        assert_eq!(left.owner(), Some(old.id));
        // The session that is closed has its own proof.
        zk.close().await.unwrap();
    }
}

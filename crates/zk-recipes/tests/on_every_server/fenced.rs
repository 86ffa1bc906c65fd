//! What becomes of a guard when its fenced writes fail.

use super::common::{end_session, memory, paths, pose, soon, start, until};
use zk_client::{CreateMode, ErrorKind, OpResult, RetryPolicy};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{Error, GuardLost, Lock};

#[tokio::test(start_paused = true)]
async fn fenced_writes_take_effect_in_order() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    for path in ["/set", "/set-1", "/delete", "/delete-1"] {
        zk.create(path, "").await.unwrap();
    }
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let results = guard
        .fenced()
        .check("/set-1", 0)
        .create("/new", "new")
        .create_mode("/new-", "", CreateMode::EphemeralSequential)
        .set("/set", "set")
        .set_version("/set-1", "once", 0)
        .delete("/delete")
        .delete_version("/delete-1", 0)
        .commit();
    let results = results.await.unwrap();
    assert_eq!(results.len(), 7);
    assert!(matches!(results[0], OpResult::Checked));
    assert!(matches!(results[6], OpResult::Deleted));
    let OpResult::Created { path: numbered, .. } = &results[2] else {
        panic!("{results:?}");
    };
    assert!(numbered.starts_with("/new-0"), "{numbered}");
    let mut left = paths(&memory.server);
    left.retain(|path| {
        ["/new", "/set", "/del"]
            .iter()
            .any(|own| path.starts_with(own))
    });
    assert_eq!(left, ["/new", numbered, "/set", "/set-1"]);
    for (path, data) in [("/new", "new"), ("/set", "set"), ("/set-1", "once")] {
        assert_eq!(zk.get(path).await.unwrap().0, data, "{path}");
    }
    // Whatever the version, and only with the version.
    guard.fenced().set("/set", "again").commit().await.unwrap();
    for late in [
        guard.fenced().check("/set", 0),
        guard.fenced().set_version("/set", "", 0),
        guard.fenced().delete_version("/set", 0),
    ] {
        let error = late.commit().await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::BadVersion));
    }
}

/// After a lost reply the data show whether the write took effect.
#[tokio::test(start_paused = true)]
async fn a_lost_fenced_write_is_resolved() {
    for action in [Action::DropReply, Action::Close] {
        let memory = memory(1).await;
        let zk = memory.any().await;
        zk.create("/data", "before").await.unwrap();
        let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
        let faults = memory.server.faults();
        faults.script([on(OpCode::Multi).then(action.clone())]);
        let write = guard.fenced().set_version("/data", "after", 0);
        let written = write.commit_with_retries(&RetryPolicy::new()).await;
        if !pose().resumes_sessions() {
            // The lock has gone with the session, and the outcome is unknown.
            written.unwrap_err();
            continue;
        }
        let stat = zk.exists("/data").await.unwrap().unwrap();
        assert_eq!(written.unwrap(), [OpResult::Set(stat)]);
        assert_eq!(stat.version, 1);
        guard.check().unwrap();
        guard.release().await.unwrap();
    }
}

/// The failure of another operation says nothing about the guard's znode.
#[tokio::test(start_paused = true)]
async fn a_failed_fenced_write_keeps_the_guard() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.create("/data", "").await.unwrap();
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    for (write, kind) in [
        (guard.fenced().set("/gone", ""), ErrorKind::NoNode),
        (guard.fenced().create("/data", ""), ErrorKind::NodeExists),
    ] {
        match write.commit().await {
            Err(Error::Client(error)) => {
                assert_eq!((error.kind(), error.failed_op()), (kind, Some(1)));
            }
            other => panic!("{other:?}"),
        }
        guard.check().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_fenced_write_notices_a_deletion() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    zk.create("/data", "before").await.unwrap();
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    admin.delete(guard.path()).await.unwrap();
    guard.check().unwrap();
    let refused = guard.fenced().set("/data", "stale").commit().await;
    assert!(
        matches!(refused, Err(Error::Lost(GuardLost::Deleted))),
        "{refused:?}"
    );
    assert_eq!(guard.check(), Err(GuardLost::Deleted));
    assert_eq!(zk.get("/data").await.unwrap().0, "before");
}

/// A write that waits for a connection when the session ends.
#[tokio::test(start_paused = true)]
async fn a_fenced_write_ends_with_its_session() {
    for is_persistent in [false, true] {
        let memory = memory(1).await;
        let zk = memory.any().await;
        zk.create("/data", "").await.unwrap();
        let lock = Lock::new(&zk, "/lock");
        let lock = if is_persistent {
            lock.persistent()
        } else {
            lock
        };
        let guard = lock.acquire().await.unwrap();
        memory.server.faults().refuse_connections(true).await;
        memory.server.faults().disconnect(zk.session().id);
        until("the connection is lost", || !zk.state().is_connected()).await;
        let commit = start(async move {
            let result = guard.fenced().set("/data", "x").commit().await;
            (result.unwrap_err(), guard)
        });
        until("it is queued", || zk.statistics().outstanding > 0).await;
        end_session(&memory.server, &zk);
        memory.server.faults().refuse_connections(false).await;
        let (error, guard) = soon("the error", commit).await.unwrap();
        if is_persistent {
            assert_eq!(error.kind(), Some(ErrorKind::SessionExpired));
            guard.check().unwrap();
        } else {
            assert!(
                matches!(error, Error::Lost(GuardLost::SessionEnded)),
                "{error:?}"
            );
            assert_eq!(guard.check(), Err(GuardLost::SessionEnded));
        }
        assert_eq!(zk.get("/data").await.unwrap().0, "");
    }
}

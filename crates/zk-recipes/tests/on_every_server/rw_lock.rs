//! Readers and writers.

use std::time::Duration;

use super::common::{self, LAYOUTS, at, dropped_after, end_session, memory, soon, start, until};
use zk_client::{ErrorCode, ErrorKind};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{Error, GuardLost, Layout, LeaseBasis, ReadLock, WriteLock};

#[tokio::test(start_paused = true)]
async fn readers_share_and_a_writer_is_alone() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let zk = memory.any().await;
        let read = ReadLock::new(&zk, "/lock").layout(layout);
        let write = WriteLock::new(&zk, "/lock").layout(layout);
        let (first, second) = (read.acquire().await.unwrap(), read.acquire().await.unwrap());
        let writer = start({
            let write = write.clone();
            async move { write.acquire().await.unwrap() }
        });
        memory.until_names("/lock", 3).await;
        assert!(
            read.try_acquire().await.unwrap().is_none(),
            "it would pass the writer"
        );
        assert!(write.try_acquire().await.unwrap().is_none());
        let third = start({
            let read = read.clone();
            async move { read.acquire().await.unwrap() }
        });
        memory.until_names("/lock", 4).await;
        let line = read.contenders().await.unwrap();
        let shared: Vec<_> = line.iter().map(|c| c.shared).collect();
        assert_eq!(shared, [true, true, false, true]);
        // The one in the middle of the queue leaves first (B83).
        second.release().await.unwrap();
        memory.until_names("/lock", 3).await;
        assert!(!writer.is_finished());
        first.release().await.unwrap();
        let writer = soon("the writer", writer).await.unwrap();
        assert!(!third.is_finished());
        let token = writer.token();
        writer.release().await.unwrap();
        let third = soon("the reader", third).await.unwrap();
        assert!(token < third.token());
        third.release().await.unwrap();
        assert!(memory.names("/lock").is_empty());
    }
}

/// CURATOR-621, kazoo #649: W, R, W2, downgrade of W: R enters, W2 only after both have left.
///
/// Guards: A70, B93.
#[tokio::test(start_paused = true)]
async fn a_downgrade_admits_readers_not_writers() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let (read, write) = (
        ReadLock::new(&zk, "/lock"),
        WriteLock::new(&zk, "/lock").identifier("w"),
    );
    let writer = write.acquire().await.unwrap();
    let token = writer.token();
    let reader = start(async move { read.acquire().await.unwrap() });
    memory.until_names("/lock", 2).await;
    let next = start(async move { write.acquire().await.unwrap() });
    memory.until_names("/lock", 3).await;

    let number = writer.path().rsplit('_').next().unwrap().to_owned();
    let downgraded = writer.downgrade().await.unwrap();
    assert!(
        downgraded.path().ends_with(&format!("-__READ__{number}")),
        "{}",
        downgraded.path()
    );
    assert_eq!(zk.get(downgraded.path()).await.unwrap().0, "w");
    assert_eq!(downgraded.token(), token, "it is the same place");
    downgraded.check().unwrap();
    let reader = soon("the reader", reader).await.unwrap();
    reader.release().await.unwrap();
    assert!(!next.is_finished());
    zk.create("/data", "").await.unwrap();
    downgraded
        .fenced()
        .set("/data", "x")
        .commit()
        .await
        .unwrap();
    downgraded.release().await.unwrap();
    let next = soon("the next writer", next).await.unwrap();
    assert!(next.token() > token);
    drop(next);
    memory.until_names("/lock", 0).await;
}

/// A reader that is missing when it is looked at has left.
#[tokio::test(start_paused = true)]
async fn a_contender_that_leaves_is_left_out() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let read = ReadLock::new(&zk, "/lock");
    let (_first, second) = (read.acquire().await.unwrap(), read.acquire().await.unwrap());
    assert_eq!(read.contenders().await.unwrap().len(), 2);
    let faults = memory.server.faults();
    faults.misreport_after_apply(on(OpCode::GetData), ErrorCode::NoNode);
    let left = read.contenders().await.unwrap();
    let paths: Vec<_> = left.iter().map(|contender| &*contender.path).collect();
    assert_eq!(paths, [second.path()]);
}

/// A guard by any server's answers has the deadline of such a lease, and no other.
#[tokio::test(start_paused = true)]
async fn a_downgrade_keeps_the_basis_of_its_lease() {
    for basis in [LeaseBasis::Server, LeaseBasis::Quorum] {
        let memory = memory(1).await;
        let zk = memory.any().await;
        let write = WriteLock::new(&zk, "/lock").lease_basis(basis);
        let reader = write.acquire().await.unwrap().downgrade().await.unwrap();
        tokio::time::sleep(zk.session().timeout / 8).await;
        zk.get("/").await.unwrap();
        let by_server = reader.deadline() == zk.lease().deadline();
        assert_eq!(by_server, basis == LeaseBasis::Server, "{basis:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_downgrade_without_reply_applies_once() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let writer = WriteLock::new(&zk, "/lock").acquire().await.unwrap();
    memory
        .server
        .faults()
        .drop_reply_after_apply(on(OpCode::Multi));
    let downgraded = soon("the downgrade", writer.downgrade()).await;
    if !common::pose().resumes_sessions() {
        // The connection is lost with the reply, and the session with the connection.
        assert!(matches!(downgraded, Err(Error::Lost(_))), "{downgraded:?}");
        return;
    }
    let reader = downgraded.unwrap();
    assert_eq!(
        memory.names("/lock"),
        [reader.path().trim_start_matches("/lock/")]
    );
    reader.check().unwrap();
    drop(reader);
    memory.until_names("/lock", 0).await;
}

/// At whichever await the caller drops it.
///
/// Guards: B95, D3.
#[tokio::test(start_paused = true)]
async fn a_dropped_downgrade_leaves_nothing() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    for polls in 1..40 {
        let writer = WriteLock::new(&zk, "/lock").acquire().await.unwrap();
        dropped_after(polls, writer.downgrade()).await;
        until("nothing is left", || memory.names("/lock").is_empty()).await;
    }
    until("no watch stays", || memory.server.watch_counts().data == 0).await;
}

#[tokio::test(start_paused = true)]
async fn kazoos_layout_has_no_downgrade() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let lock = WriteLock::new(&zk, "/lock").layout(Layout::Kazoo);
    let refused = lock.acquire().await.unwrap().downgrade().await;
    assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
    memory.until_names("/lock", 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_downgrade_without_session_is_lost() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let writer = WriteLock::new(&zk, "/lock").acquire().await.unwrap();
    end_session(&memory.server, &zk);
    let refused = soon("an answer", writer.downgrade()).await;
    assert!(
        matches!(refused, Err(Error::Lost(GuardLost::SessionEnded))),
        "{refused:?}"
    );
    memory.until_names("/lock", 0).await;
}

/// It wakes no other contender.
///
/// Guards: A65, I22.
#[tokio::test(start_paused = true)]
async fn a_writers_release_wakes_the_next_readers() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let (read, write) = (ReadLock::new(&zk, "/lock"), WriteLock::new(&zk, "/lock"));
    let writer = write.acquire().await.unwrap();
    let mut waiting = Vec::new();
    for n in 0..30 {
        let (read, write) = (read.clone(), write.clone());
        // Twenty readers, a writer, nine readers.
        waiting.push(start(async move {
            if n == 20 {
                drop(write.acquire().await.unwrap());
            } else {
                std::mem::forget(read.acquire().await.unwrap());
            }
        }));
        memory.until_names("/lock", n + 2).await;
    }
    // The first twenty watch the writer, the second writer the last of them, and nine that one.
    let on = |path: &str| memory.server.watches_on(&at(path)).data;
    assert_eq!(on(writer.path()), 1, "one session watches once");
    until("all contenders watch", || {
        memory.server.watch_counts().data == 3
    })
    .await;
    writer.release().await.unwrap();
    until("the readers have it", || {
        waiting.iter().filter(|task| task.is_finished()).count() == 20
    })
    .await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(waiting.iter().filter(|task| task.is_finished()).count(), 20);
}

/// Without waiting, and without the loss of the guard as its reason.
#[tokio::test(start_paused = true)]
async fn a_refused_downgrade_is_an_error() {
    for op in [OpCode::GetData, OpCode::Multi, OpCode::Exists] {
        let memory = memory(1).await;
        let zk = memory.any().await;
        let writer = WriteLock::new(&zk, "/lock").acquire().await.unwrap();
        let refused = on(op).then(Action::Refuse(ErrorCode::NoAuth));
        memory.server.faults().rule(refused.always());
        let error = soon("the error", writer.downgrade()).await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::NoAuth), "{op:?}");
        memory.until_names("/lock", 0).await;
    }
}

/// The name of the reader's znode is unique, so an attempt before has created it.
#[tokio::test(start_paused = true)]
async fn a_downgrade_recognizes_its_own_znode() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let writer = WriteLock::new(&zk, "/lock").acquire().await.unwrap();
    let exists = Action::Misreport(ErrorCode::NodeExists);
    memory.server.faults().rule(on(OpCode::Multi).then(exists));
    let reader = soon("the downgrade", writer.downgrade()).await.unwrap();
    assert_eq!(memory.server.faults().pending(), 0);
    assert_eq!(at(reader.path()), at("/lock/") + &memory.names("/lock")[0]);
}

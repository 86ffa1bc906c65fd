//! Locks when replies are lost, sessions expire and callers drop their waits.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::common::{
    self, address, dropped_after, end_session, has_root, is_restored, memory, paths, soon, until,
    until_unwatched,
};
use zk_client::Client;
use zk_embedded::{Server, fault::on};
use zk_recipes::{Error, GuardLost, Lock};

async fn client(server: &Server) -> Client {
    let zk = common::unhurried(Client::builder(address(server)))
        .connect()
        .await
        .unwrap();
    has_root(&zk).await;
    zk
}

/// The znodes in the lock's queue.
fn queue(server: &Server) -> Vec<String> {
    let mut paths = paths(server);
    paths.retain(|path| path.starts_with("/lock/"));
    paths
}

/// The identifiers of the contenders.
async fn names(lock: &Lock) -> Vec<String> {
    let contenders = lock.contenders().await.unwrap();
    let name = |c: zk_recipes::Contender| String::from_utf8(c.identifier.to_vec()).unwrap();
    contenders.into_iter().map(name).collect()
}

/// Polls a wait for the lock, woken or not, until this many entries are in the queue.
async fn waits_in(length: usize, server: &Server, mut waiting: Pin<&mut impl Future>) {
    let waits = poll_fn(|cx| {
        assert!(waiting.as_mut().poll(cx).is_pending());
        cx.waker().wake_by_ref();
        if queue(server).len() < length {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    });
    soon("its place in the queue", waits).await;
}

/// Guards: A51, A52, B84.
#[tokio::test]
async fn a_lost_reply_leaves_one_znode() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    zk.ensure_path("/lock").await.unwrap();
    server
        .faults()
        .drop_reply_after_apply(on(common::create_op()));
    let guard = soon("the lock", Lock::new(&zk, "/lock").acquire())
        .await
        .unwrap();
    assert_eq!(queue(&server), [guard.path()]);
    guard.release().await.unwrap();
    assert!(queue(&server).is_empty());
}

/// The znode of the ended session must not stay before that of the next one.
///
/// Guards: A54, A62, B85.
#[tokio::test]
async fn an_expiry_in_acquire_leaves_no_orphan() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    zk.ensure_path("/lock").await.unwrap();
    let first = zk.session();
    server
        .faults()
        .drop_reply_after_apply(on(common::create_op()));
    let lock = Lock::new(&zk, "/lock");
    let mut acquire = pin!(lock.acquire());
    // The create is sent and executed, and its reply is lost.
    waits_in(1, &server, acquire.as_mut()).await;
    server.expire_session(first.id);
    let guard = soon("the lock", acquire).await.unwrap();
    assert_eq!(zk.session().epoch, 2);
    guard.check().unwrap();
    until("only the guard's znode is there", || {
        queue(&server) == [guard.path()]
    })
    .await;
}

/// At whichever await the caller drops it.
///
/// Guards: B95, D3, G7.
#[tokio::test]
async fn a_dropped_acquire_leaves_nothing() {
    let server = common::server().start().await.unwrap();
    let (zk, other) = (client(&server).await, client(&server).await);
    let held = Lock::new(&other, "/lock").acquire().await.unwrap();
    for polls in 1..60 {
        let lock = Lock::new(&zk, "/lock");
        let through = dropped_after(polls, lock.acquire()).await;
        assert!(!through, "it is held");
    }
    until("the holder is alone", || queue(&server) == [held.path()]).await;
    until_unwatched(|| server.watch_counts().data).await;
    held.release().await.unwrap();
    let statistics = zk.statistics();
    assert_eq!((statistics.watches, statistics.subscribers), (0, 0));
}

/// And its fenced writes have no effect.
///
/// Guards: A61, C11.
#[tokio::test(start_paused = true)]
async fn a_guard_is_lost_with_its_session() {
    let memory = memory(1).await;
    let server = memory.server.clone();
    let zk = memory.any().await;
    zk.create("/data", "before").await.unwrap();
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let token = guard.token();
    guard.fenced().set("/data", "mine").commit().await.unwrap();
    end_session(&server, &zk);
    let lost = soon("the loss", guard.lost()).await;
    // The servers of a restored ensemble do not answer a client with a greater zxid, so the deadline
    // may pass before the session ends.
    assert!(lost == GuardLost::SessionEnded || is_restored(), "{lost:?}");
    assert_eq!(guard.check(), Err(lost));
    let refused = guard.fenced().set("/data", "stale").commit().await;
    assert!(
        matches!(refused, Err(Error::Lost(again)) if again == lost),
        "{refused:?}"
    );
    let next = soon("the next lock", Lock::new(&zk, "/lock").acquire())
        .await
        .unwrap();
    // Zxids restart in a restored ensemble.
    assert_eq!(next.token() > token, !is_restored());
    assert_eq!(zk.get("/data").await.unwrap().0, "mine");
}

#[tokio::test]
async fn a_guard_is_lost_with_its_znode() {
    let server = common::server().start().await.unwrap();
    let (zk, admin) = (client(&server).await, client(&server).await);
    zk.create("/data", "before").await.unwrap();
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let work = guard.run(std::future::pending::<()>());
    let (lost, ()) = tokio::join!(soon("the loss", work), async {
        until("it is watched", || server.watch_counts().data > 0).await;
        admin.delete(guard.path()).await.unwrap();
    });
    assert_eq!(lost, Err(GuardLost::Deleted));
    let refused = guard.fenced().set("/data", "stale").commit().await;
    assert!(
        matches!(refused, Err(Error::Lost(GuardLost::Deleted))),
        "{refused:?}"
    );
}

/// Guards: D13.
#[tokio::test]
async fn a_drop_outside_a_runtime_releases() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    std::thread::spawn(move || drop(guard)).join().unwrap();
    until("the queue is empty", || queue(&server).is_empty()).await;
}

#[tokio::test]
async fn contenders_are_served_in_order() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let first = Lock::new(&zk, "/lock")
        .identifier("first")
        .acquire()
        .await
        .unwrap();
    let second = Lock::new(&zk, "/lock").identifier("second");
    assert!(second.try_acquire().await.unwrap().is_none());
    assert!(
        second
            .acquire_timeout(Duration::from_millis(50))
            .await
            .unwrap()
            .is_none()
    );
    until("they have left", || queue(&server).len() == 1).await;
    let mut waiting = pin!(second.acquire());
    waits_in(2, &server, waiting.as_mut()).await;
    assert_eq!(names(&second).await, ["first", "second"]);
    first.release().await.unwrap();
    let guard = soon("the lock", waiting).await.unwrap();
    assert_eq!(names(&second).await, ["second"]);
    guard.release().await.unwrap();
}

/// `release` takes the guard by value, which its users cannot give while they share it.
#[tokio::test]
async fn a_shared_guard_can_be_released() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let lock = Lock::new(&zk, "/lock");
    let guard = Arc::new(lock.acquire().await.unwrap());
    let work = tokio::spawn({
        let guard = guard.clone();
        async move { guard.run(std::future::pending::<()>()).await }
    });
    guard.release_shared().await.unwrap();
    assert!(queue(&server).is_empty());
    let dropped = soon("the end of the work", work).await.unwrap();
    assert_eq!(dropped, Err(GuardLost::Released));
    assert_eq!(guard.check(), Err(GuardLost::Released));
    let refused = guard.fenced().create("/data", "stale").commit().await;
    assert!(
        matches!(refused, Err(Error::Lost(GuardLost::Released))),
        "{refused:?}"
    );
    let next = lock.acquire().await.unwrap();
    guard.release_shared().await.unwrap();
    drop(guard);
    next.check().unwrap();
    assert_eq!(queue(&server), [next.path()]);
}

/// The server may have given the lock away before its answer arrives.
#[tokio::test]
async fn a_guard_is_lost_while_its_client_closes() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let guard = soon("the lock", Lock::new(&zk, "/lock").acquire())
        .await
        .unwrap();
    guard.check().unwrap();
    server.faults().delay_replies(Duration::from_millis(200));
    let mut closing = pin!(zk.close());
    {
        let mut lost = pin!(guard.lost());
        let pending = poll_fn(|cx| {
            let waits = lost.as_mut().poll(cx).is_pending();
            Poll::Ready(waits && closing.as_mut().poll(cx).is_pending())
        });
        assert!(pending.await);
        assert_eq!(soon("the loss", lost).await, GuardLost::SessionEnded);
    }
    assert_eq!(guard.check(), Err(GuardLost::SessionEnded));
    assert!(
        guard.release().await.is_err(),
        "it was not released by itself"
    );
    soon("the end", closing).await.unwrap();
    assert!(queue(&server).is_empty());
}

/// As kazoo's `extra_lock_patterns`.
#[tokio::test]
async fn an_extra_pattern_is_waited_for() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    zk.ensure_path("/lock").await.unwrap();
    let foreign = zk.create("/lock/x-mine-", "theirs").sequential().await;
    let plain = Lock::new(&zk, "/lock").identifier("ours");
    let lock = plain.clone().extra_pattern("-mine-");
    assert!(lock.try_acquire().await.unwrap().is_none());
    let guard = plain.acquire().await.unwrap();
    assert_eq!(names(&lock).await, ["theirs", "ours"]);
    assert_eq!(names(&plain).await, ["ours"]);
    guard.release().await.unwrap();
    zk.delete(&foreign.unwrap().path).await.unwrap();
    drop(lock.try_acquire().await.unwrap().unwrap());
}

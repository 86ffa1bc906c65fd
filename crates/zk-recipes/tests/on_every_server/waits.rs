//! The ends of waits, and waits that are dropped.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::common::{self, Memory, at, end_session, is_restored, memory, now, soon, start, until};
use tokio::task::JoinSet;
use zk_client::{ErrorCode, ErrorKind};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{
    Barrier, Election, Guard, GuardLost, LeaderLatch, LeaseBasis, Lock, LockGuard, MultiGuard,
    SemaphoreLease, Term, WriteGuard,
};

/// kazoo's starts again whenever a predecessor leaves.
///
/// Guards: C10.
#[tokio::test(start_paused = true)]
async fn the_timeout_covers_the_whole_wait() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let lock = Lock::new(&zk, "/lock");
    let mut guard = lock.acquire().await.unwrap();
    let mut ahead = Vec::new();
    for n in 0..10 {
        let lock = lock.clone();
        ahead.push(start(async move { lock.acquire().await.unwrap() }));
        memory.until_names("/lock", n + 2).await;
    }
    let started = now();
    let late = start(async move {
        let late = lock.acquire_timeout(Duration::from_secs(1)).await.unwrap();
        (late.is_none(), now())
    });
    memory.until_names("/lock", 12).await;
    for next in ahead {
        tokio::time::sleep(Duration::from_millis(300)).await;
        guard.release().await.unwrap();
        guard = soon("the next", next).await.unwrap();
    }
    let (is_late, ended) = late.await.unwrap();
    assert!(is_late);
    let waited = ended - started;
    assert!(waited < Duration::from_millis(1100), "{waited:?}");
    memory.until_names("/lock", 1).await;
}

/// Guards: C12.
#[tokio::test(start_paused = true)]
async fn a_dropped_wait_does_not_harm_the_next() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let lock = Lock::new(&zk, "/lock");
    drop(lock.acquire());
    let held = Lock::new(&other, "/lock").acquire().await.unwrap();
    assert!(
        lock.acquire_timeout(Duration::ZERO)
            .await
            .unwrap()
            .is_none()
    );
    assert!(lock.try_acquire().await.unwrap().is_none());
    let waiting = start({
        let lock = lock.clone();
        async move { lock.acquire().await.unwrap() }
    });
    until("it waits", || {
        memory.server.watches_on(&at(held.path())).data == 1
    })
    .await;
    let released = now();
    held.release().await.unwrap();
    let guard = soon("the lock", waiting).await.unwrap();
    assert!(now() - released < Duration::from_millis(100));
    guard.release().await.unwrap();
    drop(lock.try_acquire().await.unwrap().unwrap());
}

/// Compiles only for a type that is not `Clone`: it is ambiguous for others.
trait NotClone<Because> {
    fn holds() {}
}
struct IsClone;
impl<T> NotClone<()> for T {}
impl<T: Clone> NotClone<IsClone> for T {}

/// Guards: B97, D12.
#[tokio::test(start_paused = true)]
async fn guards_cannot_be_cloned() {
    <Guard as NotClone<_>>::holds();
    <LockGuard as NotClone<_>>::holds();
    <WriteGuard as NotClone<_>>::holds();
    <SemaphoreLease as NotClone<_>>::holds();
    <MultiGuard as NotClone<_>>::holds();
    <Term as NotClone<_>>::holds();

    let memory = memory(1).await;
    let zk = memory.any().await;
    let lock = Lock::new(&zk, "/lock");
    let guard = lock.acquire().await.unwrap();
    assert!(
        lock.try_acquire().await.unwrap().is_none(),
        "no half re-entrant lock"
    );
    assert!(lock.clone().try_acquire().await.unwrap().is_none());
    guard.check().unwrap();
    guard.release().await.unwrap();
    assert!(lock.try_acquire().await.unwrap().is_some());
}

/// CURATOR-56/190.
///
/// Guards: B86.
#[tokio::test(start_paused = true)]
async fn the_name_does_not_grow_with_attempts() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.ensure_path("/lock").await.unwrap();
    let close = on(common::create_op()).then(Action::Close).times(20);
    memory.server.faults().rule(close);
    let guard = soon("the lock", Lock::new(&zk, "/lock").acquire())
        .await
        .unwrap();
    assert_eq!(memory.server.faults().pending(), 0);
    let expected = "/lock/_c_01234567-89ab-cdef-0123-456789abcdef-lock-0000000000";
    assert_eq!(guard.path().len(), expected.len(), "{}", guard.path());
    assert_eq!(memory.names("/lock").len(), 1);
}

/// CURATOR-644/645, 724: sessions expire again and again, and the path is deleted meanwhile.
///
/// Guards: A67, B88.
#[tokio::test(start_paused = true)]
async fn latches_recover_from_repeated_losses() {
    let memory = memory(1).await;
    let clients = [memory.any().await, memory.any().await, memory.any().await];
    let admin = memory.any().await;
    let led = Arc::new(Mutex::new(Vec::new()));
    let mut latches = JoinSet::new();
    for zk in clients.clone() {
        let led = led.clone();
        latches.spawn(async move {
            let latch = LeaderLatch::new(&zk, "/latch");
            loop {
                let term = latch.leadership().await.unwrap();
                led.lock().unwrap().push(term.token());
                term.lost().await;
            }
        });
    }
    // After one more lost place the wait gives up.
    for _ in 0..9 {
        memory.until_names("/latch", 3).await;
        memory.server.faults().refuse_connections(true).await;
        for zk in &clients {
            end_session(&memory.server, zk);
        }
        assert!(memory.names("/latch").is_empty());
        memory.server.faults().refuse_connections(false).await;
        // Unless a candidate has entered again already, or this session has ended as well.
        if let Err(error) = admin.delete("/latch").await {
            use ErrorKind::{ConnectionLost, NoNode, NotEmpty, SessionExpired};
            let is_lost = matches!(error.kind(), ConnectionLost | SessionExpired);
            let is_there = matches!(error.kind(), NoNode | NotEmpty);
            assert!(is_there || (is_lost && is_restored()), "{error}");
        }
    }
    memory.until_names("/latch", 3).await;
    let latch = LeaderLatch::new(&clients[0], "/latch");
    let leader = soon("a leader", latch.leader()).await.unwrap().unwrap();
    until("it knows", || {
        led.lock().unwrap().last() == Some(&leader.token)
    })
    .await;
    let terms = led.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(led.lock().unwrap().len(), terms, "they have come to rest");
    // Zxids restart in a restored ensemble.
    assert!(is_restored() || led.lock().unwrap().is_sorted());
    assert_eq!(latch.participants().await.unwrap().len(), 3);
}

/// Changes a watched znode more often than attempts may be lost. After each change the first read fails
/// with an unknown outcome, and the second succeeds.
async fn fail_reads(memory: &Memory, op: OpCode, path: &str) {
    let admin = memory.any().await;
    let faults = memory.server.faults();
    for change in 0..12 {
        let is_watched = || memory.server.watches_on(&at(path)).data > 0;
        until("it is watched", is_watched).await;
        let fails = Action::Refuse(ErrorCode::OperationTimeout);
        for action in [fails, Action::Repeat(1)] {
            faults.rule(on(op).path(at(path)).then(action));
        }
        admin.set(path, change.to_string()).await.unwrap();
        until("a read has succeeded", || faults.pending() == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn rare_failures_do_not_end_a_barriers_wait() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    let (barrier, closed) = (
        Barrier::new(&zk, "/barrier"),
        Barrier::new(&admin, "/barrier"),
    );
    closed.close().await.unwrap();
    let waiting = start(async move { barrier.wait().await });
    fail_reads(&memory, OpCode::Exists, "/barrier").await;
    closed.open().await.unwrap();
    soon("the opening", waiting).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn rare_failures_do_not_end_the_leaders() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    let term = Election::new(&admin, "/election").campaign().await.unwrap();
    let mut leaders = Election::new(&zk, "/election").observe();
    fail_reads(&memory, OpCode::GetData, term.path()).await;
    term.resign().await.unwrap();
    while soon("that there is none", leaders.next())
        .await
        .unwrap()
        .unwrap()
        .is_some()
    {}
}

#[tokio::test(start_paused = true)]
async fn rare_failures_hide_no_loss() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    // Only the watch reports the deletion.
    let lock = Lock::new(&zk, "/lock").lease_basis(LeaseBasis::Server);
    let guard = lock.acquire().await.unwrap();
    let path = guard.path().to_owned();
    let losing = start(async move { guard.lost().await });
    fail_reads(&memory, OpCode::Exists, &path).await;
    admin.delete(&path).await.unwrap();
    let lost = soon("the loss", losing).await.unwrap();
    assert_eq!(lost, GuardLost::Deleted);
}

#[tokio::test(start_paused = true)]
async fn rare_failures_hide_no_revocation() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let path = guard.path().to_owned();
    let revoking = start(async move { guard.revoked().await });
    fail_reads(&memory, OpCode::GetData, &path).await;
    zk_recipes::revoke(&admin, &path).await.unwrap();
    soon("the revocation", revoking).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn rare_failures_do_not_end_a_place() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    let first = Lock::new(&admin, "/lock").acquire().await.unwrap();
    let lock = Lock::new(&zk, "/lock");
    let waiting = start(async move { lock.acquire().await });
    fail_reads(&memory, OpCode::GetData, first.path()).await;
    first.release().await.unwrap();
    let second = soon("the lock", waiting).await.unwrap().unwrap();
    second.check().unwrap();
}

//! What a process that has resumed the session of one that crashed does not take up or leave: the znodes
//! that it has a guard of.

use super::common::{LAYOUTS, Memory, at, crash, dropped_after, memory, pose, soon, start, until};
use zk_client::{Client, Guid, SessionToken};
use zk_embedded::fault::{Action, on};
use zk_proto::{ErrorCode, OpCode};
use zk_recipes::{Layout, Lock, ReadLock, Semaphore, WriteLock};

fn watches(memory: &Memory, path: &str) -> usize {
    memory.server.watches_on(&at(path)).data
}

/// Clones of one lock, or values with one id.
#[tokio::test(start_paused = true)]
async fn an_adopted_lock_has_one_guard() {
    if !pose().resumes_sessions() {
        return;
    }
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let zk = memory.any().await;
        let id = Guid::random();
        let lock = |zk: &Client| Lock::new(zk, "/lock").layout(layout).adopt_by(id);
        let held = lock(&zk).acquire().await.unwrap();
        let session = crash(zk);
        let zk = memory.successor(session).await;
        // The guard of a client that is over is none.
        let first = lock(&zk);
        let guard = soon("the lock", first.acquire()).await.unwrap();
        assert_eq!(guard.path(), held.path());
        drop(held);
        let waits = [first.clone(), lock(&zk), lock(&zk)];
        let waits = waits.map(|lock| start(async move { lock.acquire().await.unwrap() }));
        memory.until_names("/lock", 4).await;
        until("all watch", || memory.server.watch_counts().data == 3).await;
        assert!(waits.iter().all(|wait| !wait.is_finished()));
        assert_eq!(watches(&memory, guard.path()), 1);
        assert!(lock(&zk).try_acquire().await.unwrap().is_none());
        guard.fenced().create("/data", "").commit().await.unwrap();
        guard.release().await.unwrap();
        for wait in waits {
            let next = soon("the next", wait).await.unwrap();
            next.fenced().set("/data", "").commit().await.unwrap();
            next.release().await.unwrap();
        }
        memory.until_names("/lock", 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_resumed_lock_has_one_guard() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(1).await;
    let zk = memory.any().await;
    let id = Guid::random();
    let lock = |zk: &Client| Lock::new(zk, "/lock").adopt_by(id);
    let semaphore = |zk: &Client| Semaphore::new(zk, "/s", 1).adopt_by(id);
    let held = lock(&zk).acquire().await.unwrap().hand_over();
    let lease = semaphore(&zk).acquire().await.unwrap().hand_over();
    let zk = memory.successor(crash(zk)).await;
    let mine = lock(&zk);
    let guard = mine.resume(&held).await.unwrap().unwrap();
    assert!(mine.resume(&held).await.unwrap().is_none());
    assert!(mine.try_acquire().await.unwrap().is_none());
    let mine = semaphore(&zk);
    let lease = mine.resume(&lease).await.unwrap().unwrap();
    assert!(mine.try_acquire().await.unwrap().is_none());
    guard.fenced().create("/data", "").commit().await.unwrap();
    lease.fenced().set("/data", "").commit().await.unwrap();
    lease.release().await.unwrap();
    guard.release().await.unwrap();
    drop(soon("the lease", mine.acquire()).await.unwrap());
    drop(soon("the lock", lock(&zk).acquire()).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_downgraded_lock_has_one_guard() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let id = Guid::random();
    let writer = WriteLock::new(&zk, "/rw").adopt_by(id).acquire().await;
    let first = writer.unwrap().downgrade().await.unwrap();
    let reader = ReadLock::new(&zk, "/rw").adopt_by(id);
    let second = soon("the lock", reader.acquire()).await.unwrap();
    assert_ne!(first.path(), second.path());
    second.release().await.unwrap();
    first.fenced().create("/data", "").commit().await.unwrap();
    first.release().await.unwrap();
    memory.until_names("/rw", 0).await;
}

/// One acquisition takes up the place in the queue, and another waits for it.
#[tokio::test(start_paused = true)]
async fn an_adopted_turn_is_not_left() {
    if !pose().resumes_sessions() {
        return;
    }
    for layout in [Layout::Default, Layout::Kazoo] {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let id = Guid::random();
        let semaphore = |zk: &Client| Semaphore::new(zk, "/s", 1).layout(layout);
        let (queue, leases) = match layout {
            Layout::Kazoo => ("/s-__lock__", "/s"),
            _ => ("/s/locks", "/s/leases"),
        };
        let held = semaphore(&other).acquire().await.unwrap();
        let mine = semaphore(&zk).adopt_by(id);
        let waiting = start(async move { mine.acquire().await });
        memory.until_names(queue, 1).await;
        let place = format!("{queue}/{}", memory.names(queue).remove(0));
        let session = crash(zk);
        assert!(soon("an error", waiting).await.unwrap().is_err());
        let zk = memory.successor(session).await;
        let mine = semaphore(&zk).adopt_by(id);
        let waits = [mine.clone(), mine];
        let waits = waits.map(|it| start(async move { it.acquire().await.unwrap() }));
        memory.until_names(queue, 2).await;
        until("one watches the other", || watches(&memory, &place) == 1).await;
        held.release().await.unwrap();
        until("one has it", || waits.iter().any(|wait| wait.is_finished())).await;
        let (first, second) = match waits {
            [one, other] if one.is_finished() => (one, other),
            [one, other] => (other, one),
        };
        let first = soon("the lease", first).await.unwrap();
        memory.until_names(queue, 1).await;
        assert!(memory.names(leases).len() <= 2);
        assert!(!second.is_finished());
        first.release().await.unwrap();
        drop(soon("the other", second).await.unwrap());
    }
}

/// A dropped guard or acquisition is cleaned up for a while, during which another value looks for places.
#[tokio::test(start_paused = true)]
async fn what_is_cleaned_up_is_not_adopted() {
    for polls in 1..24 {
        let memory = memory(1).await;
        let zk = memory.any().await;
        let id = Guid::random();
        let lock = || Lock::new(&zk, "/lock").adopt_by(id);
        zk.ensure_path("/lock").await.unwrap();
        let faults = memory.server.faults();
        faults.rule(on(OpCode::Delete).then(Action::Refuse(ErrorCode::OperationTimeout)));
        dropped_after(polls, async {
            drop(lock().acquire().await);
            std::future::pending::<()>().await;
        })
        .await;
        let guard = soon("the lock", lock().acquire()).await.unwrap();
        until("nothing deletes it", || !zk.is_cleaning_up(guard.path())).await;
        memory.until_names("/lock", 1).await;
        guard.fenced().create("/data", "").commit().await.unwrap();
        guard.release().await.unwrap();
        memory.until_names("/lock", 0).await;
    }
}

/// A session store keeps the zxid of the connect, so the next process may reach a server that lags.
#[tokio::test(start_paused = true)]
async fn a_lagging_server_hides_no_handover() {
    if !pose().resumes_sessions() {
        return;
    }
    let memory = memory(3).await;
    let leader = memory.server.leader();
    let lagging = (leader + 1) % 3;
    let zk = memory.client(&[leader], |options| options).await;
    zk.ensure_path("/lock").await.unwrap();
    memory.server.set_lag(lagging, true);
    let held = Lock::new(&zk, "/lock").acquire().await.unwrap().hand_over();
    let token = crash(zk).expose();
    let mut parts: Vec<_> = token.split('-').collect();
    parts[2] = "0";
    let token = parts.join("-").parse::<SessionToken>().unwrap();
    let zk = memory.successor_on(lagging, token).await;
    let guard = Lock::new(&zk, "/lock").resume(&held).await.unwrap();
    guard.unwrap().release().await.unwrap();
}

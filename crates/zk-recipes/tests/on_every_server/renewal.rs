//! Renewing a guard through idle clients, writes that are refused or hang, servers that stop, and
//! machines that are suspended. In virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::common::{Memory, memory, now, pose, soon};
use tokio::task::JoinHandle;
use zk_client::{Client, ErrorKind};
use zk_recipes::{Election, Guard, GuardLost, Lock, Semaphore, TreeCache, WriteLock};

/// Two ticks, the shortest that servers grant: the leader pings four times in it.
const TIMEOUT: Duration = Duration::from_secs(4);

async fn client(memory: &Memory, seed: u64) -> Client {
    let members: Vec<_> = (0..memory.server.member_count()).collect();
    memory
        .client(&members, |options| {
            options
                .session_timeout(TIMEOUT)
                .seed(seed)
                .max_outstanding(32)
        })
        .await
}

/// Checks for five timeouts; the guard is not lost.
async fn holds(guard: &Guard, what: &str) {
    let started = now();
    while now() < started + TIMEOUT * 5 {
        let left = guard.deadline();
        assert_eq!(guard.check(), Ok(()), "{what}: {left:?}");
        tokio::time::sleep(TIMEOUT / 200).await;
    }
}

#[derive(Debug, Clone, Copy)]
enum Write {
    Create,
    Delete,
    Set,
    SetAcl,
    Multi,
    TooLarge,
}

/// A program that submits a write of this kind every fortieth of the timeout; all fail.
fn refused(zk: Client, write: Write) -> JoinHandle<()> {
    tokio::spawn(async move {
        let big = vec![0; 3 << 20];
        loop {
            let kind = match write {
                Write::Create => zk.create("/x", "").await.unwrap_err().kind(),
                Write::Delete => zk.delete("/gone").await.unwrap_err().kind(),
                Write::Set => zk.set("/x", "").version(77).await.unwrap_err().kind(),
                Write::SetAcl => {
                    let acl = zk_proto::Acl::open();
                    zk.set_acl("/x", acl).version(77).await.unwrap_err().kind()
                }
                Write::Multi => zk
                    .multi()
                    .check("/x", 77)
                    .commit()
                    .await
                    .unwrap_err()
                    .kind(),
                Write::TooLarge => zk.set("/x", &big).await.unwrap_err().kind(),
            };
            assert!(!matches!(
                kind,
                ErrorKind::ConnectionLost | ErrorKind::QueueFull
            ));
            tokio::time::sleep(TIMEOUT / 40).await;
        }
    })
}

/// Guards: H4.
#[tokio::test(start_paused = true)]
async fn refused_writes_cost_no_guard() {
    let kinds = [
        Write::Create,
        Write::Delete,
        Write::Set,
        Write::SetAcl,
        Write::Multi,
        Write::TooLarge,
    ];
    for write in kinds {
        let memory = memory(1).await;
        let zk = client(&memory, 1).await;
        let before = zk.statistics().lost_connections;
        zk.create("/x", "").await.unwrap();
        let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
        let writer = refused(zk.clone(), write);
        holds(guard.as_ref(), &format!("{write:?}")).await;
        assert!(!writer.is_finished(), "every write was refused");
        writer.abort();
        assert_eq!(zk.statistics().lost_connections, before, "{write:?}");
    }
}

/// This many writes at a time, whether or not the earlier ones were answered.
fn open_loop(zk: Client, at_once: usize) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            for _ in 0..at_once {
                let write = zk.set("/x", "").submit();
                tokio::spawn(async move { drop(write.await) });
            }
            tokio::time::sleep(TIMEOUT / 50).await;
        }
    })
}

/// Two other servers are healthy. Where the session ends with the connection, the guard ends, too, and
/// reports that.
///
/// Guards: H4.
#[tokio::test(start_paused = true)]
async fn hanging_writes_cost_no_guard() {
    // The second number soon fills the client's queue, so that a renewal is refused.
    for (is_stopped, at_once) in [(true, 1), (false, 1), (true, 8), (false, 8)] {
        let mut tried = 0;
        for seed in 0..12 {
            let memory = memory(3).await;
            let zk = client(&memory, seed).await;
            zk.create("/x", "").await.unwrap();
            let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
            let writer = open_loop(zk.clone(), at_once);
            tokio::time::sleep(TIMEOUT * 2 + Duration::from_millis(31 * seed)).await;
            let member = memory.dialled();
            if member == memory.server.leader() {
                writer.abort();
                continue;
            }
            tried += 1;
            if is_stopped {
                memory.server.member(member).freeze();
            } else {
                memory.server.isolate_from_leader(member);
            }
            if !pose().resumes_sessions() {
                let lost = soon("the loss", guard.lost()).await;
                assert_eq!(lost, GuardLost::SessionEnded);
                writer.abort();
                continue;
            }
            let what = format!("stopped: {is_stopped}, {at_once} at once, seed {seed}");
            holds(guard.as_ref(), &what).await;
            writer.abort();
        }
        assert!(tried >= 3, "{tried}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Lock,
    WriteLock,
    Semaphore,
    Election,
}

/// Takes a guard of this kind and holds it without other requests; returns how much of the lease was
/// left at acquisition.
async fn take_and_hold(zk: &Client, kind: Kind, path: &str) -> Duration {
    async fn hold(guard: &Guard) -> Duration {
        let left = guard.deadline().unwrap() - now();
        holds(guard, "nothing is written").await;
        left
    }
    match kind {
        Kind::Lock => hold(Lock::new(zk, path).acquire().await.unwrap().as_ref()).await,
        Kind::WriteLock => hold(WriteLock::new(zk, path).acquire().await.unwrap().as_ref()).await,
        Kind::Semaphore => {
            hold(
                Semaphore::new(zk, path, 1)
                    .acquire()
                    .await
                    .unwrap()
                    .as_ref(),
            )
            .await
        }
        Kind::Election => hold(Election::new(zk, path).campaign().await.unwrap().as_ref()).await,
    }
}

/// However long the client was idle before.
///
/// Guards: H6.
#[tokio::test(start_paused = true)]
async fn an_idle_client_keeps_its_connection() {
    let kinds = [Kind::Lock, Kind::WriteLock, Kind::Semaphore, Kind::Election];
    for members in [1, 3] {
        for step in 0..40 {
            let idle = TIMEOUT * step / 13;
            let memory = memory(members).await;
            let zk = client(&memory, step.into()).await;
            let before = zk.statistics().lost_connections;
            let cache = TreeCache::new(&zk, "/app");
            cache.initialized().await.unwrap();
            memory.server.faults().delay_replies(TIMEOUT / 400);
            tokio::time::sleep(idle).await;
            let kind = kinds[step as usize % kinds.len()];
            let left = take_and_hold(&zk, kind, "/contest").await;
            assert!(left >= TIMEOUT / 2, "{kind:?} after {idle:?}: {left:?}");
            assert_eq!(
                zk.statistics().lost_connections,
                before,
                "{kind:?} after {idle:?}"
            );
            assert_eq!(cache.snapshot().unwrap().generation(), 1);
        }
    }
}

/// However long the client has waited for its turn.
///
/// Guards: H6.
#[tokio::test(start_paused = true)]
async fn a_successor_keeps_its_connection() {
    let kinds = [Kind::Lock, Kind::WriteLock, Kind::Semaphore, Kind::Election];
    for step in 0..40 {
        let wait = TIMEOUT * step / 13;
        let memory = memory(3).await;
        let (first, next) = (client(&memory, 1).await, client(&memory, step.into()).await);
        let before = next.statistics().lost_connections;
        let kind = kinds[step as usize % kinds.len()];
        let holder = first.clone();
        let held = tokio::spawn(async move { take_and_hold(&holder, kind, "/contest").await });
        soon("the first contender", async {
            while memory.server.zxid().0 < 5 || memory.names("/contest").is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        tokio::time::sleep(TIMEOUT / 4).await;
        let waiting = next.clone();
        let taken = tokio::spawn(async move { take_and_hold(&waiting, kind, "/contest").await });
        tokio::time::sleep(wait).await;
        held.abort();
        drop(held.await);
        let left = soon("the next turn", taken).await.unwrap();
        assert!(left >= TIMEOUT / 2, "{kind:?} after {wait:?}: {left:?}");
        assert_eq!(
            next.statistics().lost_connections,
            before,
            "{kind:?} after {wait:?}"
        );
    }
}

/// A write may take any time while enough is left to change the server.
#[tokio::test(start_paused = true)]
async fn a_slow_ensemble_costs_no_connection() {
    let memory = memory(3).await;
    let zk = client(&memory, 1).await;
    let before = zk.statistics().lost_connections;
    memory.server.faults().delay_replies(TIMEOUT / 10);
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    holds(guard.as_ref(), "replies take a tenth of the timeout").await;
    assert_eq!(zk.statistics().lost_connections, before);
}

/// A client whose machine is suspended by the test; its clock does not advance meanwhile.
async fn suspendable(memory: &Memory) -> (Client, Arc<AtomicU64>) {
    let suspended = Arc::new(AtomicU64::new(0));
    let source = suspended.clone();
    let zk = memory
        .client(&[0], |options| {
            options
                .session_timeout(TIMEOUT)
                .suspended_time(move || Duration::from_millis(source.load(Ordering::Relaxed)))
        })
        .await;
    (zk, suspended)
}

#[tokio::test(start_paused = true)]
async fn a_suspension_counts() {
    let memory = memory(1).await;
    let (zk, suspended) = suspendable(&memory).await;
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let left = guard.deadline().unwrap() - now();
    suspended.store(1_000, Ordering::Relaxed);
    let after = guard.deadline().unwrap() - now();
    assert_eq!(left - after, Duration::from_secs(1));
    // The next renewals make up for a short one.
    holds(guard.as_ref(), "after a second").await;
    suspended.store(1_000 + 5_000, Ordering::Relaxed);
    assert_eq!(guard.check(), Err(GuardLost::OutOfContact));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_suspension_is_noticed() {
    let memory = memory(1).await;
    let (zk, suspended) = suspendable(&memory).await;
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let mut lost = std::pin::pin!(guard.lost());
    assert!(tokio::time::timeout(TIMEOUT, &mut lost).await.is_err());
    suspended.store(60_000, Ordering::Relaxed);
    let resumed = now();
    assert_eq!(lost.await, GuardLost::OutOfContact);
    assert!(now() - resumed <= TIMEOUT / 12 + Duration::from_millis(2));
}

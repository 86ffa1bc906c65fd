//! A server that is cut off from its leader, and has not noticed, continues to answer, while the leader
//! gives the locks of its clients to others. In virtual time.

use std::time::Duration;

use super::common::{Memory, memory, now, soon, until};
use zk_client::Client;
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{Allocation, Allocations, GuardLost, LeaseBasis, Lock, SetPartitioner, Share};

/// Two ticks, the shortest that servers grant: the leader pings four times in it.
const TIMEOUT: Duration = Duration::from_secs(4);

/// A client of one member only.
async fn client(memory: &Memory, member: usize) -> Client {
    memory
        .client(&[member], |options| options.session_timeout(TIMEOUT))
        .await
}

/// How long the holder trusted its guard after the next holder had the lock; `None` if not at all.
async fn overlap(lease_basis: LeaseBasis, cut_after: Duration) -> Option<Duration> {
    let memory = memory(3).await;
    let leader = memory.server.leader();
    let (stray, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let (holder, next) = (client(&memory, stray).await, client(&memory, other).await);
    let guard = Lock::new(&holder, "/lock")
        .lease_basis(lease_basis)
        .acquire()
        .await
        .unwrap();
    let successor = tokio::spawn(async move {
        let guard = Lock::new(&next, "/lock").acquire().await.unwrap();
        (guard, now())
    });
    tokio::time::sleep(cut_after).await;
    guard.check().unwrap();
    assert!(!successor.is_finished());
    memory.server.isolate_from_leader(stray);
    // The member that is cut off answers these reads.
    let reads = tokio::spawn(async move {
        while holder.exists("/lock").deadline(TIMEOUT).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let ended = tokio::spawn(async move {
        let lost = guard.lost().await;
        (now(), lost, guard)
    });
    let (second, started) = successor.await.unwrap();
    second.check().unwrap();
    // After this time the answers cannot extend the lease any more.
    tokio::time::sleep(TIMEOUT).await;
    let held_until = if ended.is_finished() {
        let (ended, lost, guard) = ended.await.unwrap();
        assert_eq!(lost, GuardLost::OutOfContact);
        assert_eq!(guard.check(), Err(lost));
        ended
    } else {
        ended.abort();
        now()
    };
    reads.abort();
    (held_until > started).then(|| held_until - started)
}

/// At whatever time the member is cut off.
///
/// Guards: G6.
#[tokio::test(start_paused = true)]
async fn a_guard_ends_before_its_lock_moves_on() {
    for step in 0..300 {
        let cut_after = Duration::from_millis(29 * step);
        let overlap = overlap(LeaseBasis::Quorum, cut_after).await;
        assert_eq!(overlap, None, "cut after {cut_after:?}");
    }
}

/// What [`LeaseBasis::Quorum`] prevents and [`LeaseBasis::Server`] does not.
#[tokio::test(start_paused = true)]
async fn a_server_lease_outlives_its_lock() {
    let overlap = overlap(LeaseBasis::Server, Duration::from_secs(9)).await;
    assert!(
        overlap.is_some_and(|overlap| overlap > TIMEOUT / 2),
        "{overlap:?}"
    );
}

/// After a stall of the commits, of which the program does not notice anything else: the session lasts.
#[tokio::test(start_paused = true)]
async fn a_share_of_lost_items_is_requested() {
    let memory = memory(1).await;
    let zk = client(&memory, 0).await;
    let mut allocations = SetPartitioner::new(&zk, "/p", ["a", "b", "c"])
        .time_boundary(Duration::from_millis(100))
        .join();
    let share = acquired(&mut allocations).await;
    let session = zk.session().id;
    let stalled = async {
        let unanswered = on(OpCode::Multi).then(Action::Swallow).always();
        memory.server.faults().rule(unanswered);
        until("the loss", || share.check().is_err()).await;
        memory.server.faults().clear();
        std::future::pending::<()>().await;
    };
    let stopped = soon("the request", share.run(stalled)).await;
    assert_eq!(stopped, None);
    assert_eq!(share.check(), Err(GuardLost::OutOfContact));
    drop(share);
    let share = acquired(&mut allocations).await;
    assert_eq!(share.items().collect::<Vec<_>>(), ["a", "b", "c"]);
    share.check().unwrap();
    assert_eq!(zk.session().id, session);
}

async fn acquired(allocations: &mut Allocations) -> Share {
    loop {
        let next = soon("an allocation", allocations.next()).await;
        if let Allocation::Acquired(share) = next.unwrap().unwrap() {
            return share;
        }
    }
}

/// On a healthy ensemble, little more than a write every sixth of the timeout renews all guards of the
/// session, and the deadline never comes near.
#[tokio::test(start_paused = true)]
async fn one_renewal_serves_all_of_a_session() {
    for member in 0..3 {
        let memory = memory(3).await;
        let zk = client(&memory, member).await;
        let mut guards = Vec::new();
        for n in 0..20 {
            let path = format!("/lock-{n}");
            guards.push(Lock::new(&zk, &path).acquire().await.unwrap());
        }
        let before = memory.server.zxid().0;
        let started = now();
        let mut nearest = TIMEOUT;
        while now() < started + TIMEOUT * 10 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            for guard in &guards {
                guard.check().unwrap();
                nearest = nearest.min(guard.deadline().unwrap() - now());
            }
        }
        // Checks change nothing, but a quorum commits them.
        let written = memory.server.zxid().0 - before;
        assert!((55..=65).contains(&written), "{written} writes");
        assert!(nearest > TIMEOUT * 39 / 100, "{nearest:?}");
    }
}

/// A program that writes anyway pays nothing.
#[tokio::test(start_paused = true)]
async fn a_session_that_writes_needs_no_renewals() {
    let memory = memory(1).await;
    let zk = client(&memory, 0).await;
    zk.create("/data", "").await.unwrap();
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let before = memory.server.zxid().0;
    for n in 0..100 {
        guard
            .fenced()
            .set("/data", n.to_string())
            .commit()
            .await
            .unwrap();
        tokio::time::sleep(TIMEOUT / 7).await;
    }
    assert_eq!(memory.server.zxid().0 - before, 100);
    guard.check().unwrap();
}

/// No task waits for the loss, and the next check reports it.
#[tokio::test(start_paused = true)]
async fn a_renewal_notices_a_deleted_znode() {
    let memory = memory(1).await;
    let (zk, admin) = (client(&memory, 0).await, client(&memory, 0).await);
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    admin.delete(guard.path()).await.unwrap();
    tokio::time::sleep(TIMEOUT / 5).await;
    assert_eq!(guard.check(), Err(GuardLost::Deleted));
}

/// The client moves to one of two other servers.
#[tokio::test(start_paused = true)]
async fn a_guard_outlives_a_server_without_leader() {
    for is_stopped in [true, false] {
        let mut tried = 0;
        for step in 0..40 {
            let memory = memory(3).await;
            let zk = memory
                .client(&[0, 1, 2], |options| {
                    options.session_timeout(TIMEOUT).seed(step)
                })
                .await;
            let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
            // The proof of contact from the handshake is old by now.
            tokio::time::sleep(TIMEOUT * 2 + Duration::from_millis(31 * step)).await;
            let member = memory.dialled();
            if member == memory.server.leader() {
                continue;
            }
            tried += 1;
            if is_stopped {
                memory.server.member(member).freeze();
            } else {
                memory.server.isolate_from_leader(member);
            }
            let started = now();
            while now() < started + TIMEOUT * 3 {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let left = guard.deadline();
                assert_eq!(guard.check(), Ok(()), "{is_stopped}, {step}: {left:?}");
            }
        }
        assert!(tried > 10, "{tried}");
    }
}

/// After a renewal whose reply is lost, another follows.
#[tokio::test(start_paused = true)]
async fn a_guard_is_renewed_through_reconnects() {
    let memory = memory(3).await;
    let zk = memory
        .client(&[0, 1, 2], |options| options.session_timeout(TIMEOUT))
        .await;
    let guard = Lock::new(&zk, "/lock").acquire().await.unwrap();
    for _ in 0..20 {
        let lost = on(OpCode::Multi).then(Action::DropReply);
        memory.server.faults().rule(lost);
        tokio::time::sleep(TIMEOUT / 2).await;
        guard.check().unwrap();
    }
    assert_eq!(memory.server.faults().pending(), 0);
}

/// A client that knows no other member returns to this one when it has rejoined.
#[tokio::test(start_paused = true)]
async fn a_member_that_rejoins_serves_again() {
    let memory = memory(3).await;
    let stray = (memory.server.leader() + 1) % 3;
    for waits in [1, 3, 5, 9] {
        let zk = client(&memory, stray).await;
        memory.server.isolate_from_leader(stray);
        zk.create("/n", "").await.unwrap_err();
        tokio::time::sleep(TIMEOUT * waits).await;
        memory.server.rejoin_leader(stray);
        soon("a session", zk.connected()).await.unwrap();
    }
}

//! The cost of locks in requests and round trips: on a network with a fixed delay, and a virtual clock
//! on which nothing else takes time.

use std::future::Future;
use std::time::Duration;

use super::common::{
    LAYOUTS, Memory, address, memory, paths, received, server, soon, start, until,
};
use tokio::time::Instant;
use zk_recipes::{
    DoubleBarrier, Election, Layout, LeaderLatch, Lock, ReadLock, Semaphore, TreeCache, WriteLock,
};

/// The delay of each reply and each notification.
pub(crate) const TRIP: Duration = Duration::from_millis(100);

/// Runs a future, and returns its numbers of requests and round trips.
pub(crate) async fn cost<T>(memory: &Memory, future: impl Future<Output = T>) -> (T, u64, u32) {
    let before = received(memory).await;
    let started = Instant::now();
    let value = soon("what is to be counted", future).await;
    let took = started.elapsed();
    let trips = u32::try_from(took.as_millis() / TRIP.as_millis()).unwrap();
    // The clock is exact to a millisecond, and advances only while all tasks wait.
    assert!(took < TRIP * trips + TRIP / 10, "{took:?}");
    (value, received(memory).await - before, trips)
}

/// An ensemble whose answers have a delay, with the parent of the contenders.
async fn distant() -> (Memory, zk_client::Client) {
    let memory = memory(1).await;
    let zk = memory.any().await;
    for parent in ["/lock", "/lock/locks", "/lock/leases"] {
        zk.ensure_path(parent).await.unwrap();
    }
    memory.server.faults().delay_replies(TRIP);
    (memory, zk)
}

/// The creation of the znode and the read of the queue are sent together. A release takes one more.
#[tokio::test(start_paused = true)]
async fn alone_a_lock_takes_one_round_trip() {
    for layout in LAYOUTS {
        let (memory, zk) = distant().await;
        let lock = Lock::new(&zk, "/lock").layout(layout);
        let (guard, requests, trips) = cost(&memory, lock.acquire()).await;
        assert_eq!((requests, trips), (2, 1), "{layout:?}: create, children");
        let (released, requests, trips) = cost(&memory, guard.unwrap().release()).await;
        released.unwrap();
        assert_eq!((requests, trips), (1, 1), "{layout:?}: delete");
        let (guard, requests, trips) = cost(&memory, lock.try_acquire()).await;
        assert_eq!((requests, trips), (2, 1));
        guard.unwrap().unwrap().release().await.unwrap();

        let lock = ReadLock::new(&zk, "/lock").layout(layout);
        let (guard, requests, trips) = cost(&memory, lock.acquire()).await;
        assert_eq!((requests, trips), (2, 1));
        guard.unwrap().release().await.unwrap();
        let lock = WriteLock::new(&zk, "/lock").layout(layout);
        let (guard, requests, trips) = cost(&memory, lock.acquire()).await;
        assert_eq!((requests, trips), (2, 1));
        guard.unwrap().release().await.unwrap();

        let election = Election::new(&zk, "/lock").layout(layout);
        let (term, requests, trips) = cost(&memory, election.campaign()).await;
        assert_eq!((requests, trips), (2, 1));
        term.unwrap().resign().await.unwrap();
    }
    let (memory, zk) = distant().await;
    let latch = LeaderLatch::new(&zk, "/lock");
    let (term, requests, trips) = cost(&memory, latch.leadership()).await;
    assert_eq!((requests, trips), (2, 1));
    term.unwrap().check().unwrap();
}

/// The drop has submitted the deletion of the znode, so the queue is read without it.
#[tokio::test(start_paused = true)]
async fn acquire_does_not_wait_for_its_own_drop() {
    let (memory, zk) = distant().await;
    let lock = Lock::new(&zk, "/lock");
    let mut guard = lock.acquire().await.unwrap();
    for _ in 0..3 {
        let (next, requests, trips) = cost(&memory, async {
            drop(guard);
            lock.acquire().await
        })
        .await;
        assert_eq!((requests, trips), (3, 1), "delete, create, children");
        guard = next.unwrap();
    }
}

/// The proof of contact of a session that only pings is old, but recent enough at any time.
#[tokio::test(start_paused = true)]
async fn an_idle_session_locks_in_one_round_trip() {
    let (memory, zk) = distant().await;
    let (lock, timeout) = (Lock::new(&zk, "/lock"), zk.session().timeout);
    for part in 0..12 {
        tokio::time::sleep(timeout * 2 + timeout * part / 12).await;
        let (guard, _, trips) = cost(&memory, lock.acquire()).await;
        assert_eq!(trips, 1, "after {part} twelfths");
        guard.unwrap().release().await.unwrap();
    }
}

/// One for the answer, one to leave the queue.
#[tokio::test(start_paused = true)]
async fn a_failed_try_takes_two_round_trips() {
    let (memory, zk) = distant().await;
    let lock = Lock::new(&zk, "/lock");
    let _held = lock.acquire().await.unwrap();
    let (none, requests, trips) = cost(&memory, lock.try_acquire()).await;
    assert!(none.unwrap().is_none());
    assert_eq!((requests, trips), (3, 2), "create, children; delete");
}

/// The release, half a round trip later the notification, and a round trip later the lock.
#[tokio::test(start_paused = true)]
async fn a_release_takes_a_round_trip_to_the_next() {
    let (memory, zk) = distant().await;
    let lock = Lock::new(&zk, "/lock");
    let mut guard = lock.acquire().await.unwrap();
    let others = [memory.any().await, memory.any().await];
    for (other, waited) in others.iter().zip([TRIP, zk.session().timeout]) {
        let lock = Lock::new(other, "/lock");
        let next = start(async move { lock.acquire().await.unwrap() });
        until("it waits", || memory.server.watch_counts().data == 1).await;
        // After a while a place has to be confirmed, which takes no extra round trip.
        tokio::time::sleep(waited).await;
        let handed_on = async {
            let (released, next) = tokio::join!(guard.release(), next);
            released.unwrap();
            next.unwrap()
        };
        let (next, requests, trips) = cost(&memory, handed_on).await;
        // Only the way back has a delay.
        assert_eq!(trips, 2, "a notification, a round trip");
        next.check().unwrap();
        assert!(requests <= 5, "delete; children, and a check: {requests}");
        guard = next;
    }
}

/// The turn in the queue, the lease, and the release of the turn.
#[tokio::test(start_paused = true)]
async fn a_lease_takes_three_round_trips() {
    for layout in [Layout::Default, Layout::Curator] {
        let (memory, zk) = distant().await;
        let semaphore = Semaphore::new(&zk, "/lock", 2).layout(layout);
        let (lease, requests, trips) = cost(&memory, semaphore.acquire()).await;
        // And one without a waiter, which removes the watch.
        assert_eq!((requests, trips), (6, 3), "{layout:?}");
        let (released, requests, trips) = cost(&memory, lease.unwrap().release()).await;
        released.unwrap();
        assert_eq!((requests, trips), (1, 1));
    }
}

/// A guard sends nothing until a renewal is due.
#[tokio::test(start_paused = true)]
async fn holding_costs_six_writes_a_timeout() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let guards = [
        Lock::new(&zk, "/a").acquire().await.unwrap(),
        Lock::new(&zk, "/b").acquire().await.unwrap(),
    ];
    let timeout = zk.session().timeout;
    let (before, written) = (received(&memory).await, memory.server.zxid().0);
    tokio::time::sleep(timeout * 10).await;
    let requests = received(&memory).await - before;
    let writes = memory.server.zxid().0 - written;
    // For all guards of the session, with as many pings of the client in between.
    assert!((55..=65).contains(&writes), "{writes} writes");
    assert!((110..=130).contains(&requests), "{requests} requests");
    let checks: Vec<_> = guards.iter().map(|guard| guard.check()).collect();
    assert_eq!(checks, [Ok(()), Ok(())]);
}

/// A window of nodes in each round trip.
#[tokio::test(start_paused = true)]
async fn a_cache_keeps_its_window_of_reads_full() {
    const NODES: u32 = 1_000;
    const WINDOW: u32 = 100;
    let (memory, zk) = distant().await;
    memory.server.faults().delay_replies(Duration::ZERO);
    zk.create("/app", "").await.unwrap();
    for n in 0..NODES {
        zk.create(&format!("/app/{n}"), "x").await.unwrap();
    }
    memory.server.faults().delay_replies(TRIP);
    let cache = TreeCache::builder(&zk, "/app")
        .window(usize::try_from(WINDOW).unwrap())
        .start();
    let (snapshot, requests, trips) = cost(&memory, cache.initialized()).await;
    assert_eq!(snapshot.unwrap().len(), 1_001);
    // The watch, a sync, the root, its children; and the nodes.
    assert_eq!(trips, 4 + NODES / WINDOW, "{requests} requests");
    assert_eq!(requests, 4 + u64::from(NODES));
}

/// The page of `DoubleBarrier` states these numbers.
#[tokio::test(start_paused = true)]
async fn a_double_barrier_takes_few_requests() {
    let (memory, zk) = distant().await;
    zk.ensure_path("/barrier").await.unwrap();
    let [first, last] = [(); 2].map(|()| DoubleBarrier::new(&zk, "/barrier", 2));
    let waits = start(async move { first.enter().await });
    until("it waits", || zk.statistics().watches == 1).await;
    let (last, requests, trips) = cost(&memory, last.enter()).await;
    assert_eq!((requests, trips), (4, 2), "create, exists, children; multi");
    let first = soon("the notification", waits).await.unwrap().unwrap();
    assert_eq!(memory.names("/barrier").len(), 3, "two members, ready");
    drop((first, last));
}

#[tokio::test(start_paused = true)]
async fn the_last_member_leaves_in_three_trips() {
    let (memory, zk) = distant().await;
    zk.ensure_path("/barrier").await.unwrap();
    let inside = DoubleBarrier::new(&zk, "/barrier", 1)
        .enter()
        .await
        .unwrap();
    let (left, requests, trips) = cost(&memory, inside.leave()).await;
    left.unwrap();
    assert_eq!((requests, trips), (3, 3), "children, delete, delete ready");
}

#[path = "../../examples/barriers.rs"]
#[allow(dead_code, unreachable_pub, reason = "the example is a program")]
mod example;

#[tokio::test]
async fn the_barriers_example_comes_to_its_end() {
    let server = server().start().await.unwrap();
    let hosts = address(&server);
    soon("the example", example::meet(&hosts)).await.unwrap();
    let paths = paths(&server);
    let example = |path: &&String| path.starts_with("/example/");
    let left: Vec<_> = paths.iter().filter(example).collect();
    assert_eq!(left, ["/example/round"], "no member, not ready, no barrier");
}

//! Semaphores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::common::{
    LAYOUTS, dropped_after, end_session, memory, soon, start, until, until_unwatched,
};
use tokio::task::JoinSet;
use zk_client::{ErrorCode, ErrorKind};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{Error, Layout, Semaphore};

fn leases(layout: Layout) -> &'static str {
    match layout {
        Layout::Kazoo => "/s",
        _ => "/s/leases",
    }
}

fn turns(layout: Layout) -> &'static str {
    match layout {
        Layout::Kazoo => "/s-__lock__",
        _ => "/s/locks",
    }
}

#[tokio::test(start_paused = true)]
async fn leases_are_limited_and_everyone_gets_one() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let held = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..8 {
            let (zk, held) = (memory.any().await, held.clone());
            workers.spawn(async move {
                let semaphore = Semaphore::new(&zk, "/s", 3).layout(layout);
                for _ in 0..10 {
                    let lease = semaphore.acquire().await.unwrap();
                    let others = held.fetch_add(1, Ordering::SeqCst);
                    assert!(others < 3, "{others} others hold leases");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    lease.check().unwrap();
                    held.fetch_sub(1, Ordering::SeqCst);
                    lease.release().await.unwrap();
                }
            });
        }
        while let Some(worker) = soon("the workers", workers.join_next()).await {
            worker.unwrap();
        }
        assert!(memory.names(leases(layout)).is_empty());
    }
}

/// Guards: A71, B98.
#[tokio::test(start_paused = true)]
async fn acquire_many_takes_all_or_none() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let semaphore = Semaphore::new(&zk, "/s", 3).layout(layout).identifier("a");
        let two = semaphore.acquire_many(2).await.unwrap();
        assert_ne!(two[0].path(), two[1].path());
        assert_eq!(semaphore.holders().await.unwrap().len(), 2);
        assert_eq!(semaphore.holders().await.unwrap()[0].identifier, "a");
        let others = Semaphore::new(&other, "/s", 3).layout(layout);
        let many = others.acquire_many(4).await;
        assert!(
            matches!(
                many,
                Err(Error::TooManyLeases {
                    requested: 4,
                    max: 3
                })
            ),
            "{many:?}"
        );
        // The leases of the failed attempt are returned, and the turn is passed on.
        let late = tokio::time::timeout(Duration::from_secs(1), others.acquire_many(2)).await;
        assert!(late.is_err());
        memory.until_names(leases(layout), 2).await;
        memory.until_names(turns(layout), 0).await;
        let third = soon("the third", others.try_acquire())
            .await
            .unwrap()
            .unwrap();
        assert!(others.try_acquire().await.unwrap().is_none());
        assert!(
            others
                .acquire_timeout(Duration::from_millis(100))
                .await
                .unwrap()
                .is_none()
        );
        memory.until_names(leases(layout), 3).await;
        drop(two);
        let two = soon("two", others.acquire_many(2)).await.unwrap();
        drop((two, third));
        memory.until_names(leases(layout), 0).await;
        until_unwatched(|| memory.server.watch_counts().child).await;
    }
}

/// CURATOR-335/462, kazoo a674322.
///
/// Guards: B98, D3.
#[tokio::test(start_paused = true)]
async fn a_dropped_acquire_leaves_no_lease() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let held = Semaphore::new(&other, "/s", 1)
            .layout(layout)
            .acquire()
            .await
            .unwrap();
        for polls in 1..80 {
            let semaphore = Semaphore::new(&zk, "/s", 1).layout(layout);
            let through = dropped_after(polls, semaphore.acquire()).await;
            assert!(!through, "there is none");
        }
        memory.until_names(leases(layout), 1).await;
        memory.until_names(turns(layout), 0).await;
        let watches = || memory.server.watch_counts();
        until_unwatched(|| watches().child + watches().data).await;
        held.release().await.unwrap();
    }
}

/// Guards: A71.
#[tokio::test(start_paused = true)]
async fn a_waiter_notices_a_higher_limit() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let semaphore = Semaphore::limit_at(&zk, "/s", "/limit");
    assert!(
        semaphore.try_acquire().await.unwrap().is_none(),
        "there are none yet"
    );
    let first = start({
        let semaphore = semaphore.clone();
        async move { semaphore.acquire().await.unwrap() }
    });
    until("it waits", || memory.names("/s/leases").len() == 1).await;
    zk.create("/limit", [0, 0, 0, 1]).await.unwrap();
    let first = soon("the first", first).await.unwrap();
    let second = start(async move { semaphore.acquire().await.unwrap() });
    until("it waits", || memory.names("/s/leases").len() == 2).await;
    zk.set("/limit", [0, 0, 0, 2]).await.unwrap();
    drop((soon("the second", second).await.unwrap(), first));
    zk.set("/limit", "two").await.unwrap();
    let refused = Semaphore::limit_at(&zk, "/s", "/limit").acquire().await;
    assert!(
        matches!(refused, Err(Error::LeaseCountMismatch { .. })),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_survives_its_session_not_a_lease() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let held = Semaphore::new(&other, "/s", 1)
            .layout(layout)
            .acquire()
            .await
            .unwrap();
        let semaphore = Semaphore::new(&zk, "/s", 1).layout(layout);
        let waiting = start(async move { semaphore.acquire().await.unwrap() });
        memory.until_names(turns(layout), 1).await;
        until("it watches", || memory.server.watch_counts().child > 0).await;
        end_session(&memory.server, &zk);
        end_session(&memory.server, &other);
        let lease = soon("the lease", waiting).await.unwrap();
        lease.check().unwrap();
        assert!(held.check().is_err());
        assert_eq!(memory.names(leases(layout)).len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn kazoos_lease_count_must_be_the_same() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let semaphore = |max| Semaphore::new(&zk, "/s", max).layout(Layout::Kazoo);
    drop(semaphore(2).acquire().await.unwrap());
    assert_eq!(zk.get("/s").await.unwrap().0, "2");
    let refused = semaphore(3).acquire().await;
    assert!(
        matches!(refused, Err(Error::LeaseCountMismatch { .. })),
        "{refused:?}"
    );
    let unsupported = Semaphore::limit_at(&zk, "/s", "/limit").layout(Layout::Kazoo);
    let refused = unsupported.acquire().await;
    assert!(matches!(refused, Err(Error::Unsupported(_))), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_waited_for_until_the_timeout() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let semaphore = Semaphore::new(&zk, "/s", 1);
    let timeout = Duration::from_secs(1);
    let lease = semaphore.acquire_timeout(timeout).await.unwrap().unwrap();
    let late = semaphore.acquire_timeout(timeout).await.unwrap();
    assert!(late.is_none());
    lease.release().await.unwrap();
    assert!(semaphore.acquire_timeout(timeout).await.unwrap().is_some());
}

/// A lease that is returned between the two reads is left out; other errors are reported.
#[tokio::test(start_paused = true)]
async fn holders_are_those_that_can_be_read() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let semaphore = Semaphore::new(&zk, "/s", 2).identifier("me");
    assert!(semaphore.holders().await.unwrap().is_empty());
    let _leases = semaphore.acquire_many(2).await.unwrap();
    let faults = memory.server.faults();
    faults.rule(on(OpCode::GetData).then(Action::Refuse(ErrorCode::NoNode)));
    assert_eq!(semaphore.holders().await.unwrap().len(), 1);
    for op in [OpCode::GetData, OpCode::GetChildren2] {
        faults.rule(on(op).then(Action::Refuse(ErrorCode::NoAuth)));
        let error = semaphore.holders().await.unwrap_err();
        assert_eq!(error.kind(), Some(ErrorKind::NoAuth), "{op:?}");
    }
    assert_eq!(semaphore.holders().await.unwrap().len(), 2);
}

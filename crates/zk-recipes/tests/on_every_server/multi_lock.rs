//! Several locks of several kinds, and several leases.

use super::common::{LAYOUTS, at, memory, soon, start, until};
use zk_recipes::{Error, GuardLost, Layout, Lock, MultiLock, ReadLock, Semaphore, WriteLock};

#[tokio::test(start_paused = true)]
async fn a_multi_lock_has_locks_of_all_kinds() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let all = |zk| {
        MultiLock::new([Lock::new(zk, "/d")])
            .and(ReadLock::new(zk, "/c"))
            .and(Semaphore::new(zk, "/b", 1))
            .and(WriteLock::new(zk, "/a"))
            .and(Semaphore::new(zk, "/b", 1))
    };
    let guard = all(&zk).acquire().await.unwrap();
    let paths: Vec<_> = guard
        .guards()
        .iter()
        .map(|guard| &guard.path()[..2])
        .collect();
    assert_eq!(paths, ["/a", "/b", "/c", "/d"]);
    guard.check().unwrap();
    let reader = ReadLock::new(&other, "/c").try_acquire().await.unwrap();
    assert!(reader.is_some(), "readers share");
    drop(reader);
    assert!(
        Semaphore::new(&other, "/b", 1)
            .try_acquire()
            .await
            .unwrap()
            .is_none()
    );
    assert!(all(&other).try_acquire().await.unwrap().is_none());
    let waiting = start({
        let all = all(&other);
        async move { all.acquire().await.unwrap() }
    });
    memory.until_names("/a", 2).await;
    guard.release().await.unwrap();
    let next = soon("the next", waiting).await.unwrap();
    next.release_shared().await.unwrap();
    for parent in ["/a", "/b/leases", "/b/locks", "/c", "/d"] {
        memory.until_names(parent, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn two_sides_of_one_lock_are_an_error() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let sides = MultiLock::new([ReadLock::new(&zk, "/rw")]).and(WriteLock::new(&zk, "/rw"));
    let refused = soon("the error", sides.acquire()).await;
    assert!(matches!(refused, Err(Error::ConflictingOptions { path }) if path == at("/rw")));
    // The queue of a semaphore is at the path of a lock.
    let both = MultiLock::new([Semaphore::new(&zk, "/s", 1)]).and(Lock::new(&zk, "/s/locks"));
    let refused = soon("the error", both.acquire()).await;
    assert!(matches!(refused, Err(Error::ConflictingOptions { path }) if path == at("/s/locks")));
    let counts = [1, 2].map(|max| Semaphore::new(&zk, "/s", max));
    let refused = soon("the error", MultiLock::new(counts).acquire()).await;
    assert!(matches!(refused, Err(Error::ConflictingOptions { .. })));
}

/// Of two sessions of one ensemble: the second finds the lease of the first.
#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_once_in_two_sessions() {
    for layout in [Layout::Default, Layout::Kazoo] {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let both = [&zk, &other].map(|zk| Semaphore::new(zk, "/s", 3).layout(layout));
        let guard = soon("a lease", MultiLock::new(both).acquire())
            .await
            .unwrap();
        assert_eq!(guard.guards().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn the_lost_guards_of_several_are_named() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let locks = [
        Lock::new(&zk, "/a"),
        Lock::new(&other, "/b"),
        Lock::new(&zk, "/c"),
    ];
    let guard = MultiLock::new(locks).acquire().await.unwrap();
    assert_eq!(guard.lost_guards().count(), 0);
    memory.server.expire_session(other.session().id);
    let lost = soon("the loss", guard.lost()).await;
    assert_eq!(lost, GuardLost::SessionEnded);
    let lost: Vec<_> = guard
        .lost_guards()
        .map(|guard| &guard.path()[..2])
        .collect();
    assert_eq!(lost, ["/b"]);
    // The others are held until the guard is dropped.
    assert!(
        Lock::new(&other, "/a")
            .try_acquire()
            .await
            .unwrap()
            .is_none()
    );
    drop(guard);
    memory.until_names("/a", 0).await;
}

#[tokio::test(start_paused = true)]
async fn several_leases_are_tried_at_once() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let semaphore = |zk| Semaphore::new(zk, "/s", 3).layout(layout);
        let two = semaphore(&zk).try_acquire_many(2).await.unwrap().unwrap();
        assert_eq!(two.len(), 2);
        assert!(
            semaphore(&other)
                .try_acquire_many(2)
                .await
                .unwrap()
                .is_none()
        );
        let late = std::time::Duration::from_millis(100);
        let none = semaphore(&other)
            .acquire_many_timeout(2, late)
            .await
            .unwrap();
        assert!(none.is_none());
        let one = soon("one", semaphore(&other).acquire_many_timeout(1, late)).await;
        assert_eq!(one.unwrap().unwrap().len(), 1);
        drop(two);
        let free = if layout == Layout::Kazoo {
            "/s"
        } else {
            "/s/leases"
        };
        memory.until_names(free, 0).await;
    }
}

/// Each acquisition is a contender of its own.
#[tokio::test(start_paused = true)]
async fn a_lock_is_not_re_entrant() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let lock = Lock::new(&zk, "/lock");
    let held = lock.acquire().await.unwrap();
    assert!(lock.try_acquire().await.unwrap().is_none());
    let again = tokio::time::timeout(std::time::Duration::from_secs(30), lock.acquire()).await;
    assert!(again.is_err());
    until("it has left", || memory.names("/lock").len() == 1).await;
    held.check().unwrap();
}

//! Paths that the recipes refuse.

use std::num::NonZeroU32;
use std::time::Duration;

use super::common::{LAYOUTS, memory, received, soon};
use zk_client::{Client, ErrorKind, Outcome};
use zk_recipes::{
    AtomicInteger, AtomicLong, AtomicValue, Barrier, CacheError, ChildrenWatch, Counter, DataWatch,
    DoubleBarrier, Election, Error, IdBlocks, LeaderLatch, Lock, MultiLock, PatientChildrenWatch,
    ReadLock, Semaphore, SharedCount, SharedValue, TreeCache, WriteLock,
};

const INVALID: [&str; 10] = [
    "", "a", "a/b", "/a/", "//", "/a//b", "/a/../b", "/a/.", "/a\0", "/rs/",
];

fn assert_invalid<T>(path: &str, what: &str, result: Result<T, Error>) {
    let error = match result {
        Err(Error::Client(error)) => error,
        Err(error) => panic!("{what} at {path:?}: {error}"),
        Ok(_) => panic!("{what} at {path:?} is done"),
    };
    let found = (error.kind(), error.outcome());
    let expected = (ErrorKind::InvalidPath, Outcome::NotSent);
    assert_eq!(found, expected, "{what} at {path:?}: {error}");
    assert!(error.to_string().contains(&format!("{path:?}")), "{error}");
}

/// The operations on znodes that the recipe creates and deletes.
async fn writers_refuse(zk: &Client, path: &str) {
    let check = |what: &str, result| assert_invalid(path, what, result);
    for layout in LAYOUTS {
        let lock = Lock::new(zk, path).layout(layout);
        check("lock", lock.acquire().await.map(drop));
        check("lock", lock.clone().persistent().acquire().await.map(drop));
        check("lock", lock.try_acquire().await.map(drop));
        check(
            "lock",
            lock.acquire_timeout(Duration::from_secs(1)).await.map(drop),
        );
        check("contenders", lock.contenders().await.map(drop));
        let others = [Lock::new(zk, "/fine"), lock];
        check(
            "several",
            MultiLock::new(others.clone()).acquire().await.map(drop),
        );
        check(
            "several",
            MultiLock::new(others).try_acquire().await.map(drop),
        );
        let (read, write) = (ReadLock::new(zk, path), WriteLock::new(zk, path));
        check("reader", read.layout(layout).acquire().await.map(drop));
        check("writer", write.layout(layout).acquire().await.map(drop));
        let election = Election::new(zk, path).layout(layout);
        check("election", election.campaign().await.map(drop));
        check("election", election.try_campaign().await.map(drop));
        check("election", election.lead(|_| async {}).await);
        check("leader", election.leader().await.map(drop));
        let leader = soon("the error", election.observe().next()).await.unwrap();
        check("leaders", leader.map(drop));
        let semaphore = Semaphore::new(zk, path, 2).layout(layout);
        check("semaphore", semaphore.acquire().await.map(drop));
        check("semaphore", semaphore.try_acquire().await.map(drop));
        check("semaphore", semaphore.acquire_many(2).await.map(drop));
        check("holders", semaphore.holders().await.map(drop));
    }
    let limited = Semaphore::limit_at(zk, path, "/limit");
    check("semaphore", limited.acquire().await.map(drop));
    let latch = LeaderLatch::new(zk, path);
    check("latch", latch.leadership().await.map(drop));
    check("participants", latch.participants().await.map(drop));
    let barrier = Barrier::new(zk, path);
    check("barrier", barrier.close().await);
    check("barrier", barrier.open().await);
    check("barrier", barrier.wait().await);
    let double = DoubleBarrier::new(zk, path, 2);
    check("double barrier", double.enter().await.map(drop));
    counters_refuse(zk, path).await;
}

async fn counters_refuse(zk: &Client, path: &str) {
    let check = |what: &str, result| assert_invalid(path, what, result);
    let text = Counter::new(zk, path);
    check("counter", text.increment().await.map(drop));
    let float = Counter::float(zk, path);
    check("counter", float.add(0.5).await.map(drop));
    let long = AtomicLong::new(zk, path);
    check("long", long.increment().await.map(drop));
    check("long", long.set(1).await.map(drop));
    check("long", long.compare_and_set(0, 1).await.map(drop));
    let int = AtomicInteger::new(zk, path);
    check("integer", int.update(Some).await.map(drop));
    let value = AtomicValue::new(zk, path);
    check("value", value.initialize("a").await.map(drop));
    check("value", value.set("a").await.map(drop));
    check("value", value.compare_and_set("a", "b").await.map(drop));
    check(
        "shared value",
        SharedValue::new(zk, path, "").set("a").await.map(drop),
    );
    check(
        "shared count",
        SharedCount::new(zk, path, 1).get().await.map(drop),
    );
    let ids = IdBlocks::new(zk, path, NonZeroU32::MIN);
    check("ids", ids.next().await.map(drop));
    check("ids", ids.reserve().await.map(drop));
}

/// The operations that only read.
async fn readers_refuse(zk: &Client, path: &str) {
    let data = soon("the error", DataWatch::new(zk, path).next()).await;
    assert_invalid(path, "data", data.unwrap().map(drop));
    let names = soon("the error", ChildrenWatch::new(zk, path).next()).await;
    assert_invalid(path, "children", names.unwrap().map(drop));
    let mut patient = PatientChildrenWatch::new(zk, path, Duration::ZERO);
    let names = soon("the error", patient.next()).await;
    assert_invalid(path, "children", names.unwrap().map(drop));
    let limit = Semaphore::limit_at(zk, "/fine", path).acquire().await;
    assert_invalid(path, "limit", limit.map(drop));
    for one_shot in [true, false] {
        let builder = TreeCache::builder(zk, path);
        let cache = match one_shot {
            true => builder.one_shot_watches().start(),
            false => builder.start(),
        };
        let Err(CacheError::Client(error)) = soon("the error", cache.initialized()).await else {
            panic!("a cache of {path:?}");
        };
        assert_eq!(error.kind(), ErrorKind::InvalidPath);
        assert_eq!(error.outcome(), Outcome::NotSent);
    }
}

/// Guards: P39.
#[tokio::test(start_paused = true)]
async fn invalid_paths_are_refused_at_once() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    for zk in [zk.clone(), zk.chroot("/app").unwrap()] {
        let before = (received(&memory).await, memory.server.paths());
        for path in INVALID {
            writers_refuse(&zk, path).await;
            readers_refuse(&zk, path).await;
        }
        let after = (received(&memory).await, memory.server.paths());
        assert_eq!(after, before);
    }
}

/// Guards: P39.
#[tokio::test(start_paused = true)]
async fn recipes_refuse_the_ensembles_root() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let before = (received(&memory).await, memory.server.paths());
    writers_refuse(&zk, "/").await;
    let after = (received(&memory).await, memory.server.paths());
    assert_eq!(after, before);
    // The root can be read, and the root of a chroot is a znode like any other.
    assert!(
        soon("the data", DataWatch::new(&zk, "/").next())
            .await
            .unwrap()
            .is_ok()
    );
    assert!(
        soon("the tree", TreeCache::new(&zk, "/").initialized())
            .await
            .is_ok()
    );
    let app = zk.chroot("/app").unwrap();
    let guard = soon("the lock", Lock::new(&app, "/").acquire())
        .await
        .unwrap();
    assert_eq!(memory.names("/app").len(), 1);
    guard.release().await.unwrap();
}

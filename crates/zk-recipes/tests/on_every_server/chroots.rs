//! Recipes that meet at one znode through different roots, and at one path of different ensembles.

use std::time::Duration;

use super::common::{LAYOUTS, memory, now, soon, start, until};
use zk_client::Client;
use zk_recipes::{
    Barrier, CacheEvent, ChildrenState, ChildrenWatch, DataState, DataWatch, Election, Error, Lock,
    MultiLock, ReadLock, Semaphore, TreeCache, WriteLock,
};

/// Handles to one znode, `/a/b/c`, through every root above it, and the path from there.
fn handles(zk: &Client) -> [(Client, &'static str); 4] {
    let below = |root: &str, rest| (zk.chroot(root).unwrap(), rest);
    [
        (zk.clone(), "/a/b/c"),
        below("/a", "/b/c"),
        // Nested.
        (below("/a", "").0.chroot("/b").unwrap(), "/c"),
        below("/a/b/c", "/"),
    ]
}

async fn is_free(zk: &Client, path: &str) -> bool {
    Lock::new(zk, path).try_acquire().await.unwrap().is_some()
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn a_multi_lock_distinguishes_chroots() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let (a, b) = (zk.chroot("/a").unwrap(), zk.chroot("/b").unwrap());
    let locks = [Lock::new(&a, "/l"), Lock::new(&b, "/l")];
    let guard = soon("both", MultiLock::new(locks).acquire()).await.unwrap();
    assert_eq!(guard.guards().len(), 2);
    assert!(!is_free(&other, "/a/l").await && !is_free(&other, "/b/l").await);
    guard.release().await.unwrap();
    assert!(is_free(&other, "/a/l").await && is_free(&other, "/b/l").await);
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn a_multi_lock_takes_one_znode_once() {
    let memory = memory(3).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    for own in handles(&zk) {
        // Of one session, and of two of one ensemble.
        for twin in handles(&zk).into_iter().chain(handles(&other)) {
            let both = [&own, &twin].map(|(zk, path)| Lock::new(zk, path));
            let guard = soon("one lock", MultiLock::new(both.clone()).acquire()).await;
            assert_eq!(guard.unwrap().guards().len(), 1);
            memory.until_names("/a/b/c", 0).await;
            let tried = MultiLock::new(both).try_acquire().await.unwrap();
            assert_eq!(tried.unwrap().guards().len(), 1);
            memory.until_names("/a/b/c", 0).await;
        }
    }
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn one_znode_with_two_options_is_an_error() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    for (twin, path) in handles(&zk).into_iter().chain(handles(&other)) {
        let locks = [
            Lock::new(&zk, "/a/b/c"),
            Lock::new(&twin, path).identifier("another"),
        ];
        let refused = soon("the error", MultiLock::new(locks).acquire()).await;
        let Err(Error::ConflictingOptions { path }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(path, "/a/b/c");
        memory.until_names("/a/b/c", 0).await;
    }
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn a_multi_lock_distinguishes_ensembles() {
    // The same history, up to the zxids.
    let (one, two) = (memory(1).await, memory(1).await);
    let (zk_one, zk_two) = (one.any().await, two.any().await);
    let (other_one, other_two) = (one.any().await, two.any().await);
    for _ in 0..2 {
        let locks = [Lock::new(&zk_one, "/l"), Lock::new(&zk_two, "/l")];
        let guard = soon("both", MultiLock::new(locks).acquire()).await.unwrap();
        assert_eq!(guard.guards().len(), 2);
        assert!(!is_free(&other_one, "/l").await && !is_free(&other_two, "/l").await);
        let again = MultiLock::new([Lock::new(&other_two, "/l"), Lock::new(&other_one, "/l")]);
        assert!(again.try_acquire().await.unwrap().is_none());
        guard.release().await.unwrap();
        let second = Lock::new(&other_one, "/l").acquire().await.unwrap();
        let started = now();
        assert!(again.try_acquire().await.unwrap().is_none());
        assert!(now() - started < Duration::from_millis(1), "no backoff");
        second.release().await.unwrap();
        assert!(is_free(&other_one, "/l").await && is_free(&other_two, "/l").await);
    }
}

/// Each program acquires its locks this many times, and gets them whatever names the others use.
async fn all_get_their_turn(programs: Vec<Vec<Lock>>) {
    let programs: Vec<_> = programs
        .into_iter()
        .map(|locks| {
            start(async move {
                for _ in 0..20 {
                    let distinct = locks.len();
                    let guard = MultiLock::new(locks.clone()).acquire().await.unwrap();
                    assert_eq!(guard.guards().len(), distinct);
                    tokio::task::yield_now().await;
                    guard.check().unwrap();
                    guard.release().await.unwrap();
                }
            })
        })
        .collect();
    for program in programs {
        soon("a program's turns", program).await.unwrap();
    }
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn different_chroots_do_not_deadlock() {
    let memory = memory(1).await;
    let mut programs = Vec::new();
    for _ in 0..2 {
        let zk = memory.any().await;
        let lock = |root: &str, path: &str| Lock::new(&zk.chroot(root).unwrap(), path);
        programs.push(vec![lock("/", "/a/z"), lock("/", "/b/c")]);
        programs.push(vec![lock("/b", "/c"), lock("/a", "/z")]);
        programs.push(vec![lock("/b/c", "/"), lock("/", "/a/z")]);
    }
    all_get_their_turn(programs).await;
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn different_ensembles_do_not_deadlock() {
    let (one, two, three) = (memory(1).await, memory(1).await, memory(1).await);
    let mut programs = Vec::new();
    for turn in 0..4 {
        let clients = [one.any().await, two.any().await, three.any().await];
        let mut locks: Vec<_> = clients.iter().map(|zk| Lock::new(zk, "/l")).collect();
        locks.rotate_left(turn % 3);
        locks.push(Lock::new(&clients[turn % 3], "/k"));
        programs.push(locks);
    }
    all_get_their_turn(programs).await;
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn locks_meet_through_every_chroot() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        for (own, at) in handles(&zk) {
            let lock = Lock::new(&own, at).layout(layout).acquire().await.unwrap();
            for (twin, path) in handles(&other) {
                let tried = Lock::new(&twin, path).layout(layout).try_acquire().await;
                assert!(tried.unwrap().is_none());
                let contenders = Lock::new(&twin, path).layout(layout).contenders().await;
                assert_eq!(contenders.unwrap()[0].token, lock.token());
                let leader = Election::new(&twin, path).layout(layout).leader().await;
                assert_eq!(leader.unwrap().unwrap().token, lock.token());
            }
            lock.release().await.unwrap();
            let writer = WriteLock::new(&own, at).layout(layout).acquire().await;
            for (twin, path) in handles(&other) {
                let tried = ReadLock::new(&twin, path)
                    .layout(layout)
                    .try_acquire()
                    .await;
                assert!(tried.unwrap().is_none());
            }
            writer.unwrap().release().await.unwrap();
        }
    }
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn semaphores_meet_through_every_chroot() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        for (own, at) in handles(&zk) {
            let semaphore = Semaphore::new(&own, at, 1).layout(layout);
            let lease = match semaphore.acquire().await {
                Ok(lease) => lease,
                // The queue would be a sibling of the root of the handle.
                Err(Error::Client(error)) if at == "/" => {
                    assert_eq!(error.kind(), zk_client::ErrorKind::InvalidPath);
                    assert_eq!(layout, zk_recipes::Layout::Kazoo);
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            for (twin, path) in handles(&other) {
                let twin = Semaphore::new(&twin, path, 1).layout(layout);
                let tried = twin.try_acquire().await;
                assert!(!matches!(tried, Ok(Some(_))), "{at} and {path}");
            }
            lease.release().await.unwrap();
        }
    }
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn caches_name_nodes_below_their_own_root() {
    for one_shot in [false, true] {
        let memory = memory(1).await;
        let (zk, admin) = (memory.any().await, memory.any().await);
        admin.ensure_path("/a/b/c/d").await.unwrap();
        // Outside of the tree, with the path of its root as a prefix.
        admin.ensure_path("/a/b/cc/d").await.unwrap();
        let mut caches = Vec::new();
        for (handle, path) in handles(&zk) {
            let builder = TreeCache::builder(&handle, path);
            let cache = match one_shot {
                true => builder.one_shot_watches().start(),
                false => builder.start(),
            };
            let below = |name: &str| format!("{}/{name}", path.trim_end_matches('/'));
            let tree = soon("the tree", cache.initialized()).await.unwrap();
            let held: Vec<_> = tree.iter().map(|(path, _)| path).collect();
            assert_eq!(held, [path.to_owned(), below("d")]);
            let (_, events) = cache.subscribe().unwrap();
            caches.push((cache, events, below("d"), below("e")));
        }
        admin.delete("/a/b/cc/d").await.unwrap();
        admin.create("/a/b/c/e", "new").await.unwrap();
        admin.delete("/a/b/c/d").await.unwrap();
        for (_cache, events, gone, new) in &mut caches {
            let mut seen = Vec::new();
            while seen.len() < 2 {
                match soon("the change", events.next()).await.unwrap().unwrap() {
                    CacheEvent::Added { path, .. } | CacheEvent::Removed { path, .. } => {
                        seen.push(path);
                    }
                    event => panic!("{event:?}"),
                }
            }
            seen.sort();
            assert_eq!(seen, [gone.clone(), new.clone()]);
        }
    }
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn watches_through_chroots_end_one_by_one() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    admin.ensure_path("/a/b/c").await.unwrap();
    let mut watches = Vec::new();
    for (handle, path) in handles(&zk) {
        let mut watch = DataWatch::new(&handle, path);
        assert!(soon("the data", watch.next()).await.unwrap().is_ok());
        watches.push(watch);
    }
    while let Some(gone) = watches.pop() {
        drop(gone);
        let text = format!("{} are left", watches.len());
        admin.set("/a/b/c", &text).await.unwrap();
        for watch in &mut watches {
            let state = soon("the change", watch.next()).await.unwrap().unwrap();
            assert!(matches!(state, DataState::Present { data, .. } if data == text));
        }
    }
    until("no watch is left", || {
        memory.server.watch_counts().data == 0
    })
    .await;
}

/// Guards: H3.
#[tokio::test(start_paused = true)]
async fn watches_see_a_znode_through_every_chroot() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    zk.ensure_path("/a/b").await.unwrap();
    for (own, at) in handles(&zk) {
        own.create(at, "new").await.unwrap();
        own.create(&format!("{}/d", at.trim_end_matches('/')), "")
            .await
            .unwrap();
        for (twin, path) in handles(&other) {
            let mut data = DataWatch::new(&twin, path);
            let state = soon("the data", data.next()).await.unwrap().unwrap();
            assert!(matches!(state, DataState::Present { data, .. } if data == "new"));
            let mut children = ChildrenWatch::new(&twin, path);
            let state = soon("the names", children.next()).await.unwrap().unwrap();
            assert!(matches!(state, ChildrenState::Present { names, .. } if names == ["d"]));
            let tree = TreeCache::new(&twin, path).initialized().await.unwrap();
            assert_eq!(tree.get(path).unwrap().data, "new");
            assert_eq!(tree.len(), 2);
            Barrier::new(&own, at).close().await.unwrap();
        }
        zk.delete("/a/b/c").recursive().await.unwrap();
        let (twin, path) = &handles(&other)[3];
        soon("the opening", Barrier::new(twin, path).wait())
            .await
            .unwrap();
    }
}

//! The recipes on servers with fewer operations than Apache ZooKeeper 3.9, imitated by the embedded
//! server, on a paused clock.

use std::time::Duration;

use super::closing::Closing;
use super::common::{self, LAYOUTS, Memory, memory, memory_with, soon, start, until};
use zk_client::{BackoffPolicy, Client, ErrorCode, ErrorKind, WatchEvent, WatchMode};
use zk_embedded::fault::{Action, on};
use zk_embedded::{Pose, Server};
use zk_proto::OpCode;
use zk_recipes::{
    Barrier, CacheEvent, CacheEvents, ChildrenState, ChildrenWatch, DataState, DataWatch, Election,
    GuardLost, Layout, Lock, LockGuard, MultiLock, PatientChildrenWatch, ReadLock, Semaphore,
    TreeCache, WriteLock,
};

/// A server with fewer operations than others.
struct World {
    name: String,
    memory: Memory,
    /// The lasting watches that it has.
    watches: &'static [WatchMode],
    /// It ends the session on a request that it does not have, without an error.
    closes: bool,
}

impl World {
    async fn of(pose: Pose) -> World {
        World {
            name: pose.name().to_owned(),
            memory: memory_with(Server::builder().pose(pose)).await,
            watches: match pose {
                Pose::V3_4 | Pose::V3_5 | Pose::KeeperOld => &[],
                // Recursive watches do not report which znode has changed.
                Pose::KeeperNew => &[WatchMode::Persistent],
                _ => &[WatchMode::Persistent, WatchMode::PersistentRecursive],
            },
            closes: false,
        }
    }

    async fn closing() -> World {
        World {
            name: "closing".to_owned(),
            memory: memory(1).await,
            watches: &[],
            closes: true,
        }
    }

    async fn client(&self) -> Client {
        if !self.closes {
            return self.memory.any().await;
        }
        let builder = Client::builder("closing:1").backoff(BackoffPolicy::new(
            Duration::from_millis(2),
            Duration::from_millis(20),
        ));
        let closing = Closing(self.memory.server.clone());
        builder.dial(closing).connect().await.unwrap()
    }
}

/// Runs a scenario twice with the same client in each world. It costs no session, except for the first
/// request of each kind where only the end of the session shows that the server lacks it.
async fn everywhere(scenario: impl AsyncFn(&World, &Client, &str)) {
    let mut worlds = vec![World::closing().await];
    for &pose in Pose::ALL {
        worlds.push(World::of(pose).await);
    }
    for world in worlds {
        let zk = world.client().await;
        if world.closes {
            soon("the lesson", teach(&zk)).await;
        }
        let sessions = zk.statistics().sessions;
        for root in ["/first", "/second"] {
            soon(&world.name, scenario(&world, &zk, root)).await;
            assert_eq!(zk.statistics().sessions, sessions, "{}", world.name);
        }
        zk.close().await.unwrap();
    }
}

/// Has a client find out which operations its server lacks, at the cost of one session for each.
async fn teach(zk: &Client) {
    // It may fail with a typed error or with the end of the session.
    zk.create("/taught", "").await.ok();
    zk.connected().await.unwrap();
    zk.create("/taught/c", "").container().await.ok();
    zk.connected().await.unwrap();
    zk.watch("/", WatchMode::Persistent).await.ok();
    zk.connected().await.unwrap();
    drop(zk.exists("/").watch().await);
    zk.sync("/").await.ok();
    zk.connected().await.unwrap();
    let sessions = zk.statistics().sessions;
    assert!((2..=5).contains(&sessions), "{sessions}");
}

/// Guards: P1.
#[tokio::test(start_paused = true)]
async fn znodes_of_every_kind_are_created() {
    everywhere(async |_, zk, root| {
        let at = |name| format!("{root}/{name}");
        zk.ensure_path(root).await.unwrap();
        let plain = zk.create(&at("a"), "1").await.unwrap();
        assert_eq!((plain.path, plain.stat.version), (at("a"), 0));
        let deep = zk.create(&at("b/c/d"), "2").parents().await.unwrap();
        assert_eq!(zk.exists(&at("b/c/d")).await.unwrap(), Some(deep.stat));
        let held = zk.create(&at("e"), "").ephemeral().await.unwrap();
        assert_eq!(held.stat.owner(), Some(zk.session().id));
        let numbered = zk.create(&at("n-"), "").sequential().await.unwrap();
        assert!(numbered.path.starts_with(&at("n-")), "{numbered:?}");
        let path = at("p-");
        let marked = zk.create(&path, "").sequential().ephemeral();
        let marked = marked.protected().await.unwrap();
        assert_eq!(marked.stat.owner(), Some(zk.session().id));
        zk.ensure_path(&at("k/l")).container().await.unwrap();
        let exists = zk.create(&at("a"), "").await.unwrap_err();
        assert_eq!(exists.kind(), ErrorKind::NodeExists);
        zk.delete(root).recursive().await.unwrap();
    })
    .await;
}

/// Guards: P2.
#[tokio::test(start_paused = true)]
async fn a_dropped_watch_costs_no_guard() {
    everywhere(async |world, zk, root| {
        zk.ensure_path(root).await.unwrap();
        let lock = Lock::new(zk, &format!("{root}/locks/l"));
        let guard = lock.acquire().await.unwrap();
        drop(zk.children(root).watch().await.unwrap());
        drop(zk.exists(&format!("{root}/none")).watch().await.unwrap());
        let mut data = DataWatch::new(zk, root);
        soon(&world.name, data.next()).await.unwrap().unwrap();
        drop(data);
        // Longer than a session without renewals.
        tokio::time::sleep(zk.session().timeout * 2).await;
        guard.check().unwrap();
        guard.fenced().set(root, "written").commit().await.unwrap();
        guard.release().await.unwrap();
    })
    .await;
}

/// Guards: P4.
#[tokio::test(start_paused = true)]
async fn a_lock_below_no_parent_is_passed_on() {
    everywhere(async |world, zk, root| {
        for layout in LAYOUTS {
            let path = format!("{root}/new/{layout:?}");
            let other = world.client().await;
            let lock = |zk: &Client| Lock::new(zk, &path).layout(layout);
            let first: LockGuard = lock(zk).acquire().await.unwrap();
            let second = lock(&other);
            let waiting = start(async move { second.acquire().await.unwrap() });
            world.memory.until_names(&path, 2).await;
            assert!(lock(zk).try_acquire().await.unwrap().is_none());
            let token = first.token();
            first.release().await.unwrap();
            let second = soon(&world.name, waiting).await.unwrap();
            assert!(second.token() > token);
            second.check().unwrap();
            second.release().await.unwrap();
            assert!(world.memory.names(&path).is_empty());
            other.close().await.unwrap();
        }
    })
    .await;
}

/// Guards: P4.
#[tokio::test(start_paused = true)]
async fn locks_of_every_kind_are_acquired() {
    everywhere(async |world, zk, root| {
        let at = |name: &str| format!("{root}/kinds/{name}");
        let several = ["b", "a"].map(|name| Lock::new(zk, &at(name)));
        let several = MultiLock::new(several).acquire().await.unwrap();
        several.check().unwrap();
        several.release().await.unwrap();
        for layout in LAYOUTS {
            let path = at(&format!("rw-{layout:?}"));
            let readers = ReadLock::new(zk, &path).layout(layout);
            let one = readers.acquire().await.unwrap();
            readers.acquire().await.unwrap().release().await.unwrap();
            let writers = WriteLock::new(zk, &path).layout(layout);
            assert!(writers.try_acquire().await.unwrap().is_none());
            one.release().await.unwrap();
            let writer = writers.acquire().await.unwrap();
            if layout == Layout::Kazoo {
                writer.release().await.unwrap();
            } else {
                let reader = writer.downgrade().await.unwrap();
                readers.acquire().await.unwrap().release().await.unwrap();
                reader.release().await.unwrap();
            }
            let path = at(&format!("s-{layout:?}"));
            let semaphore = Semaphore::new(zk, &path, 2).layout(layout);
            let leases = semaphore.acquire_many(2).await.unwrap();
            assert!(semaphore.try_acquire().await.unwrap().is_none());
            let waiting = semaphore.clone();
            let third = start(async move { waiting.acquire().await.unwrap() });
            tokio::time::sleep(Duration::from_millis(50)).await;
            for lease in leases {
                lease.release().await.unwrap();
            }
            let third = soon(&world.name, third).await.unwrap();
            third.check().unwrap();
            third.release().await.unwrap();
        }
        let barrier = Barrier::new(zk, &at("barrier"));
        barrier.close().await.unwrap();
        let passing = barrier.clone();
        let passing = start(async move { passing.wait().await.unwrap() });
        barrier.open().await.unwrap();
        soon(&world.name, passing).await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_followed() {
    everywhere(async |world, zk, root| {
        let path = format!("{root}/el/ection");
        let other = world.client().await;
        let mut leaders = Election::new(&other, &path).observe();
        let mut seen = async || {
            let next = soon(&world.name, leaders.next()).await;
            next.unwrap().unwrap().map(|leader| leader.identifier)
        };
        assert_eq!(seen().await, None);
        let one = Election::new(zk, &path).identifier("one");
        let one = one.campaign().await.unwrap();
        assert_eq!(seen().await.unwrap(), "one");
        let two = Election::new(&other, &path).identifier("two");
        let two = start(async move { two.campaign().await.unwrap() });
        world.memory.until_names(&path, 2).await;
        one.resign().await.unwrap();
        let two = soon(&world.name, two).await.unwrap();
        assert_eq!(seen().await.unwrap(), "two");
        two.check().unwrap();
        two.resign().await.unwrap();
    })
    .await;
}

/// Guards: P5.
#[tokio::test(start_paused = true)]
async fn deleted_children_are_seen() {
    everywhere(async |world, zk, root| {
        for name in ["a", "b", "c"] {
            let path = format!("{root}/{name}");
            zk.create(&path, "").parents().await.unwrap();
        }
        let mut children = ChildrenWatch::new(zk, root);
        let rest = Duration::from_secs(1);
        let mut patient = PatientChildrenWatch::new(zk, root, rest);
        let names = |state: ChildrenState| match state {
            ChildrenState::Present { names, .. } => names.join(","),
            ChildrenState::Absent => "absent".to_owned(),
        };
        let mut expect = async |expected: &str| {
            let state = soon(&world.name, children.next()).await;
            assert_eq!(names(state.unwrap().unwrap()), expected, "{}", world.name);
            let state = soon(&world.name, patient.next()).await;
            assert_eq!(names(state.unwrap().unwrap()), expected, "{}", world.name);
        };
        expect("a,b,c").await;
        zk.delete(&format!("{root}/a")).await.unwrap();
        expect("b,c").await;
        zk.delete(&format!("{root}/b")).await.unwrap();
        expect("c").await;
        zk.create(&format!("{root}/d"), "").await.unwrap();
        expect("c,d").await;
        zk.delete(root).recursive().await.unwrap();
        expect("absent").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn data_are_followed() {
    everywhere(async |world, zk, root| {
        let mut data = DataWatch::new(zk, root);
        let mut expect = async |expected: Option<&str>| {
            let state = soon(&world.name, data.next()).await.unwrap().unwrap();
            let found = match &state {
                DataState::Present { data, .. } => Some(&data[..]),
                DataState::Absent => None,
            };
            assert_eq!(found, expected.map(str::as_bytes), "{}", world.name);
        };
        expect(None).await;
        zk.create(root, "1").await.unwrap();
        expect(Some("1")).await;
        zk.set(root, "2").await.unwrap();
        expect(Some("2")).await;
        zk.delete(root).await.unwrap();
        expect(None).await;
    })
    .await;
}

/// The next event that is about a node.
async fn change(events: &mut CacheEvents) -> String {
    loop {
        match events.next().await.unwrap().unwrap() {
            CacheEvent::Added { path, .. } => return format!("+{path}"),
            CacheEvent::Changed { path, .. } => return format!("*{path}"),
            CacheEvent::Removed { path, .. } => return format!("-{path}"),
            _ => {}
        }
    }
}

/// Guards: P3.
#[tokio::test(start_paused = true)]
async fn a_tree_is_cached() {
    everywhere(async |world, zk, root| {
        zk.create(&format!("{root}/a/b"), "")
            .parents()
            .await
            .unwrap();
        let mut caches = Vec::new();
        // Two at once, and one more after the client has found out what the server lacks.
        for round in [2, 1] {
            let started: Vec<_> = (0..round).map(|_| TreeCache::new(zk, root)).collect();
            for cache in started {
                let tree = soon(&world.name, cache.initialized()).await.unwrap();
                assert_eq!(tree.len(), 3, "{}", world.name);
                let (_, events) = cache.subscribe().unwrap();
                caches.push((cache, events));
            }
        }
        let a = format!("{root}/a");
        let mut expect = async |expected: String| {
            for (_, events) in &mut caches {
                let seen = soon(&world.name, change(events)).await;
                assert_eq!(seen, expected, "{}", world.name);
            }
        };
        zk.delete(&format!("{a}/b")).await.unwrap();
        expect(format!("-{a}/b")).await;
        zk.set(&a, "1").await.unwrap();
        expect(format!("*{a}")).await;
        zk.create(&format!("{a}/c"), "").await.unwrap();
        expect(format!("+{a}/c")).await;
        zk.create(&format!("{a}/c/d"), "").await.unwrap();
        expect(format!("+{a}/c/d")).await;
        zk.delete(root).recursive().await.unwrap();
        for path in [
            format!("{a}/c/d"),
            format!("{a}/c"),
            a.clone(),
            root.to_owned(),
        ] {
            expect(format!("-{path}")).await;
        }
    })
    .await;
}

/// A cache that was started on a server with lasting watches, in the next session on one without.
#[tokio::test(start_paused = true)]
async fn a_cache_loses_its_lasting_watch() {
    let memory = memory(1).await;
    let (zk, admin) = (memory.any().await, memory.any().await);
    admin.ensure_path("/t/a").await.unwrap();
    let cache = TreeCache::new(&zk, "/t");
    soon("the tree", cache.initialized()).await.unwrap();
    // A lasting watch is counted as one of each kind.
    assert_eq!(memory.server.watches_on("/t/a").child, 0);
    let (_, mut events) = cache.subscribe().unwrap();
    let refusal = Action::Refuse(ErrorCode::Unimplemented);
    let unknown = on(OpCode::AddWatch).then(refusal).always();
    memory.server.faults().rule(unknown);
    common::end_session(&memory.server, &zk);
    admin.create("/t/b", "").await.unwrap();
    assert_eq!(soon("a change", change(&mut events)).await, "+/t/b");
    admin.create("/t/b/c", "").await.unwrap();
    assert_eq!(soon("a change", change(&mut events)).await, "+/t/b/c");
    until("one-shot watches", || {
        memory.server.watch_counts().child >= 3
    })
    .await;
}

/// A watch that the server lacks is an error that names the operation, and costs nothing else.
#[tokio::test(start_paused = true)]
async fn a_lasting_watch_is_a_typed_error() {
    everywhere(async |world, zk, root| {
        for mode in [WatchMode::Persistent, WatchMode::PersistentRecursive] {
            match zk.watch(root, mode).await {
                Ok(mut stream) => {
                    assert!(world.watches.contains(&mode), "{}", world.name);
                    zk.ensure_path(&format!("{root}/{mode:?}")).await.unwrap();
                    let event = soon(&world.name, stream.next()).await.unwrap();
                    assert!(matches!(event, WatchEvent::Node(_)), "{event:?}");
                }
                Err(error) => {
                    assert!(!world.watches.contains(&mode), "{}: {error}", world.name);
                    assert_eq!(error.kind(), ErrorKind::Unimplemented, "{error}");
                    assert_eq!(error.op(), Some("addWatch"));
                }
            }
        }
    })
    .await;
}

/// ClickHouse Keeper resumes no session: the znodes of a lost session stay until its timeout, for its
/// own client as for all others.
#[tokio::test(start_paused = true)]
async fn a_lost_sessions_znode_is_waited_for() {
    for pose in [Pose::KeeperOld, Pose::KeeperNew] {
        let world = World::of(pose).await;
        let (zk, other) = (world.client().await, world.client().await);
        let lock = |zk: &Client| Lock::new(zk, "/locks/l");
        // Both find out what the server lacks.
        for zk in [&zk, &other] {
            lock(zk).acquire().await.unwrap().release().await.unwrap();
        }
        let first = lock(&zk).acquire().await.unwrap();
        let (token, timeout) = (first.token(), zk.session().timeout);
        let waiting = lock(&other);
        let second = start(async move { waiting.acquire().await.unwrap() });
        world.memory.until_names("/locks/l", 2).await;
        let cut = tokio::time::Instant::now();
        world.memory.server.faults().disconnect(zk.session().id);
        assert_eq!(
            soon(&world.name, first.lost()).await,
            GuardLost::SessionEnded
        );
        drop(first);
        let again = lock(&zk);
        let third = start(async move { again.acquire().await.unwrap() });
        world.memory.until_names("/locks/l", 3).await;
        let second = soon(&world.name, second).await.unwrap();
        assert!(cut.elapsed() >= timeout / 2, "{:?}", cut.elapsed());
        assert!(second.token() > token);
        second.check().unwrap();
        assert!(!third.is_finished());
        let token = second.token();
        second.release().await.unwrap();
        let third = soon(&world.name, third).await.unwrap();
        assert!(third.token() > token);
        third.check().unwrap();
    }
}

/// Guards: P3, P4.
#[tokio::test(start_paused = true)]
async fn recipes_begin_where_sessions_are_lost() {
    let world = World::closing().await;
    // A container and a creation with a stat.
    let zk = world.client().await;
    let lock = Lock::new(&zk, "/new/l");
    let guard = soon("the lock", lock.acquire()).await.unwrap();
    guard.check().unwrap();
    assert!(zk.statistics().sessions <= 3);
    let zk = world.client().await;
    let term = Election::new(&zk, "/new/e").layout(Layout::Kazoo);
    drop(soon("the term", term.campaign()).await.unwrap());
    assert!(zk.statistics().sessions <= 2);
    // A lasting watch.
    let zk = world.client().await;
    let cache = TreeCache::new(&zk, "/new");
    let tree = soon("the tree", cache.initialized()).await.unwrap();
    assert!(tree.get("/new/l").is_some());
    assert!(zk.statistics().sessions <= 2);
    let zk = world.client().await;
    let lease = Semaphore::new(&zk, "/semaphore", 1);
    drop(soon("the lease", lease.acquire()).await.unwrap());
    assert!(zk.statistics().sessions <= 4);
}

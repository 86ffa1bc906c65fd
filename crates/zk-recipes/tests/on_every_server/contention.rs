//! The cost of locks under contention, their names, and their parents.

use std::time::Duration;

use super::common::{
    self, LAYOUTS, at, end_session, memory, memory_with, paths, pose, received, soon, start, until,
};
use zk_client::{Acl, Client, Permissions};
use zk_embedded::Pose;
use zk_proto::OpCode;
use zk_recipes::{GuardLost, Layout, LeaseBasis, Lock, MultiLock, ReadLock, WriteLock, revoke};

/// go-zk #145: one release wakes one waiter, and its cost is the same with a thousand. On other servers
/// than the default one a hundred waiters show the cost of a release.
///
/// Guards: A65, B96, I22.
#[tokio::test(start_paused = true)]
async fn a_release_wakes_one_of_many_waiters() {
    let waiters = if pose() == Pose::V3_9 { 1000 } else { 100 };
    let memory = memory(1).await;
    let (holder, waiter) = (memory.any().await, memory.any().await);
    let before = received(&memory).await;
    holder.ensure_path("/lock").await.unwrap();
    let created = received(&memory).await - before;
    // Without `create2`, the stat is read.
    let creation = if pose().knows(OpCode::Create2) { 1 } else { 2 };
    assert_eq!(created, creation);
    let lock = Lock::new(&holder, "/lock");
    let guard = lock.acquire().await.unwrap();
    assert_eq!(
        received(&memory).await - before - created,
        creation + 1,
        "create, children"
    );

    let mut waiting = Vec::new();
    for n in 0..waiters {
        let lock = Lock::new(&waiter, "/lock").lease_basis(match n % 2 {
            0 => LeaseBasis::Quorum,
            _ => LeaseBasis::Server,
        });
        waiting.push(start(async move { lock.acquire().await.unwrap() }));
        // In this order.
        memory.until_names("/lock", n + 2).await;
    }
    until("all watch", || memory.server.watch_counts().data == waiters).await;
    let mut first = guard;
    for (n, next) in waiting.into_iter().take(20).enumerate() {
        let before = received(&memory).await;
        let (now, watches) = (common::now(), memory.server.watch_counts().data);
        first.release().await.unwrap();
        first = soon("the next", next).await.unwrap();
        let requests = received(&memory).await - before;
        assert_eq!(
            memory.server.watch_counts().data,
            watches - 1,
            "one was woken"
        );
        // The deletion, and the requests of the next contender: the children, and at times a check.
        let renewals = u64::from(common::now() > now);
        assert!(
            (2..=3 + renewals).contains(&requests),
            "{requests} for waiter {n}"
        );
    }
}

/// ZOOKEEPER-3162: of five waiters the one in the middle leaves.
///
/// Guards: A63, B83.
#[tokio::test(start_paused = true)]
async fn a_leaving_waiter_disturbs_no_other() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let lock = Lock::new(&zk, "/lock");
    let guard = lock.acquire().await.unwrap();
    let mut waiting = Vec::new();
    for n in 0..5 {
        let lock = lock.clone();
        waiting.push(start(async move { lock.acquire().await.unwrap() }));
        memory.until_names("/lock", n + 2).await;
    }
    until("all watch", || memory.server.watch_counts().data == 5).await;
    waiting.remove(2).abort();
    memory.until_names("/lock", 5).await;
    let mut token = guard.token();
    guard.release().await.unwrap();
    for next in waiting {
        let guard = soon("the next", next).await.unwrap();
        assert!(guard.token() > token);
        token = guard.token();
        guard.release().await.unwrap();
    }
    assert!(memory.names("/lock").is_empty());
}

/// ZOOKEEPER-4372: the parent's counter overflows while contenders wait.
///
/// Guards: A70, B82.
#[tokio::test(start_paused = true)]
async fn waiters_survive_a_counter_overflow() {
    for layout in LAYOUTS {
        let memory = memory(1).await;
        let zk = memory.any().await;
        zk.ensure_path("/lock").await.unwrap();
        memory.server.set_next_sequence(&at("/lock"), i32::MAX - 2);
        let lock = Lock::new(&zk, "/lock").layout(layout);
        let guard = lock.acquire().await.unwrap();
        let mut waiting = Vec::new();
        for n in 0..6 {
            let lock = lock.clone();
            waiting.push(start(async move { lock.acquire().await.unwrap() }));
            memory.until_names("/lock", n + 2).await;
        }
        assert!(
            memory
                .names("/lock")
                .iter()
                .any(|name| name.contains("-2147483648"))
        );
        let mut token = guard.token();
        drop(guard);
        for next in waiting {
            let guard = soon("the next", next).await.unwrap();
            assert!(guard.token() > token);
            token = guard.token();
            drop(guard);
        }
    }
}

/// CURATOR-308: the server deletes the container between acquisitions, and while a contender waits. A
/// server without containers keeps the parent until it is deleted.
///
/// Guards: A75.
#[tokio::test(start_paused = true)]
async fn a_deleted_container_is_created_again() {
    let often = Duration::from_millis(100);
    let memory = memory_with(common::server().container_check_interval(often)).await;
    let zk = memory.any().await;
    for layout in [Layout::Default, Layout::Curator, Layout::Kazoo] {
        let lock = Lock::new(&zk, "/locks/one").layout(layout);
        for _ in 0..3 {
            lock.acquire().await.unwrap().release().await.unwrap();
            if layout == Layout::Kazoo || !pose().knows(OpCode::CreateContainer) {
                assert!(paths(&memory.server).contains(&"/locks/one".to_owned()));
                zk.delete("/locks/one").await.unwrap();
            }
            until("the container is reaped", || {
                !paths(&memory.server).contains(&"/locks/one".to_owned())
            })
            .await;
        }
        assert!(lock.contenders().await.unwrap().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn znodes_have_the_clients_acl() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    zk.add_auth("digest", "ann:secret").await.unwrap();
    let mine = zk.with_acl(Acl::creator_all());
    let guard = Lock::new(&mine, "/private/lock").acquire().await.unwrap();
    let digest = zk_client::digest_id("ann", "secret");
    for path in ["/private", "/private/lock", guard.path()] {
        let (acl, _) = zk.acl(path).await.unwrap();
        assert_eq!(acl.len(), 1);
        assert_eq!(acl[0].id.id, digest, "{path}");
    }
    let other = memory.any().await;
    assert!(Lock::new(&other, "/private/lock").acquire().await.is_err());
    guard.release().await.unwrap();
}

/// Creates a child with this end of its name that the server lists first, if one of a hundred is.
async fn create_as_first(zk: &Client, end: &str) -> Option<String> {
    for id in 0..100 {
        let name = format!("{id}{end}");
        let path = format!("/lock/{name}");
        zk.create(&path, "").await.unwrap();
        if zk.children("/lock").await.unwrap().to_vec().first() == Some(&name) {
            return Some(path);
        }
        zk.delete(&path).await.unwrap();
    }
    None
}

/// Guards: L2.
#[tokio::test(start_paused = true)]
async fn hand_made_children_give_no_second_holder() {
    let numbers = [
        i32::MIN,
        i32::MIN + 1,
        i32::MIN + 2,
        i32::MIN + 3,
        i32::MAX,
        7,
    ];
    let names = numbers.map(|number| format!("-lock-{number:010}"));
    let malformed = ["-lock-9", "lock-0000000000", "x"].map(str::to_owned);
    // What the server lists first changes with the random name of the second contender.
    let rounds = names.iter().chain(&malformed);
    for name in rounds.flat_map(|name| std::iter::repeat_n(name, 8)) {
        let memory = memory(1).await;
        let (zk, other) = (memory.any().await, memory.any().await);
        let (first, second) = (Lock::new(&zk, "/lock"), Lock::new(&other, "/lock"));
        // Which child the server lists first depends on the random names of both.
        let (held, stranger) = loop {
            let held = first.acquire().await.unwrap();
            if let Some(stranger) = create_as_first(&zk, name).await {
                break (held, stranger);
            }
            held.release().await.unwrap();
        };
        let also = second.try_acquire().await.unwrap();
        assert!(also.is_none(), "beside {stranger}");
        held.check().unwrap();
        held.release().await.unwrap();
        // It belongs to no session, and may be ahead of all others.
        zk.delete(&stranger).await.unwrap();
        let next = soon("the lock", second.acquire()).await.unwrap();
        next.release().await.unwrap();
    }
}

/// kazoo's `ephemeral=False`. It ends by release or deletion.
#[tokio::test(start_paused = true)]
async fn a_persistent_lock_outlives_its_session() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let lock = Lock::new(&zk, "/lock")
        .persistent()
        .identifier("night shift");
    let guard = lock.acquire().await.unwrap();
    end_session(&memory.server, &zk);
    until("there is another session", || zk.session().epoch == 2).await;
    guard.check().unwrap();
    assert_eq!(guard.deadline(), None);
    let contender = Lock::new(&other, "/lock");
    assert!(contender.try_acquire().await.unwrap().is_none());
    assert_eq!(
        contender.contenders().await.unwrap()[0].identifier,
        "night shift"
    );
    zk.create("/data", "").await.unwrap();
    guard.fenced().set("/data", "x").commit().await.unwrap();
    guard.release().await.unwrap();
    drop(contender.try_acquire().await.unwrap().unwrap());

    let guard = lock.acquire().await.unwrap();
    let lost = start(async move {
        let lost = guard.lost().await;
        (lost, guard)
    });
    until("it is watched", || memory.server.watch_counts().data == 1).await;
    let path = contender.contenders().await.unwrap()[0].path.clone();
    other.delete(&path).await.unwrap();
    let (lost, guard) = soon("the loss", lost).await.unwrap();
    assert_eq!(
        (lost, guard.check()),
        (GuardLost::Deleted, Err(GuardLost::Deleted))
    );
    drop(guard);
    // A guard that is dropped in one session is released in the next one.
    let guard = lock.acquire().await.unwrap();
    memory.server.faults().stop();
    drop(guard);
    memory.server.start_again(false).await.unwrap();
    memory.until_names("/lock", 0).await;
}

/// Curator's revocation.
#[tokio::test(start_paused = true)]
async fn a_holder_receives_a_revocation() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let lock = Lock::new(&zk, "/lock").identifier("holder");
    let guard = lock.acquire().await.unwrap();
    let asked = start(async move {
        guard.revoked().await.unwrap();
        guard.check().unwrap();
        guard.release().await.unwrap();
    });
    until("it listens", || memory.server.watch_counts().data > 0).await;
    let holder = Lock::new(&other, "/lock")
        .contenders()
        .await
        .unwrap()
        .remove(0);
    // Other contents are not a request.
    other.set(&holder.path, "hello").await.unwrap();
    until("it listens again", || memory.server.watch_counts().data > 0).await;
    assert!(!asked.is_finished());
    revoke(&other, &holder.path).await.unwrap();
    soon("the release", asked).await.unwrap();
    assert!(revoke(&other, &holder.path).await.is_err());

    let guard = lock.acquire().await.unwrap();
    other.delete(guard.path()).await.unwrap();
    assert_eq!(
        soon("the loss", guard.revoked()).await,
        Err(GuardLost::Deleted)
    );
}

/// Other clients have to be able to read the names.
#[tokio::test(start_paused = true)]
async fn znodes_have_the_names_of_their_layout() {
    let memory = memory(1).await;
    let zk = memory.any().await;
    let is_uuid = |text: &str| {
        let digits: Vec<_> = text.split('-').map(str::len).collect();
        digits == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
    };
    for (layout, lock, read, write) in [
        (Layout::Default, "-lock-", "-__READ__", "-__WRIT__"),
        (Layout::Curator, "-lock-", "-__READ__", "-__WRIT__"),
        (Layout::Kazoo, "__lock__", "__rlock__", "__lock__"),
    ] {
        let guards = [
            (
                lock,
                Lock::new(&zk, "/l").layout(layout).acquire().await.unwrap(),
            ),
            (
                read,
                ReadLock::new(&zk, "/r")
                    .layout(layout)
                    .acquire()
                    .await
                    .unwrap(),
            ),
        ];
        let writer = WriteLock::new(&zk, "/w")
            .layout(layout)
            .acquire()
            .await
            .unwrap();
        let paths = guards.iter().map(|(mark, guard)| (*mark, guard.path()));
        for (mark, path) in paths.chain([(write, writer.path())]) {
            let (_, name) = path.rsplit_once('/').unwrap();
            let (id, number) = name.split_once(mark).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(number.len(), 10, "{name}");
            match layout {
                Layout::Kazoo => assert!(id.len() == 32 && !id.contains('-'), "{name}"),
                _ => assert!(is_uuid(id.strip_prefix("_c_").unwrap()), "{name}"),
            }
        }
    }
}

/// The locks after the first one that cannot be acquired are not tried.
///
/// Guards: A72.
#[tokio::test(start_paused = true)]
async fn a_multi_lock_stops_at_the_first_failure() {
    let memory = memory(1).await;
    let (zk, other) = (memory.any().await, memory.any().await);
    let several = |paths: [&str; 3]| MultiLock::new(paths.map(|path| Lock::new(&zk, path)));
    let held = Lock::new(&other, "/b").acquire().await.unwrap();
    assert!(
        several(["/a", "/b", "/c"])
            .try_acquire()
            .await
            .unwrap()
            .is_none()
    );
    assert!(memory.names("/a").is_empty() && !paths(&memory.server).contains(&"/c".to_owned()));
    let late = several(["/c", "/a", "/b"])
        .acquire_timeout(Duration::from_secs(1))
        .await;
    assert!(late.unwrap().is_none());
    memory.until_names("/a", 0).await;
    memory.until_names("/b", 1).await;
    // Refused on the way.
    other
        .set_acl("/b", [Acl::new(Permissions::ALL, "digest", other_id())])
        .await
        .unwrap();
    assert!(several(["/a", "/b", "/c"]).acquire().await.is_err());
    assert!(!paths(&memory.server).contains(&"/c".to_owned()));
    memory.until_names("/a", 0).await;
    drop(held);
}

fn other_id() -> String {
    zk_client::digest_id("other", "x")
}

#[tokio::test(start_paused = true)]
async fn multi_locks_in_any_order_do_not_deadlock() {
    let memory = memory(1).await;
    let mut workers = tokio::task::JoinSet::new();
    for n in 0..6 {
        let zk = memory.any().await;
        let mut paths = ["/a", "/b", "/c", "/b"];
        paths.rotate_left(n % 4);
        workers.spawn(async move {
            let lock = MultiLock::new(paths.map(|path| Lock::new(&zk, path)));
            for _ in 0..10 {
                let guard = lock.acquire().await.unwrap();
                assert_eq!(guard.guards().len(), 3);
                guard.run(tokio::task::yield_now()).await.unwrap();
                guard.release().await.unwrap();
            }
        });
    }
    while let Some(worker) = soon("the workers", workers.join_next()).await {
        worker.unwrap();
    }
    let zk = memory.any().await;
    let guard = MultiLock::new(["/a", "/b"].map(|path| Lock::new(&zk, path)))
        .acquire()
        .await
        .unwrap();
    assert!(guard.deadline().unwrap() > common::now());
    let path = guard.guards()[1].path().to_owned();
    let lost = start(async move { (guard.lost().await, guard) });
    until("they are watched", || {
        memory.server.watch_counts().data == 2
    })
    .await;
    zk.delete(&path).await.unwrap();
    let (lost, guard) = soon("the loss", lost).await.unwrap();
    assert_eq!(
        (lost, guard.check(), guard.deadline()),
        (GuardLost::Deleted, Err(GuardLost::Deleted), None)
    );
    drop(guard);
    memory.until_names("/a", 0).await;
}

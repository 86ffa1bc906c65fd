//! Recipes that read many znodes, with a client that has room for few requests.

use super::common::{Memory, create_op, fill, memory, soon, start, until};
use zk_client::{Client, Pending, Stat};
use zk_embedded::fault::{Action, on};
use zk_proto::OpCode;
use zk_recipes::{
    Allocation, AtomicLong, CacheError, ChildrenCache, ChildrenWithData, DoubleBarrier, Election,
    Lock, Party, Queue, Raw, Semaphore, SetPartitioner, TreeCache,
};

const COUNT: usize = 200;

/// A client that may have so many requests outstanding.
async fn small(memory: &Memory, most: usize) -> Client {
    let client = memory.client(&[0], |options| options.max_outstanding(most));
    client.await
}

/// A client for two requests, with both of them outstanding.
async fn full(memory: &Memory) -> Client {
    let zk = small(memory, 2).await;
    for _ in 0..2 {
        let request = zk.exists("/").submit();
        tokio::spawn(request);
    }
    assert_eq!(zk.statistics().outstanding, 2);
    zk
}

async fn world() -> (Memory, Client) {
    let memory = memory(1).await;
    let zk = memory.any().await;
    (memory, zk)
}

#[tokio::test(start_paused = true)]
async fn dead_letters_wait_for_room() {
    let (memory, zk) = world().await;
    zk.ensure_path("/q/dead").await.unwrap();
    fill(&zk, COUNT, |n| format!("/q/dead/entry-100-{n:010}")).await;
    let queue = Queue::new(&full(&memory).await, "/q");
    let letters = soon(
        "all of them",
        start(async move { queue.dead_letters().await }),
    )
    .await
    .unwrap()
    .unwrap();
    assert_eq!(letters.len(), COUNT);
    let in_order = letters.iter().enumerate().all(|(n, (path, data))| {
        *path == format!("/q/dead/entry-100-{n:010}") && data == path.as_bytes()
    });
    assert!(in_order, "{letters:?}");
}

#[tokio::test(start_paused = true)]
async fn the_members_of_a_party_wait_for_room() {
    let (memory, zk) = world().await;
    zk.ensure_path("/party").await.unwrap();
    fill(&zk, COUNT, |n| format!("/party/{n:032x}__party__")).await;
    let party = Party::new(&full(&memory).await, "/party");
    let members = soon("all of them", start(async move { party.members().await }))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(members.len(), COUNT);
}

#[tokio::test(start_paused = true)]
async fn contenders_wait_for_room() {
    let (memory, zk) = world().await;
    let lock = Lock::new(&zk, "/lock");
    let held = lock.acquire().await.unwrap();
    let name = held.path().trim_end_matches(|c: char| c.is_ascii_digit());
    fill(&zk, COUNT - 1, |n| format!("{name}{:010}", n + 1)).await;
    let lock = Lock::new(&full(&memory).await, "/lock");
    let contenders = soon("all of them", start(async move { lock.contenders().await }))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(contenders.len(), COUNT);
    assert_eq!(contenders[0].path, held.path());
}

#[tokio::test(start_paused = true)]
async fn the_holders_of_leases_wait_for_room() {
    let (memory, zk) = world().await;
    let semaphore = Semaphore::new(&zk, "/leases", COUNT);
    let leases = soon("the leases", semaphore.acquire_many(COUNT)).await;
    let leases = leases.unwrap();
    let small = Semaphore::new(&full(&memory).await, "/leases", COUNT);
    let holders = soon("all of them", start(async move { small.holders().await }))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(holders.len(), leases.len());
}

#[tokio::test(start_paused = true)]
async fn children_with_data_wait_for_room() {
    let (memory, zk) = world().await;
    zk.create("/app", "").await.unwrap();
    fill(&zk, COUNT, |n| format!("/app/{n}")).await;
    for consistent in [false, true] {
        let zk = full(&memory).await;
        let reading = start(async move {
            let read = ChildrenWithData::new(&zk, "/app").window(1_000);
            match consistent {
                false => read.read().await,
                true => read.consistent().read().await,
            }
        });
        let read = soon("all of them", reading).await.unwrap().unwrap();
        assert_eq!(read.children.len(), COUNT);
        let is_own = |name: &str, data: &[u8]| data == format!("/app/{name}").as_bytes();
        let children = read.children.iter();
        assert!(
            children
                .into_iter()
                .all(|(name, (data, _))| is_own(name, data))
        );
    }
}

#[tokio::test(start_paused = true)]
async fn caches_wait_for_room() {
    let (memory, zk) = world().await;
    zk.create("/app", "").await.unwrap();
    fill(&zk, COUNT, |n| format!("/app/{n}")).await;
    for one_shot in [false, true] {
        let zk = full(&memory).await;
        let cache = TreeCache::builder(&zk, "/app");
        let cache = match one_shot {
            false => cache.start(),
            true => cache.one_shot_watches().start(),
        };
        let loaded = soon("everything", cache.initialized()).await.unwrap();
        assert_eq!(loaded.len(), 1 + COUNT);
        let mut children = ChildrenCache::new(&full(&memory).await, "/app", Raw);
        let loaded = soon("the children", children.next()).await.unwrap();
        assert_eq!(loaded.unwrap().values.len(), COUNT);
    }
}

#[cfg(feature = "discovery")]
#[tokio::test(start_paused = true)]
async fn instances_wait_for_room() {
    use zk_recipes::{ServiceDiscovery, ServiceInstance};

    let (memory, zk) = world().await;
    let discovery = ServiceDiscovery::<()>::new(&zk, "/services");
    let mut registrations = Vec::new();
    for n in 0..COUNT {
        let instance = ServiceInstance::new("search", "h").id(n.to_string());
        registrations.push(discovery.register(instance).await.unwrap());
    }
    let small = ServiceDiscovery::<()>::new(&full(&memory).await, "/services");
    let instances = soon(
        "all of them",
        start(async move { small.instances("search").await }),
    )
    .await;
    assert_eq!(instances.unwrap().unwrap().len(), COUNT);
    let cache = ServiceDiscovery::<()>::new(&full(&memory).await, "/services").cache("search");
    let cached = soon("the cache", cache.initialized()).await.unwrap();
    assert_eq!(cached.len(), COUNT);
}

/// A recipe that reads many znodes takes a quarter of the client's room.
#[tokio::test(start_paused = true)]
async fn reads_leave_room_for_other_requests() {
    let (memory, zk) = world().await;
    zk.create("/app", "").await.unwrap();
    fill(&zk, COUNT, |n| format!("/app/{n}")).await;
    let zk = small(&memory, 8).await;
    let cache = TreeCache::new(&zk, "/app");
    let children = ChildrenWithData::new(&zk, "/app");
    let reads = async { tokio::join!(cache.initialized(), children.read()) };
    tokio::pin!(reads);
    let mut most = 0;
    let (loaded, read) = loop {
        let request = async {
            most = most.max(zk.statistics().outstanding);
            zk.exists("/app").await
        };
        tokio::select! {
            biased;
            exists = request => drop(exists.unwrap()),
            read = &mut reads => break read,
        }
    };
    let loaded: Result<_, CacheError> = loaded;
    assert_eq!(
        (loaded.unwrap().len(), read.unwrap().children.len()),
        (1 + COUNT, COUNT)
    );
    assert!((2..=5).contains(&most), "{most} at once");
}

/// What a recipe does behind its reads waits for room as well.
#[tokio::test(start_paused = true)]
async fn recipes_need_no_more_room_than_two() {
    const ITEMS: usize = 80;
    let (memory, _zk) = world().await;
    let semaphore = Semaphore::new(&full(&memory).await, "/semaphore", 20);
    let leases = soon("the leases", semaphore.acquire_many(20)).await;
    assert_eq!(leases.unwrap().len(), 20);

    let queue = Queue::new(&full(&memory).await, "/queue");
    let queue = queue.max_items(100).max_deliveries(3);
    soon("the put", queue.put("a").into_future()).await.unwrap();
    let claim = soon("the item", queue.take()).await.unwrap();
    soon("the release", claim.release()).await.unwrap();
    let claim = soon("the item", queue.take()).await.unwrap();
    assert_eq!(claim.deliveries(), Some(2));
    soon("the acknowledgement", claim.ack()).await.unwrap();

    let items = (0..ITEMS).map(|n| n.to_string());
    let partitioner = SetPartitioner::new(&full(&memory).await, "/partition", items);
    let mut allocations = partitioner.join();
    let share = loop {
        let next = soon("the share", allocations.next()).await;
        if let Allocation::Acquired(share) = next.unwrap().unwrap() {
            break share;
        }
    };
    assert_eq!(share.items().count(), ITEMS);

    let barrier = DoubleBarrier::new(&full(&memory).await, "/barrier", 1);
    let entered = soon("the entry", barrier.enter()).await.unwrap();
    soon("the exit", entered.leave()).await.unwrap();

    let long = AtomicLong::new(&full(&memory).await, "/long");
    assert_eq!(soon("the sum", long.add(3)).await.unwrap(), 3);

    let election = Election::new(&full(&memory).await, "/election");
    let term = soon("the term", election.campaign()).await.unwrap();
    soon("its end", term.resign()).await.unwrap();
}

/// A call that waits for room holds no reply that has arrived, so that calls cannot wait for each other.
#[tokio::test(start_paused = true)]
async fn readers_of_many_znodes_share_the_room() {
    const CALLS: usize = 8;
    let (memory, zk) = world().await;
    let lock = Lock::new(&zk, "/lock");
    let held = lock.acquire().await.unwrap();
    let name = held.path().trim_end_matches(|c: char| c.is_ascii_digit());
    fill(&zk, 4, |n| format!("{name}{:010}", n + 1)).await;
    for most in [2, CALLS / 2, CALLS, 2 * CALLS] {
        let zk = small(&memory, most).await;
        let readers = (0..CALLS).map(|_| {
            let lock = Lock::new(&zk, "/lock");
            start(async move { lock.contenders().await })
        });
        for reader in readers.collect::<Vec<_>>() {
            let contenders = soon("the contenders", reader).await.unwrap();
            assert_eq!(contenders.unwrap().len(), 5, "room for {most}");
        }
    }
}

/// A client with room for so many requests besides one, whose reply is not taken.
async fn small_for(memory: &Memory, most: usize) -> (Client, Pending<Option<Stat>>) {
    let zk = small(memory, most + 1).await;
    let held = zk.exists("/").submit();
    (zk, held)
}

/// The check of a place leaves the room for the read of the queue.
#[tokio::test(start_paused = true)]
async fn a_waiter_with_room_for_one_is_served() {
    let (memory, zk) = world().await;
    let held = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let (small, _reply) = small_for(&memory, 1).await;
    let timeout = small.session().timeout;
    let lock = Lock::new(&small, "/lock");
    let waiting = start(async move { lock.acquire().await });
    memory.until_names("/lock", 2).await;
    // What its creation has proven of the place is too old.
    tokio::time::sleep(timeout * 2).await;
    held.release().await.unwrap();
    let guard = soon("the lock", waiting).await.unwrap().unwrap();
    soon("its release", guard.release()).await.unwrap();
}

/// Waiters that were woken and are not at the head keep no room while they wait again.
#[tokio::test(start_paused = true)]
async fn waiters_keep_no_room_while_they_wait() {
    const WAITERS: usize = 2;
    let (memory, zk) = world().await;
    let held = Lock::new(&zk, "/lock").acquire().await.unwrap();
    let small = small(&memory, 2 * WAITERS).await;
    let timeout = small.session().timeout;
    let (mut others, mut waiters) = (Vec::new(), Vec::new());
    // Each behind a waiter of another client.
    for n in 0..WAITERS {
        let (other, own) = (Lock::new(&zk, "/lock"), Lock::new(&small, "/lock"));
        others.push(start(async move { other.acquire().await }));
        memory.until_names("/lock", 2 + 2 * n).await;
        waiters.push(start(async move { own.acquire().await?.release().await }));
        memory.until_names("/lock", 3 + 2 * n).await;
    }
    // What their creation has proven of the places is too old.
    tokio::time::sleep(timeout * 2).await;
    for other in others {
        other.abort();
    }
    memory.until_names("/lock", 1 + WAITERS).await;
    // The clock advances when all tasks wait.
    tokio::time::sleep(timeout / 100).await;
    assert_eq!(small.statistics().outstanding, 0);
    small.exists("/lock").await.unwrap();
    held.release().await.unwrap();
    for waiter in waiters {
        soon("the lock", waiter).await.unwrap().unwrap();
    }
}

/// Waiters that the end of their session wakes together leave room for each other.
#[tokio::test(start_paused = true)]
async fn waiters_of_an_ended_session_share_room() {
    for count in [1, 4] {
        let (memory, zk) = world().await;
        let held = Lock::new(&zk, "/lock").acquire().await.unwrap();
        let (small, _reply) = small_for(&memory, count).await;
        let waiters = (0..count).map(|_| {
            let lock = Lock::new(&small, "/lock");
            start(async move { lock.acquire().await?.release().await })
        });
        let waiters: Vec<_> = waiters.collect();
        memory.until_names("/lock", 1 + count).await;
        memory.server.expire_session(small.session().id);
        held.release().await.unwrap();
        for waiter in waiters {
            soon("the lock", waiter).await.unwrap().unwrap();
        }
    }
}

/// A cache that waited for room when its session ended leaves this room to the watch in the next session.
#[tokio::test(start_paused = true)]
async fn a_cache_without_room_outlives_sessions() {
    for one_shot in [false, true] {
        let (memory, zk) = world().await;
        zk.create("/app", "1").await.unwrap();
        let small = small(&memory, 2).await;
        let cache = TreeCache::builder(&small, "/app");
        let cache = match one_shot {
            false => cache.start(),
            true => cache.one_shot_watches().start(),
        };
        soon("the tree", cache.initialized()).await.unwrap();
        // Their replies are not taken.
        let mut held = vec![small.exists("/").submit(), small.exists("/").submit()];
        zk.set("/app", "2").await.unwrap();
        until("the cache waits for room", || {
            small.statistics().waiting == 1
        })
        .await;
        let ended = small.session().epoch;
        memory.server.expire_session(small.session().id);
        until("the next session", || small.session().epoch != ended).await;
        tokio::time::sleep(small.session().timeout).await;
        // Room for one.
        held.pop();
        until("the change", || {
            let snapshot = cache.snapshot().unwrap();
            snapshot.is_complete() && snapshot.get("/app").is_some_and(|it| it.data == "2")
        })
        .await;
    }
}

/// As many caches as the client has room for requests, each of which was reading when the session ended.
#[tokio::test(start_paused = true)]
async fn caches_that_read_survive_their_session() {
    const CACHES: usize = 4;
    for one_shot in [false, true] {
        let (memory, zk) = world().await;
        zk.create("/app", "1").await.unwrap();
        let small = small(&memory, CACHES).await;
        let caches = (0..CACHES).map(|_| {
            let cache = TreeCache::builder(&small, "/app");
            match one_shot {
                false => cache.start(),
                true => cache.one_shot_watches().start(),
            }
        });
        let caches: Vec<_> = caches.collect();
        for cache in &caches {
            soon("the tree", cache.initialized()).await.unwrap();
        }
        let session = small.session().id;
        for op in [OpCode::Exists, OpCode::GetData] {
            let unanswered = on(op).session(session).then(Action::Swallow);
            memory.server.faults().rule(unanswered.always());
        }
        zk.set("/app", "2").await.unwrap();
        until("all caches read", || {
            small.statistics().outstanding == CACHES
        })
        .await;
        memory.server.faults().disconnect(session);
        memory.server.expire_session(session);
        for cache in &caches {
            until("the change", || {
                let snapshot = cache.snapshot().unwrap();
                snapshot.is_complete() && snapshot.get("/app").is_some_and(|it| it.data == "2")
            })
            .await;
        }
    }
}

/// The read that is sent with a creation leaves the room to the look for the znode after a lost reply.
#[tokio::test(start_paused = true)]
async fn a_lost_creation_has_room_to_be_found() {
    let (memory, zk) = world().await;
    for parent in [
        "/semaphore/locks",
        "/semaphore/leases",
        "/barrier",
        "/lock",
        "/election",
    ] {
        zk.ensure_path(parent).await.unwrap();
    }
    for recipe in ["semaphore", "barrier", "lock", "election"] {
        let zk = small(&memory, 2).await;
        let session = zk.session().id;
        // A semaphore creates a place in the queue first.
        let creations = u32::from(recipe == "semaphore");
        let lost = on(create_op()).session(session).after(creations);
        let lost = lost.then(Action::DropReply);
        memory.server.faults().rule(lost);
        let task = start(async move {
            match recipe {
                "semaphore" => {
                    let lease = Semaphore::new(&zk, "/semaphore", 1).acquire().await?;
                    lease.release().await
                }
                "barrier" => {
                    let barrier = DoubleBarrier::new(&zk, "/barrier", 1);
                    barrier.enter().await?.leave().await
                }
                "lock" => Lock::new(&zk, "/lock").acquire().await?.release().await,
                _ => {
                    let election = Election::new(&zk, "/election").names("n_");
                    election.campaign().await?.resign().await
                }
            }
        });
        soon(recipe, task).await.unwrap().unwrap();
        assert_eq!(memory.server.faults().pending(), 0, "{recipe}");
    }
}

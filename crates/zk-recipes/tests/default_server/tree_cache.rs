//! Caches of trees that change while connections and sessions are lost.

use super::common::{self, pose, soon, until, until_unwatched};
use super::trees::{Contents, client, contents, copy, tree};
use fastrand::Rng;
use zk_client::Client;
use zk_embedded::fault::{Action, on};
use zk_embedded::{Pose, Server};
use zk_proto::{ErrorCode, OpCode};
use zk_recipes::{CacheError, CacheEvent, CacheEvents, Snapshot, TreeCache, TreeCacheBuilder};

fn start(builder: TreeCacheBuilder<'_>, one_shot: bool) -> TreeCache {
    if one_shot {
        builder.one_shot_watches().start()
    } else {
        builder.start()
    }
}

/// Whether the server has recursive watches that report which znode has changed.
fn has_recursive_watches() -> bool {
    pose().knows(OpCode::AddWatch) && pose() != Pose::KeeperNew
}

/// Follows a cache by its events, and checks each against the snapshot that they start from.
struct Reader {
    events: CacheEvents,
    known: Contents,
    generation: u64,
    initialized: u64,
}

impl Reader {
    fn new(cache: &TreeCache) -> Self {
        let (snapshot, events) = cache.subscribe().unwrap();
        let mut reader = Reader {
            events,
            known: Contents::new(),
            generation: 0,
            initialized: 0,
        };
        reader.begin(&snapshot);
        reader
    }

    fn begin(&mut self, snapshot: &Snapshot) {
        self.known = contents(snapshot);
        self.generation = snapshot.generation();
        self.initialized = if snapshot.is_complete() {
            self.generation
        } else {
            0
        };
    }

    async fn read(&mut self) {
        let event = soon("an event", self.events.next()).await.unwrap();
        match event.unwrap() {
            CacheEvent::Added { path, node } => {
                assert_eq!(self.known.insert(path, copy(&node)), None);
            }
            CacheEvent::Changed { path, before, node } => {
                assert_eq!(self.known.insert(path, copy(&node)), Some(copy(&before)));
            }
            CacheEvent::Removed { path, before } => {
                assert_eq!(self.known.remove(&path), Some(copy(&before)));
            }
            CacheEvent::Gap { generation } => {
                assert_eq!(generation, self.generation + 1);
                self.generation = generation;
            }
            CacheEvent::Initialized { generation } => {
                assert_eq!(generation, self.generation);
                self.initialized = generation;
            }
            CacheEvent::Lagged { .. } => {
                let snapshot = self.events.resume().unwrap();
                self.begin(&snapshot);
            }
            event => panic!("{event:?}"),
        }
    }

    /// Reads events until the contents are those of the server, as in the cache, and everything has been
    /// read. The contents may have been equal before by chance.
    async fn catch_up(&mut self, cache: &TreeCache, server: &Server, base: &str) {
        let tree = tree(server, base);
        while self.initialized != self.generation
            || self.known != tree
            || contents(&cache.snapshot().unwrap()) != tree
        {
            self.read().await;
        }
    }
}

/// Changes a random znode below `/app` or beside it.
async fn change(zk: &Client, rng: &mut Rng) {
    let depth = rng.usize(1..5);
    let names: Vec<_> = (0..depth)
        .map(|_| rng.char('a'..='d').to_string())
        .collect();
    let base = if rng.u8(0..10) == 0 { "/apps" } else { "/app" };
    let path = format!("{base}/{}", names.join("/"));
    let data = rng.u32(..).to_string();
    match rng.u8(0..12) {
        0 => drop(zk.delete(&path).recursive().await),
        1 => drop(zk.delete(base).recursive().await),
        2 => {
            // Deleted and created again in one transaction, with one zxid.
            let again = zk.multi().delete(&path).create(&path, &data);
            drop(again.create(&format!("{path}/x"), &data).commit().await);
        }
        3..6 => drop(zk.set(&path, &data).await),
        6 => drop(zk.create(&path, &data).ephemeral().await),
        _ => {
            drop(zk.ensure_path(&path).await);
            drop(zk.set(&path, &data).await);
        }
    }
}

async fn run(seed: u64, one_shot: bool, pose: Pose) {
    let server = common::server()
        .pose(pose)
        .members(3)
        .start()
        .await
        .unwrap();
    let (zk, admin) = (client(&server).await, client(&server).await);
    let mut rng = Rng::with_seed(seed);
    for _ in 0..30 {
        change(&admin, &mut rng).await;
    }
    let builder = TreeCache::builder(&zk, "/app").window(rng.usize(1..20));
    let cache = start(builder, one_shot);
    let mut reader = Reader::new(&cache);
    for round in 0..6 {
        if seed == 0 && round == 3 {
            server.restore(|_| {});
        }
        for _ in 0..rng.u32(0..60) {
            change(&admin, &mut rng).await;
            match rng.u8(0..40) {
                0 => drop(server.faults().disconnect(zk.session().id)),
                1 => drop(server.expire_session(zk.session().id)),
                2 => drop(server.expire_session(admin.session().id)),
                3 => server.change_leader(),
                4 => server.set_lag(rng.usize(0..3), rng.bool()),
                _ => {}
            }
        }
        for member in 0..3 {
            server.set_lag(member, false);
        }
        let what = format!("seed {seed}, round {round}: the reader is even");
        soon(&what, reader.catch_up(&cache, &server, "/app")).await;
    }
    drop(cache);
    while let Some(event) = soon("the end", reader.events.next()).await {
        event.unwrap();
    }
    until("no watch is left", || zk.statistics().watches == 0).await;
}

/// With the default server, six; with each other one, the first, in which the ensemble is restored.
fn seeds() -> std::ops::Range<u64> {
    let seeds = std::env::var("ZK_CHAOS_SEEDS").ok();
    let default = if pose() == Pose::V3_9 { 6 } else { 1 };
    0..seeds.and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// And after every expiry.
///
/// Guards: A41, A74, D1, I23.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_equals_the_tree_after_every_reconnect() {
    for seed in seeds() {
        run(seed, false, pose()).await;
        if pose() == Pose::V3_9 {
            run(seed, false, Pose::V3_8).await;
        }
    }
}

/// Guards: A39, B62.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_equals_the_tree_with_one_shot_watches() {
    for seed in seeds() {
        run(seed, true, pose()).await;
    }
}

/// A server without recursive watches answers with an error, and then closes the connection.
///
/// Guards: A20.
#[tokio::test]
async fn it_falls_back_to_one_shot_watches() {
    for code in [ErrorCode::Unimplemented, ErrorCode::MarshallingError] {
        let server = common::server().start().await.unwrap();
        let zk = client(&server).await;
        let refusal = on(OpCode::AddWatch).then(Action::Refuse(code)).always();
        server.faults().rule(refusal);
        zk.ensure_path("/app/a").await.unwrap();
        let cache = TreeCache::new(&zk, "/app");
        let snapshot = soon("the tree", cache.initialized()).await.unwrap();
        assert_eq!(snapshot.len(), 2);
        let mut reader = Reader::new(&cache);
        zk.create("/app/a/b", "1").await.unwrap();
        zk.set("/app/a", "2").await.unwrap();
        soon("the change", reader.catch_up(&cache, &server, "/app")).await;
        let watches = server.watch_counts();
        // One recursive watch would cover the tree.
        assert!(watches.data >= 3 && watches.child >= 3, "{watches:?}");
    }
}

/// The root is created, deleted and created again, on a client with a chroot.
///
/// Guards: C18.
#[tokio::test]
async fn it_contains_only_what_is_below_the_root() {
    let server = common::server().start().await.unwrap();
    let admin = client(&server).await;
    admin.ensure_path("/team").await.unwrap();
    let zk = client(&server).await.chroot("/team").unwrap();
    for one_shot in [false, true] {
        let cache = start(TreeCache::builder(&zk, "/a"), one_shot);
        assert!(
            soon("nothing", cache.initialized())
                .await
                .unwrap()
                .is_empty()
        );
        let (_, mut events) = cache.subscribe().unwrap();
        let mut next = async || soon("an event", events.next()).await.unwrap().unwrap();
        for round in 0..2 {
            zk.create("/ab", "").await.unwrap();
            zk.create("/ab/c", "").await.unwrap();
            zk.create("/a", "1").await.unwrap();
            let added = next().await;
            assert!(
                matches!(&added, CacheEvent::Added { path, node } if path == "/a" && node.data == "1"),
                "{one_shot} {round} {added:?}"
            );
            zk.create("/a/b", "2").await.unwrap();
            let added = next().await;
            assert!(
                matches!(&added, CacheEvent::Added { path, .. } if path == "/a/b"),
                "{added:?}"
            );
            let snapshot = cache.snapshot().unwrap();
            assert_eq!(snapshot.len(), 2);
            assert_eq!(snapshot.get("/a/b").unwrap().data, "2");
            assert!(snapshot.get("/ab").is_none() && snapshot.get("/ab/c").is_none());
            let names: Vec<_> = snapshot.children("/a").map(|(name, _)| name).collect();
            assert_eq!(names, ["b"]);
            zk.delete("/ab").recursive().await.unwrap();
            zk.delete("/a").recursive().await.unwrap();
            for removed in ["/a/b", "/a"] {
                let event = next().await;
                assert!(
                    matches!(&event, CacheEvent::Removed { path, .. } if path == removed),
                    "{event:?}"
                );
            }
            assert!(cache.snapshot().unwrap().is_empty());
            // An older snapshot does not change.
            assert_eq!(snapshot.len(), 2);
        }
    }
}

#[tokio::test]
async fn levels_and_data_can_be_left_out() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    zk.ensure_path("/a/b/c/d").await.unwrap();
    zk.set("/a/b", "data").await.unwrap();
    let cache = TreeCache::builder(&zk, "/a")
        .max_depth(1)
        .data(false)
        .start();
    let snapshot = soon("the tree", cache.initialized()).await.unwrap();
    let paths: Vec<_> = snapshot.iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/a", "/a/b"]);
    let node = snapshot.get("/a/b").unwrap();
    assert_eq!((node.data.len(), node.stat.data_length), (0, 4));
    let (_, mut events) = cache.subscribe().unwrap();
    zk.set("/a/b/c", "unseen").await.unwrap();
    zk.set("/a/b", "seen").await.unwrap();
    let event = soon("an event", events.next()).await.unwrap().unwrap();
    assert!(
        matches!(&event, CacheEvent::Changed { path, node, .. } if path == "/a/b" && node.stat.version == 2),
        "{event:?}"
    );
}

#[tokio::test]
async fn a_tree_that_is_too_large_ends_the_cache() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    for n in 0..20 {
        zk.ensure_path(&format!("/a/{n}")).await.unwrap();
    }
    let cache = TreeCache::builder(&zk, "/a").max_nodes(20).start();
    let error = soon("the end", cache.initialized()).await.unwrap_err();
    assert!(
        matches!(error, CacheError::TooManyNodes { limit: 20 }),
        "{error}"
    );
    assert!(cache.snapshot().is_err() && cache.subscribe().is_err());

    // The node that is one too many is created later.
    let cache = TreeCache::builder(&zk, "/a").max_nodes(21).start();
    soon("the tree", cache.initialized()).await.unwrap();
    let (_, mut events) = cache.subscribe().unwrap();
    zk.create("/a/one-more", "").await.unwrap();
    let end = soon("the end", async {
        loop {
            if let Err(error) = events.next().await.unwrap() {
                return error;
            }
        }
    });
    assert!(matches!(end.await, CacheError::TooManyNodes { limit: 21 }));
    assert!(soon("the end", events.next()).await.is_none());
    until_unwatched(|| server.watch_counts().data).await;

    let cache = TreeCache::builder(&zk, "/a").max_bytes(4096).start();
    let error = soon("the end", cache.initialized()).await.unwrap_err();
    assert!(
        matches!(error, CacheError::TooManyBytes { limit: 4096 }),
        "{error}"
    );
}

#[tokio::test]
async fn unread_events_are_dropped_and_resumable() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    zk.create("/a", "0").await.unwrap();
    let cache = TreeCache::builder(&zk, "/a").max_events(4).start();
    soon("the tree", cache.initialized()).await.unwrap();
    let (_, mut lazy) = cache.subscribe().unwrap();
    let mut eager = Reader::new(&cache);
    for n in 0..20 {
        zk.create(&format!("/a/{n}"), "").await.unwrap();
        soon("the change", eager.catch_up(&cache, &server, "/a")).await;
    }
    for _ in 0..4 {
        assert!(matches!(
            lazy.next().await,
            Some(Ok(CacheEvent::Added { .. }))
        ));
    }
    let lagged = lazy.next().await;
    assert!(
        matches!(lagged, Some(Ok(CacheEvent::Lagged { dropped: 16 }))),
        "{lagged:?}"
    );
    assert_eq!(lazy.resume().unwrap().len(), 21);
    zk.create("/a/last", "").await.unwrap();
    let event = soon("an event", lazy.next()).await;
    assert!(matches!(&event, Some(Ok(CacheEvent::Added { path, .. })) if path == "/a/last"));
}

/// A cache that reads its watch too slowly reads everything again. A one-shot watch has one event, and
/// does not overflow.
///
/// Guards: G8.
#[tokio::test]
async fn a_watch_that_overflows_is_a_gap() {
    let server = common::server().start().await.unwrap();
    let admin = client(&server).await;
    let zk = Client::builder(server.connect_string())
        .max_watch_events(1)
        .connect()
        .await
        .unwrap();
    admin.create("/a", "").await.unwrap();
    let cache = TreeCache::new(&zk, "/a");
    soon("the tree", cache.initialized()).await.unwrap();
    let mut reader = Reader::new(&cache);
    let creates: Vec<_> = (0..200)
        .map(|n| admin.create(&format!("/a/{n}"), "").submit())
        .collect();
    for create in creates {
        create.await.unwrap();
    }
    soon("the reader is even", reader.catch_up(&cache, &server, "/a")).await;
    if has_recursive_watches() {
        assert!(cache.snapshot().unwrap().generation() > 1);
    }
}

#[tokio::test]
async fn it_ends_with_its_client() {
    let server = common::server().start().await.unwrap();
    let zk = client(&server).await;
    let cache = TreeCache::new(&zk, "/");
    soon("the tree", cache.initialized()).await.unwrap();
    let (_, mut events) = cache.subscribe().unwrap();
    zk.close().await.unwrap();
    while let Some(event) = soon("the end", events.next()).await {
        assert!(matches!(event.unwrap(), CacheEvent::Gap { generation: 2 }));
    }
    assert!(matches!(cache.snapshot(), Err(CacheError::Closed)));
}

//! Recipes on an ensemble that is restored from a backup: its zxids are smaller, by chance equal, or
//! greater than before.

use std::time::Duration;

use super::common::{self, Memory, memory_with, soon, until};
use zk_client::{Client, Outcome, RetryPolicy};
use zk_embedded::WallClock;
use zk_embedded::fault::on;
use zk_proto::OpCode;
use zk_recipes::{
    Barrier, CacheEvent, ChildrenState, ChildrenWatch, DataState, DataWatch, Election,
    PatientChildrenWatch, Semaphore, TreeCache, TreeCacheBuilder,
};

/// An ensemble with `/config`, which has one child, after this many other transactions; all times in
/// its stats are the same.
async fn ensemble(writes: usize) -> (Memory, Client) {
    let memory = memory_with(common::server().wall_clock(WallClock::From(0))).await;
    let zk = memory.any().await;
    zk.create("/config", "before").await.unwrap();
    for _ in 0..writes {
        zk.set("/config", "before").await.unwrap();
    }
    zk.create("/config/old", "").await.unwrap();
    (memory, zk)
}

/// Restores it to another state of `/config`, after this many other creations, and waits for the
/// client's next session.
async fn restore(memory: &Memory, zk: &Client, creations: usize) {
    let epoch = zk.session().epoch;
    memory.server.restore(|nodes| {
        for n in 0..creations {
            nodes.insert(format!("/a{n}"), "".into());
        }
        // The same number of bytes as before.
        nodes.insert("/config".to_owned(), "beside".into());
        nodes.remove("/config/old");
        nodes.insert("/config/new".to_owned(), "".into());
    });
    until("the next session", || {
        zk.session().epoch > epoch && zk.state().is_connected()
    })
    .await;
}

/// Histories whose zxids are smaller, equal and greater than before.
fn histories() -> impl Iterator<Item = (usize, usize)> {
    let creations = (0..6).map(|creations| (0, creations));
    creations.chain([(50, 0), (2, 100)])
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn a_data_watch_follows_a_restore() {
    for (writes, creations) in histories() {
        let (memory, zk) = ensemble(writes).await;
        let mut watch = DataWatch::new(&zk, "/config");
        let first = soon("the data", watch.next()).await.unwrap().unwrap();
        assert!(matches!(first, DataState::Present { data, .. } if data == "before"));
        restore(&memory, &zk, creations).await;
        let restored = soon("the restored data", watch.next()).await;
        assert!(
            matches!(&restored, Some(Ok(DataState::Present { data, .. })) if data == "beside"),
            "{restored:?} after {writes} and {creations}"
        );
        zk.set("/config", "later").await.unwrap();
        let later = soon("the next data", watch.next()).await.unwrap().unwrap();
        assert!(matches!(later, DataState::Present { data, .. } if data == "later"));
    }
}

fn has(state: &ChildrenState, name: &str) -> bool {
    matches!(state, ChildrenState::Present { names, .. } if names == &[name])
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn a_children_watch_follows_a_restore() {
    for (writes, creations) in histories() {
        let (memory, zk) = ensemble(writes).await;
        let mut watch = ChildrenWatch::new(&zk, "/config");
        let rest = Duration::from_secs(1);
        let mut patient = PatientChildrenWatch::new(&zk, "/config", rest);
        let first = soon("the names", watch.next()).await.unwrap().unwrap();
        assert!(has(&first, "old"));
        let first = soon("the names", patient.next()).await.unwrap().unwrap();
        assert!(has(&first, "old"));
        restore(&memory, &zk, creations).await;
        let restored = soon("the restored names", watch.next()).await.unwrap();
        assert!(has(&restored.unwrap(), "new"), "{writes} and {creations}");
        let restored = soon("the restored names", patient.next()).await.unwrap();
        assert!(has(&restored.unwrap(), "new"), "{writes} and {creations}");
    }
}

/// The contents of the cache, and its first contents after all of its events.
async fn follow(builder: TreeCacheBuilder<'_>, memory: &Memory, zk: &Client, creations: usize) {
    let cache = builder.start();
    soon("the tree", cache.initialized()).await.unwrap();
    let (snapshot, mut events) = cache.subscribe().unwrap();
    let copy = |tree: &zk_recipes::Snapshot| -> std::collections::BTreeMap<_, _> {
        let nodes = tree.iter();
        nodes
            .map(|(path, node)| (path, node.data.clone()))
            .collect()
    };
    let mut copied = copy(&snapshot);
    restore(memory, zk, creations).await;
    loop {
        let event = soon("the restored tree", events.next()).await.unwrap();
        match event.unwrap() {
            CacheEvent::Added { path, node } | CacheEvent::Changed { path, node, .. } => {
                copied.insert(path, node.data.clone());
            }
            CacheEvent::Removed { path, .. } => {
                copied.remove(&path);
            }
            CacheEvent::Initialized { .. } => break,
            _ => {}
        }
    }
    let snapshot = cache.snapshot().unwrap();
    assert!(snapshot.is_complete());
    let expected = [("/config", "beside"), ("/config/new", "")];
    let expected = expected.map(|(path, data)| (path.to_owned(), data.into()));
    assert_eq!(copy(&snapshot), expected.clone().into(), "{creations}");
    assert_eq!(copied, expected.into(), "{creations}");
    for (path, node) in snapshot.iter() {
        let there = memory.server.node(&path).unwrap();
        assert_eq!(node.stat, there.stat);
    }
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn a_tree_cache_follows_a_restore() {
    for (writes, creations) in histories() {
        let (memory, zk) = ensemble(writes).await;
        let builder = TreeCache::builder(&zk, "/config");
        follow(builder, &memory, &zk, creations).await;
        let (memory, zk) = ensemble(writes).await;
        let one_shot = TreeCache::builder(&zk, "/config").one_shot_watches();
        follow(one_shot, &memory, &zk, creations).await;
    }
}

/// An ensemble whose next epoch keeps the sessions of a backup: the zxids of its clients are smaller
/// than the new ones, although they are greater than those of the backup.
async fn epochs() -> (Memory, Client) {
    let memory = memory_with(common::server().members(3)).await;
    let zk = memory.any().await;
    zk.create("/config", "before").await.unwrap();
    zk.create("/config/old", "").await.unwrap();
    (memory, zk)
}

/// Changes the znodes of [`epochs`]. The [restore](go_back) undoes it.
async fn change(zk: &Client) {
    zk.set("/config", "beside").await.unwrap();
    zk.delete("/config/old").await.unwrap();
    zk.create("/config/new", "").await.unwrap();
}

/// Goes back to a backup, and waits for the client to be connected again in the same session.
async fn go_back(memory: &Memory, zk: &Client, backup: &zk_embedded::core::Snapshot) {
    let epoch = zk.session().epoch;
    let mut states = zk.states();
    memory.server.restore_snapshot(backup, true);
    soon("the loss of the connection", async {
        while states
            .next()
            .await
            .is_some_and(|state| state.is_connected())
        {}
    })
    .await;
    until("the next connection", || zk.state().is_connected()).await;
    assert_eq!(zk.session().epoch, epoch, "the session continues");
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn watches_go_back_within_a_session() {
    let (memory, zk) = epochs().await;
    let backup = memory.server.snapshot();
    change(&zk).await;
    let mut data = DataWatch::new(&zk, "/config");
    let mut children = ChildrenWatch::new(&zk, "/config");
    let rest = Duration::from_secs(1);
    let mut patient = PatientChildrenWatch::new(&zk, "/config", rest);
    let first = soon("the data", data.next()).await.unwrap().unwrap();
    assert!(matches!(first, DataState::Present { data, .. } if data == "beside"));
    let first = soon("the names", children.next()).await.unwrap();
    assert!(has(&first.unwrap(), "new"));
    let first = soon("the names", patient.next()).await.unwrap();
    assert!(has(&first.unwrap(), "new"));
    go_back(&memory, &zk, &backup).await;
    let restored = soon("the restored data", data.next()).await.unwrap();
    assert!(matches!(restored.unwrap(), DataState::Present { data, .. } if data == "before"));
    let restored = soon("the restored names", children.next()).await.unwrap();
    assert!(has(&restored.unwrap(), "old"));
    let restored = soon("the restored names", patient.next()).await.unwrap();
    assert!(has(&restored.unwrap(), "old"));
    change(&zk).await;
    let later = soon("the next data", data.next()).await.unwrap().unwrap();
    assert!(matches!(later, DataState::Present { data, .. } if data == "beside"));
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn a_tree_cache_goes_back_within_a_session() {
    for one_shot in [false, true] {
        let (memory, zk) = epochs().await;
        let backup = memory.server.snapshot();
        change(&zk).await;
        let builder = TreeCache::builder(&zk, "/config");
        let cache = match one_shot {
            true => builder.one_shot_watches().start(),
            false => builder.start(),
        };
        soon("the tree", cache.initialized()).await.unwrap();
        let (_, mut events) = cache.subscribe().unwrap();
        go_back(&memory, &zk, &backup).await;
        loop {
            let event = soon("the restored tree", events.next()).await.unwrap();
            if let CacheEvent::Initialized { .. } = event.unwrap() {
                break;
            }
        }
        let snapshot = cache.snapshot().unwrap();
        let nodes = snapshot.iter();
        let nodes: Vec<_> = nodes
            .map(|(path, node)| (path, node.data.clone()))
            .collect();
        let expected = [("/config", "before"), ("/config/old", "")];
        let expected = expected.map(|(path, data)| (path.to_owned(), data.into()));
        assert_eq!(nodes, expected, "one-shot watches: {one_shot}");
    }
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn leaders_go_back_within_a_session() {
    let (memory, zk) = epochs().await;
    let other = memory.any().await;
    let first = Election::new(&other, "/election").campaign().await.unwrap();
    let backup = memory.server.snapshot();
    let mut leaders = Election::new(&zk, "/election").observe();
    let leader = soon("the leader", leaders.next()).await.unwrap().unwrap();
    assert_eq!(leader.map(|leader| leader.token), Some(first.token()));
    first.resign().await.unwrap();
    let leader = soon("that there is none", leaders.next()).await.unwrap();
    assert!(leader.unwrap().is_none());
    go_back(&memory, &zk, &backup).await;
    let leader = soon("the restored leader", leaders.next()).await.unwrap();
    assert!(leader.unwrap().is_some());
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn leases_go_back_within_a_session() {
    for layout in common::LAYOUTS {
        let (memory, zk) = epochs().await;
        let other = memory.any().await;
        let semaphore = |zk: &Client| Semaphore::new(zk, "/semaphore", 1).layout(layout);
        let lease = semaphore(&other).acquire().await.unwrap();
        lease.release().await.unwrap();
        let backup = memory.server.snapshot();
        let _lease = semaphore(&other).acquire().await.unwrap();
        let waiting = common::start({
            let semaphore = semaphore(&zk);
            async move { semaphore.acquire().await }
        });
        until("the leases are watched", || zk.statistics().watches > 0).await;
        go_back(&memory, &zk, &backup).await;
        let second = soon("the lease", waiting).await.unwrap().unwrap();
        second.check().unwrap();
    }
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn leaders_are_followed_through_a_restore() {
    let (memory, zk) = ensemble(50).await;
    let other = memory.any().await;
    let election = Election::new(&other, "/election");
    let mut leaders = Election::new(&zk, "/election").observe();
    let first = election.campaign().await.unwrap();
    let token = first.token();
    while soon("a leader", leaders.next())
        .await
        .unwrap()
        .unwrap()
        .map(|l| l.token)
        != Some(token)
    {}
    restore(&memory, &zk, 0).await;
    soon("the loss", first.lost()).await;
    let second = soon("the next term", election.campaign()).await.unwrap();
    assert!(second.token() < token, "zxids start over");
    let token = second.token();
    while soon("a leader", leaders.next())
        .await
        .unwrap()
        .unwrap()
        .map(|l| l.token)
        != Some(token)
    {}
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn a_barrier_is_opened_through_a_restore() {
    let (memory, zk) = ensemble(50).await;
    let barrier = Barrier::new(&zk, "/barrier");
    barrier.close().await.unwrap();
    // It is deleted, the reply is lost, and the backup is from before that.
    let faults = memory.server.faults();
    faults.drop_reply_after_apply(on(OpCode::Delete));
    faults.refuse_connections(true).await;
    let opening = common::start({
        let barrier = barrier.clone();
        async move { barrier.open().await }
    });
    until("it is deleted", || memory.server.node("/barrier").is_none()).await;
    memory.server.restore(|nodes| {
        nodes.insert("/barrier".to_owned(), "".into());
    });
    memory.server.faults().refuse_connections(false).await;
    soon("the opening", opening).await.unwrap().unwrap();
    assert!(memory.server.node("/barrier").is_none());
}

/// Guards: M1.
#[tokio::test(start_paused = true)]
async fn a_restored_version_makes_a_write_unknown() {
    for found in ["before", "new"] {
        let (memory, zk) = ensemble(0).await;
        let faults = memory.server.faults();
        faults.drop_reply_after_apply(on(OpCode::SetData));
        faults.refuse_connections(true).await;
        let writing = common::start({
            let zk = zk.clone();
            async move {
                let policy = RetryPolicy::new();
                zk.set("/config", "new").version(0).retry(&policy).await
            }
        });
        let version = || memory.server.node("/config").unwrap().stat.version;
        until("it is written", || version() == 1).await;
        memory.server.restore(|nodes| {
            nodes.insert("/config".to_owned(), found.into());
        });
        memory.server.faults().refuse_connections(false).await;
        let unknown = soon("the outcome", writing).await.unwrap().unwrap_err();
        assert_eq!(unknown.outcome(), Outcome::Unknown);
        assert_eq!(version(), 0, "nothing is written in another session");
    }
}

//! Caches of large trees. These run on the default server only: with one-shot watches they take minutes
//! in debug builds, since each change of a directory lists all of its names again.

use super::common::{self, fill, soon, until};
use super::trees::{client, contents, tree};
use fastrand::Rng;
use zk_recipes::TreeCache;

/// More children than 64 K; the cache is initialized although children are created and deleted.
///
/// Guards: B103.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_holds_65600_children() {
    const CHILDREN: usize = 65_600;
    let server = common::server().log_limit(0).start().await.unwrap();
    let (zk, admin) = (client(&server).await, client(&server).await);
    admin.create("/a", "").await.unwrap();
    fill(&admin, CHILDREN, |n| format!("/a/child-{n}")).await;
    let cache = TreeCache::new(&zk, "/a");
    let reader = zk.clone();
    let busy = tokio::spawn(async move {
        for n in 0.. {
            let path = format!("/a/more-{n}");
            admin.create(&path, "").await.unwrap();
            admin.delete(&path).await.unwrap();
            // The changes are queued behind the reads, so that they are as fast as the cache reads, and
            // no faster. Otherwise most of the CPU time would go into changes.
            reader.sync("/").await.unwrap();
        }
    });
    let snapshot = soon("the children", cache.initialized()).await.unwrap();
    busy.abort();
    assert!(snapshot.child_count("/a") >= CHILDREN);
    for n in [0, CHILDREN - 1] {
        assert!(snapshot.get(&format!("/a/child-{n}")).is_some());
    }
}

/// Random changes with reconnects. Prints the time and the memory.
///
/// Guards: I23.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_holds_100000_changing_nodes() {
    const DIRECTORIES: usize = 100;
    const NODES: usize = 100_000;
    let server = common::server().log_limit(0).start().await.unwrap();
    let (zk, admin) = (client(&server).await, client(&server).await);
    admin.create("/app", "").await.unwrap();
    fill(&admin, DIRECTORIES, |n| format!("/app/d{n}")).await;
    let path = |n: usize| format!("/app/d{}/node-{n}", n % DIRECTORIES);
    fill(&admin, NODES, path).await;
    let started = std::time::Instant::now();
    let cache = TreeCache::new(&zk, "/app");
    let snapshot = soon("the tree", cache.initialized()).await.unwrap();
    println!("{} nodes in {:?}", snapshot.len(), started.elapsed());
    assert_eq!(snapshot.len(), 1 + DIRECTORIES + NODES);
    let mut rng = Rng::with_seed(1);
    for _ in 0..5 {
        for _ in 0..200 {
            let path = path(rng.usize(0..NODES));
            match rng.u8(0..3) {
                0 => drop(admin.delete(&path).await),
                1 => drop(admin.set(&path, "changed").await),
                _ => drop(admin.create(&path, "made").await),
            }
        }
        server.faults().disconnect(zk.session().id);
        let path = path(rng.usize(0..NODES));
        drop(admin.set(&path, "while it was away").await);
    }
    let expected = tree(&server, "/app");
    until("it equals the tree", || {
        let snapshot = cache.snapshot().unwrap();
        snapshot.is_complete() && contents(&snapshot) == expected
    })
    .await;
    println!("even after {:?}", started.elapsed());
}

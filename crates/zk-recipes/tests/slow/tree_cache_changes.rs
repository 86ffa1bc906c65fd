//! A cache of a tree that changes while connections and sessions are lost.

use super::cache_reader::{Reader, start};
use super::common::{self, pose, soon, until};
use super::trees::client;
use fastrand::Rng;
use tokio::task::JoinSet;
use zk_client::Client;
use zk_embedded::Pose;
use zk_recipes::TreeCache;

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

/// All seeds at the same time: each has servers of its own, and waits for sessions to expire.
async fn run_all(one_shot: bool, poses: &[Pose]) {
    let mut runs = JoinSet::new();
    for seed in seeds() {
        for pose in poses {
            runs.spawn(run(seed, one_shot, *pose));
        }
    }
    while let Some(done) = runs.join_next().await {
        done.unwrap();
    }
}

/// And after every expiry.
///
/// Guards: A41, A74, D1, I23.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_equals_the_tree_after_every_reconnect() {
    let poses = match pose() {
        Pose::V3_9 => vec![Pose::V3_9, Pose::V3_8],
        pose => vec![pose],
    };
    run_all(false, &poses).await;
}

/// Guards: A39, B62.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_equals_the_tree_with_one_shot_watches() {
    run_all(true, &[pose()]).await;
}

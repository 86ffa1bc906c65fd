//! Workers under one lock while the members of an ensemble stop, restart and lag: no update is lost,
//! and every wait ends.

use super::common;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use zk_client::{BackoffPolicy, Client, Outcome};
use zk_embedded::Server;
use zk_recipes::{Error, Lock};

const WORKERS: usize = 6;
const INCREMENTS: usize = 60;

async fn client(server: &Server, seed: u64) -> Client {
    let impatient = BackoffPolicy::new(Duration::from_millis(2), Duration::from_millis(20));
    common::unhurried(Client::builder(server.connect_string()))
        .backoff(impatient)
        .seed(seed)
        .connect()
        .await
        .unwrap()
}

/// Adds one under the lock, and says whether it is known to have been added.
async fn increment(zk: &Client, lock: &Lock, mark: &str, attempt: usize) -> bool {
    let guard = lock.acquire().await.unwrap();
    let (data, _) = zk.get("/counter").await.unwrap();
    let count: usize = std::str::from_utf8(&data).unwrap().parse().unwrap();
    let written = guard
        .fenced()
        .set("/counter", (count + 1).to_string())
        .set(mark, attempt.to_string())
        .commit()
        .await;
    let added = match written {
        Ok(_) => true,
        Err(Error::Client(error)) if error.outcome() == Outcome::Unknown => {
            // No other worker can add before this one releases, so the mark is final.
            zk.sync("/").await.unwrap();
            let (data, _) = zk.get(mark).await.unwrap();
            data == attempt.to_string()
        }
        Err(Error::Client(error)) => {
            assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
            false
        }
        Err(error) => panic!("{error}"),
    };
    guard.release().await.unwrap();
    added
}

async fn run(seed: u64) {
    let server = common::server().members(3).start().await.unwrap();
    let zk = client(&server, seed).await;
    zk.create("/counter", "0").await.unwrap();
    let added = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for n in 0..WORKERS {
        let own = client(&server, seed * 100 + n as u64).await;
        let mark = format!("/mark-{n}");
        own.create(&mark, "0").await.unwrap();
        let added = added.clone();
        workers.spawn(async move {
            let lock = Lock::new(&own, "/lock").identifier(&mark);
            let mut done = 0;
            for attempt in 1.. {
                if increment(&own, &lock, &mark, attempt).await {
                    done += 1;
                    added.fetch_add(1, Ordering::Relaxed);
                }
                if done == INCREMENTS {
                    break;
                }
            }
            own.close().await.unwrap();
        });
    }
    let over = AtomicBool::new(false);
    let work = async {
        while let Some(worker) = workers.join_next().await {
            worker.unwrap();
        }
        over.store(true, Ordering::Relaxed);
    };
    let havoc = async {
        let mut rng = fastrand::Rng::with_seed(seed);
        while !over.load(Ordering::Relaxed) {
            let member = rng.usize(0..3);
            server.set_lag((member + 1) % 3, rng.bool());
            server.member(member).stop();
            if rng.bool() {
                server.change_leader();
            }
            tokio::time::sleep(Duration::from_millis(rng.u64(0..15))).await;
            server.member(member).run();
            server.set_lag((member + 1) % 3, false);
            tokio::time::sleep(Duration::from_millis(rng.u64(0..25))).await;
        }
    };
    let both = async { tokio::join!(work, havoc) };
    common::soon(&format!("the increments of seed {seed}"), both).await;
    let (data, _) = zk.get("/counter").await.unwrap();
    assert_eq!(data, (WORKERS * INCREMENTS).to_string(), "seed {seed}");
    let mut queue = server.paths();
    queue.retain(|path| path.starts_with("/lock/"));
    assert!(queue.is_empty(), "seed {seed}: {queue:?}");
    assert_eq!(server.watch_counts().data, 0, "seed {seed}");
}

/// `ZK_CHAOS_SEEDS=n` runs more seeds than the default.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost_and_every_wait_ends() {
    let seeds = std::env::var("ZK_CHAOS_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok());
    for seed in 0..seeds.unwrap_or(5) {
        run(seed).await;
    }
}

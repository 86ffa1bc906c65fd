//! A semaphore has at most as many holders as leases.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::Client;
use zk_proto::SessionId;
use zk_recipes::{Semaphore, SemaphoreLease};

use super::{Stage, hold};

const MAX: usize = 2;
const PATH: &str = "/semaphore";

/// The leases, each with the session whose znode it is.
type Leases = Arc<Mutex<Vec<(SessionId, Arc<SemaphoreLease>)>>>;

#[test]
fn a_semaphore_has_no_holder_too_many() {
    hold(20, &["acquired", "given up", "lost", "X12 expired"], play);
}

async fn play(stage: Arc<Stage>) {
    let leases = Leases::default();
    let mut work = JoinSet::new();
    for client in stage.clients() {
        for _ in 0..2 {
            work.spawn(contend(stage.clone(), client.clone(), leases.clone()));
        }
    }
    stage.calm().await;
    let joined = async { while work.join_next().await.is_some() {} };
    stage.soon("the last acquisition", joined).await;
    leases.lock().unwrap().clear();
}

async fn contend(stage: Arc<Stage>, client: Client, leases: Leases) {
    let mut rng = stage.rng();
    let semaphore = Semaphore::new(&client, PATH, MAX);
    while Instant::now() < stage.end() {
        let limit = Duration::from_millis(rng.u64(1..8_000));
        let Ok(acquired) = timeout(limit, semaphore.acquire()).await else {
            stage.count("given up");
            continue;
        };
        let Ok(lease) = acquired else {
            stage.count("refused");
            continue;
        };
        stage.count("acquired");
        let lease = Arc::new(lease);
        let node = stage.server().node(&format!("/app{}", lease.path()));
        let Some(owner) = node.and_then(|node| node.stat.owner()) else {
            continue;
        };
        leases.lock().unwrap().push((owner, lease.clone()));
        let until = Instant::now() + Duration::from_millis(rng.u64(1..2_000));
        while Instant::now() < until && lease.check().is_ok() {
            compare(&stage, &leases);
            sleep(Duration::from_millis(rng.u64(1..200))).await;
        }
        if lease.check().is_err() {
            stage.count("lost");
        }
        leases
            .lock()
            .unwrap()
            .retain(|(_, held)| !Arc::ptr_eq(held, &lease));
        if rng.bool() {
            // A lease that is dropped is released in the background.
            drop(lease.release_shared().await);
        }
    }
}

fn compare(stage: &Stage, leases: &Leases) {
    let leases = leases.lock().unwrap();
    let held: Vec<_> = (leases.iter())
        .filter(|(owner, lease)| lease.check().is_ok() && !stage.ended_early(*owner))
        .map(|(_, lease)| lease.path())
        .collect();
    if held.len() > MAX {
        stage.violation(format!("{} holders of {MAX} leases: {held:?}", held.len()));
    }
}

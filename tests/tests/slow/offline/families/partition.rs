//! No item of a partitioned set has two owners, and all items have one in the end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::Client;
use zk_proto::SessionId;
use zk_recipes::{Allocation, SetPartitioner, Share};

use super::{Stage, hold};

const PATH: &str = "/partition";
const ITEMS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const BOUNDARY: Duration = Duration::from_millis(800);

/// The shares, each with the session whose znodes it is.
type Shares = Arc<Mutex<Vec<(SessionId, Arc<Share>)>>>;

#[test]
fn no_item_has_two_owners() {
    let counted = [
        "acquired",
        "requested",
        "lost",
        "left",
        "X12 expired",
        "divided",
    ];
    hold(20, &counted, play);
}

async fn play(stage: Arc<Stage>) {
    let shares = Shares::default();
    let mut work = JoinSet::new();
    for (number, client) in stage.clients().enumerate() {
        work.spawn(participate(
            stage.clone(),
            client.clone(),
            number,
            shares.clone(),
        ));
    }
    stage.calm().await;
    stage
        .soon("the division of all items", divided(&stage, &shares))
        .await;
    stage.count("divided");
    work.shutdown().await;
    shares.lock().unwrap().clear();
}

/// Waits until each item has an owner.
async fn divided(stage: &Stage, shares: &Shares) {
    let all = || {
        let shares = shares.lock().unwrap();
        let held = shares.iter().filter(|(_, share)| share.check().is_ok());
        held.map(|(_, share)| share.items().count()).sum::<usize>() == ITEMS.len()
    };
    while Instant::now() < stage.end() || !all() {
        sleep(Duration::from_millis(50)).await;
    }
}

async fn participate(stage: Arc<Stage>, client: Client, number: usize, shares: Shares) {
    let mut rng = stage.rng();
    let partitioner = SetPartitioner::new(&client, PATH, ITEMS)
        .identifier(format!("m{number}"))
        .time_boundary(BOUNDARY);
    loop {
        let mut member = partitioner.join();
        let lasts = Duration::from_millis(rng.u64(1_000..30_000));
        let until = match Instant::now() < stage.end() {
            true => Instant::now() + lasts,
            false => Instant::now() + Duration::from_secs(3_600),
        };
        while let Ok(next) = tokio::time::timeout_at(until, member.next()).await {
            let Some(allocation) = next else {
                return;
            };
            match allocation {
                Ok(Allocation::Acquired(share)) => have(&stage, share, &shares, &mut rng).await,
                Ok(_) => {}
                Err(_) => {
                    stage.count("refused");
                    break;
                }
            }
        }
        stage.count("left");
        if rng.bool() {
            let _ = timeout(Duration::from_secs(20), member.leave()).await;
        }
    }
}

async fn have(stage: &Stage, share: Share, shares: &Shares, rng: &mut fastrand::Rng) {
    stage.count("acquired");
    let owner = share.items().next().and_then(|item| {
        let path = share.guard(item)?.path();
        stage.server().node(&format!("/app{path}"))?.stat.owner()
    });
    let share = Arc::new(share);
    if let Some(owner) = owner {
        shares.lock().unwrap().push((owner, share.clone()));
    }
    while !share.is_requested() {
        compare(stage, shares);
        let pause = Duration::from_millis(rng.u64(1..300));
        let _ = timeout(pause, share.requested()).await;
    }
    stage.count("requested");
    // Work that takes a while to end continues under the share.
    let until = Instant::now() + Duration::from_millis(rng.u64(0..1_500));
    while Instant::now() < until {
        compare(stage, shares);
        sleep(Duration::from_millis(rng.u64(1..200))).await;
    }
    if share.check().is_err() {
        stage.count("lost");
    }
    let is_other = |(_, held): &(SessionId, Arc<Share>)| !Arc::ptr_eq(held, &share);
    shares.lock().unwrap().retain(is_other);
    if let Some(share) = Arc::into_inner(share)
        && rng.bool()
    {
        let _ = timeout(Duration::from_secs(20), share.release()).await;
    }
}

fn compare(stage: &Stage, shares: &Shares) {
    let mut owners: BTreeMap<String, SessionId> = BTreeMap::new();
    for (owner, share) in shares.lock().unwrap().iter() {
        if share.check().is_err() || stage.ended_early(*owner) {
            continue;
        }
        for item in share.items() {
            if let Some(other) = owners.insert(item.to_owned(), *owner) {
                stage.violation(format!("{item} is that of {other} and of {owner}"));
            }
        }
    }
}

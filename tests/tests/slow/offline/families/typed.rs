//! A typed value is changed once by each update that succeeds, a cache of the children ends up with what
//! is in the ensemble, and a consistent read is of one state.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::{Client, Outcome};
use zk_recipes::{ChildrenCache, ChildrenWithData, Text, TypedNode};

use super::{Stage, hold};

/// The outcomes of the updates: acknowledged, and unknown.
type Tally = Arc<Mutex<(u64, u64)>>;

#[test]
fn an_update_that_succeeds_counts_once() {
    let counted = [
        "acknowledged",
        "unknown",
        "given up",
        "read at once",
        "followed",
        "X12 expired",
    ];
    hold(20, &counted, play);
}

async fn play(stage: Arc<Stage>) {
    let tally = Tally::default();
    let mut work = JoinSet::new();
    for client in stage.clients() {
        work.spawn(update(stage.clone(), client.clone(), tally.clone()));
        work.spawn(transfer(stage.clone(), client.clone()));
        work.spawn(follow(stage.clone(), client.clone()));
    }
    stage.calm().await;
    let joined = async { while work.join_next().await.is_some() {} };
    stage.soon("the last update", joined).await;
    let node = stage.server().node("/app/typed/number");
    let data = node.and_then(|node| node.data).unwrap_or_default();
    let value: u64 = String::from_utf8_lossy(&data).parse().unwrap_or(0);
    let (acknowledged, unknown) = *tally.lock().unwrap();
    if !(acknowledged..=acknowledged + unknown).contains(&value) {
        stage.violation(format!(
            "the number is {value}, with {acknowledged} acknowledged and {unknown} unknown updates"
        ));
    }
}

async fn update(stage: Arc<Stage>, client: Client, tally: Tally) {
    let mut rng = stage.rng();
    let number = TypedNode::<u64>::new(&client, "/typed/number", Text);
    while Instant::now() < stage.end() {
        let limit = Duration::from_millis(rng.u64(1..8_000));
        let adding = number.update(|number| Some(number.unwrap_or(0) + 1));
        let added = timeout(limit, adding).await;
        {
            let mut tally = tally.lock().unwrap();
            match added {
                Ok(Ok(_)) => {
                    stage.count("acknowledged");
                    tally.0 += 1;
                }
                Ok(Err(error)) if error.outcome() != Outcome::Unknown => stage.count("refused"),
                Ok(Err(_)) => {
                    stage.count("unknown");
                    tally.1 += 1;
                }
                Err(_) => {
                    stage.count("given up");
                    tally.1 += 1;
                }
            }
        }
        sleep(Duration::from_millis(rng.u64(1..400))).await;
    }
}

/// Moves amounts between two children, whose sum is always 100.
async fn transfer(stage: Arc<Stage>, client: Client) {
    let mut rng = stage.rng();
    while Instant::now() < stage.end() {
        let amount = rng.u64(0..=100);
        let rest = 100 - amount;
        let _ = client.ensure_path("/sum").await;
        let created = client
            .multi()
            .create("/sum/a", amount.to_string())
            .create("/sum/b", rest.to_string());
        let _ = created.await;
        let changed = client
            .multi()
            .set("/sum/a", amount.to_string())
            .set("/sum/b", rest.to_string());
        let _ = changed.await;
        let read = ChildrenWithData::new(&client, "/sum").consistent().read();
        if let Ok(Ok(read)) = timeout(Duration::from_secs(8), read).await {
            stage.count("read at once");
            let text = |data| String::from_utf8_lossy(data).parse::<u64>().unwrap_or(0);
            let sum: u64 = read.children.values().map(|(data, _)| text(data)).sum();
            if !(read.children.is_empty() || sum == 100) {
                stage.violation(format!("the sum is {sum}"));
            }
        }
        sleep(Duration::from_millis(rng.u64(1..400))).await;
    }
}

/// Follows the children until all faults are over, and until their number is the last one.
async fn follow(stage: Arc<Stage>, client: Client) {
    let mut children = ChildrenCache::<u64>::new(&client, "/typed", Text);
    let mut last = 0;
    while Instant::now() < stage.end() {
        match timeout(Duration::from_secs(1), children.next()).await {
            Ok(Some(Ok(state))) => {
                let Some(number) = state.values.get("number") else {
                    continue;
                };
                stage.count("followed");
                if *number.data < last {
                    stage.violation(format!("the number went from {last} to {}", number.data));
                }
                last = *number.data;
            }
            Ok(Some(Err(_)) | None) => {
                stage.count("cache ended");
                return;
            }
            Err(_) => {}
        }
    }
}

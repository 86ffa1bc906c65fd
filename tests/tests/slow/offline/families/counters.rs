//! A counter is the number of increments that were acknowledged, and at most those of unknown outcome
//! besides; ids are unique.

use std::collections::HashSet;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::{Client, Outcome};
use zk_recipes::{AtomicLong, Counter, IdBlocks, Lock, SharedValue};

use super::{Stage, hold};

/// The outcomes of the changes of one counter.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: i64,
    unknown: i64,
    /// What an acknowledged change has returned.
    sums: HashSet<i64>,
    ids: HashSet<i64>,
}

type Tallies = Arc<Mutex<[Tally; 3]>>;

#[test]
fn a_counter_counts_what_is_acknowledged() {
    let counted = [
        "acknowledged",
        "unknown",
        "given up",
        "id",
        "delivered",
        "X12 expired",
    ];
    hold(20, &counted, play);
}

async fn play(stage: Arc<Stage>) {
    let tallies = Tallies::default();
    let mut work = JoinSet::new();
    for (n, client) in stage.clients().enumerate() {
        work.spawn(count(stage.clone(), client.clone(), tallies.clone(), n));
        work.spawn(number(stage.clone(), client.clone(), tallies.clone()));
        work.spawn(follow(stage.clone(), client.clone()));
    }
    stage.calm().await;
    let joined = async { while work.join_next().await.is_some() {} };
    stage.soon("the last change", joined).await;
    let tallies = tallies.lock().unwrap();
    for (path, tally) in ["/app/text", "/app/long", "/app/plain"]
        .iter()
        .zip(&*tallies)
    {
        let Some(node) = stage.server().node(path) else {
            continue;
        };
        let data = node.data.unwrap_or_default();
        let value = match <[u8; 8]>::try_from(&*data) {
            Ok(bytes) if *path != "/app/text" => i64::from_be_bytes(bytes),
            _ => String::from_utf8_lossy(&data).parse().unwrap_or(0),
        };
        let (least, most) = (tally.acknowledged, tally.acknowledged + tally.unknown);
        stage.note(format_args!("{path}: {value} in {least}..={most}"));
        if !(least..=most).contains(&value) {
            stage.violation(format!("{path} is {value}, and not in {least}..={most}"));
        }
    }
}

/// Increments the counters.
async fn count(stage: Arc<Stage>, client: Client, tallies: Tallies, n: usize) {
    let mut rng = stage.rng();
    let text = Counter::new(&client, "/text");
    let mut long = AtomicLong::new(&client, "/long");
    if n.is_multiple_of(2) {
        long = long.promote_to_lock(&Lock::new(&client, "/lock"), 2);
    }
    let plain = AtomicLong::new(&client, "/plain").without_witness();
    while Instant::now() < stage.end() {
        let limit = Duration::from_millis(rng.u64(1..8_000));
        let which = rng.usize(0..3);
        let counting = async {
            match which {
                0 => text.increment().await,
                1 => long.increment().await,
                _ => plain.increment().await,
            }
        };
        let counted = timeout(limit, counting).await;
        {
            let mut tallies = tallies.lock().unwrap();
            let tally = &mut tallies[which];
            match counted {
                Ok(Ok(sum)) => {
                    stage.count("acknowledged");
                    tally.acknowledged += 1;
                    if !tally.sums.insert(sum) {
                        stage.violation(format!("two increments have returned {sum}"));
                    }
                }
                Ok(Err(error)) if error.outcome() != Outcome::Unknown => stage.count("refused"),
                Ok(Err(_)) => {
                    stage.count("unknown");
                    tally.unknown += 1;
                }
                Err(_) => {
                    stage.count("given up");
                    tally.unknown += 1;
                }
            }
        }
        sleep(Duration::from_millis(rng.u64(1..1_000))).await;
    }
}

/// Takes ids.
async fn number(stage: Arc<Stage>, client: Client, tallies: Tallies) {
    let mut rng = stage.rng();
    let size = NonZeroU32::new(rng.u32(1..5)).unwrap();
    let ids = IdBlocks::new(&client, "/ids", size);
    while Instant::now() < stage.end() {
        let limit = Duration::from_millis(rng.u64(1..8_000));
        if let Ok(Ok(id)) = timeout(limit, ids.next()).await {
            stage.count("id");
            if !tallies.lock().unwrap()[0].ids.insert(id) {
                stage.violation(format!("the id {id} is not unique"));
            }
        }
        sleep(Duration::from_millis(rng.u64(1..1_000))).await;
    }
}

/// Sets and follows a shared value: the last value is delivered.
async fn follow(stage: Arc<Stage>, client: Client) {
    let mut rng = stage.rng();
    let mut value = SharedValue::new(&client, "/value", "seed");
    let mut last = None;
    loop {
        if let Ok(Some(Ok(changed))) =
            timeout(Duration::from_millis(rng.u64(1..2_000)), value.changed()).await
        {
            stage.count("delivered");
            last = Some(changed.zxid());
        }
        if Instant::now() >= stage.end() {
            break;
        }
        let text = rng.u64(..).to_string();
        drop(timeout(Duration::from_secs(5), value.set(text)).await);
        sleep(Duration::from_millis(rng.u64(100..2_000))).await;
    }
    // Writes of other clients may go on for as long as they wait.
    sleep(Duration::from_secs(60)).await;
    while let Ok(Some(Ok(changed))) = timeout(Duration::from_secs(20), value.changed()).await {
        last = Some(changed.zxid());
    }
    let written = stage
        .server()
        .node("/app/value")
        .map(|node| node.stat.mzxid);
    if last != written {
        stage.violation(format!(
            "the last value is {written:?}, delivered was {last:?}"
        ));
    }
}

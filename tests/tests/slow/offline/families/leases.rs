//! Leases overlap by no more than the clocks of their holders differ.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use zk_client::Client;
use zk_recipes::{NonBlockingLease, ObtainedLease};

use super::{Stage, hold};

const PATH: &str = "/lease";
/// The most that two clocks differ, in milliseconds.
const SKEW: u64 = 1_500;

/// A lease that is not over by its holder's clock, from one moment to another.
#[derive(Debug)]
struct Held {
    holder: String,
    token: i64,
    from: Instant,
    until: Instant,
}

#[test]
fn leases_overlap_as_far_as_clocks_differ() {
    let counted = [
        "obtained",
        "renewed",
        "refused",
        "given up",
        "released",
        "X12 expired",
    ];
    hold(20, &counted, play);
}

async fn play(stage: Arc<Stage>) {
    let held: Arc<Mutex<Vec<Held>>> = Arc::default();
    let start = Instant::now();
    let mut work = JoinSet::new();
    for (number, client) in stage.clients().enumerate() {
        let skew = stage.rng().u64(0..=SKEW);
        work.spawn(contend(
            stage.clone(),
            client.clone(),
            format!("holder-{number}"),
            move || UNIX_EPOCH + start.elapsed() + Duration::from_millis(1_000_000 + skew),
            held.clone(),
        ));
    }
    stage.calm().await;
    let joined = async { while work.join_next().await.is_some() {} };
    stage.soon("the last attempt", joined).await;
    check(&stage, &mut held.lock().unwrap());
}

async fn contend(
    stage: Arc<Stage>,
    client: Client,
    name: String,
    clock: impl Fn() -> SystemTime + Clone + Send + Sync + 'static,
    held: Arc<Mutex<Vec<Held>>>,
) {
    let mut rng = stage.rng();
    let mut last: Option<ObtainedLease> = None;
    // Always the same: a renewal may be shorter than what it replaces, and its reply may be lost.
    let duration = Duration::from_millis(rng.u64(1_000..8_000));
    while Instant::now() < stage.end() {
        sleep(Duration::from_millis(rng.u64(1..3_000))).await;
        let lease = NonBlockingLease::new(&client, PATH, duration, &name).clock(clock.clone());
        let limit = Duration::from_millis(rng.u64(1..10_000));
        let obtained = match timeout(limit, lease.try_obtain()).await {
            Ok(Ok(Some(obtained))) => obtained,
            Ok(Ok(None)) => {
                stage.count("refused");
                continue;
            }
            // It may have been obtained, and stays until its end.
            Ok(Err(_)) | Err(_) => {
                stage.count("given up");
                continue;
            }
        };
        let renewed = last.as_ref().is_some_and(ObtainedLease::is_held);
        stage.count(if renewed { "renewed" } else { "obtained" });
        let from = Instant::now();
        let token = obtained.token().get();
        held.lock().unwrap().push(Held {
            holder: name.clone(),
            token,
            from,
            until: from + obtained.remaining(),
        });
        if rng.u8(0..4) == 0 {
            // Before the request, since the reply may be lost.
            let until = Instant::now();
            let released = timeout(Duration::from_secs(20), obtained.clone().release()).await;
            for held in held.lock().unwrap().iter_mut() {
                if held.token <= token && held.holder == name {
                    held.until = held.until.min(until);
                }
            }
            if matches!(released, Ok(Ok(()))) {
                stage.count("released");
            }
        }
        last = Some(obtained);
    }
}

fn check(stage: &Stage, held: &mut [Held]) {
    held.sort_by_key(|held| held.token);
    for (at, later) in held.iter().enumerate() {
        for earlier in &held[..at] {
            if earlier.token == later.token {
                stage.violation(format!("one token for {earlier:?} and {later:?}"));
            }
            // From the moment at which both holders were known to have it: a reply may be late, and the lease of
            // that holder be over.
            let both = earlier.from.max(later.from);
            let overlap = earlier
                .until
                .min(later.until)
                .saturating_duration_since(both);
            if earlier.holder != later.holder && overlap > Duration::from_millis(SKEW) {
                stage.violation(format!(
                    "{earlier:?} overlaps with {later:?} by {overlap:?}"
                ));
            }
        }
    }
}

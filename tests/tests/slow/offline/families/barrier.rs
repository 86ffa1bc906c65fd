//! A double barrier lets all members pass together, or none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use zk_client::Client;
use zk_embedded::core::Change;
use zk_proto::Zxid;
use zk_recipes::{DoubleBarrier, Entered};

use super::{Stage, hold};

const PATH: &str = "/app/barrier";

/// A member that has passed the barrier, and left.
#[derive(Debug)]
struct Pass {
    path: String,
    /// Whether it has left together with all others.
    together: bool,
    /// The number of transactions at the end of its leave.
    left: usize,
}

/// In the order in which the members left.
type Passes = Arc<Mutex<Vec<Pass>>>;

#[test]
fn none_passes_a_double_barrier_early() {
    let counted = ["passed", "left", "given up", "lost inside", "X12 expired"];
    hold(20, &counted, play);
}

async fn play(stage: Arc<Stage>) {
    let passes = Passes::default();
    let members = stage.clients().count();
    let barriers: Vec<_> = (stage.clients().enumerate())
        .map(|(n, client)| barrier(client, n, members))
        .collect();
    let mut work = JoinSet::new();
    for barrier in barriers.clone() {
        work.spawn(pass(stage.clone(), barrier, passes.clone()));
    }
    stage.calm().await;
    let joined = async { while work.join_next().await.is_some() {} };
    stage.soon("the last wait", joined).await;
    // A member that has given up counts until its znode is deleted, in the background.
    sleep(Duration::from_secs(10)).await;
    for barrier in barriers {
        let (stage, passes) = (stage.clone(), passes.clone());
        work.spawn(async move {
            match barrier.enter().await {
                Ok(inside) => leave(&stage, inside, &passes).await,
                Err(error) => stage.violation(format!("cannot enter without faults: {error}")),
            }
        });
    }
    let joined = async { while work.join_next().await.is_some() {} };
    stage.soon("a round without faults", joined).await;
    compare(&stage, members, &passes.lock().unwrap());
}

fn barrier(client: &Client, n: usize, members: usize) -> DoubleBarrier {
    DoubleBarrier::new(client, "/barrier", members).identifier(n.to_string())
}

async fn pass(stage: Arc<Stage>, barrier: DoubleBarrier, passes: Passes) {
    let mut rng = stage.rng();
    while Instant::now() < stage.end() {
        sleep(Duration::from_millis(rng.u64(0..300))).await;
        let timeout = Duration::from_millis(rng.u64(500..8_000));
        match barrier.enter_timeout(timeout).await {
            Ok(Some(inside)) => {
                stage.count("passed");
                sleep(Duration::from_millis(rng.u64(0..500))).await;
                leave(&stage, inside, &passes).await;
            }
            Ok(None) => stage.count("given up"),
            Err(_) => stage.count("refused"),
        }
    }
}

async fn leave(stage: &Stage, inside: Entered, passes: &Passes) {
    let path = format!("/app{}", inside.path());
    let left = inside.leave_timeout(Duration::from_secs(10)).await;
    let pass = Pass {
        path,
        together: matches!(left, Ok(true)),
        left: stage.server().log_after(Zxid(0)).len(),
    };
    passes.lock().unwrap().push(pass);
    stage.count(match left {
        Ok(true) => "left",
        Ok(false) => "left alone",
        Err(_) => "lost inside",
    });
}

/// The life of a member's znode. A creation whose reply was lost may be repeated with the same path, after
/// the session of the first has ended.
#[derive(Debug)]
struct Life {
    path: String,
    member: String,
    /// The places in the log.
    created: usize,
    deleted: usize,
}

/// The lives of all members' znodes, and the places in the log at which all members were there.
fn read_log(stage: &Stage, members: usize) -> (Vec<Life>, Vec<usize>) {
    let (mut lives, mut full) = (Vec::<Life>::new(), Vec::new());
    let mut present: BTreeMap<String, usize> = BTreeMap::new();
    for (place, txn) in stage.server().log_after(Zxid(0)).iter().enumerate() {
        let changes = txn.changes.iter().filter(|_| txn.error.is_none());
        for change in changes {
            let Some(name) = change.path().strip_prefix(PATH) else {
                continue;
            };
            if name.is_empty() || name == "/ready" {
                continue;
            }
            let path = change.path().to_owned();
            match change {
                Change::Create { data, .. } => {
                    let member = String::from_utf8_lossy(data.as_deref().unwrap_or_default());
                    present.insert(path.clone(), lives.len());
                    lives.push(Life {
                        path,
                        member: member.into_owned(),
                        created: place,
                        deleted: usize::MAX,
                    });
                }
                Change::Delete { .. } => {
                    let life = present.remove(&path).and_then(|life| lives.get_mut(life));
                    life.unwrap().deleted = place;
                }
                _ => {}
            }
        }
        let there = present.values().map(|life| &lives[*life].member);
        if there.collect::<BTreeSet<_>>().len() >= members {
            full.push(place);
        }
    }
    (lives, full)
}

/// Holds the passes against the transactions of the ensemble: since the last pass of a member there was a
/// moment at which all members were there. It may have been there with an earlier znode, if it gave up or
/// lost its session after that. At the end of its leave none of those members has the znode any more that it
/// had at that moment.
fn compare(stage: &Stage, members: usize, passes: &[Pass]) {
    let (lives, full) = read_log(stage, members);
    let mut passed: BTreeMap<&str, usize> = BTreeMap::new();
    for pass in passes {
        let path = &pass.path;
        let (number, life) = (lives.iter().enumerate())
            .rfind(|(_, life)| life.path == *path)
            .unwrap();
        let before = passed.get(&*life.member).copied();
        let since = (lives.iter().enumerate())
            .filter(|(number, other)| {
                other.member == life.member && before.is_none_or(|before| *number > before)
            })
            .map(|(_, life)| life.created)
            .min();
        // A member that leaves alone may see the `ready` of the same round again.
        if pass.together {
            passed.insert(&life.member, number);
        }
        let during = since.unwrap_or(life.created)..=life.deleted;
        let Some(place) = full.iter().find(|place| during.contains(place)) else {
            stage.violation(format!("{path} passed although members were missing"));
            continue;
        };
        let is_inside = |other: &&Life| {
            (other.created..other.deleted).contains(place) && other.deleted >= pass.left
        };
        if pass.together
            && let Some(inside) = lives.iter().find(is_inside)
        {
            stage.violation(format!("{path} left before {}", inside.path));
        }
    }
}

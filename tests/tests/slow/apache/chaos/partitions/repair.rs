//! What servers do to themselves is mended, as in `lock_under_chaos`, and said.

use tokio::task::JoinSet;
use zk_tests::{Ensemble, Wait};

use super::contender;
use super::seat::Seat;
use crate::apache::chaos::ROOT;
use crate::common::blocking;
use crate::common::divergence::{MOST_ROUNDS, Repairs, STALL, children_at, replace_diverged};

/// Restarts the leader if nothing is committed, and returns how often it did.
pub async fn ensure_commits(ensemble: &Ensemble, seats: impl Iterator<Item = &Seat>) -> usize {
    let mut restarted = 0;
    while children_at(&ensemble.connect_string(), "/").await.is_none() {
        let leader = blocking(|| ensemble.leader().unwrap());
        if restarted == MOST_ROUNDS {
            let id = leader.id();
            let states = states(seats);
            panic!("{restarted} leaders were restarted, and server {id} commits nothing: {states}");
        }
        println!(
            "server {} leads and commits nothing, and is restarted",
            leader.id()
        );
        blocking(|| leader.restart().unwrap());
        blocking(|| ensemble.wait_until_serving().unwrap());
        restarted += 1;
    }
    restarted
}

/// Waits until every contender has had its last turn. While none has one, servers are compared: a
/// contender waits for ever for one that its server alone has kept.
pub async fn last_turns(
    contending: &mut JoinSet<()>,
    ensemble: &Ensemble,
    seats: &[Seat],
) -> Repairs {
    let queues = contender::queues().map(|path| format!("{ROOT}{path}"));
    let wait = Wait::begin("every contender's last turn");
    let mut repairs = Repairs::default();
    let mut rounds = 0;
    loop {
        match tokio::time::timeout(STALL, contending.join_next()).await {
            Ok(None) => return repairs,
            Ok(Some(ended)) => ended.unwrap(),
            Err(_) => {
                let leader = blocking(|| ensemble.leader().unwrap());
                let round = replace_diverged(leader, ensemble.servers(), &queues).await;
                blocking(|| ensemble.wait_until_serving().unwrap());
                rounds += usize::from(round.is_some());
                repairs += round;
            }
        }
        let too_often = (rounds > MOST_ROUNDS).then(|| format!("{repairs:?} do not help"));
        if let Some(verdict) = wait.verdict().or(too_often) {
            panic!("a contender waits: {verdict}: {}", states(seats.iter()));
        }
    }
}

/// What clients say of themselves.
fn states<'a>(seats: impl Iterator<Item = &'a Seat>) -> String {
    let states = seats.map(|seat| {
        let zk = &seat.zk;
        let (session, state) = (zk.session().id, zk.state());
        format!(
            "host {}: {session:?}, {state:?}, {:?}",
            seat.number(),
            zk.statistics()
        )
    });
    format!("{:#?}", states.collect::<Vec<_>>())
}

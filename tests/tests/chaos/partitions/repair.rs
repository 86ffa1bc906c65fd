//! What servers do to themselves is mended, as in `lock_under_chaos`, and said.

use tokio::task::JoinSet;
use zk_tests::{Ensemble, Wait};

use super::contender;
use crate::ROOT;
use crate::common::blocking;
use crate::common::divergence::{STALL, children_at};

/// Restarts the leader if nothing is committed.
pub async fn ensure_commits(ensemble: &Ensemble) {
    while children_at(&ensemble.connect_string(), "/").await.is_none() {
        let leader = blocking(|| ensemble.leader().unwrap());
        println!(
            "server {} leads and commits nothing, and is restarted",
            leader.id()
        );
        blocking(|| leader.restart().unwrap());
        blocking(|| ensemble.wait_until_serving().unwrap());
    }
}

/// Waits until every contender has had its last turn. While none has one, servers are compared: a
/// contender waits for ever for one that its server alone has kept.
pub async fn last_turns(contending: &mut JoinSet<()>, ensemble: &Ensemble) {
    let wait = Wait::begin("every contender's last turn");
    loop {
        match tokio::time::timeout(STALL, contending.join_next()).await {
            Ok(None) => return,
            Ok(Some(ended)) => ended.unwrap(),
            Err(_) => replace_diverged(ensemble).await,
        }
        let verdict = wait.verdict();
        assert!(verdict.is_none(), "{verdict:?}");
    }
}

async fn replace_diverged(ensemble: &Ensemble) {
    ensure_commits(ensemble).await;
    let leader = blocking(|| ensemble.leader().unwrap());
    for path in contender::queues() {
        let path = format!("{ROOT}{path}");
        let Some(truth) = children_at(&leader.connect_string(), &path).await else {
            continue;
        };
        for server in ensemble.servers() {
            let children = children_at(&server.connect_string(), &path).await;
            let mut ghosts = children.unwrap_or_default();
            ghosts.retain(|name| !truth.contains(name));
            if !ghosts.is_empty() {
                println!(
                    "server {} has kept {ghosts:?}, and is replaced",
                    server.id()
                );
                blocking(|| server.restart_empty().unwrap());
            }
        }
    }
}

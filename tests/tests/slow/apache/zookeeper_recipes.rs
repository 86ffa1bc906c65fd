//! ZooKeeper's own recipes in Java beside ours, with their names.

use zk_recipes::Layout;

use crate::mixed_fleets::foreigner::zookeeper;
use crate::mixed_fleets::{Kind, contend};

/// Beside `WriteLock`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zookeepers_write_lock() {
    contend(Kind::WriteLock, Layout::Default, |hosts, name, sections| {
        zookeeper(hosts, "lock", name, sections)
    })
    .await;
}

/// Beside `LeaderElectionSupport`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn zookeepers_election() {
    contend(Kind::Support, Layout::Default, |hosts, name, sections| {
        zookeeper(hosts, "election", name, sections)
    })
    .await;
}

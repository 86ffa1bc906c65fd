//! The memory of a node in a cache, measured in a process without other tests.

#![cfg(target_os = "linux")]
// The lints allow this in tests, but not in the helpers of tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is a failed test"
)]

mod common;

use common::fill;
use zk_client::Client;
use zk_recipes::TreeCache;

const NODES: usize = 100_000;
const PAGE: usize = 4096;

/// The memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * PAGE
}

#[tokio::test]
async fn a_node_takes_no_more_than_is_counted() {
    let server = common::server().log_limit(0).start().await.unwrap();
    let builder = common::unhurried(Client::builder(server.connect_string()));
    let zk = builder.connect().await.unwrap();
    zk.create("/app", "").await.unwrap();
    fill(&zk, NODES, |n| format!("/app/member-{n}")).await;
    let before = resident();
    let cache = TreeCache::new(&zk, "/app");
    let snapshot = cache.initialized().await.unwrap();
    let taken = resident().saturating_sub(before);
    assert_eq!(snapshot.len(), 1 + NODES);
    let own: usize = snapshot
        .children("/app")
        .map(|(name, node)| name.len() + node.data.len())
        .sum();
    println!(
        "{} bytes a node beside name and data, {} counted",
        taken.saturating_sub(own) / NODES,
        (snapshot.bytes() - own) / NODES
    );
    assert!(taken <= snapshot.bytes(), "{taken} of {}", snapshot.bytes());
}

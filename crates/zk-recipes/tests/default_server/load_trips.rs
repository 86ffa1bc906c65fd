//! The cost of loading a tree in requests and round trips: on a network with a fixed delay, and a
//! virtual clock on which nothing else takes time.

use std::time::Duration;

use super::common::{fill, memory, received, soon};
use tokio::time::Instant;
use zk_recipes::TreeCache;

/// The delay of each reply.
const TRIP: Duration = Duration::from_millis(100);

/// So the load never waits for the server except for a window full of reads, and each znode is read
/// once.
#[tokio::test(start_paused = true)]
async fn a_tree_is_loaded_in_full_windows() {
    const NODES: usize = 10_000;
    for window in [100, 1_000] {
        let memory = memory(1).await;
        let zk = memory.any().await;
        zk.ensure_path("/app").await.unwrap();
        fill(&zk, NODES, |n| format!("/app/{n:05}")).await;
        memory.server.faults().delay_replies(TRIP);
        let (before, started) = (received(&memory).await, Instant::now());
        let cache = TreeCache::builder(&zk, "/app").window(window).start();
        let loaded = soon("the cache is loaded", cache.initialized()).await;
        assert_eq!(loaded.unwrap().len(), 1 + NODES);
        let took = started.elapsed();
        let requests = usize::try_from(received(&memory).await - before).unwrap();
        let trips = took.as_millis() / TRIP.as_millis();
        // The other requests: the watch, the sync, the root's data, the names.
        assert_eq!(requests, NODES + 4);
        assert_eq!(trips, (NODES / window + 4) as u128, "{took:?}");
    }
}

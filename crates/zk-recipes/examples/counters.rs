//! Shared numbers: counters, totals, limits and blocks of ids.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-recipes --example counters -- localhost:2181
//! visits: 3
//! total: 100
//! limit: 11
//! ids: 0 and 1
//! ```
//!
//! Each further run counts on.
#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;
use std::num::NonZeroU32;

use zk_client::Client;
use zk_recipes::{AtomicLong, Counter, IdBlocks, Lock, SharedCount};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    count(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Counts, and prints the numbers.
///
/// # Errors
/// A request failed.
pub async fn count(hosts: &str) -> Result<(), Box<dyn Error>> {
    let zk = Client::connect(hosts).await?;

    // The text that kazoo's Counter reads and writes.
    let visits = Counter::new(&zk, "/example/visits");
    visits.increment().await?;
    println!("visits: {}", visits.add(2).await?);

    // Curator's DistributedAtomicLong; under contention the writers take turns.
    let lock = Lock::new(&zk, "/example/total-lock");
    let total = AtomicLong::new(&zk, "/example/total").promote_to_lock(&lock, 3);
    println!("total: {}", total.add(100).await?);

    // Curator's SharedCount: each program sees the changes of the others.
    let mut limit = SharedCount::new(&zk, "/example/limit", 10);
    let known = limit.get().await?;
    if limit.try_set(&known, known.value + 1).await?.is_none() {
        println!("another program was faster");
    }
    if let Some(limit) = limit.changed().await {
        println!("limit: {}", limit?.value);
    }

    // One request for a hundred ids.
    let ids = IdBlocks::new(&zk, "/example/ids", NonZeroU32::MIN.saturating_add(99));
    println!("ids: {} and {}", ids.next().await?, ids.next().await?);

    drop((visits, total, limit));
    zk.close().await?;
    Ok(())
}

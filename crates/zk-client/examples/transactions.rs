//! Several writes that take effect together, and conditional writes with retries.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-client --example transactions -- localhost:2181
//! created /demo/a
//! 2 operations took effect
//! operation 1 failed: multi /demo/leader: operation 1 of the transaction: the znode has another version; …
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use zk_client::{Client, OpResult, RetryPolicy};

#[tokio::main]
async fn main() -> zk_client::Result<()> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    transact(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Makes transactions and conditional writes.
///
/// # Errors
/// A request failed.
pub async fn transact(hosts: &str) -> zk_client::Result<()> {
    let zk = Client::connect(hosts).await?;
    zk.create("/demo/leader", "me")
        .parents()
        .or_exists()
        .await?;
    let (_, leader) = zk.get("/demo/leader").await?;

    // The data are written only if the leader is still the same.
    let results = zk
        .multi()
        .check("/demo/leader", leader.version)
        .create("/demo/a", "1")
        .set("/demo/a", "2")
        .commit()
        .await?;
    for result in results {
        if let OpResult::Created { path, .. } = result {
            println!("created {path}");
        }
    }

    // If a server is overloaded or the reply is lost, finds out whether the write took effect, and
    // retries if it did not. So does `multi().retry(&policy)`.
    let policy = RetryPolicy::new().attempts(5);
    let (_, stat) = zk.get("/demo/a").await?;
    let set = zk.set("/demo/a", "3 by me").version(stat.version);
    let written = set.retry(&policy).await?.version;
    let multi = zk.multi().set_version("/demo/a", "4 by me", written);
    let results = multi.create("/demo/b", "").retry(&policy).await?;
    println!("{} operations took effect", results.len());

    // The failed operation of a transaction is in the error.
    let failed = zk.multi().delete("/demo/a").check("/demo/leader", 99);
    if let Err(error) = failed.commit().await {
        let operation = error.failed_op().unwrap_or_default();
        println!("operation {operation} failed: {error}");
    }
    zk.delete("/demo").recursive().await?;
    zk.close().await
}

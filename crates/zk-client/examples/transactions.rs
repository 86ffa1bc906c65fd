//! Several writes that take effect together, and conditional writes with retries.
//!
//! `cargo run --example transactions -- 127.0.0.1:2181`

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use zk_client::{Client, OpResult, RetryPolicy};

#[tokio::main]
async fn main() -> zk_client::Result<()> {
    let hosts = std::env::args().nth(1);
    let zk = Client::connect(hosts.unwrap_or("127.0.0.1:2181".to_owned())).await?;
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
    // retries if it did not.
    let policy = RetryPolicy::new().attempts(5);
    let (_, stat) = zk.get("/demo/a").await?;
    let set = zk.set("/demo/a", "3 by me").version(stat.version);
    println!("version {}", set.retry(&policy).await?.version);

    // The failed operation of a transaction is in the error.
    let failed = zk.multi().delete("/demo/a").check("/demo/leader", 99);
    if let Err(error) = failed.commit().await {
        println!("operation {:?}: {error}", error.failed_op());
    }
    zk.delete("/demo").recursive().await?;
    zk.close().await
}

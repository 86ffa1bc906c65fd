//! A queue of work: priorities, repeated deliveries, dead letters.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-recipes --example queues -- localhost:2181
//! delivery 1 of: send the invoice
//! delivery 1 of: resize 17.png
//! delivery 1 of: resize 18.png
//! delivery 2 of: resize 18.png
//! delivery 3 of: resize 18.png
//! /example/jobs/dead/entry-100-… has failed: resize 18.png
//! ```
//!
//! The example `job_queue` is a whole program with several workers.
#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::error::Error;
use std::time::Duration;

use zk_client::Client;
use zk_recipes::Queue;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    work(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Puts three jobs into a queue, and does what is in it.
///
/// # Errors
/// A request failed.
pub async fn work(hosts: &str) -> Result<(), Box<dyn Error>> {
    let zk = Client::connect(hosts).await?;

    // A put waits while there are 1000 items. A job that fails three times is a dead letter.
    let jobs = Queue::new(&zk, "/example/jobs")
        .max_items(1000)
        .max_deliveries(3);
    jobs.put("resize 17.png").await?;
    jobs.put("resize 18.png").await?;
    jobs.put("send the invoice").priority(10).await?;

    // As in each of many programs: no two of them have the same item.
    while let Some(claim) = jobs.take_timeout(Duration::from_secs(1)).await? {
        let job = String::from_utf8_lossy(claim.data()).into_owned();
        println!("delivery {} of: {job}", claim.deliveries().unwrap_or(1));
        // A claim that is dropped, or lost with its session, is delivered again.
        if job.ends_with("18.png") {
            claim.release().await?;
        } else {
            claim.ack().await?;
        }
    }
    for (path, data) in jobs.dead_letters().await? {
        println!("{path} has failed: {}", String::from_utf8_lossy(&data));
    }
    zk.close().await?;
    Ok(())
}

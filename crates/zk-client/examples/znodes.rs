//! Creates, reads, changes and deletes znodes.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-client --example znodes -- localhost:2181/app
//! created /demo/config in 0x…
//! version 0: b"v1"
//! now version 1
//! /demo/jobs/job-0000000000
//! /demo/jobs/_c_…-job-
//! /demo/jobs/job-0000000000: 7 bytes
//! /demo/jobs/_c_…-job-: 7 bytes
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::time::Duration;

use zk_client::{Client, ErrorKind};

#[tokio::main]
async fn main() -> zk_client::Result<()> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    change(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Creates, reads, changes and deletes znodes.
///
/// # Errors
/// A request failed.
pub async fn change(hosts: &str) -> zk_client::Result<()> {
    let zk = Client::connect(hosts).await?;

    // Also creates the znodes above, and those of the chroot.
    match zk
        .create("/demo/config", "v1")
        .parents()
        .or_exists()
        .await?
    {
        Some(created) => println!("created {} in {}", created.path, created.stat.czxid),
        None => println!("exists already"),
    }

    // Replaces the data only if no other client has changed them in between.
    let (data, stat) = zk.get("/demo/config").await?;
    println!("version {}: {data:?}", stat.version);
    match zk.set("/demo/config", "v2").version(stat.version).await {
        Ok(stat) => println!("now version {}", stat.version),
        Err(error) if error.kind() == ErrorKind::BadVersion => println!("another was faster"),
        Err(error) => return Err(error),
    }

    // A znode that goes with the session, one that the server numbers, and one created exactly once.
    zk.create("/demo/claim", "me").ephemeral().await?;
    let job = zk.create("/demo/jobs/job-", "payload").sequential();
    println!("{}", job.parents().await?.path);
    let once = zk.create("/demo/jobs/job-", "payload").protected();
    println!("{}", once.await?.path);

    // Many requests, one round trip.
    let names = zk.children("/demo/jobs").await?;
    let paths: Vec<_> = names
        .iter()
        .map(|name| format!("/demo/jobs/{name}"))
        .collect();
    let reads: Vec<_> = paths.iter().map(|path| zk.get(path).submit()).collect();
    for (path, read) in paths.iter().zip(reads) {
        println!("{path}: {} bytes", read.await?.0.len());
    }

    let deletion = zk.delete("/demo").recursive();
    deletion.deadline(Duration::from_secs(10)).await?;
    zk.close().await
}

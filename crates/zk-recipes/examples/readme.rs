//! The quick start of the README, which a test compares with this file.

#![allow(clippy::print_stdout, reason = "an example shows what it read")]

// README: begin
use zk_client::Client;
use zk_recipes::Lock;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zk = Client::connect("127.0.0.1:2181").await?;
    zk.ensure_path("/config").await?;
    let (data, stat) = zk.get("/config").await?;
    println!("{} bytes, version {}", data.len(), stat.version);
    zk.set("/config", "v2").version(stat.version).await?;

    zk.ensure_path("/ledger").await?;
    let guard = Lock::new(&zk, "/locks/ledger")
        .identifier("worker-7")
        .acquire()
        .await?;
    guard.fenced().set("/ledger", "42").commit().await?; // takes effect only while the lock is held
    guard.release().await?;
    zk.close().await?;
    Ok(())
}
// README: end

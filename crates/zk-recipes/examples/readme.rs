//! The example of the README, which a test compares with this file.

use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // README: begin
    use zk_client::Client;
    use zk_recipes::Lock;

    let zk = Client::connect("zk1:2181,zk2:2181,zk3:2181/app").await?;
    let (data, stat) = zk.get("/config").await?;
    zk.set("/config", "v2").version(stat.version).await?;

    let guard = Lock::new(&zk, "/locks/ledger")
        .identifier("worker-7")
        .acquire()
        .await?;
    guard.fenced().set("/ledger", "42").commit().await?; // takes effect only while the lock is ours
    guard.release().await?;
    zk.close().await?;
    // README: end
    drop(data);
    Ok(())
}

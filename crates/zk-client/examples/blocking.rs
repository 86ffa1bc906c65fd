//! A program without a runtime: reads, writes, and waits for a watch.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-client --features blocking --example blocking -- localhost:2181
//! data_changed /demo
//! the data are b"v2"
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use std::time::Duration;

use zk_client::WatchEvent;
use zk_client::blocking::Client;

fn main() -> zk_client::Result<()> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    run(hosts.as_deref().unwrap_or("localhost:2181"))
}

/// Follows a znode without a runtime.
///
/// # Errors
/// A request failed.
pub fn run(hosts: &str) -> zk_client::Result<()> {
    let zk = Client::connect(hosts)?;
    zk.create("/demo", "v1").or_exists().wait()?;
    let (_, _, mut watch) = zk.get("/demo").watch().wait()?;
    zk.set("/demo", "v2").wait()?;
    if let Some(WatchEvent::Node(node)) = zk.wait_timeout(&mut watch, Duration::from_secs(5)) {
        println!("{} {}", node.kind.as_str(), node.path);
    }
    println!("the data are {:?}", zk.get("/demo").synced().wait()?.0);
    zk.delete("/demo").wait()?;
    zk.close()
}

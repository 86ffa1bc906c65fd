//! Follows a znode with one-shot watches, and a subtree with a recursive one.
//!
//! ```console
//! $ zkctl serve &
//! $ cargo run -p zk-client --example watches -- localhost:2181
//! version 0: b""
//! data_changed /demo
//! created /demo/0
//! version 1: b"v0"
//! data_changed /demo
//! created /demo/1
//! version 2: b"v1"
//! data_changed /demo
//! created /demo/2
//! ```
//!
//! Each of both tasks prints its lines in this order; the order between the tasks varies.

#![allow(clippy::print_stdout, reason = "an example shows what it gets")]

use zk_client::{Client, WatchEvent, WatchMode};

#[tokio::main]
async fn main() -> zk_client::Result<()> {
    let hosts = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("ZK_SERVER").ok());
    follow(hosts.as_deref().unwrap_or("localhost:2181")).await
}

/// Follows znodes, and prints what happens.
///
/// # Errors
/// A request failed.
pub async fn follow(hosts: &str) -> zk_client::Result<()> {
    let zk = Client::connect(hosts).await?;
    zk.ensure_path("/demo").await?;

    // Each read sets a watch for the next change. Between two reads nothing is missed: the second read
    // returns the newest data.
    let follower = tokio::spawn({
        let zk = zk.clone();
        async move {
            for _ in 0..3 {
                let (data, stat, watch) = zk.get("/demo").watch().await?;
                println!("version {}: {data:?}", stat.version);
                watch.await;
            }
            Ok::<_, zk_client::Error>(())
        }
    });

    // Every change below a znode, on servers of version 3.6 or newer.
    let mut events = zk.watch("/demo", WatchMode::PersistentRecursive).await?;
    for n in 0..3 {
        zk.set("/demo", format!("v{n}")).await?;
        zk.create(&format!("/demo/{n}"), "").or_exists().await?;
    }
    for _ in 0..6 {
        match events.next().await {
            Some(WatchEvent::Node(node)) => println!("{} {}", node.kind.as_str(), node.path),
            // After a reconnect, or if this loop is too slow: events are missing, so read again.
            Some(WatchEvent::Gap { .. } | WatchEvent::Lagged { .. }) => {
                println!("read it all again")
            }
            Some(WatchEvent::SessionEnded) | None => break,
        }
    }
    // The drop removes the watch on the server.
    drop(events);
    if !follower.is_finished() {
        follower.abort();
    }
    zk.delete("/demo").recursive().await?;
    zk.close().await
}

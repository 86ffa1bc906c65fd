//! Servers that have what the others have not, or commit nothing, and are no client's fault.
//!
//! ZooKeeper before 3.9.3 can lose a transaction on a follower whose leader is killed
//! (ZOOKEEPER-4712). And a leader of 3.8.0 that came to lead while its predecessor was killed was seen
//! to have a follower, answer pings and commit nothing for minutes.

use std::time::Duration;

use zk_client::{Client, ErrorKind};

/// An ensemble elects a leader in seconds. After that, servers are compared.
pub const STALL: Duration = Duration::from_secs(30);

/// The children of `path` as these servers have them, once they have caught up with their leader, or
/// nothing if they do not serve. A znode that does not exist has none.
pub async fn children_at(hosts: &str, path: &str) -> Option<Vec<String>> {
    let asking = Client::builder(hosts)
        .connect_timeout(STALL)
        .deadline(STALL);
    let zk = asking.connect().await.ok()?;
    zk.sync("/").await.ok()?;
    let children = match zk.children(path).await {
        Ok(children) => children.to_vec(),
        Err(error) if error.kind() == ErrorKind::NoNode => Vec::new(),
        Err(_) => return None,
    };
    zk.close().await.ok()?;
    Some(children)
}

//! The expected contents of a cache.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use zk_client::{BackoffPolicy, Client, SessionId, Stat, Zxid};
use zk_embedded::Server;
use zk_recipes::{Cached, Snapshot};

use super::common;

pub(crate) async fn client(server: &Server) -> Client {
    let impatient = BackoffPolicy::new(Duration::from_millis(2), Duration::from_millis(20));
    let zk = common::unhurried(Client::builder(server.connect_string()))
        .backoff(impatient)
        .connect()
        .await
        .unwrap();
    common::acquaint(&zk).await;
    zk
}

/// The parts of a node that have to be equal in two copies. The rest of a stat changes without a write
/// to the node.
type Written = (Bytes, Zxid, Zxid, i32, Option<SessionId>);
pub(crate) type Contents = BTreeMap<String, Written>;

pub(crate) fn written(data: Bytes, stat: Stat) -> Written {
    (data, stat.czxid, stat.mzxid, stat.version, stat.owner())
}

pub(crate) fn copy(node: &Cached) -> Written {
    written(node.data.clone(), node.stat)
}

/// The tree of the server, at and below a path.
pub(crate) fn tree(server: &Server, base: &str) -> Contents {
    let mut tree = Contents::new();
    for path in server.paths() {
        let below = format!("{}/", base.trim_end_matches('/'));
        if (path == base || path.starts_with(&below)) && !path.starts_with("/zookeeper") {
            let node = server.node(&path).unwrap();
            tree.insert(path, written(node.data.unwrap_or_default(), node.stat));
        }
    }
    tree
}

pub(crate) fn contents(snapshot: &Snapshot) -> Contents {
    let nodes = snapshot.iter();
    let nodes: Contents = nodes.map(|(path, node)| (path, copy(node))).collect();
    assert_eq!(nodes.len(), snapshot.len());
    nodes
}

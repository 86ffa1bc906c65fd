//! Reading the state without a client.

use std::time::Duration;

use bytes::Bytes;
use zk_proto::{Acl, SessionId, Stat, Zxid};

use crate::core::state::State;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeInfo {
    /// Its path.
    pub path: String,
    /// Its data; null is not empty.
    pub data: Option<Bytes>,
    /// Its metadata, as clients get it.
    pub stat: Stat,
    /// Whether it is a container, which its metadata does not show.
    pub is_container: bool,
    /// Its time to live, which its metadata does not show.
    pub ttl: Option<Duration>,
    /// Its ACL.
    pub acl: Vec<Acl>,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// Its timeout in milliseconds.
    pub timeout_ms: i32,
    /// Whether a connection is open for it.
    pub connected: bool,
    /// Its ephemeral nodes, sorted.
    pub ephemerals: Vec<String>,
}

/// Numbers of watches, on data and on children as `wchs` counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchCounts {
    /// On data and existence, the recursive ones included.
    pub data: usize,
    /// On children.
    pub child: usize,
}

impl State {
    /// A node of the leader's tree.
    pub fn node(&self, path: &str) -> Option<NodeInfo> {
        let node = self.members.get(self.leader)?.tree.get(path)?;
        Some(NodeInfo {
            path: path.to_owned(),
            data: node.data.clone(),
            stat: node.stat(),
            is_container: node.is_container(),
            ttl: node.ttl(),
            acl: node.acl.to_vec(),
        })
    }

    /// The paths of all nodes of the leader's tree, sorted.
    pub fn paths(&self) -> Vec<String> {
        let tree = self.members.get(self.leader).map(|leader| &leader.tree);
        let paths = tree.into_iter().flat_map(|tree| tree.paths());
        let mut paths: Vec<_> = paths.map(|(path, _)| path.to_owned()).collect();
        paths.sort_unstable();
        paths
    }

    /// The sessions, sorted by id.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        let tree = self.members.get(self.leader).map(|leader| &leader.tree);
        let info = |id: i64| {
            let session = self.sessions.get(id)?;
            let ephemerals = tree.into_iter().flat_map(|tree| tree.ephemerals(id));
            Some(SessionInfo {
                id: SessionId(id),
                timeout_ms: session.timeout_ms,
                connected: session.owner.is_some(),
                ephemerals: ephemerals.map(str::to_owned).collect(),
            })
        };
        self.sessions.ids().into_iter().filter_map(info).collect()
    }

    /// Watches of all members.
    pub fn watch_counts(&self) -> WatchCounts {
        let sum = |count: fn(&crate::core::ensemble::member::Member) -> usize| {
            self.members.iter().map(count).sum()
        };
        WatchCounts {
            data: sum(|member| member.data.len()),
            child: sum(|member| member.child.len()),
        }
    }

    /// Watches on one path, of all members.
    pub fn watches_on(&self, path: &str) -> WatchCounts {
        let mut counts = WatchCounts::default();
        for member in &self.members {
            counts.data += member.data.watchers(path);
            counts.child += member.child.watchers(path);
        }
        counts
    }

    /// Open connections.
    pub fn connection_count(&self) -> usize {
        self.connections.all.len()
    }

    /// The zxid of the last transaction. A refused write counts as one.
    pub fn zxid(&self) -> Zxid {
        Zxid(self.zxid)
    }
}

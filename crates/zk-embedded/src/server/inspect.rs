//! The state of a server, without a client.

use std::sync::Arc;
use std::time::Duration;

use zk_proto::{SessionId, Zxid};

use super::handle::Server;
use crate::core::{NodeInfo, SessionInfo, Txn, WatchCounts};
use crate::net::shared::now;

impl Server {
    /// A node of the leader's tree.
    pub fn node(&self, path: &str) -> Option<NodeInfo> {
        self.shared.look(|inner| inner.state.node(path))
    }

    /// The paths of all nodes, sorted.
    pub fn paths(&self) -> Vec<String> {
        self.shared.look(|inner| inner.state.paths())
    }

    /// The sessions, sorted by id.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.shared.look(|inner| inner.state.sessions())
    }

    /// Watches of all clients.
    pub fn watch_counts(&self) -> WatchCounts {
        self.shared.look(|inner| inner.state.watch_counts())
    }

    /// Watches of all clients on one path.
    pub fn watches_on(&self, path: &str) -> WatchCounts {
        self.shared.look(|inner| inner.state.watches_on(path))
    }

    /// Open connections.
    pub fn connection_count(&self) -> usize {
        self.shared.look(|inner| inner.state.connection_count())
    }

    /// The zxid of the last transaction. A refused write counts as one.
    pub fn zxid(&self) -> Zxid {
        self.shared.look(|inner| inner.state.zxid())
    }

    /// The transactions after `zxid`, in order, as far back as
    /// [`ServerBuilder::log_limit`](crate::ServerBuilder::log_limit) reaches.
    pub fn log_after(&self, zxid: Zxid) -> Vec<Arc<Txn>> {
        self.shared.look(|inner| inner.state.log_after(zxid))
    }

    /// Sets the next sequence number of a node's children, so that a test can let it overflow.
    /// Returns whether there is such a node.
    pub fn set_next_sequence(&self, path: &str, next: i32) -> bool {
        self.shared
            .with(|inner| inner.state.set_next_sequence(path, next))
    }

    /// Lets time pass for one session only, as if its client had sent nothing for `by` longer. The
    /// session ends now if that is more than its timeout. Returns whether there was such a session.
    pub fn age_session(&self, session: SessionId, by: Duration) -> bool {
        self.shared
            .with(|inner| inner.state.age_session(now(), session, by))
    }
}

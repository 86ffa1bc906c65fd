//! Loss of all data, snapshots and restores.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::handle::Server;
use crate::core::Snapshot;
use crate::net::shared::now;

impl Server {
    /// Loses all data: no nodes, no sessions, zxid 0. From then on the server refuses clients that have
    /// seen a later zxid.
    pub fn wipe(&self) {
        self.shared.with(|inner| inner.state.wipe(now()));
        self.shared.clock.notify_one();
    }

    /// The nodes, the sessions and the last zxid, as a backup of the leader's data has them.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.look(|inner| inner.state.snapshot())
    }

    /// Goes back to a [`snapshot`](Self::snapshot) of this server, as after a restore from a backup:
    /// every connection is closed, and later writes are lost. A server without other members continues
    /// with the snapshot's zxid, and refuses clients that have seen a later one. An ensemble begins the
    /// epoch after the snapshot's, as after the election that follows a restart. Sessions that began
    /// after the snapshot do not exist. The snapshot's own sessions get their whole timeout; with
    /// `keep_sessions` false they have all ended. A snapshot can be restored several times.
    pub fn restore_snapshot(&self, snapshot: &Snapshot, keep_sessions: bool) {
        self.shared
            .with(|inner| inner.state.restore_snapshot(now(), snapshot, keep_sessions));
        self.shared.clock.notify_one();
    }

    /// Restores an edited copy: wipes the server, then creates the persistent nodes again with the paths
    /// and the data that `edit` leaves, before any client is back. Zxids and the numbers of sequential
    /// nodes start over, and there is no session. The server refuses clients that have seen a later zxid;
    /// they can connect again once they have given their sessions up.
    pub fn restore(&self, edit: impl FnOnce(&mut BTreeMap<String, Bytes>)) {
        self.shared.with(|inner| inner.state.restore(now(), edit));
        self.shared.clock.notify_one();
    }
}

//! Snapshots of a server's data, and their restoration.

use std::time::Instant;

use zk_proto::Zxid;

use crate::core::ensemble::member::Contact;
use crate::core::session::Session;
use crate::core::state::State;
use crate::core::tree::Tree;

/// The nodes, the sessions and the last zxid of a server at some moment, as in a backup of its data
/// directory.
#[derive(Debug, Clone)]
pub struct Snapshot {
    tree: Tree,
    zxid: i64,
    sessions: Vec<(i64, Session)>,
}

impl Snapshot {
    /// The zxid of the last transaction in it. A refused write counts as one.
    pub fn zxid(&self) -> Zxid {
        Zxid(self.zxid)
    }
}

impl State {
    /// A snapshot of the leader's data.
    pub fn snapshot(&self) -> Snapshot {
        let leader = self.members.get(self.leader);
        Snapshot {
            tree: match leader {
                Some(leader) => leader.tree.clone(),
                None => Tree::new(self.options.behaviour()),
            },
            zxid: self.zxid,
            sessions: self.sessions.saved(),
        }
    }

    /// Goes back to a snapshot, as servers do that were stopped, given another data directory and
    /// started: every connection is closed, and later transactions are removed from the log. Sessions of
    /// the snapshot get their whole timeout; with `keep_sessions` false they have all ended. Sessions
    /// that are not in it do not exist. A server without other members continues with the snapshot's
    /// zxid; an ensemble begins the epoch after the snapshot's. Members that are cut off copy the
    /// snapshot when they rejoin.
    pub fn restore_snapshot(&mut self, now: Instant, snapshot: &Snapshot, keep_sessions: bool) {
        for index in 0..self.members.len() {
            self.disconnect_member(index);
        }
        self.deposed = None;
        for member in &mut self.members {
            if member.contact != Contact::None {
                member.contact = Contact::Quorum;
            }
            member.stuck.clear();
            member.take_over(snapshot.tree.clone(), snapshot.zxid);
        }
        self.zxid = snapshot.zxid;
        self.log.truncate(Zxid(snapshot.zxid));
        let elapsed = self.elapsed(now);
        self.sessions.restore(elapsed, &snapshot.sessions);
        if self.members.len() > 1 {
            // Real servers keep the configuration in files of their own.
            self.publish_config(now);
            let epoch = Zxid(self.zxid).epoch();
            self.begin_epoch(epoch.saturating_add(1));
        }
        if !keep_sessions {
            for id in self.sessions.ids() {
                self.end_session(now, id, 0);
            }
        }
    }
}

//! The state of a server as a backup has it, and going back to it.

use std::time::Instant;

use zk_proto::Zxid;

use crate::core::ensemble::member::Contact;
use crate::core::session::Session;
use crate::core::state::State;
use crate::core::tree::Tree;

/// The nodes, the sessions and the last transaction of a server at some moment, as a backup of its
/// data directory has them.
#[derive(Debug, Clone)]
pub struct Snapshot {
    tree: Tree,
    zxid: i64,
    sessions: Vec<(i64, Session)>,
}

impl Snapshot {
    /// The last transaction in it, refused ones included.
    pub fn zxid(&self) -> Zxid {
        Zxid(self.zxid)
    }
}

impl State {
    /// What the leader has now.
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
    /// started: every connection is closed, the log forgets what came after. Sessions of the snapshot
    /// get their whole timeout, or, with `keep_sessions` false, have all ended. Sessions that are not
    /// in it do not exist. A server alone goes on with the snapshot's zxid; an ensemble begins the epoch
    /// after the snapshot's. Members that are cut off do not take part before they are back.
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
            // The servers have it in files of their own.
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

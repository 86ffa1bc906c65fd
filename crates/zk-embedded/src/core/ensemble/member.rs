//! One member of the ensemble: its copy of the tree, and the watches of its clients.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use zk_proto::{Acl, EventType, Permissions, path};

use crate::core::connection::{Connection, ConnectionId, Traffic};
use crate::core::connections::Connections;
use crate::core::pose::behaviour::{Behaviour, WatchKinds};
use crate::core::tree::acl;
use crate::core::tree::quota;
use crate::core::tree::txn::{Change, Txn};
use crate::core::tree::{Applied, Tree};
use crate::core::watch::{Modes, WatchTable};
use crate::options::Options;

/// The leader that a member is in contact with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contact {
    /// A leader with a quorum, or the member is that leader.
    Quorum,
    /// None, and the member has not noticed.
    Lost,
    /// A leader that was deposed and has not noticed, or the member is that leader.
    Deposed,
    /// None, and the member has noticed: it serves reads at most.
    None,
}

#[derive(Debug)]
pub(crate) struct Member {
    /// Its number, counted from 1; 0 without other members.
    pub(crate) id: u8,
    pub(crate) tree: Tree,
    /// The last transaction that it applied.
    pub(crate) zxid: i64,
    pub(crate) data: WatchTable,
    pub(crate) child: WatchTable,
    /// Transactions not yet applied; `Some` while the member lags.
    pub(crate) backlog: Option<VecDeque<Arc<Txn>>>,
    pub(crate) contact: Contact,
    /// Sessions with a request that waits for a commit which never happens. As on a real server, later
    /// requests of such a session wait too, also on its next connection to this member.
    pub(crate) stuck: HashSet<i64>,
    behaviour: &'static Behaviour,
    /// The port its clients use, if it has one.
    pub(crate) client_port: Option<u16>,
    /// The traffic of its closed connections and of four-letter words, since its start or `srst`.
    pub(crate) traffic: Traffic,
}

impl Member {
    pub(crate) fn new(id: u8, options: &Options) -> Self {
        let behaviour = options.behaviour();
        let mut tree = Tree::new(behaviour);
        tree.keeps_pzxid |= options.keeps_pzxid;
        Self {
            id,
            tree,
            zxid: 0,
            data: WatchTable::new(behaviour.watches),
            child: WatchTable::new(behaviour.watches),
            backlog: None,
            contact: Contact::Quorum,
            stuck: HashSet::new(),
            behaviour,
            client_port: None,
            traffic: Traffic::default(),
        }
    }

    pub(crate) fn has_quorum(&self) -> bool {
        self.contact == Contact::Quorum
    }

    /// Whether the member has noticed that it has no quorum.
    pub(crate) fn is_read_only(&self) -> bool {
        self.contact == Contact::None
    }

    /// Copies another member's state, as a member does that rejoins. The caller closes its connections.
    pub(crate) fn take_over(&mut self, tree: Tree, zxid: i64) {
        self.tree = tree;
        self.zxid = zxid;
        self.data = WatchTable::new(self.behaviour.watches);
        self.child = WatchTable::new(self.behaviour.watches);
        self.backlog = None;
    }

    /// Adds a watch on a node and everything below it.
    pub(crate) fn watch_recursively(&mut self, path: &str, connection: ConnectionId) {
        self.data.add(path, connection, Modes::RECURSIVE);
        if self.behaviour.watches == WatchKinds::LastSet {
            self.child.add(path, connection, Modes::RECURSIVE);
        }
    }

    /// Removes the watches of a connection.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.data.remove_connection(connection);
        self.child.remove_connection(connection);
    }

    /// Applies the backlog.
    pub(crate) fn catch_up(&mut self, connections: &mut Connections) {
        if let Some(backlog) = self.backlog.as_mut() {
            for txn in std::mem::take(backlog) {
                self.apply(&txn, connections);
            }
        }
    }

    /// Applies a transaction and fires the watches. Returns what each change did.
    pub(crate) fn apply(&mut self, txn: &Txn, connections: &mut Connections) -> Vec<Applied> {
        let mut results = Vec::with_capacity(txn.changes.len());
        for change in &txn.changes {
            let before = quota::length_before(&self.tree, change);
            let Some(applied) = self.tree.apply(change, txn.zxid.0, txn.time) else {
                continue;
            };
            quota::update(&mut self.tree, change, before);
            self.fire(change, &applied, txn.zxid.0, connections);
            results.push(applied);
        }
        self.zxid = self.zxid.max(txn.zxid.0);
        results
    }

    fn fire(&mut self, change: &Change, applied: &Applied, zxid: i64, all: &mut Connections) {
        if self.behaviour.watches == WatchKinds::EventEach {
            return self.fire_each(change, all);
        }
        let path = change.path();
        let parent = path::parent(path).unwrap_or("/");
        match change {
            Change::Create { .. } => {
                let watchers = self.data.trigger(path);
                let kind = EventType::NodeCreated;
                self.notify(&watchers, kind, path, &applied.acl, zxid, all);
                let watchers = self.child.trigger_children(parent);
                let kind = EventType::NodeChildrenChanged;
                self.notify(&watchers, kind, parent, &applied.parent_acl, zxid, all);
            }
            Change::Delete { .. } => {
                // One event for a connection that watches both the data and the children.
                let mut watchers = self.data.trigger(path);
                for connection in self.child.trigger(path) {
                    if !watchers.contains(&connection) {
                        watchers.push(connection);
                    }
                }
                let kind = EventType::NodeDeleted;
                self.notify(&watchers, kind, path, &applied.acl, zxid, all);
                let watchers = self.child.trigger_children(parent);
                let kind = EventType::NodeChildrenChanged;
                self.notify(&watchers, kind, parent, &applied.parent_acl, zxid, all);
            }
            Change::SetData { .. } => {
                let watchers = self.data.trigger(path);
                let kind = EventType::NodeDataChanged;
                self.notify(&watchers, kind, path, &applied.acl, zxid, all);
            }
            Change::SetAcl { .. } | Change::Check { .. } => {}
        }
    }

    fn notify(
        &self,
        watchers: &[ConnectionId],
        kind: EventType,
        path: &str,
        acl: &[Acl],
        zxid: i64,
        all: &mut Connections,
    ) {
        let Behaviour {
            events_have_zxid,
            events_check_acl,
            ..
        } = *self.behaviour;
        let zxid = if events_have_zxid { zxid } else { -1 };
        for &id in watchers {
            let may_read =
                |c: &Connection| !events_check_acl || acl::allows(acl, Permissions::READ, &c.auth);
            if all.all.get(&id).is_some_and(may_read) {
                all.notify(id, zxid, kind, path);
            }
        }
    }
}

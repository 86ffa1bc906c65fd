//! Events as ClickHouse Keeper sends them: one for each kind of watch, without a zxid, and also to
//! clients that may not read the node (`KeeperStorage::processWatchesImpl`).

use zk_proto::{EventType, path};

use crate::core::connection::ConnectionId;
use crate::core::connections::Connections;
use crate::core::ensemble::member::Member;
use crate::core::tree::txn::Change;
use crate::core::watch::{Modes, WatchTable};

impl Member {
    pub(crate) fn fire_each(&mut self, change: &Change, all: &mut Connections) {
        let (kind, moves_children) = match change {
            Change::Create { .. } => (EventType::NodeCreated, true),
            Change::Delete { .. } => (EventType::NodeDeleted, true),
            Change::SetData { .. } => (EventType::NodeDataChanged, false),
            Change::SetAcl { .. } | Change::Check { .. } => return,
        };
        let path = change.path();
        if self.data.has_recursive() {
            let mut at = Some(path);
            while let Some(watched) = at {
                for id in self.data.having(watched, Modes::RECURSIVE) {
                    all.notify(id, -1, kind, watched);
                }
                at = path::parent(watched);
            }
        }
        let parent = moves_children.then(|| path::parent(path).unwrap_or("/"));
        let take = |table: &mut WatchTable, path: &str| table.take_standard(path);
        let keep = |table: &mut WatchTable, path: &str| table.having(path, Modes::PERSISTENT);
        let finders: [fn(&mut WatchTable, &str) -> Vec<ConnectionId>; 2] = [take, keep];
        for find in finders {
            for id in find(&mut self.data, path) {
                all.notify(id, -1, kind, path);
            }
            if kind == EventType::NodeDeleted {
                for id in find(&mut self.child, path) {
                    all.notify(id, -1, kind, path);
                }
            }
            for (parent, id) in parent.into_iter().flat_map(|parent| {
                find(&mut self.child, parent)
                    .into_iter()
                    .map(move |id| (parent, id))
            }) {
                all.notify(id, -1, EventType::NodeChildrenChanged, parent);
            }
        }
    }
}

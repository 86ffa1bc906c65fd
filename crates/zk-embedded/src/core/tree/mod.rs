//! The znodes of one member.
//!
//! `acl` is access control, `children` the order of names, `quota` the limits; `txn` is what changes a
//! tree, `snapshot` a copy of the server's data.

pub(crate) mod acl;
pub(crate) mod children;
mod node;
pub(crate) mod quota;
pub(crate) mod snapshot;
pub(crate) mod txn;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use zk_proto::path;
use zk_proto::{Acl, Stat};

pub(crate) use self::node::{AclList, Node, saturate};
use crate::core::pose::behaviour::Behaviour;
use crate::core::shrink::shrink_map;
use crate::core::tree::txn::Change;

/// The effect of a change, for watches and the reply.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) stat: Option<Stat>,
    /// The ACL of the node.
    pub(crate) acl: AclList,
    /// The ACL of its parent.
    pub(crate) parent_acl: AclList,
}

#[derive(Debug, Clone)]
pub(crate) struct Tree {
    nodes: HashMap<Box<str>, Node>,
    /// Paths by owning session.
    ephemerals: BTreeMap<i64, BTreeSet<Box<str>>>,
    /// Containers and nodes with a time to live.
    reapable: BTreeSet<Box<str>>,
    data_size: usize,
    /// Whether a deletion leaves the parent's pzxid as it was.
    pub(crate) keeps_pzxid: bool,
    /// Whether new data advances the parent's cversion.
    set_moves_cversion: bool,
}

impl Tree {
    pub(crate) fn new(behaviour: &Behaviour) -> Self {
        let open: AclList = Acl::open().into();
        let mut tree = Self {
            nodes: HashMap::new(),
            ephemerals: BTreeMap::new(),
            reapable: BTreeSet::new(),
            data_size: 0,
            keeps_pzxid: behaviour.keeps_pzxid,
            set_moves_cversion: behaviour.set_moves_cversion,
        };
        let root: (&str, &[u8]) = ("/", b"");
        for &(path, data) in [root].iter().chain(behaviour.system_nodes) {
            let node = Node::new(Some(Bytes::from_static(data)), open.clone(), 0, 0, 0);
            tree.nodes.insert(path.into(), node);
            if let Some(parent) = path::parent(path).and_then(|parent| tree.nodes.get_mut(parent)) {
                parent.children.insert(path::name(path));
                if behaviour.set_moves_cversion {
                    // Such a server does not count the nodes that it creates itself.
                    parent.extra_cversion += 1;
                }
            }
            tree.data_size += path.len() + data.len();
        }
        if let Some(config) = tree.nodes.get_mut("/zookeeper/config") {
            config.acl = Acl::read_only().into();
            config.aversion = -1;
        }
        tree
    }

    /// The node at `path`. The empty path is the root, as in Apache ZooKeeper, which does not validate
    /// the paths of reads.
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(if path.is_empty() { "/" } else { path })
    }

    fn get_mut(&mut self, path: &str) -> Option<&mut Node> {
        self.nodes.get_mut(if path.is_empty() { "/" } else { path })
    }

    /// Number of nodes as Apache ZooKeeper counts them: the root counts twice.
    pub(crate) fn count(&self) -> usize {
        self.nodes.len() + 1
    }

    pub(crate) fn data_size(&self) -> usize {
        self.data_size
    }

    pub(crate) fn descendants(&self, path: &str) -> usize {
        if path == "/" {
            return self.nodes.len() - 1;
        }
        // A real server counts the root as a descendant of the empty path.
        let below = |name: &str| {
            name.strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        self.nodes.keys().filter(|name| below(name)).count()
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (&**path, node))
    }

    pub(crate) fn ephemerals(&self, session: i64) -> impl Iterator<Item = &str> {
        let paths = self.ephemerals.get(&session).into_iter().flatten();
        paths.map(|path| &**path)
    }

    pub(crate) fn ephemeral_owners(&self) -> impl Iterator<Item = (i64, &BTreeSet<Box<str>>)> {
        self.ephemerals.iter().map(|(&owner, paths)| (owner, paths))
    }

    pub(crate) fn reapable(&self) -> impl Iterator<Item = &str> {
        self.reapable.iter().map(|path| &**path)
    }

    pub(crate) fn set_creates(&mut self, path: &str, creates: i32) -> bool {
        self.get_mut(path)
            .map(|node| node.creates = creates)
            .is_some()
    }

    /// Replaces a node's data without a transaction, as the server does with its own nodes.
    pub(crate) fn set_quietly(&mut self, path: &str, data: Bytes) {
        if let Some(node) = self.get_mut(path) {
            let before = node.data.as_ref().map_or(0, Bytes::len);
            let after = data.len();
            node.data = Some(data);
            self.data_size = self.data_size.saturating_add(after).saturating_sub(before);
        }
    }

    /// Sets the configuration without a transaction, as a server does when it starts or begins to lead.
    pub(crate) fn set_config(&mut self, data: Bytes, version: i64, time: i64) {
        self.set_quietly("/zookeeper/config", data);
        if let Some(config) = self.get_mut("/zookeeper/config") {
            config.version = -1;
            config.mzxid = version;
            config.mtime = time;
        }
    }

    /// Applies a checked change. `None` if a node of the change is missing, which does not happen to a
    /// change that was checked against the same tree.
    pub(crate) fn apply(&mut self, change: &Change, zxid: i64, time: i64) -> Option<Applied> {
        match change {
            Change::Create {
                path,
                data,
                acl,
                owner,
                creates,
            } => {
                let node = Node::new(data.clone(), acl.clone(), *owner, zxid, time);
                self.insert(path, node, *creates, zxid)
            }
            Change::Delete { path } => self.remove(path, zxid),
            Change::SetData {
                path,
                data,
                version,
            } => {
                let node = self.nodes.get_mut(&**path)?;
                let before = node.data.as_ref().map_or(0, Bytes::len);
                node.data.clone_from(data);
                node.mtime = time;
                node.mzxid = zxid;
                node.version = *version;
                let after = node.data.as_ref().map_or(0, Bytes::len);
                let applied = applied(node);
                self.data_size = self.data_size.saturating_add(after).saturating_sub(before);
                if self.set_moves_cversion
                    && let Some(parent) = self.nodes.get_mut(path::parent(path).unwrap_or("/"))
                {
                    parent.extra_cversion = parent.extra_cversion.wrapping_add(1);
                }
                Some(applied)
            }
            Change::SetAcl {
                path,
                acl,
                aversion,
            } => {
                let node = self.nodes.get_mut(&**path)?;
                node.acl = acl.clone();
                node.aversion = *aversion;
                Some(applied(node))
            }
            Change::Check { path } => self.nodes.get(&**path).map(applied),
        }
    }

    fn insert(&mut self, path: &str, node: Node, creates: i32, zxid: i64) -> Option<Applied> {
        let parent = self.nodes.get_mut(path::parent(path)?)?;
        parent.creates = creates;
        parent.pzxid = zxid;
        parent.children.insert(path::name(path));
        let applied = Applied {
            stat: Some(node.stat()),
            acl: node.acl.clone(),
            parent_acl: parent.acl.clone(),
        };
        if node.is_container() || node.ttl().is_some() {
            self.reapable.insert(path.into());
        } else if node.owner != 0 {
            let paths = self.ephemerals.entry(node.owner).or_default();
            paths.insert(path.into());
        }
        self.data_size += path.len() + node.data.as_ref().map_or(0, Bytes::len);
        self.nodes.insert(path.into(), node);
        Some(applied)
    }

    fn remove(&mut self, path: &str, zxid: i64) -> Option<Applied> {
        let node = self.nodes.remove(path)?;
        shrink_map(&mut self.nodes);
        let size = path.len() + node.data.as_ref().map_or(0, Bytes::len);
        self.data_size = self.data_size.saturating_sub(size);
        self.reapable.remove(path);
        if let Some(paths) = self.ephemerals.get_mut(&node.owner) {
            paths.remove(path);
            if paths.is_empty() {
                self.ephemerals.remove(&node.owner);
            }
        }
        let parent = self.nodes.get_mut(path::parent(path)?)?;
        parent.children.remove(path::name(path));
        if !self.keeps_pzxid {
            parent.pzxid = parent.pzxid.max(zxid);
        }
        Some(Applied {
            stat: None,
            acl: node.acl,
            parent_acl: parent.acl.clone(),
        })
    }
}

fn applied(node: &Node) -> Applied {
    Applied {
        stat: Some(node.stat()),
        acl: node.acl.clone(),
        parent_acl: node.acl.clone(),
    }
}

#[cfg(test)]
mod tests {
    use zk_proto::Zxid;

    use super::*;
    use crate::core::pose::Pose;

    fn create(path: &str, owner: i64, creates: i32) -> Change {
        Change::Create {
            path: path.into(),
            data: Some(Bytes::from_static(b"x")),
            acl: Acl::open().into(),
            owner,
            creates,
        }
    }

    #[test]
    fn cversion_counts_creations_and_deletions() {
        let mut tree = Tree::new(Pose::V3_9.behaviour());
        assert_eq!(tree.get("/").unwrap().stat().cversion, -1);
        tree.apply(&create("/a", 0, 1), 1, 10).unwrap();
        tree.apply(&create("/a/b", 0, 1), 2, 20).unwrap();
        let stat = tree.get("/a").unwrap().stat();
        assert_eq!(
            (stat.cversion, stat.num_children, stat.pzxid),
            (1, 1, Zxid(2))
        );
        let gone = Change::Delete {
            path: "/a/b".into(),
        };
        tree.apply(&gone, 3, 30).unwrap();
        let stat = tree.get("/a").unwrap().stat();
        assert_eq!(
            (stat.cversion, stat.num_children, stat.pzxid),
            (2, 0, Zxid(3))
        );
        assert!(tree.apply(&gone, 4, 40).is_none());
    }

    #[test]
    fn indexes_and_counts_follow_the_nodes() {
        let mut tree = Tree::new(Pose::V3_9.behaviour());
        let (size, count) = (tree.data_size(), tree.count());
        assert_eq!((size, count), (44, 5));
        tree.apply(&create("/e", 7, 1), 1, 0).unwrap();
        tree.apply(&create("/c", Stat::container_owner(), 2), 2, 0)
            .unwrap();
        tree.apply(&create("/t", Stat::ttl_owner(5).unwrap(), 3), 3, 0)
            .unwrap();
        assert_eq!(tree.ephemerals(7).collect::<Vec<_>>(), ["/e"]);
        assert_eq!(tree.reapable().collect::<Vec<_>>(), ["/c", "/t"]);
        assert_eq!(tree.data_size(), size + 9);
        for path in ["/e", "/c", "/t"] {
            tree.apply(&Change::Delete { path: path.into() }, 9, 0)
                .unwrap();
        }
        assert_eq!(tree.ephemeral_owners().count(), 0);
        assert_eq!(tree.reapable().count(), 0);
        assert_eq!((tree.data_size(), tree.count()), (size, count));
    }

    #[test]
    fn descendants_are_the_nodes_below() {
        let mut tree = Tree::new(Pose::V3_9.behaviour());
        for (path, creates) in [("/a", 1), ("/a/b", 1), ("/a/b/c", 1), ("/ab", 2)] {
            tree.apply(&create(path, 0, creates), 1, 0).unwrap();
        }
        assert_eq!(tree.descendants("/a"), 2);
        assert_eq!(tree.descendants("/a/b/c"), 0);
        assert_eq!(tree.descendants("/"), 7);
        assert_eq!(tree.descendants(""), 8);
    }
}

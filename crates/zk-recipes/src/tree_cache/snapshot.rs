//! The contents of a cache at one time.

use std::fmt;

use zk_client::path::join;

use super::cached::Cached;
use super::tree::{Entry, Tree};

/// The contents of a [`TreeCache`](super::TreeCache) at one time. A snapshot never changes, is read
/// without a lock, and is cheap to clone.
///
/// Each node in it is as it was at some zxid, not all at the same: a cache reads nodes one by one.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) tree: Tree,
    pub(super) generation: u64,
    pub(super) complete: bool,
}

impl Snapshot {
    /// A node, by its path below the root of the client's handle. `None` if it does not exist, or is
    /// not covered.
    pub fn get(&self, path: &str) -> Option<&Cached> {
        self.tree.get(path).map(|entry| &entry.cached)
    }

    /// A node's children and their names, sorted; none if the node does not exist.
    pub fn children(&self, path: &str) -> impl Iterator<Item = (&str, &Cached)> {
        let children = self.tree.get(path).into_iter().flat_map(Entry::children);
        children.map(|(name, entry)| (name, &entry.cached))
    }

    /// The number of a node's children that are covered; 0 if the node does not exist.
    pub fn child_count(&self, path: &str) -> usize {
        self.tree.get(path).map_or(0, Entry::child_count)
    }

    /// All nodes with their paths: each node before its children, the children sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (String, &Cached)> {
        let root = self
            .tree
            .root()
            .map(|root| (self.tree.base().to_string(), root));
        let mut unread: Vec<_> = root.into_iter().collect();
        std::iter::from_fn(move || {
            let (path, entry) = unread.pop()?;
            let from = unread.len();
            let below = entry.children();
            unread.extend(below.map(|(name, child)| (join(&path, name), child)));
            if let Some(added) = unread.get_mut(from..) {
                added.reverse();
            }
            Some((path, &entry.cached))
        })
    }

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    /// Whether there is no node: not even the root exists, or none has been read yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An estimate of the nodes' memory, in bytes: their names, their data, and 320 for each.
    pub fn bytes(&self) -> usize {
        self.tree.bytes()
    }

    /// Starts at 1, and increases each time the cache may have missed a change and reads everything
    /// again.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether everything has been read in this generation. If not, some nodes may be older than the
    /// loss of contact, or missing.
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("root", self.tree.base())
            .field("nodes", &self.len())
            .field("bytes", &self.bytes())
            .field("generation", &self.generation)
            .field("complete", &self.complete)
            .finish()
    }
}

//! What a cache knew at some time.

use std::fmt;

use bytes::Bytes;
use zk_client::Stat;

use super::tree::{Entry, Tree, join};

/// A node as a cache knows it.
///
/// It is the past: to change the node only if it is still like this, name its version, as in
/// `zk.set(path, data).version(cached.stat.version)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cached<T = Bytes> {
    /// Its data; empty if the cache was told to leave data out.
    pub data: T,
    /// Its stat. The zxids of its creation and of its data, and their version, belong to the data.
    /// What changes without the node's being written to is as it was when the node was last read:
    /// `cversion`, `num_children` and `pzxid` of a node whose children come and go, and `aversion`.
    pub stat: Stat,
    /// The [generation](Snapshot::generation) in which the node was last read. One lower than the
    /// snapshot's has not been confirmed since contact was lost.
    pub generation: u64,
}

impl<T> Cached<T> {
    /// The same with its data turned into something else.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Cached<U>, E> {
        Ok(Cached {
            data: f(self.data)?,
            stat: self.stat,
            generation: self.generation,
        })
    }
}

/// What a [`TreeCache`](super::TreeCache) knew at some time. It never changes, takes no lock to
/// read, and cloning it is cheap.
///
/// Each node in it is as it was at some zxid, not all at the same: a cache reads nodes one by one.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) tree: Tree,
    pub(super) generation: u64,
    pub(super) complete: bool,
}

impl Snapshot {
    /// A node, by its path as the client has it. `None` if it does not exist, or is not covered.
    pub fn get(&self, path: &str) -> Option<&Cached> {
        self.tree.get(path).map(|entry| &entry.cached)
    }

    /// The names of a node's children and what they are, sorted; none if the node does not exist.
    pub fn children(&self, path: &str) -> impl Iterator<Item = (&str, &Cached)> {
        let children = self.tree.get(path).into_iter().flat_map(Entry::children);
        children.map(|(name, entry)| (name, &entry.cached))
    }

    /// The number of a node's children, as far as they are covered; 0 if it does not exist.
    pub fn child_count(&self, path: &str) -> usize {
        self.tree.get(path).map_or(0, Entry::child_count)
    }

    /// All nodes with their paths: each before its children, and those sorted by name.
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

    /// What the nodes take, in bytes, as far as that can be said: their names, their data, and 320
    /// for each.
    pub fn bytes(&self) -> usize {
        self.tree.bytes()
    }

    /// Goes up each time the cache may have missed something and reads everything again; 1 at
    /// first.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether everything has been read in this generation. If not, some of it may be older than
    /// the time at which contact was lost, or not be there yet.
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

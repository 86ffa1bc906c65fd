//! The nodes of a cache, and their memory.

use std::sync::Arc;

use zk_client::path::join;

use super::cached::Cached;
use super::directory::Directory;

/// The memory of a node beside its name and its data, in bytes: 275 as measured on a 64-bit machine
/// with glibc's allocator, and a margin for other allocators.
const NODE_BYTES: usize = 320;

/// The maximum depth of a tree. The drop of a deeper one would overflow the stack.
pub(super) const DEPTH_LIMIT: usize = 512;

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) cached: Cached,
    children: Option<Arc<Directory<Entry>>>,
}

impl Entry {
    pub(super) fn new(cached: Cached) -> Self {
        Entry {
            cached,
            children: None,
        }
    }

    pub(super) fn child(&self, name: &str) -> Option<&Arc<Entry>> {
        self.children.as_ref()?.get(name)
    }

    /// The name of a child that exists, without a copy.
    pub(super) fn shared_name(&self, name: &str) -> Option<Arc<str>> {
        self.children.as_ref()?.name(name).cloned()
    }

    /// The children, sorted by name.
    pub(super) fn children(&self) -> impl Iterator<Item = (&str, &Arc<Entry>)> + Clone {
        self.children.iter().flat_map(|children| children.iter())
    }

    pub(super) fn child_count(&self) -> usize {
        self.children.as_ref().map_or(0, |children| children.len())
    }

    fn cost(&self, name: &str) -> usize {
        NODE_BYTES + name.len() + self.cached.data.len()
    }
}

/// The result of putting a node into the tree.
#[derive(Debug)]
pub(super) enum Put {
    Added,
    Replaced(Cached),
    /// The tree has no parent for it, so it was not added.
    Orphan,
}

/// Cheap to clone: nodes are shared until they are changed.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    /// The path of its root.
    base: Arc<str>,
    root: Option<Arc<Entry>>,
    len: usize,
    bytes: usize,
}

impl Tree {
    pub(super) fn new(base: Arc<str>) -> Self {
        Tree {
            base,
            root: None,
            len: 0,
            bytes: 0,
        }
    }

    pub(super) fn base(&self) -> &Arc<str> {
        &self.base
    }

    pub(super) fn root(&self) -> Option<&Arc<Entry>> {
        self.root.as_ref()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The estimated memory of the nodes: see [`NODE_BYTES`].
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The names from the root to a path; `None` outside of the tree: not every path with the root's
    /// path as a prefix is below the root.
    pub(super) fn names<'p>(
        &self,
        path: &'p str,
    ) -> Option<impl Iterator<Item = &'p str> + use<'p>> {
        let rest = match &*self.base {
            "/" => path,
            base => path.strip_prefix(base)?,
        };
        let inside = rest.is_empty() || rest.starts_with('/');
        inside.then(|| rest.split('/').filter(|name| !name.is_empty()))
    }

    /// How far below the root a path is; `None` outside of the tree.
    pub(super) fn depth(&self, path: &str) -> Option<usize> {
        Some(self.names(path)?.count())
    }

    pub(super) fn get(&self, path: &str) -> Option<&Entry> {
        let mut at = self.root.as_ref()?;
        for name in self.names(path)? {
            at = at.child(name)?;
        }
        Some(at)
    }

    fn get_mut(&mut self, path: &str) -> Option<&mut Entry> {
        self.get(path)?;
        let names = self.names(path)?;
        let mut at = Arc::make_mut(self.root.as_mut()?);
        for name in names {
            let children = Arc::make_mut(at.children.as_mut()?);
            at = Arc::make_mut(children.get_mut(name)?);
        }
        Some(at)
    }

    /// Adds a node, or replaces it and keeps its children.
    pub(super) fn put(&mut self, path: &str, cached: Cached) -> Put {
        let size = cached.data.len();
        if let Some(known) = self.get_mut(path) {
            let old = std::mem::replace(&mut known.cached, cached);
            self.bytes = self.bytes + size - old.data.len();
            return Put::Replaced(old);
        }
        let entry = Entry::new(cached);
        if path == &*self.base {
            self.bytes += entry.cost("");
            self.root = Some(Arc::new(entry));
        } else {
            let (parent, name) = split(path);
            let cost = entry.cost(name);
            let Some(parent) = self.get_mut(parent) else {
                return Put::Orphan;
            };
            let children = parent.children.get_or_insert_default();
            Arc::make_mut(children).insert(name, Arc::new(entry));
            self.bytes += cost;
        }
        self.len += 1;
        Put::Added
    }

    /// Removes a node and all nodes below it, and calls `gone` for each of them, children first.
    pub(super) fn remove(&mut self, path: &str, gone: &mut impl FnMut(String, &Cached)) {
        let removed = if path == &*self.base {
            self.root.take()
        } else {
            let (parent, name) = split(path);
            self.take_child(parent, name)
        };
        let Some(removed) = removed else { return };
        let (mut len, mut bytes) = (0, 0);
        let name = if path == &*self.base {
            ""
        } else {
            split(path).1
        };
        visit(path, name, &removed, &mut |path, name, entry| {
            len += 1;
            bytes += entry.cost(name);
            gone(path.to_owned(), &entry.cached);
        });
        self.len -= len;
        self.bytes -= bytes;
    }

    fn take_child(&mut self, parent: &str, name: &str) -> Option<Arc<Entry>> {
        self.get(parent)?.child(name)?;
        let parent = self.get_mut(parent)?;
        let children = Arc::make_mut(parent.children.as_mut()?);
        let child = children.remove(name);
        if children.len() == 0 {
            parent.children = None;
        }
        child
    }
}

/// Visits a node and all below it, children first.
fn visit(path: &str, name: &str, entry: &Entry, visitor: &mut impl FnMut(&str, &str, &Entry)) {
    for (name, child) in entry.children() {
        visit(&join(path, name), name, child, visitor);
    }
    visitor(path, name, entry);
}

/// The path of the parent, and the name.
pub(super) fn split(path: &str) -> (&str, &str) {
    match path.rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some(split) => split,
        None => ("/", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cached(data: &'static str) -> Cached {
        Cached {
            data: data.into(),
            stat: zk_client::Stat::default(),
            generation: 1,
        }
    }

    /// Guards: C18.
    #[test]
    fn a_shared_prefix_is_not_below_the_root() {
        let tree = Tree::new("/a".into());
        assert_eq!(tree.depth("/a"), Some(0));
        assert_eq!(tree.depth("/a/b/c"), Some(2));
        assert_eq!(tree.depth("/ab"), None);
        assert_eq!(tree.depth("/"), None);
        let all = Tree::new("/".into());
        assert_eq!(all.depth("/"), Some(0));
        assert_eq!(all.depth("/ab"), Some(1));
    }

    #[test]
    fn a_removal_reports_children_first() {
        for base in ["/", "/app"] {
            let mut tree = Tree::new(base.into());
            let at = |names: &str| join(base, names);
            assert!(matches!(tree.put(base, cached("")), Put::Added));
            assert!(matches!(tree.put(&at("a/b"), cached("")), Put::Orphan));
            for names in ["a", "a/b", "a/b/c", "a/d", "e"] {
                assert!(matches!(tree.put(&at(names), cached("12")), Put::Added));
            }
            let before = tree.clone();
            assert!(
                matches!(tree.put(&at("a"), cached("1")), Put::Replaced(old) if old.data == "12")
            );
            assert_eq!((tree.len(), tree.bytes()), (6, 6 * NODE_BYTES + 5 + 9));
            let mut gone = Vec::new();
            tree.remove(&at("a"), &mut |path, _| gone.push(path));
            assert_eq!(gone, [at("a/b/c"), at("a/b"), at("a/d"), at("a")]);
            assert_eq!((tree.len(), tree.bytes()), (2, 2 * NODE_BYTES + 1 + 2));
            tree.remove(base, &mut |path, _| gone.push(path));
            assert_eq!((tree.len(), tree.bytes()), (0, 0));
            assert_eq!(before.get(&at("a")).unwrap().cached.data, "12");
            assert_eq!(before.len(), 6);
        }
    }
}

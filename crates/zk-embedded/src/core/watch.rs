//! The watches of one member: which connections get an event when a node, or one below it, changes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use zk_proto::path;

use crate::core::connection::ConnectionId;
use crate::core::pose::behaviour::WatchKinds;
use crate::core::shrink::{shrink_map, shrink_set};

/// The kinds of watch one connection has on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Modes(u8);

impl Modes {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const STANDARD: Self = Self(1);
    pub(crate) const PERSISTENT: Self = Self(2);
    pub(crate) const RECURSIVE: Self = Self(4);
    pub(crate) const ANY: Self = Self(7);

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Watches on one aspect of nodes: their data, or their children.
#[derive(Debug)]
pub(crate) struct WatchTable {
    by_path: HashMap<Arc<str>, BTreeMap<ConnectionId, Modes>>,
    by_connection: HashMap<ConnectionId, HashSet<Arc<str>>>,
    recursive: usize,
    kinds: WatchKinds,
}

impl WatchTable {
    pub(crate) fn new(kinds: WatchKinds) -> Self {
        Self {
            by_path: HashMap::new(),
            by_connection: HashMap::new(),
            recursive: 0,
            kinds,
        }
    }

    pub(crate) fn add(&mut self, path: &str, connection: ConnectionId, mode: Modes) {
        let path: Arc<str> = match self.by_path.get_key_value(path) {
            Some((path, _)) => path.clone(),
            None => path.into(),
        };
        let watchers = self.by_path.entry(path.clone()).or_default();
        let before = watchers.get(&connection).copied().unwrap_or(Modes::NONE);
        let after = if self.kinds == WatchKinds::LastSet {
            mode
        } else {
            before.with(mode)
        };
        watchers.insert(connection, after);
        self.recount(before, after);
        let paths = self.by_connection.entry(connection).or_default();
        paths.insert(path);
    }

    /// Whether there is a watch with any of `modes` on `path`, of this connection or, as the imitated
    /// server looks for it, of any.
    pub(crate) fn contains(&self, path: &str, connection: ConnectionId, modes: Modes) -> bool {
        let Some(watchers) = self.by_path.get(path) else {
            return false;
        };
        match self.kinds {
            WatchKinds::OneEvent => watchers.get(&connection).is_some_and(|has| has.has(modes)),
            // Servers before 3.9 look for a watch of any connection.
            WatchKinds::LastSet => modes != Modes::NONE,
            WatchKinds::EventEach => watchers.values().any(|has| has.has(modes)),
        }
    }

    /// The connections that have any of `modes` on `path`.
    pub(crate) fn having(&self, path: &str, modes: Modes) -> Vec<ConnectionId> {
        let watchers = self.by_path.get(path).into_iter().flatten();
        let having = watchers.filter(|(_, has)| has.has(modes));
        having.map(|(&connection, _)| connection).collect()
    }

    /// Removes the one-shot watches on `path`, and returns their connections.
    pub(crate) fn take_standard(&mut self, path: &str) -> Vec<ConnectionId> {
        let having = self.having(path, Modes::STANDARD);
        for &connection in &having {
            self.remove(path, connection, Modes::STANDARD);
        }
        having
    }

    pub(crate) fn has_recursive(&self) -> bool {
        self.recursive > 0
    }

    /// Removes `modes`. Returns whether the connection had any of them.
    pub(crate) fn remove(&mut self, path: &str, connection: ConnectionId, modes: Modes) -> bool {
        let Some(watchers) = self.by_path.get_mut(path) else {
            return false;
        };
        let Some(&before) = watchers.get(&connection) else {
            return false;
        };
        let after = before.without(modes);
        if after == Modes::NONE {
            watchers.remove(&connection);
            if watchers.is_empty() {
                self.by_path.remove(path);
                shrink_map(&mut self.by_path);
            }
            self.forget(path, connection);
        } else {
            watchers.insert(connection, after);
        }
        self.recount(before, after);
        before != after
    }

    pub(crate) fn remove_connection(&mut self, connection: ConnectionId) {
        for path in self.by_connection.remove(&connection).unwrap_or_default() {
            let Some(watchers) = self.by_path.get_mut(&path) else {
                continue;
            };
            let before = watchers.remove(&connection).unwrap_or(Modes::NONE);
            if watchers.is_empty() {
                self.by_path.remove(&path);
                shrink_map(&mut self.by_path);
            }
            self.recount(before, Modes::NONE);
        }
    }

    /// The connections that get an event for a change of `path`, each once. Their one-shot watches are
    /// removed.
    pub(crate) fn trigger(&mut self, path: &str) -> Vec<ConnectionId> {
        self.fire(path, Modes::NONE)
    }

    /// As [`trigger`](Self::trigger), for a change of the children, for which recursive watches get no
    /// event.
    pub(crate) fn trigger_children(&mut self, path: &str) -> Vec<ConnectionId> {
        // Only before 3.9 are there recursive watches in the table of children.
        self.fire(path, Modes::RECURSIVE)
    }

    fn fire(&mut self, path: &str, except: Modes) -> Vec<ConnectionId> {
        let mut notified = Vec::new();
        let mut spent = Vec::new();
        if let Some(watchers) = self.by_path.get_mut(path) {
            watchers.retain(|&connection, modes| {
                if modes.without(except) == Modes::NONE {
                    return true;
                }
                notified.push(connection);
                *modes = modes.without(Modes::STANDARD);
                if *modes == Modes::NONE {
                    spent.push(connection);
                }
                *modes != Modes::NONE
            });
            if watchers.is_empty() {
                self.by_path.remove(path);
                shrink_map(&mut self.by_path);
            }
        }
        for connection in spent {
            self.forget(path, connection);
        }
        if self.recursive > 0 && !except.has(Modes::RECURSIVE) {
            let mut above = path::parent(path);
            while let Some(path) = above {
                if let Some(watchers) = self.by_path.get(path) {
                    let recursive = watchers.iter().filter(|(_, m)| m.has(Modes::RECURSIVE));
                    notified.extend(recursive.map(|(&connection, _)| connection));
                }
                above = path::parent(path);
            }
            notified.sort_unstable();
            notified.dedup();
        }
        notified
    }

    /// Number of watches, one for each path and connection.
    pub(crate) fn len(&self) -> usize {
        self.by_path.values().map(BTreeMap::len).sum()
    }

    pub(crate) fn watchers(&self, path: &str) -> usize {
        self.by_path.get(path).map_or(0, BTreeMap::len)
    }

    pub(crate) fn path_count(&self) -> usize {
        self.by_path.len()
    }

    pub(crate) fn connection_count(&self) -> usize {
        self.by_connection.len()
    }

    pub(crate) fn by_path(
        &self,
    ) -> impl Iterator<Item = (&str, impl Iterator<Item = ConnectionId>)> {
        let paths = self.by_path.iter();
        paths.map(|(path, watchers)| (&**path, watchers.keys().copied()))
    }

    pub(crate) fn by_connection(
        &self,
    ) -> impl Iterator<Item = (ConnectionId, impl Iterator<Item = &str>)> {
        let connections = self.by_connection.iter();
        connections.map(|(&connection, paths)| (connection, paths.iter().map(|path| &**path)))
    }

    fn forget(&mut self, path: &str, connection: ConnectionId) {
        if let Some(paths) = self.by_connection.get_mut(&connection) {
            paths.remove(path);
            shrink_set(paths);
            if paths.is_empty() {
                self.by_connection.remove(&connection);
            }
        }
    }

    fn recount(&mut self, before: Modes, after: Modes) {
        match (before.has(Modes::RECURSIVE), after.has(Modes::RECURSIVE)) {
            (false, true) => self.recursive += 1,
            (true, false) => self.recursive = self.recursive.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ConnectionId = ConnectionId(1);
    const B: ConnectionId = ConnectionId(2);

    #[test]
    fn a_persistent_watch_fires_again() {
        let mut table = WatchTable::new(WatchKinds::OneEvent);
        table.add("/a", A, Modes::STANDARD);
        table.add("/a", B, Modes::PERSISTENT);
        assert_eq!(table.trigger("/a"), [A, B]);
        assert_eq!(table.trigger("/a"), [B]);
        assert_eq!((table.len(), table.connection_count()), (1, 1));
    }

    #[test]
    fn one_event_however_many_watches_match() {
        let mut table = WatchTable::new(WatchKinds::OneEvent);
        for path in ["/", "/a", "/a/b"] {
            table.add(path, A, Modes::RECURSIVE);
        }
        table.add("/a/b", A, Modes::STANDARD);
        table.add("/a/b", A, Modes::PERSISTENT);
        assert_eq!(table.trigger("/a/b"), [A]);
        assert_eq!(table.trigger("/a/b/c"), [A]);
        assert!(!table.contains("/a/b", A, Modes::STANDARD));
        assert!(table.contains("/a/b", A, Modes::PERSISTENT));
    }

    #[test]
    fn recursive_watches_fire_for_paths_below() {
        let mut table = WatchTable::new(WatchKinds::OneEvent);
        table.add("/a", A, Modes::RECURSIVE);
        assert_eq!(table.trigger("/a/b/c"), [A]);
        assert!(table.trigger("/").is_empty());
        assert!(table.trigger("/ab").is_empty());
        table.remove_connection(A);
        assert!(table.trigger("/a").is_empty());
        assert_eq!(
            (table.len(), table.path_count(), table.recursive),
            (0, 0, 0)
        );
    }

    #[test]
    fn removal_reports_whether_a_watch_existed() {
        let mut table = WatchTable::new(WatchKinds::OneEvent);
        table.add("/a", A, Modes::STANDARD);
        table.add("/a", A, Modes::RECURSIVE);
        assert!(!table.remove("/a", A, Modes::PERSISTENT));
        assert!(!table.remove("/a", B, Modes::ANY));
        assert!(table.remove("/a", A, Modes::STANDARD));
        assert!(!table.remove("/a", A, Modes::STANDARD));
        assert!(table.remove("/a", A, Modes::ANY));
        assert_eq!((table.len(), table.recursive), (0, 0));
    }

    #[test]
    fn before_3_9_any_clients_watch_is_found() {
        let mut table = WatchTable::new(WatchKinds::LastSet);
        table.add("/a", A, Modes::STANDARD);
        assert!(table.contains("/a", B, Modes::ANY));
        assert!(!table.contains("/a", B, Modes::NONE) && !table.contains("/b", A, Modes::ANY));
        assert!(!table.remove("/a", B, Modes::ANY));
    }

    #[test]
    fn before_3_9_recursive_watches_on_children() {
        let mut table = WatchTable::new(WatchKinds::LastSet);
        table.add("/a", A, Modes::RECURSIVE);
        assert!(table.trigger_children("/a").is_empty());
        assert!(table.trigger_children("/a/b").is_empty());
        assert_eq!(table.trigger("/a/b"), [A]);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn before_3_9_the_last_kind_replaces_others() {
        let mut table = WatchTable::new(WatchKinds::LastSet);
        table.add("/a", A, Modes::RECURSIVE);
        table.add("/a", A, Modes::STANDARD);
        assert!(table.trigger("/a/b").is_empty());
        assert_eq!(table.trigger("/a"), [A]);
        assert_eq!((table.len(), table.recursive), (0, 0));
    }
}

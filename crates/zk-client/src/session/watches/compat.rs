//! What may be set and removed beside what else is watched at the same path.

use std::sync::Arc;
use std::task::Waker;

use zk_proto::Zxid;
use zk_proto::records::WatcherType;

use super::Registry;
use super::arming::{Left, Unwatch};
use super::kind::{SubId, WatchIntent, WatchKind};

impl Registry {
    /// A request that will set a watch is under way: nothing may be removed at its path.
    pub(crate) fn begin_arming(&mut self, intent: &WatchIntent) {
        let arming = self.arming.entry(intent.path.clone()).or_default();
        arming.count(intent, 1);
    }

    /// The request has been answered, or will never be.
    pub(crate) fn end_arming(&mut self, intent: &WatchIntent) {
        if let Some(arming) = self.arming.get_mut(&intent.path) {
            arming.count(intent, -1);
            if arming.requests == 0 {
                self.arming.remove(&intent.path);
            }
        }
    }

    /// How a request that sets a watch of `kind` on `path` has to be changed so as not to hurt a
    /// watch that lasts: the last byte of its record.
    ///
    /// A server before 3.9 keeps one mode per path and connection (ZOOKEEPER-4466): a one-shot
    /// watch there makes a persistent one end with the next event, and a persistent one makes a
    /// recursive one forget the subtree, without a word. So a one-shot watch rides on the lasting
    /// one, which tells all that it would: it is not asked for. And beside a recursive watch a
    /// persistent one is asked for as another recursive one. A recursive watch says nothing of a
    /// list of children; that is told from what it says of each child.
    pub(crate) fn precaution(&self, kind: WatchKind, path: &str) -> Option<u8> {
        let arming = self.arming.get(path);
        let persistent = self.guards(WatchKind::Persistent, path)
            || arming.is_some_and(|arming| arming.persistent > 0);
        let recursive = self.guards(WatchKind::Recursive, path)
            || (!self.nameless && arming.is_some_and(|arming| arming.recursive > 0));
        match kind {
            WatchKind::Data | WatchKind::Exist | WatchKind::Child => {
                (persistent || recursive).then_some(0)
            }
            WatchKind::Persistent => recursive.then_some(1),
            WatchKind::Recursive => None,
        }
    }

    /// Whether the server guards a lasting watch of `kind`, wanted or left.
    pub(super) fn guards(&self, kind: WatchKind, path: &str) -> bool {
        if self.nameless && kind == WatchKind::Recursive {
            return false;
        }
        self.watches(kind, path)
            || self.left.get(path).is_some_and(|left| match kind {
                WatchKind::Persistent => left.persistent,
                WatchKind::Recursive => left.recursive,
                _ => false,
            })
    }

    /// Whether what a one-shot watch would tell is told by a lasting one.
    pub(super) fn is_covered(&self, path: &str) -> bool {
        self.guards(WatchKind::Persistent, path) || self.guards(WatchKind::Recursive, path)
    }

    /// A server has answered a request that was changed as a [`precaution`](Self::precaution), and
    /// its owner has been subscribed.
    pub(crate) fn subscribed_with_precaution(
        &mut self,
        id: SubId,
        since: Zxid,
        wakes: &mut Vec<Waker>,
    ) {
        let Some(sub) = self.table.get(id) else {
            return;
        };
        let (kind, path) = (sub.kind, sub.path.clone());
        if kind == WatchKind::Persistent {
            self.left.entry(path).or_default().recursive = true;
        } else if !self.is_covered(&path) {
            // What it was to ride on has gone, or never came: nobody guards it.
            self.table.leave(id);
            self.tell_gap(id, since, wakes);
        }
    }

    /// What to remove on the server now that nobody is left to be told of `kind` at `path`.
    ///
    /// A server before 3.9 cannot remove lasting watches by kind and takes half of one with a
    /// one-shot watch (ZOOKEEPER-4472), and one-shot watches ride on lasting ones; so where
    /// anything else is watched, a removal is put off: a needless event costs less than a lost one.
    pub(crate) fn unwatch(&mut self, kind: WatchKind, path: Arc<str>) -> Option<Unwatch> {
        use WatchKind::{Child, Data, Exist};
        if self.keeps {
            self.keep(path, Left::of(kind));
            return None;
        }
        let arming = self.arming.contains_key(&path);
        if !arming && self.is_bare(&path) {
            let mut lasting = self.left.remove(&path).unwrap_or_default();
            lasting.add(Left::of(kind));
            return Some(Unwatch {
                path,
                kind: WatcherType::Any,
                lasting,
            });
        }
        let lasting = self.is_covered(&path);
        if arming || lasting || kind.is_persistent() {
            self.left.entry(path).or_default().add(Left::of(kind));
            return None;
        }
        let kind = match kind {
            Child => WatcherType::Children,
            // The server guards both as one.
            Data if self.watches(Exist, &path) => return None,
            Exist if self.watches(Data, &path) => return None,
            _ => WatcherType::Data,
        };
        Some(Unwatch {
            path,
            kind,
            lasting: Left::default(),
        })
    }

    /// What to remove after a server was too busy to do so. Where anything is watched by now, the
    /// removal is put off until that has ended.
    pub(crate) fn unwatch_again(&mut self, path: Arc<str>, lasting: Left) -> Option<Unwatch> {
        if self.keeps {
            self.keep(path, lasting);
            return None;
        }
        if !self.is_bare(&path) || self.arming.contains_key(&path) {
            self.left.entry(path).or_default().add(lasting);
            return None;
        }
        let mut all = self.left.remove(&path).unwrap_or_default();
        all.add(lasting);
        Some(Unwatch {
            path,
            kind: WatcherType::Any,
            lasting: all,
        })
    }

    /// Whether the server of this connection can remove no watch: what was set stays until the
    /// connection ends.
    pub(crate) fn set_keeps(&mut self, keeps: bool) {
        self.keeps = keeps;
    }

    /// The server has set a recursive watch whose events will name the watched znode, whatever has
    /// changed below it. Such a watch has no subscribers, and none rides on it.
    pub(crate) fn set_nameless(&mut self) {
        self.nameless = true;
    }

    pub(crate) fn is_nameless(&self) -> bool {
        self.nameless
    }

    /// The server has not removed these watches and never will. A one-shot watch that it keeps is in
    /// no one's way: it fires once, be it for no subscriber or for a later one. A lasting one goes on
    /// to guard the path, and later watches there must take it into account.
    pub(crate) fn keep(&mut self, path: Arc<str>, lasting: Left) {
        if lasting != Left::default() {
            self.left.entry(path).or_default().add(lasting);
        }
    }

    /// Whether any removal has been put off.
    pub(crate) fn owes(&self) -> bool {
        !self.left.is_empty() && !self.keeps
    }

    /// What was put off and is due now that something has ended at `path`.
    pub(crate) fn unwatch_owed(&mut self, path: &str) -> Option<Unwatch> {
        if !self.owes() || !self.is_bare(path) || self.arming.contains_key(path) {
            return None;
        }
        let (path, lasting) = self.left.remove_entry(path)?;
        Some(Unwatch {
            path,
            kind: WatcherType::Any,
            lasting,
        })
    }

    /// Whether nobody watches anything at `path`.
    pub(super) fn is_bare(&self, path: &str) -> bool {
        !WatchKind::ALL
            .into_iter()
            .any(|kind| self.watches(kind, path))
    }
}

//! Watches of several modes at one path, on servers that keep one mode per path and connection.

use std::sync::Arc;
use std::task::Waker;

use zk_proto::Zxid;
use zk_proto::records::WatcherType;

use super::Registry;
use super::arming::{Left, Unwatch};
use super::kind::{SubId, WatchIntent, WatchKind};

impl Registry {
    /// Registers a request that will set a watch. Until it is answered, no watch is removed at its path.
    pub(crate) fn begin_arming(&mut self, intent: &WatchIntent) {
        let arming = self.arming.entry(intent.path.clone()).or_default();
        arming.count(intent, 1);
    }

    /// The request was answered, or has failed.
    pub(crate) fn end_arming(&mut self, intent: &WatchIntent) {
        if let Some(arming) = self.arming.get_mut(&intent.path) {
            arming.count(intent, -1);
            if arming.requests == 0 {
                self.arming.remove(&intent.path);
            }
        }
    }

    /// The value that the last byte of a request's record must have instead of its own, so that the
    /// watch of `kind` it sets on `path` does not disable a persistent or recursive watch there. `None`
    /// if the request can be sent as it is.
    ///
    /// A server before 3.9 keeps one mode per path and connection (ZOOKEEPER-4466): a one-shot watch
    /// makes a persistent one of the same path end with the next event, and a persistent watch makes a
    /// recursive one lose the subtree; the server reports neither. So:
    ///
    /// - A one-shot watch is not set beside a persistent or recursive one, whose events include all of
    ///   its own.
    /// - Beside a recursive watch, a persistent one is set as another recursive one. Servers send no
    ///   child events to a recursive watch; the registry derives them from the events of the children.
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

    /// Whether a persistent or recursive watch of `kind` is armed on the server, with subscribers or
    /// without.
    pub(super) fn guards(&self, kind: WatchKind, path: &str) -> bool {
        if self.nameless && kind == WatchKind::Recursive {
            return false;
        }
        self.watches(kind, path)
            || self.orphaned.get(path).is_some_and(|orphaned| match kind {
                WatchKind::Persistent => orphaned.persistent,
                WatchKind::Recursive => orphaned.recursive,
                _ => false,
            })
    }

    /// Whether a persistent or recursive watch delivers all events that a one-shot watch at `path` would.
    pub(super) fn is_covered(&self, path: &str) -> bool {
        self.guards(WatchKind::Persistent, path) || self.guards(WatchKind::Recursive, path)
    }

    /// A request that was changed by [`precaution`](Self::precaution) has succeeded, and `id` is its
    /// subscriber.
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
            self.orphaned.entry(path).or_default().recursive = true;
        } else if !self.is_covered(&path) {
            // The watch that was to deliver its events has ended, or was never set.
            self.table.leave(id);
            self.deliver_gap(id, since, wakes);
        }
    }

    /// The removal to be sent to the server after the last subscriber of `kind` at `path` has gone.
    /// `None` if there is nothing to remove, or the removal is deferred.
    ///
    /// A server before 3.9 cannot remove a persistent or recursive watch by kind, and damages one when
    /// it removes a one-shot watch of the same path (ZOOKEEPER-4472); and a one-shot watch may depend on
    /// the events of a persistent one. So the removal is deferred while the path has any other watch: an
    /// event without a subscriber costs less than a lost one.
    pub(crate) fn unwatch(&mut self, kind: WatchKind, path: Arc<str>) -> Option<Unwatch> {
        use WatchKind::{Child, Data, Exist};
        if self.cannot_remove {
            self.keep(path, Left::of(kind));
            return None;
        }
        let arming = self.arming.contains_key(&path);
        if !arming && self.is_unwatched(&path) {
            let mut lasting = self.orphaned.remove(&path).unwrap_or_default();
            lasting.add(Left::of(kind));
            return Some(Unwatch {
                path,
                kind: WatcherType::Any,
                lasting,
            });
        }
        let lasting = self.is_covered(&path);
        if arming || lasting || kind.is_persistent() {
            self.orphaned.entry(path).or_default().add(Left::of(kind));
            return None;
        }
        let kind = match kind {
            Child => WatcherType::Children,
            // Both are one watch on the server.
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

    /// The removal to be sent after the server has throttled it. While the path has another watch, the
    /// removal is deferred until that watch has ended.
    pub(crate) fn unwatch_again(&mut self, path: Arc<str>, lasting: Left) -> Option<Unwatch> {
        if self.cannot_remove {
            self.keep(path, lasting);
            return None;
        }
        if !self.is_unwatched(&path) || self.arming.contains_key(&path) {
            self.orphaned.entry(path).or_default().add(lasting);
            return None;
        }
        let mut all = self.orphaned.remove(&path).unwrap_or_default();
        all.add(lasting);
        Some(Unwatch {
            path,
            kind: WatcherType::Any,
            lasting: all,
        })
    }

    /// Sets whether the current server does not support the removal of watches: each stays armed until
    /// it fires or the connection ends.
    pub(crate) fn set_keeps(&mut self, cannot_remove: bool) {
        self.cannot_remove = cannot_remove;
    }

    /// The server has set a recursive watch whose events will name the watched znode, whichever znode
    /// below it has changed. Such a watch has no subscribers, and no other watch depends on its events.
    pub(crate) fn set_nameless(&mut self) {
        self.nameless = true;
    }

    pub(crate) fn is_nameless(&self) -> bool {
        self.nameless
    }

    /// The server will not remove these watches. A one-shot watch that stays is harmless: it fires once,
    /// for a later subscriber or for none. A persistent or recursive one stays armed, and
    /// [`precaution`](Self::precaution) has to consider it.
    pub(crate) fn keep(&mut self, path: Arc<str>, lasting: Left) {
        if lasting != Left::default() {
            self.orphaned.entry(path).or_default().add(lasting);
        }
    }

    /// Whether any removal has been deferred.
    pub(crate) fn owes(&self) -> bool {
        !self.orphaned.is_empty() && !self.cannot_remove
    }

    /// The deferred removal that is due after a watch has ended at `path`.
    pub(crate) fn unwatch_owed(&mut self, path: &str) -> Option<Unwatch> {
        if !self.owes() || !self.is_unwatched(path) || self.arming.contains_key(path) {
            return None;
        }
        let (path, lasting) = self.orphaned.remove_entry(path)?;
        Some(Unwatch {
            path,
            kind: WatcherType::Any,
            lasting,
        })
    }

    /// Whether `path` has no watch with subscribers.
    pub(super) fn is_unwatched(&self, path: &str) -> bool {
        !WatchKind::ALL
            .into_iter()
            .any(|kind| self.watches(kind, path))
    }
}

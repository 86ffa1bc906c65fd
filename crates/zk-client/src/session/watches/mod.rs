//! The registry of watches: which are armed on the server, and which subscribers each event goes to.
//!
//! The registry outlives connections. After a reconnect it arms its watches again. With each watch it
//! keeps the zxid up to which a server was known to guard it: a server that receives that zxid with
//! the watch reports what has changed since. ZOOKEEPER-4698 lists the cases in which the server cannot;
//! there the subscriber gets a gap.

mod arming;
mod batch;
mod compat;
pub(crate) mod event;
mod kind;
mod mailbox;
mod rearm;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::task::Waker;

use zk_proto::{EventType, Zxid};

use self::arming::Arming;
use self::batch::Rearming;
use self::mailbox::Note;
use self::table::{Place, Table};
use crate::session::counters::WatchCounters;
use crate::session::wakers::{IDLE_CAPACITY, register};
use crate::session::watches::event::{NodeEventKind, WatchEvent};
pub(crate) use arming::{Left, Unwatch};
pub(crate) use batch::Batch;
pub(crate) use kind::{SubId, WatchIntent, WatchKind};
pub(crate) use mailbox::MailboxLimits;

/// Above this length, trees are compared instead of ancestors: see `recursive_over`.
const ORDINARY_PATH: usize = 4096;

/// Whether to look up each ancestor of a path takes less than to compare the path with so many trees.
fn has_fewer_ancestors(path: &str, trees: usize) -> bool {
    let depth = path.bytes().filter(|byte| *byte == b'/').count();
    depth <= trees && path.len() <= ORDINARY_PATH
}

#[derive(Debug)]
pub(crate) struct Registry {
    table: Table,
    limits: MailboxLimits,
    /// The number of the current connection. A watch that was armed over an earlier one is not armed
    /// now.
    connection: u32,
    /// The newest zxid received over each earlier connection, kept while any watch was last armed
    /// over that connection.
    ends: BTreeMap<u32, Zxid>,
    rearming: Rearming,
    /// Requests in flight, by the path on which they set a watch.
    arming: HashMap<Arc<str>, Arming>,
    /// Watches that are armed on the server and have no subscriber left. They were not removed, as the
    /// removal could have removed a watch that has subscribers.
    orphaned: HashMap<Arc<str>, Left>,
    /// The current server does not support the removal of watches.
    cannot_remove: bool,
    /// The events of the current server's recursive watches name the watched znode instead of the one
    /// that has changed.
    nameless: bool,
    counters: WatchCounters,
    /// The subscribers of the event that is being delivered. Empty between events; the buffer is reused.
    due: Vec<SubId>,
}

impl Registry {
    /// A registry whose subscribers can have as many unread events as `limits` allow.
    pub(crate) fn new(limits: MailboxLimits) -> Self {
        Registry {
            table: Table::default(),
            limits,
            connection: 0,
            ends: BTreeMap::new(),
            rearming: Rearming::default(),
            arming: HashMap::new(),
            orphaned: HashMap::new(),
            cannot_remove: false,
            nameless: false,
            counters: WatchCounters::default(),
            due: Vec::new(),
        }
    }

    /// Whether a watch of `kind` at `path` has subscribers.
    pub(crate) fn watches(&self, kind: WatchKind, path: &str) -> bool {
        self.table.first(kind, path).is_some()
    }

    /// The numbers of watches and of subscribers.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let watches = WatchKind::ALL.map(|kind| self.table.len(kind));
        (watches.iter().sum(), self.table.subscribers())
    }

    /// The numbers of events and gaps so far.
    pub(crate) fn counters(&self) -> WatchCounters {
        self.counters
    }

    /// A server has armed a watch over the current connection.
    pub(crate) fn subscribe(&mut self, kind: WatchKind, path: Arc<str>) -> SubId {
        self.table.insert(kind, path, self.connection)
    }

    /// Removes a subscriber whose handle was dropped. Returns the watch to be removed on the server, if
    /// it has no other subscriber.
    pub(crate) fn unsubscribe(&mut self, id: SubId, wakes: &mut Vec<Waker>) -> Option<Unwatch> {
        let was_last = self.table.leave(id);
        let sub = self.table.remove(id)?;
        wakes.extend(sub.waker);
        if !was_last {
            return None;
        }
        self.unwatch(sub.kind, sub.path)
    }

    /// Delivers a notification to the subscribers of its path. After it, a deferred removal may be due:
    /// [`deferred_unwatch`](Self::deferred_unwatch).
    pub(crate) fn fire(
        &mut self,
        event: EventType,
        path: &str,
        zxid: Option<Zxid>,
        wakes: &mut Vec<Waker>,
    ) {
        use WatchKind::{Child, Data, Exist, Persistent, Recursive};
        let (kind, one_shots): (_, &[WatchKind]) = match event {
            EventType::NodeCreated => (NodeEventKind::Created, &[Data, Exist]),
            EventType::NodeDataChanged => (NodeEventKind::DataChanged, &[Data, Exist]),
            EventType::NodeChildrenChanged => (NodeEventKind::ChildrenChanged, &[Child]),
            EventType::NodeDeleted => (NodeEventKind::Deleted, &[Data, Exist, Child]),
            _ => return,
        };
        let mut due = std::mem::take(&mut self.due);
        for one_shot in one_shots {
            self.table.end(*one_shot, path, &mut due);
        }
        let of_children = event == EventType::NodeChildrenChanged;
        // Beside a recursive watch, a persistent one gets its child events from those of the children,
        // below.
        if !of_children || !self.guards(Recursive, path) {
            self.subscribed(Persistent, path, &mut due);
        }
        // ZOOKEEPER-4475: a child event belongs to another watch; a recursive watch has an event of the
        // child itself.
        if !of_children {
            self.recursive_over(path, &mut due);
        }
        self.deliver(&mut due, kind, path, zxid, wakes);
        let of_a_child = matches!(event, EventType::NodeCreated | EventType::NodeDeleted);
        if of_a_child
            && let Some(parent) = zk_proto::path::parent(path)
            && self.guards(Recursive, parent)
        {
            self.table.end(Child, parent, &mut due);
            self.subscribed(Persistent, parent, &mut due);
            let kind = NodeEventKind::ChildrenChanged;
            self.deliver(&mut due, kind, parent, zxid, wakes);
        }
        self.due = due;
    }

    /// Adds the subscribers of all recursive watches at or above `path` to `due`. Looks at each ancestor
    /// of the path, or, if there are fewer, at each recursive watch: a hostile server could send a path
    /// of a million components.
    fn recursive_over(&self, path: &str, due: &mut Vec<SubId>) {
        let trees = self.table.len(WatchKind::Recursive);
        if trees == 0 {
            return;
        }
        if has_fewer_ancestors(path, trees) {
            let mut ancestor = Some(path);
            while let Some(at) = ancestor {
                self.subscribed(WatchKind::Recursive, at, due);
                ancestor = zk_proto::path::parent(at);
            }
        } else {
            let over = |at: &str| {
                path.strip_prefix(at.trim_end_matches('/'))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let from = due.len();
            for (first, sub) in self.table.firsts(WatchKind::Recursive) {
                if over(&sub.path) {
                    due.extend(self.table.ring(Some(first)));
                }
            }
            if let Some(found) = due.get_mut(from..) {
                found.sort_unstable();
            }
        }
    }

    fn subscribed(&self, kind: WatchKind, path: &str, due: &mut Vec<SubId>) {
        due.extend(self.table.ring(self.table.first(kind, path)));
    }

    /// Delivers an event to the subscribers in `due`, and empties it.
    fn deliver(
        &mut self,
        due: &mut Vec<SubId>,
        kind: NodeEventKind,
        path: &str,
        zxid: Option<Zxid>,
        wakes: &mut Vec<Waker>,
    ) {
        for id in due.drain(..) {
            let Some(sub) = self.table.get_mut(id) else {
                continue;
            };
            let note = Note::Node {
                kind,
                // Only a recursive watch gets events of other paths.
                path: (sub.kind == WatchKind::Recursive && *sub.path != *path).then(|| path.into()),
                zxid,
            };
            if sub.push(note, self.limits) {
                self.counters.events += 1;
            } else {
                self.counters.dropped += 1;
            }
            wakes.extend(sub.waker.take());
        }
    }

    /// Delivers a gap: events since this zxid may be missing.
    fn deliver_gap(&mut self, id: SubId, since: Zxid, wakes: &mut Vec<Waker>) {
        if let Some(sub) = self.table.get_mut(id) {
            self.counters.gaps += 1;
            sub.push(Note::Gap { since }, self.limits);
            wakes.extend(sub.waker.take());
        }
    }

    /// Ends every watch, with its session.
    pub(crate) fn end(&mut self, wakes: &mut Vec<Waker>) {
        self.orphaned.clear();
        self.rearming = Rearming::default();
        self.table.end_all(wakes);
    }

    /// Idle: releases buffers that grew under load.
    pub(crate) fn shrink_idle(&mut self) {
        self.table.shrink_idle();
        self.arming.shrink_to(IDLE_CAPACITY);
        self.orphaned.shrink_to(IDLE_CAPACITY);
        self.due.shrink_to(IDLE_CAPACITY);
    }

    /// The next event of a subscriber, with the path as the server sent it, chroot included. If there is
    /// none, `waker` is woken when one comes. No event follows [`WatchEvent::SessionEnded`].
    #[inline]
    pub(crate) fn poll(
        &mut self,
        id: SubId,
        waker: &Waker,
        wakes: &mut Vec<Waker>,
    ) -> Option<WatchEvent> {
        let sub = self.table.get_mut(id)?;
        let event = sub.mailbox().and_then(|(mailbox, path)| mailbox.pop(path));
        if event.is_some() {
            return event;
        }
        if sub.place == Place::Ended {
            return Some(WatchEvent::SessionEnded);
        }
        register(&mut sub.waker, waker, wakes);
        None
    }

    /// Whether the watch has ended although its session continues, because no server can guard it, and
    /// the subscriber has read all its events.
    #[inline]
    pub(crate) fn is_abandoned(&self, id: SubId) -> bool {
        self.table
            .get(id)
            .is_some_and(|sub| sub.place == Place::Abandoned && sub.is_read())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_lookups_are_made() {
        let long = "/a".repeat(ORDINARY_PATH / 2);
        let too_long = format!("{long}b");
        for (path, trees, ancestors) in [
            ("/", 1, true),
            ("/abc", 1, true),
            ("/abc/d", 1, false),
            ("/abc/d", 2, true),
            (&long, ORDINARY_PATH / 2, true),
            (&long, ORDINARY_PATH / 2 - 1, false),
            (&too_long, ORDINARY_PATH, false),
        ] {
            let found = has_fewer_ancestors(path, trees);
            assert_eq!(found, ancestors, "{} bytes, {trees} trees", path.len());
        }
    }
}

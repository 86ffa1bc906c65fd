//! Which watches are armed on the server, and who is told when one fires.
//!
//! The registry outlives connections. It re-arms after a reconnect what it held before, and keeps
//! with each watch the zxid up to which the server was known to guard it: a server that is given
//! that zxid back tells what changed since (ZOOKEEPER-4698 lists where it does not; there the
//! owner is told of a gap).

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

/// Longer paths are unheard of.
const ORDINARY_PATH: usize = 4096;

#[derive(Debug)]
pub(crate) struct Registry {
    table: Table,
    limits: MailboxLimits,
    /// Counts connections: a watch that is guarded over an earlier one is not guarded now.
    connection: u32,
    /// The newest transaction that each earlier connection told of, as long as any watch was last
    /// guarded over it.
    ends: BTreeMap<u32, Zxid>,
    rearming: Rearming,
    /// Requests under way that will set a watch on a path, should they succeed.
    arming: HashMap<Arc<str>, Arming>,
    /// What this connection's server still guards although nobody is to be told, because removing
    /// it could have hurt what somebody is to be told of.
    left: HashMap<Arc<str>, Left>,
    /// This connection's server cannot remove watches.
    keeps: bool,
    /// The events of this connection's recursive watches do not name the znode that has changed.
    nameless: bool,
    told: WatchCounters,
    /// Empty between events, and reused.
    due: Vec<SubId>,
}

impl Registry {
    /// Subscribers may leave so much unread.
    pub(crate) fn new(limits: MailboxLimits) -> Self {
        Registry {
            table: Table::default(),
            limits,
            connection: 0,
            ends: BTreeMap::new(),
            rearming: Rearming::default(),
            arming: HashMap::new(),
            left: HashMap::new(),
            keeps: false,
            nameless: false,
            told: WatchCounters::default(),
            due: Vec::new(),
        }
    }

    /// Whether anyone is to be told of `kind` at `path`.
    pub(crate) fn watches(&self, kind: WatchKind, path: &str) -> bool {
        self.table.first(kind, path).is_some()
    }

    /// Watches on the server, and subscribers.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let watches = WatchKind::ALL.map(|kind| self.table.len(kind));
        (watches.iter().sum(), self.table.subscribers())
    }

    /// What has been told so far.
    pub(crate) fn told(&self) -> WatchCounters {
        self.told
    }

    /// A server has armed a watch over the current connection.
    pub(crate) fn subscribe(&mut self, kind: WatchKind, path: Arc<str>) -> SubId {
        self.table.insert(kind, path, self.connection)
    }

    /// The owner is gone. Says what the server need not guard any longer.
    pub(crate) fn unsubscribe(&mut self, id: SubId, wakes: &mut Vec<Waker>) -> Option<Unwatch> {
        let was_last = self.table.leave(id);
        let sub = self.table.remove(id)?;
        wakes.extend(sub.waker);
        if zk_proto::seeded_bug!("B63") {
            self.table.end(sub.kind, &sub.path, &mut Vec::new());
        } else if !was_last {
            return None;
        }
        self.unwatch(sub.kind, sub.path)
    }

    /// A server's notification. What it leaves behind may be due to be removed:
    /// [`unwatch_owed`](Self::unwatch_owed).
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
        // Beside a recursive watch, a persistent one is told from each child, below.
        if !of_children || !self.guards(Recursive, path) {
            self.subscribed(Persistent, path, &mut due);
        }
        // ZOOKEEPER-4475: a child event is some other watch's and says nothing new to this one.
        if !of_children || zk_proto::seeded_bug!("B65") {
            self.recursive_over(path, &mut due);
        }
        self.tell(&mut due, kind, path, zxid, wakes);
        let of_a_child = matches!(event, EventType::NodeCreated | EventType::NodeDeleted);
        if of_a_child
            && let Some(parent) = zk_proto::path::parent(path)
            && self.guards(Recursive, parent)
        {
            self.table.end(Child, parent, &mut due);
            self.subscribed(Persistent, parent, &mut due);
            let kind = NodeEventKind::ChildrenChanged;
            self.tell(&mut due, kind, parent, zxid, wakes);
        }
        self.due = due;
    }

    /// Who watches a tree that `path` is in. Whichever is less work: to look at each ancestor, or, as
    /// a hostile server could name a path of a million, at each tree.
    fn recursive_over(&self, path: &str, due: &mut Vec<SubId>) {
        let trees = self.table.len(WatchKind::Recursive);
        if trees == 0 {
            return;
        }
        let depth = path.bytes().filter(|byte| *byte == b'/').count();
        if depth <= trees && path.len() <= ORDINARY_PATH {
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

    /// Tells all that are due, of whom there are none afterwards.
    fn tell(
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
                // Only who watches a tree is told of other paths.
                path: (sub.kind == WatchKind::Recursive && *sub.path != *path).then(|| path.into()),
                zxid,
            };
            if sub.push(note, self.limits) {
                self.told.events += 1;
            } else {
                self.told.dropped += 1;
            }
            wakes.extend(sub.waker.take());
        }
    }

    /// Tells that something may have been missed.
    fn tell_gap(&mut self, id: SubId, since: Zxid, wakes: &mut Vec<Waker>) {
        if let Some(sub) = self.table.get_mut(id) {
            self.told.gaps += 1;
            sub.push(Note::Gap { since }, self.limits);
            wakes.extend(sub.waker.take());
        }
    }

    /// The session is over: every watch ends.
    pub(crate) fn end(&mut self, wakes: &mut Vec<Waker>) {
        self.left.clear();
        self.rearming = Rearming::default();
        self.table.end_all(wakes);
    }

    /// There is silence: room for many is given back.
    pub(crate) fn rest(&mut self) {
        self.table.rest();
        self.arming.shrink_to(IDLE_CAPACITY);
        self.left.shrink_to(IDLE_CAPACITY);
        self.due.shrink_to(IDLE_CAPACITY);
    }

    /// The next event for a subscriber, its path the server's; `waker` is woken when there is one.
    /// After [`WatchEvent::SessionEnded`] comes nothing more.
    pub(crate) fn poll(
        &mut self,
        id: SubId,
        waker: &Waker,
        wakes: &mut Vec<Waker>,
    ) -> Option<WatchEvent> {
        let sub = self.table.get_mut(id)?;
        let told = sub.mailbox().and_then(|(mailbox, path)| mailbox.pop(path));
        if told.is_some() {
            return told;
        }
        if sub.place == Place::Ended {
            return Some(WatchEvent::SessionEnded);
        }
        register(&mut sub.waker, waker, wakes);
        None
    }

    /// Whether the watch has ended, its session goes on, and all has been read: no server guards it
    /// any more.
    pub(crate) fn is_abandoned(&self, id: SubId) -> bool {
        self.table
            .get(id)
            .is_some_and(|sub| sub.place == Place::Abandoned && sub.is_read())
    }
}

//! Which watches are armed on the server, and who is told when one fires.
//!
//! The registry outlives connections. It re-arms after a reconnect what it held before, and keeps
//! with each watch the zxid up to which the server was known to guard it: a server that is given
//! that zxid back tells what changed since (ZOOKEEPER-4698 lists where it does not; there the
//! owner is told of a gap).

mod modes;
mod rearm;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use zk_proto::{EventType, Zxid};

use super::event::{NodeEventKind, WatchEvent};
use crate::slots::register;
use crate::statistics::Told;
pub(crate) use modes::Unwatch;
use modes::{Arming, Left};
pub(crate) use rearm::Batch;

/// Longer paths are unheard of.
const ORDINARY_PATH: usize = 4096;

/// The kinds of watches a server distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum WatchKind {
    /// One-shot, on the data of a znode that exists.
    Data,
    /// One-shot, on the creation of a znode that does not.
    Exist,
    /// One-shot, on the children.
    Child,
    /// On data and children, until removed.
    Persistent,
    /// On the whole subtree, until removed.
    Recursive,
}

impl WatchKind {
    pub(crate) const ALL: [WatchKind; 5] = [
        WatchKind::Data,
        WatchKind::Exist,
        WatchKind::Child,
        WatchKind::Persistent,
        WatchKind::Recursive,
    ];

    pub(crate) fn is_persistent(self) -> bool {
        matches!(self, WatchKind::Persistent | WatchKind::Recursive)
    }
}

/// Names a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SubId(u64);

/// A watch on the server.
#[derive(Debug, Default)]
struct Entry {
    subs: Vec<SubId>,
    /// `None` while the server guards it over the current connection; otherwise the zxid up to
    /// which it was guarded, kept until a server has agreed to guard it again.
    since: Option<Zxid>,
}

/// Someone who is told.
#[derive(Debug)]
struct Sub {
    kind: WatchKind,
    path: Arc<str>,
    capacity: usize,
    unread: VecDeque<Unread>,
    dropped: u64,
    ended: bool,
    waker: Option<Waker>,
}

/// An event before its path is made the client's.
#[derive(Debug, Clone)]
pub(crate) enum Unread {
    Node {
        kind: NodeEventKind,
        path: Arc<str>,
        zxid: Option<Zxid>,
    },
    Other(WatchEvent),
}

#[derive(Debug, Default)]
pub(crate) struct Registry {
    data: HashMap<Arc<str>, Entry>,
    exist: HashMap<Arc<str>, Entry>,
    child: HashMap<Arc<str>, Entry>,
    persistent: HashMap<Arc<str>, Entry>,
    recursive: HashMap<Arc<str>, Entry>,
    /// Requests under way that will set a watch on a path, should they succeed.
    arming: HashMap<Arc<str>, Arming>,
    /// What this connection's server still guards although nobody is to be told, because removing
    /// it could have hurt what somebody is to be told of.
    left: HashMap<Arc<str>, Left>,
    subs: HashMap<SubId, Sub>,
    next_sub: u64,
    told: Told,
}

impl Registry {
    fn map(&mut self, kind: WatchKind) -> &mut HashMap<Arc<str>, Entry> {
        match kind {
            WatchKind::Data => &mut self.data,
            WatchKind::Exist => &mut self.exist,
            WatchKind::Child => &mut self.child,
            WatchKind::Persistent => &mut self.persistent,
            WatchKind::Recursive => &mut self.recursive,
        }
    }

    /// Whether anyone is to be told of `kind` at `path`.
    pub(crate) fn watches(&self, kind: WatchKind, path: &str) -> bool {
        match kind {
            WatchKind::Data => self.data.contains_key(path),
            WatchKind::Exist => self.exist.contains_key(path),
            WatchKind::Child => self.child.contains_key(path),
            WatchKind::Persistent => self.persistent.contains_key(path),
            WatchKind::Recursive => self.recursive.contains_key(path),
        }
    }

    /// Watches on the server, and subscribers.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let watches = self.data.len()
            + self.exist.len()
            + self.child.len()
            + self.persistent.len()
            + self.recursive.len();
        (watches, self.subs.len())
    }

    /// What has been told so far.
    pub(crate) fn told(&self) -> Told {
        self.told
    }

    /// A server has armed a watch over the current connection.
    pub(crate) fn subscribe(&mut self, kind: WatchKind, path: Arc<str>, capacity: usize) -> SubId {
        let id = SubId(self.next_sub);
        self.next_sub += 1;
        let entry = self.map(kind).entry(path.clone()).or_default();
        entry.subs.push(id);
        entry.since = None;
        let sub = Sub {
            kind,
            path,
            capacity,
            unread: VecDeque::new(),
            dropped: 0,
            ended: false,
            waker: None,
        };
        self.subs.insert(id, sub);
        id
    }

    /// The owner is gone. Says what the server need not guard any longer.
    pub(crate) fn unsubscribe(&mut self, id: SubId, wakes: &mut Vec<Waker>) -> Option<Unwatch> {
        let mut sub = self.subs.remove(&id)?;
        wakes.extend(sub.waker.take());
        let entry = self.map(sub.kind).get_mut(&sub.path)?;
        entry.subs.retain(|other| *other != id);
        if !entry.subs.is_empty() && !zk_proto::seeded_bug!("B63") {
            return None;
        }
        self.map(sub.kind).remove(&sub.path);
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
        let mut told = self.take_one_shots(one_shots, path);
        let of_children = event == EventType::NodeChildrenChanged;
        // Beside a recursive watch, a persistent one is told from each child, below.
        if !of_children || !self.guards(Recursive, path) {
            told.extend(self.subscribed(Persistent, path));
        }
        // ZOOKEEPER-4475: a child event is some other watch's and says nothing new to this one.
        if (!of_children || zk_proto::seeded_bug!("B65")) && !self.recursive.is_empty() {
            told.extend(self.recursive_over(path));
        }
        self.tell(told, kind, path, zxid, wakes);
        let of_a_child = matches!(event, EventType::NodeCreated | EventType::NodeDeleted);
        if let Some(parent) = zk_proto::path::parent(path)
            && of_a_child
            && self.guards(Recursive, parent)
        {
            let mut told = self.take_one_shots(&[Child], parent);
            told.extend(self.subscribed(Persistent, parent));
            self.tell(told, NodeEventKind::ChildrenChanged, parent, zxid, wakes);
        }
    }

    /// Who watches a tree that `path` is in. Whichever is less work: to look at each ancestor, or, as
    /// a hostile server could name a path of a million, at each tree.
    fn recursive_over(&mut self, path: &str) -> Vec<SubId> {
        let depth = path.bytes().filter(|byte| *byte == b'/').count();
        let mut told = Vec::new();
        if depth <= self.recursive.len() && path.len() <= ORDINARY_PATH {
            let mut ancestor = Some(path);
            while let Some(at) = ancestor {
                told.extend(self.subscribed(WatchKind::Recursive, at));
                ancestor = zk_proto::path::parent(at);
            }
        } else {
            let over = |at: &str| {
                path.strip_prefix(at.trim_end_matches('/'))
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            for (at, entry) in &self.recursive {
                if over(at) {
                    told.extend(&entry.subs);
                }
            }
            told.sort_unstable();
        }
        told
    }

    fn take_one_shots(&mut self, kinds: &[WatchKind], path: &str) -> Vec<SubId> {
        let taken = kinds.iter().filter_map(|&kind| self.map(kind).remove(path));
        taken.flat_map(|entry| entry.subs).collect()
    }

    fn subscribed(&mut self, kind: WatchKind, path: &str) -> impl Iterator<Item = SubId> {
        let entry = self.map(kind).get(path);
        entry
            .into_iter()
            .flat_map(|entry| entry.subs.iter().copied())
    }

    fn tell(
        &mut self,
        subs: Vec<SubId>,
        kind: NodeEventKind,
        path: &str,
        zxid: Option<Zxid>,
        wakes: &mut Vec<Waker>,
    ) {
        if subs.is_empty() {
            return;
        }
        let path: Arc<str> = path.into();
        for id in subs {
            self.push(
                id,
                Unread::Node {
                    kind,
                    path: path.clone(),
                    zxid,
                },
                wakes,
            );
        }
    }

    fn push(&mut self, id: SubId, event: Unread, wakes: &mut Vec<Waker>) {
        let Some(sub) = self.subs.get_mut(&id) else {
            return;
        };
        let dropped = sub.dropped > 0 || sub.unread.len() >= sub.capacity;
        match event {
            Unread::Other(_) => self.told.gaps += 1,
            Unread::Node { .. } if dropped => self.told.dropped += 1,
            Unread::Node { .. } => self.told.events += 1,
        }
        if dropped {
            sub.dropped += u64::from(!zk_proto::seeded_bug!("A68"));
        } else {
            sub.unread.push_back(event);
        }
        wakes.extend(sub.waker.take());
    }

    /// The session is over: every watch ends.
    pub(crate) fn end(&mut self, wakes: &mut Vec<Waker>) {
        self.left.clear();
        let mut ended: Vec<SubId> = Vec::new();
        for kind in WatchKind::ALL {
            let entries = std::mem::take(self.map(kind)).into_values();
            ended.extend(entries.flat_map(|entry| entry.subs));
        }
        // Woken in the order of their subscription, not in that of the maps, which is by chance.
        ended.sort_unstable();
        for id in ended {
            if let Some(sub) = self.subs.get_mut(&id) {
                sub.ended = true;
                wakes.extend(sub.waker.take());
            }
        }
    }

    /// The next event for a subscriber; `waker` is woken when there is one. After
    /// [`WatchEvent::SessionEnded`] comes nothing more.
    pub(crate) fn poll(
        &mut self,
        id: SubId,
        waker: &Waker,
        wakes: &mut Vec<Waker>,
    ) -> Option<Unread> {
        let sub = self.subs.get_mut(&id)?;
        if let Some(event) = sub.unread.pop_front() {
            return Some(event);
        }
        if sub.dropped > 0 {
            let dropped = std::mem::take(&mut sub.dropped);
            return Some(Unread::Other(WatchEvent::Lagged { dropped }));
        }
        if sub.ended {
            return Some(Unread::Other(WatchEvent::SessionEnded));
        }
        register(&mut sub.waker, waker, wakes);
        None
    }
}

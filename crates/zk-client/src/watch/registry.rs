//! Which watches are armed on the server, and who is told when one fires.
//!
//! The registry outlives connections. It re-arms after a reconnect what it held before, and keeps
//! with each watch the zxid up to which the server was known to guard it: a server that is given
//! that zxid back tells what changed since (ZOOKEEPER-4698 lists where it does not; there the
//! owner is told of a gap).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use zk_proto::records::WatcherType;
use zk_proto::{EventType, Zxid};

use crate::slots::WatchIntent;

use super::event::{NodeEventKind, WatchEvent};

/// A batch of watches to be re-armed by one request holds at most this many encoded bytes, well
/// below every server's limit (ZOOKEEPER-706).
const BATCH_BYTES: usize = 128 * 1024;

/// Longer paths are unheard of.
const ORDINARY_PATH: usize = 4096;

/// The kinds of watches a server distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// A watch that the server should forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unwatch {
    pub(crate) path: Arc<str>,
    pub(crate) kind: WatcherType,
}

/// Watches to be re-armed by one request, all last guarded up to the same zxid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) since: Zxid,
    pub(crate) watches: Vec<(WatchKind, Arc<str>)>,
}

impl Batch {
    pub(crate) fn paths(&self, kind: WatchKind) -> impl Iterator<Item = &str> + Clone {
        self.watches
            .iter()
            .filter(move |(k, _)| *k == kind)
            .map(|(_, path)| &**path)
    }

    pub(crate) fn has_persistent(&self) -> bool {
        self.watches.iter().any(|(kind, _)| kind.is_persistent())
    }
}

/// A watch on the server.
#[derive(Debug, Default)]
struct Entry {
    subs: Vec<SubId>,
    /// `None` while the server guards it over the current connection; otherwise the zxid up to
    /// which it was guarded, kept until a server has agreed to guard it again.
    since: Option<Zxid>,
}

#[derive(Debug, Default)]
struct Arming {
    requests: u32,
    persistent: u32,
    recursive: u32,
}

impl Arming {
    /// Counts a request up or down by `by`.
    fn count(&mut self, intent: &WatchIntent, by: i32) {
        let add = |count: &mut u32| *count = count.saturating_add_signed(by);
        add(&mut self.requests);
        match intent.kind {
            WatchKind::Persistent => {
                add(&mut self.persistent);
                if intent.changed {
                    add(&mut self.recursive);
                }
            }
            WatchKind::Recursive => add(&mut self.recursive),
            _ => {}
        }
    }
}

#[derive(Debug, Default)]
struct Left {
    persistent: bool,
    recursive: bool,
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
            || arming.is_some_and(|arming| arming.recursive > 0);
        match kind {
            WatchKind::Data | WatchKind::Exist | WatchKind::Child => {
                (persistent || recursive).then_some(0)
            }
            WatchKind::Persistent => recursive.then_some(1),
            WatchKind::Recursive => None,
        }
    }

    /// Whether the server guards a lasting watch of `kind`, wanted or left.
    fn guards(&self, kind: WatchKind, path: &str) -> bool {
        self.watches(kind, path)
            || self.left.get(path).is_some_and(|left| match kind {
                WatchKind::Persistent => left.persistent,
                WatchKind::Recursive => left.recursive,
                _ => false,
            })
    }

    /// Whether what a one-shot watch would tell is told by a lasting one.
    fn is_covered(&self, path: &str) -> bool {
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
        let Some(sub) = self.subs.get(&id) else {
            return;
        };
        let (kind, path) = (sub.kind, sub.path.clone());
        if kind == WatchKind::Persistent {
            self.left.entry(path).or_default().recursive = true;
        } else if !self.is_covered(&path) {
            // What it was to ride on has gone, or never came: nobody guards it.
            if let Some(entry) = self.map(kind).get_mut(&path) {
                entry.subs.retain(|other| *other != id);
                if entry.subs.is_empty() {
                    self.map(kind).remove(&path);
                }
            }
            self.push(id, Unread::Other(WatchEvent::Gap { since }), wakes);
        }
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
    pub(crate) fn unsubscribe(&mut self, id: SubId) -> Option<Unwatch> {
        let sub = self.subs.remove(&id)?;
        let entry = self.map(sub.kind).get_mut(&sub.path)?;
        entry.subs.retain(|other| *other != id);
        if !entry.subs.is_empty() {
            return None;
        }
        self.map(sub.kind).remove(&sub.path);
        self.unwatch(sub.kind, sub.path)
    }

    /// What to remove on the server now that nobody is left to be told of `kind` at `path`.
    ///
    /// A server before 3.9 cannot remove lasting watches by kind and takes half of one with a
    /// one-shot watch (ZOOKEEPER-4472), and one-shot watches ride on lasting ones; so where
    /// anything else is watched, a removal is put off: a needless event costs less than a lost one.
    pub(crate) fn unwatch(&mut self, kind: WatchKind, path: Arc<str>) -> Option<Unwatch> {
        use WatchKind::{Child, Data, Exist, Persistent, Recursive};
        let arming = self.arming.contains_key(&path);
        if !arming && self.is_bare(&path) {
            self.left.remove(&path);
            return Some(Unwatch {
                path,
                kind: WatcherType::Any,
            });
        }
        let lasting = self.is_covered(&path);
        if arming || lasting || kind.is_persistent() {
            let left = self.left.entry(path).or_default();
            left.persistent |= kind == Persistent;
            left.recursive |= kind == Recursive;
            return None;
        }
        let kind = match kind {
            Child => WatcherType::Children,
            // The server guards both as one.
            Data if self.watches(Exist, &path) => return None,
            Exist if self.watches(Data, &path) => return None,
            _ => WatcherType::Data,
        };
        Some(Unwatch { path, kind })
    }

    /// What was put off and is due now that something has ended at `path`.
    pub(crate) fn unwatch_owed(&mut self, path: &str) -> Option<Unwatch> {
        if self.left.is_empty() || !self.is_bare(path) || self.arming.contains_key(path) {
            return None;
        }
        let (path, _) = self.left.remove_entry(path)?;
        Some(Unwatch {
            path,
            kind: WatcherType::Any,
        })
    }

    /// Whether nobody watches anything at `path`.
    fn is_bare(&self, path: &str) -> bool {
        !WatchKind::ALL
            .into_iter()
            .any(|kind| self.watches(kind, path))
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
        if !of_children && !self.recursive.is_empty() {
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
        if sub.dropped > 0 || sub.unread.len() >= sub.capacity {
            sub.dropped += 1;
        } else {
            sub.unread.push_back(event);
        }
        wakes.extend(sub.waker.take());
    }

    /// The connection is lost; `last` is the newest transaction it told of.
    pub(crate) fn handle_disconnect(&mut self, last: Zxid) {
        for kind in WatchKind::ALL {
            for entry in self.map(kind).values_mut() {
                entry.since.get_or_insert(last);
            }
        }
        // The next server guards what it is asked to, and nothing else.
        self.left.clear();
    }

    /// Everything that a new connection has to arm, in requests of bounded size. Subscribers whom
    /// no server tells what they missed are told that they missed something, before anything the
    /// new connection brings.
    pub(crate) fn rearm(&mut self, wakes: &mut Vec<Waker>) -> Vec<Batch> {
        let mut one_shots: BTreeMap<Zxid, Vec<(WatchKind, Arc<str>)>> = BTreeMap::new();
        let mut lasting = Vec::new();
        let mut gaps = Vec::new();
        for kind in WatchKind::ALL {
            for (path, entry) in self.map(kind).iter() {
                let since = entry.since.unwrap_or_default();
                let watch = (kind, path.clone());
                if kind.is_persistent() {
                    lasting.push(watch);
                    gaps.extend(entry.subs.iter().map(|id| (*id, since)));
                } else {
                    one_shots.entry(since).or_default().push(watch);
                }
            }
        }
        for (id, since) in gaps {
            self.gap(id, since, wakes);
        }
        // The last mode of a path is the one that an old server keeps (ZOOKEEPER-4466). Lasting
        // watches are told nothing of the past, so they need no zxid of their own.
        one_shots
            .into_iter()
            .chain([(Zxid::ZERO, lasting)])
            .flat_map(|(since, watches)| in_batches(since, watches))
            .collect()
    }

    fn gap(&mut self, id: SubId, since: Zxid, wakes: &mut Vec<Waker>) {
        let Some(sub) = self.subs.get_mut(&id) else {
            return;
        };
        // Events dropped or gaps not read yet say the same already.
        let said = sub.dropped > 0
            || matches!(
                sub.unread.back(),
                Some(Unread::Other(WatchEvent::Gap { .. }))
            );
        if !said {
            self.push(id, Unread::Other(WatchEvent::Gap { since }), wakes);
        }
    }

    /// A server has armed the batch. What it reported as changed has been fired before.
    ///
    /// A watch for a znode's creation that did not fire may still have missed one: the znode may
    /// have been created and deleted in between. Its owner is told of the gap, and the watch is
    /// removed.
    pub(crate) fn rearmed(&mut self, batch: &Batch, wakes: &mut Vec<Waker>) -> Vec<Unwatch> {
        let mut unwatches = Vec::new();
        for (kind, path) in &batch.watches {
            let Some(entry) = self.map(*kind).get_mut(path) else {
                continue;
            };
            // Armed anew by a read in the meantime, or dropped and armed anew.
            if entry.since.take().is_none() || *kind != WatchKind::Exist {
                continue;
            }
            let Some(entry) = self.exist.remove(path) else {
                continue;
            };
            for id in entry.subs {
                self.push(
                    id,
                    Unread::Other(WatchEvent::Gap { since: batch.since }),
                    wakes,
                );
            }
            unwatches.extend(self.unwatch(WatchKind::Exist, path.clone()));
        }
        unwatches
    }

    /// The session is over: every watch ends.
    pub(crate) fn end(&mut self, wakes: &mut Vec<Waker>) {
        self.left.clear();
        for kind in WatchKind::ALL {
            for entry in std::mem::take(self.map(kind)).into_values() {
                for id in entry.subs {
                    if let Some(sub) = self.subs.get_mut(&id) {
                        sub.ended = true;
                        wakes.extend(sub.waker.take());
                    }
                }
            }
        }
    }

    /// The next event for a subscriber; `waker` is woken when there is one. After
    /// [`WatchEvent::SessionEnded`] comes nothing more.
    pub(crate) fn poll(&mut self, id: SubId, waker: &Waker) -> Option<Unread> {
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
        sub.waker = Some(waker.clone());
        None
    }
}

/// Splits what has the same zxid into requests of bounded size, in order.
fn in_batches(since: Zxid, watches: Vec<(WatchKind, Arc<str>)>) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    let mut room = 0;
    for (kind, path) in watches {
        let encoded = 4 + path.len();
        match batches.last_mut() {
            Some(batch) if encoded <= room => batch.watches.push((kind, path)),
            _ => {
                room = BATCH_BYTES;
                batches.push(Batch {
                    since,
                    watches: vec![(kind, path)],
                });
            }
        }
        room = room.saturating_sub(encoded);
    }
    batches
}

//! The table of subscribers, found by id, and by the kind and path of the watch.
//!
//! A client may hold a million watches, so a subscriber is small: its path is stored once, the tables
//! that find a watch by its path store ids, and the subscribers of one watch form a ring.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::task::Waker;

use hashbrown::HashTable;
use slab::Slab;

use super::kind::{SubId, WatchKind};
use super::mailbox::{Mailbox, MailboxLimits, Note};
use crate::session::wakers::IDLE_CAPACITY;

/// To compare this many paths takes less time than to hash one, and most programs have no more
/// persistent or recursive watches.
const FEW: usize = 4;

/// The state of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Armed; the first of its watch's ring, which the table points to.
    First,
    /// Armed; in its watch's ring.
    Further,
    /// Its watch has fired, or ended with a gap.
    Fired,
    /// Its watch has ended because no server can guard it.
    Abandoned,
    /// The session has ended, and the watch with it.
    Ended,
}

#[derive(Debug)]
pub(super) struct Sub {
    pub(super) path: Arc<str>,
    pub(super) waker: Option<Waker>,
    /// Allocated with the first event: most watches wait for long.
    mailbox: Option<Box<Mailbox>>,
    /// In the first of a ring: the number of the last connection over which the watch was armed.
    pub(super) guarded: u32,
    next: SubId,
    previous: SubId,
    pub(super) kind: WatchKind,
    pub(super) place: Place,
}

impl Sub {
    fn is_armed(&self) -> bool {
        matches!(self.place, Place::First | Place::Further)
    }

    /// False if the mailbox was full and the event was dropped.
    pub(super) fn push(&mut self, note: Note, limits: MailboxLimits) -> bool {
        let mailbox = self.mailbox.get_or_insert_default();
        mailbox.push(note, limits)
    }

    pub(super) fn is_read(&self) -> bool {
        self.mailbox
            .as_ref()
            .is_none_or(|mailbox| mailbox.is_empty())
    }

    #[inline]
    pub(super) fn mailbox(&mut self) -> Option<(&mut Mailbox, &str)> {
        Some((self.mailbox.as_mut()?, &self.path))
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    subs: Slab<Sub>,
    data: HashTable<SubId>,
    exist: HashTable<SubId>,
    child: HashTable<SubId>,
    persistent: HashTable<SubId>,
    recursive: HashTable<SubId>,
    hasher: RandomState,
}

impl Table {
    fn watches(&self, kind: WatchKind) -> &HashTable<SubId> {
        match kind {
            WatchKind::Data => &self.data,
            WatchKind::Exist => &self.exist,
            WatchKind::Child => &self.child,
            WatchKind::Persistent => &self.persistent,
            WatchKind::Recursive => &self.recursive,
        }
    }

    /// The subscribers and the table of a kind, borrowed apart.
    fn split(&mut self, kind: WatchKind) -> (&mut Slab<Sub>, &mut HashTable<SubId>) {
        let watches = match kind {
            WatchKind::Data => &mut self.data,
            WatchKind::Exist => &mut self.exist,
            WatchKind::Child => &mut self.child,
            WatchKind::Persistent => &mut self.persistent,
            WatchKind::Recursive => &mut self.recursive,
        };
        (&mut self.subs, watches)
    }

    /// The number of watches of a kind.
    pub(super) fn len(&self, kind: WatchKind) -> usize {
        self.watches(kind).len()
    }

    pub(super) fn subscribers(&self) -> usize {
        self.subs.len()
    }

    #[inline]
    pub(super) fn get(&self, id: SubId) -> Option<&Sub> {
        self.subs.get(id.index())
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: SubId) -> Option<&mut Sub> {
        self.subs.get_mut(id.index())
    }

    /// The first subscriber of a watch.
    #[inline]
    pub(super) fn first(&self, kind: WatchKind, path: &str) -> Option<SubId> {
        let watches = self.watches(kind);
        let is_it = |id: &SubId| is_at(&self.subs, *id, path);
        if watches.len() <= FEW {
            return watches.iter().find(|id| is_it(id)).copied();
        }
        let hash = self.hasher.hash_one(path);
        watches.find(hash, is_it).copied()
    }

    /// The first subscribers of all watches of a kind, in random order.
    pub(super) fn firsts(&self, kind: WatchKind) -> impl Iterator<Item = (SubId, &Sub)> {
        let ids = self.watches(kind).iter();
        ids.filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// The subscribers of the watch whose first is `first`, in the order of their subscription.
    pub(super) fn ring(&self, first: Option<SubId>) -> impl Iterator<Item = SubId> {
        std::iter::successors(first, move |id| {
            let next = self.get(*id)?.next;
            (Some(next) != first).then_some(next)
        })
    }

    /// All subscribers, armed or not.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Sub> {
        self.subs.iter_mut().map(|(_, sub)| sub)
    }

    /// Adds a subscriber of a watch that was armed over the connection of this number.
    pub(super) fn insert(&mut self, kind: WatchKind, path: Arc<str>, guarded: u32) -> SubId {
        let hash = self.hasher.hash_one(&*path);
        let first = self.first(kind, &path);
        let vacant = self.subs.vacant_entry();
        let id = SubId::new(vacant.key());
        vacant.insert(Sub {
            path,
            waker: None,
            mailbox: None,
            guarded,
            next: id,
            previous: id,
            kind,
            place: Place::First,
        });
        if let Some(first) = first {
            self.join(id, first, guarded);
        } else {
            let hasher = self.hasher.clone();
            let (subs, watches) = self.split(kind);
            let rehash = |id: &SubId| {
                subs.get(id.index())
                    .map_or(0, |sub| hasher.hash_one(&*sub.path))
            };
            watches.insert_unique(hash, id, rehash);
        }
        id
    }

    /// Makes `id` the last of the ring of `first`.
    fn join(&mut self, id: SubId, first: SubId, guarded: u32) {
        let Some(last) = self.get_mut(first).map(|first| {
            first.guarded = guarded;
            std::mem::replace(&mut first.previous, id)
        }) else {
            return;
        };
        if let Some(last) = self.get_mut(last) {
            last.next = id;
        }
        if let Some(sub) = self.get_mut(id) {
            (sub.previous, sub.next, sub.place) = (last, first, Place::Further);
        }
    }

    /// Takes a subscriber out of its ring. True if it was the last of its watch.
    pub(super) fn leave(&mut self, id: SubId) -> bool {
        let Some(sub) = self.get_mut(id).filter(|sub| sub.is_armed()) else {
            return false;
        };
        let was_first = std::mem::replace(&mut sub.place, Place::Fired) == Place::First;
        let (next, previous, kind, guarded) = (sub.next, sub.previous, sub.kind, sub.guarded);
        let path = sub.path.clone();
        if let Some(sub) = self.get_mut(previous) {
            sub.next = next;
        }
        if let Some(sub) = self.get_mut(next) {
            sub.previous = previous;
        }
        if !was_first {
            return false;
        }
        let hash = self.hasher.hash_one(&*path);
        let (subs, watches) = self.split(kind);
        let Ok(mut known) = watches.find_entry(hash, |known| *known == id) else {
            return false;
        };
        if next == id {
            known.remove();
            return true;
        }
        *known.get_mut() = next;
        if let Some(next) = subs.get_mut(next.index()) {
            (next.place, next.guarded) = (Place::First, guarded);
        }
        false
    }

    /// Ends a watch. Its subscribers stay in the table and are added to `into`.
    #[inline]
    pub(super) fn end(&mut self, kind: WatchKind, path: &str, into: &mut Vec<SubId>) {
        if !self.watches(kind).is_empty() {
            self.end_at(kind, path, into);
        }
    }

    fn end_at(&mut self, kind: WatchKind, path: &str, into: &mut Vec<SubId>) {
        let hash = self.hasher.hash_one(path);
        let (subs, watches) = self.split(kind);
        let Ok(known) = watches.find_entry(hash, |id| is_at(subs, *id, path)) else {
            return;
        };
        let (first, _) = known.remove();
        let from = into.len();
        into.extend(self.ring(Some(first)));
        for id in into.iter().skip(from) {
            if let Some(sub) = self.get_mut(*id) {
                sub.place = Place::Fired;
            }
        }
    }

    /// Ends all watches with their session, in the order of the subscribers' ids.
    pub(super) fn end_all(&mut self, wakes: &mut Vec<Waker>) {
        for kind in WatchKind::ALL {
            *self.split(kind).1 = HashTable::new();
        }
        for sub in self.iter_mut().filter(|sub| sub.is_armed()) {
            sub.place = Place::Ended;
            wakes.extend(sub.waker.take());
        }
    }

    /// Idle: releases a large table that is empty.
    pub(super) fn shrink_idle(&mut self) {
        if self.subs.is_empty() && self.subs.capacity() > IDLE_CAPACITY {
            *self = Table::default();
        }
    }

    /// Removes a subscriber that is in no ring.
    pub(super) fn remove(&mut self, id: SubId) -> Option<Sub> {
        self.subs.try_remove(id.index())
    }
}

fn is_at(subs: &Slab<Sub>, id: SubId, path: &str) -> bool {
    subs.get(id.index()).is_some_and(|sub| &*sub.path == path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    /// Enough that some tables are compared and some hashed.
    const PATHS: [&str; 2 * FEW] = ["/", "/a", "/b", "/c", "/a/b", "/a/c", "/b/c", "/c/c"];

    #[derive(Debug, Clone)]
    enum Step {
        Insert(usize, usize),
        /// A subscriber is dropped, armed or not.
        Remove(Index),
        End(usize, usize),
        EndAll,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let of = |step: fn(usize, usize) -> Step| {
            (0..WatchKind::ALL.len(), 0..PATHS.len()).prop_map(move |(kind, path)| step(kind, path))
        };
        let step = prop_oneof![
            8 => of(Step::Insert),
            6 => any::<Index>().prop_map(Step::Remove),
            2 => of(Step::End),
            1 => Just(Step::EndAll),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        /// Guards: G5.
        #[test]
        fn the_table_equals_a_map_of_lists(steps in steps()) {
            let mut table = Table::default();
            let mut watches: BTreeMap<(WatchKind, &str), Vec<SubId>> = BTreeMap::new();
            let mut all: Vec<SubId> = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(kind, path) => {
                        let (kind, path) = (WatchKind::ALL[kind], PATHS[path]);
                        let id = table.insert(kind, path.into(), 0);
                        prop_assert!(!all.contains(&id));
                        watches.entry((kind, path)).or_default().push(id);
                        all.push(id);
                    }
                    Step::Remove(_) if all.is_empty() => {}
                    Step::Remove(index) => {
                        let id = all.swap_remove(index.index(all.len()));
                        let mut was_last = false;
                        watches.retain(|_, ring| {
                            let before = ring.len();
                            ring.retain(|other| *other != id);
                            was_last |= ring.is_empty() && before > 0;
                            !ring.is_empty()
                        });
                        prop_assert_eq!(table.leave(id), was_last);
                        prop_assert!(table.remove(id).is_some());
                    }
                    Step::End(kind, path) => {
                        let (kind, path) = (WatchKind::ALL[kind], PATHS[path]);
                        let mut ended = Vec::new();
                        table.end(kind, path, &mut ended);
                        prop_assert_eq!(ended, watches.remove(&(kind, path)).unwrap_or_default());
                    }
                    Step::EndAll => {
                        table.end_all(&mut Vec::new());
                        watches.clear();
                    }
                }
                prop_assert_eq!(table.subscribers(), all.len());
                for kind in WatchKind::ALL {
                    let known = PATHS.iter().filter(|path| watches.contains_key(&(kind, **path)));
                    prop_assert_eq!(table.len(kind), known.count());
                    for path in PATHS {
                        let ring: Vec<_> = table.ring(table.first(kind, path)).collect();
                        prop_assert_eq!(Some(&ring).filter(|ring| !ring.is_empty()), watches.get(&(kind, path)));
                    }
                }
            }
        }
    }
}

//! Arming the watches again over a new connection, and the gaps that their subscribers get.

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

use zk_proto::Zxid;

use super::Registry;
use super::arming::Unwatch;
use super::batch::{Batch, Group, Rearming};
use super::kind::{SubId, WatchKind};
use super::table::Place;

/// A batch of watches to be re-armed by one request holds at most this many encoded bytes, well
/// below every server's limit (ZOOKEEPER-706).
const BATCH_BYTES: usize = 128 * 1024;

impl Registry {
    /// The connection was lost; `last` is the newest zxid received over it.
    pub(crate) fn handle_disconnect(&mut self, last: Zxid) {
        self.ends.insert(self.connection, last);
        self.connection = self.connection.wrapping_add(1);
        self.rearming = Rearming::default();
        // The next server has no watch of this client before it is asked to.
        self.orphaned.clear();
        self.nameless = false;
    }

    /// The zxid up to which watches were armed over that connection.
    fn end_of(&self, connection: u32) -> Zxid {
        self.ends.get(&connection).copied().unwrap_or_default()
    }

    /// Begins to arm all watches over a new connection; [`next_batch`](Self::next_batch) returns them
    /// batch by batch. Subscribers of persistent and recursive watches get a gap before any event of the
    /// new connection, as no server reports what those have missed.
    pub(crate) fn begin_rearming(&mut self, wakes: &mut Vec<Waker>) {
        // Watches that were dropped while disconnected are armed on no server.
        self.orphaned.clear();
        // Grouped by zxid, which persistent and recursive watches do not need: servers report nothing
        // of the past to them. They come last, as an old server keeps the last mode that is set on a
        // path (ZOOKEEPER-4466).
        let mut groups: BTreeMap<(bool, Zxid, WatchKind), Vec<SubId>> = BTreeMap::new();
        let mut gaps = Vec::new();
        let mut ends = BTreeMap::new();
        for kind in WatchKind::ALL {
            let lasting = kind.is_persistent();
            for (first, sub) in self.table.firsts(kind) {
                let since = self.end_of(sub.guarded);
                ends.insert(sub.guarded, since);
                if lasting {
                    gaps.extend(self.table.ring(Some(first)).map(|id| (id, since)));
                }
                let since = if lasting { Zxid::ZERO } else { since };
                groups
                    .entry((lasting, since, kind))
                    .or_default()
                    .push(first);
            }
        }
        self.ends = ends;
        // The order in the tables is random; sorted, a run with the same seed repeats.
        gaps.sort_unstable();
        for (id, since) in gaps {
            self.deliver_gap_once(id, since, wakes);
        }
        let groups = groups.into_iter().map(|((_, since, kind), mut firsts)| {
            firsts.sort_unstable();
            let mut paths = VecDeque::with_capacity(firsts.len());
            let subs = firsts.into_iter().filter_map(|first| self.table.get(first));
            paths.extend(subs.map(|sub| sub.path.clone()));
            Group { since, kind, paths }
        });
        self.rearming = Rearming(groups.collect());
    }

    /// Ends all persistent and recursive watches with a gap, as the servers do not support them.
    pub(crate) fn abandon_lasting(&mut self, wakes: &mut Vec<Waker>) {
        let mut ended = Vec::new();
        for kind in [WatchKind::Persistent, WatchKind::Recursive] {
            let firsts = self.table.firsts(kind);
            let paths: Vec<_> = firsts
                .map(|(_, sub)| (sub.path.clone(), sub.guarded))
                .collect();
            for (path, guarded) in paths {
                let mut due = Vec::new();
                self.table.end(kind, &path, &mut due);
                let since = self.end_of(guarded);
                ended.extend(due.into_iter().map(|id| (id, since)));
            }
        }
        ended.sort_unstable();
        for (id, since) in ended {
            self.deliver_gap_once(id, since, wakes);
            if let Some(sub) = self.table.get_mut(id) {
                sub.place = Place::Abandoned;
                wakes.extend(sub.waker.take());
            }
        }
        self.rearming.0.retain(|group| !group.kind.is_persistent());
    }

    /// Delivers a gap, unless the subscriber has one unread.
    fn deliver_gap_once(&mut self, id: SubId, since: Zxid, wakes: &mut Vec<Waker>) {
        let Some(sub) = self.table.get_mut(id) else {
            return;
        };
        // An unread gap, or the count of dropped events, already has the same meaning.
        let has_gap = sub
            .mailbox()
            .is_some_and(|(mailbox, _)| mailbox.ends_in_a_gap());
        if !has_gap {
            self.deliver_gap(id, since, wakes);
        }
    }

    /// Whether watches are left to be armed.
    pub(crate) fn is_rearming(&self) -> bool {
        !self.rearming.0.is_empty()
    }

    /// The watches that the next request is to arm. Watches dropped in the meantime are left out.
    pub(crate) fn next_batch(&mut self) -> Option<Batch> {
        let mut batch: Option<Batch> = None;
        let mut room = BATCH_BYTES;
        let mut groups = std::mem::take(&mut self.rearming.0);
        while let Some(group) = groups.front_mut() {
            let Some(path) = group.paths.front() else {
                groups.pop_front();
                continue;
            };
            if !self.is_wanted(group.kind, path) {
                group.paths.pop_front();
                continue;
            }
            let encoded = 4 + path.len();
            let full = |batch: &Batch| {
                let lasting = batch.is_lasting();
                batch.since != group.since
                    || lasting != group.kind.is_persistent()
                    || encoded > room
            };
            if batch.as_ref().is_some_and(full) {
                break;
            }
            room = room.saturating_sub(encoded);
            let since = group.since;
            let batch = batch.get_or_insert_with(|| Batch {
                since,
                watches: Vec::new(),
            });
            batch
                .watches
                .extend(group.paths.pop_front().map(|path| (group.kind, path)));
        }
        self.rearming.0 = groups;
        batch
    }

    /// Puts a batch back that the server has not armed. It comes before all others.
    pub(crate) fn rearm_again(&mut self, batch: Batch) {
        for (kind, path) in batch.watches.into_iter().rev() {
            match self.rearming.0.front_mut() {
                Some(group) if group.kind == kind && group.since == batch.since => {
                    group.paths.push_front(path);
                }
                _ => self.rearming.0.push_front(Group {
                    since: batch.since,
                    kind,
                    paths: VecDeque::from([path]),
                }),
            }
        }
    }

    /// Whether the watch has subscribers and is not armed over this connection.
    fn is_wanted(&self, kind: WatchKind, path: &str) -> bool {
        let first = self
            .table
            .first(kind, path)
            .and_then(|id| self.table.get(id));
        first.is_some_and(|sub| sub.guarded != self.connection)
    }

    /// The server has armed the batch. The events of what had changed came before. Returns watches to be
    /// removed.
    ///
    /// A watch for a znode's creation that did not fire may have missed one, if the znode was created
    /// and deleted in between. It ends with a gap and is removed.
    pub(crate) fn rearmed(&mut self, batch: &Batch, wakes: &mut Vec<Waker>) -> Vec<Unwatch> {
        let mut unwatches = Vec::new();
        for (kind, path) in &batch.watches {
            let connection = self.connection;
            let first = self.table.first(*kind, path);
            let Some(sub) = first.and_then(|id| self.table.get_mut(id)) else {
                continue;
            };
            let before = std::mem::replace(&mut sub.guarded, connection);
            // A read, or a new subscriber, has armed it in the meantime.
            if before == connection || *kind != WatchKind::Exist {
                continue;
            }
            let mut due = Vec::new();
            self.table.end(*kind, path, &mut due);
            for id in due {
                self.deliver_gap(id, batch.since, wakes);
            }
            unwatches.extend(self.unwatch(*kind, path.clone()));
        }
        unwatches
    }
}

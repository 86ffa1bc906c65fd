//! What a new connection has to arm, and what its owners are told that no server tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use zk_proto::Zxid;

use super::modes::Unwatch;
use super::{Registry, SubId, Unread, WatchKind};
use crate::watch::WatchEvent;

/// A batch of watches to be re-armed by one request holds at most this many encoded bytes, well
/// below every server's limit (ZOOKEEPER-706).
const BATCH_BYTES: usize = 128 * 1024;

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

impl Registry {
    /// The connection is lost; `last` is the newest transaction it told of.
    pub(crate) fn handle_disconnect(&mut self, last: Zxid) {
        for kind in WatchKind::ALL {
            for entry in self.map(kind).values_mut() {
                entry.since.get_or_insert(last);
                if zk_proto::seeded_bug!("B52") {
                    entry.since = Some(last);
                }
            }
        }
        // The next server guards what it is asked to, and nothing else.
        self.left.clear();
    }

    /// Everything that a new connection has to arm, in requests of bounded size. Subscribers whom
    /// no server tells what they missed are told that they missed something, before anything the
    /// new connection brings.
    pub(crate) fn rearm(&mut self, wakes: &mut Vec<Waker>) -> Vec<Batch> {
        // What was dropped while there was no connection no server guards.
        self.left.clear();
        let mut one_shots: BTreeMap<Zxid, Vec<Wanted>> = BTreeMap::new();
        let mut lasting = Vec::new();
        let mut gaps = Vec::new();
        for kind in WatchKind::ALL {
            for (path, entry) in self.map(kind).iter() {
                let since = entry.since.unwrap_or_default();
                let watch = (entry.subs.first().copied(), kind, path.clone());
                if kind.is_persistent() {
                    if !zk_proto::seeded_bug!("B53") {
                        lasting.push(watch);
                    }
                    gaps.extend(entry.subs.iter().map(|id| (*id, since)));
                } else {
                    one_shots.entry(since).or_default().push(watch);
                }
            }
        }
        if zk_proto::seeded_bug!("B54") {
            gaps.clear();
        }
        // Not as the maps have them, which is by chance: a run with a seed can be repeated.
        gaps.sort_unstable();
        for (id, since) in gaps {
            self.gap(id, since, wakes);
        }
        // The last mode of a path is the one that an old server keeps (ZOOKEEPER-4466). Lasting
        // watches are told nothing of the past, so they need no zxid of their own.
        one_shots
            .into_iter()
            .chain([(Zxid::ZERO, lasting)])
            .flat_map(|(since, watches)| in_batches(since, in_order(watches)))
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
            if entry.since.take().is_none()
                || *kind != WatchKind::Exist
                || zk_proto::seeded_bug!("A40")
            {
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
}

/// A watch to be armed, and who wanted it first.
type Wanted = (Option<SubId>, WatchKind, Arc<str>);

/// Kind by kind, in the order in which they were first wanted.
fn in_order(mut watches: Vec<Wanted>) -> Vec<(WatchKind, Arc<str>)> {
    watches.sort_unstable_by_key(|&(first, kind, _)| (kind, first));
    let watches = watches.into_iter();
    watches.map(|(_, kind, path)| (kind, path)).collect()
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

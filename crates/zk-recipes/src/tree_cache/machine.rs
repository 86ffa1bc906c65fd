//! The state machine of a cache: which paths to read, and the meaning of the answers. No sockets, no
//! clock.
//!
//! Only a read of a node decides whether the node exists and what it contains. Events and lists of
//! children decide what to read. At most one read of a path is in flight, so the answers about a node
//! come in the order of its changes, and the cache never goes back. An event for a node whose read
//! is in flight schedules another read.

use std::sync::Arc;

use bytes::Bytes;
use zk_client::{ErrorCode, Stat, path};

use super::cached::Cached;
use super::event::CacheEvent;
use super::selector::Selector;
use super::snapshot::Snapshot;
use super::tree::{DEPTH_LIMIT, Put, Tree};
use super::worklist::{Facet, Named, Worklist};
use crate::error::CacheError;

/// The paths to be read may always take this many bytes, whatever the limit of the cache.
const MIN_WORKLIST_BYTES: usize = 1 << 16;

/// The coverage and the size limits of a cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) depth: usize,
    pub(super) nodes: usize,
    pub(super) bytes: usize,
    pub(super) data: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// A sync, after which the server has caught up with the leader.
    Sync,
    /// The stat, or that the node does not exist.
    Stat,
    /// The data and the stat.
    Data,
    /// The names of the children, and the stat.
    Names,
}

impl Read {
    /// The part of the node that it reads.
    pub(super) fn facet(self) -> Facet {
        match self {
            Read::Names => Facet::Children,
            _ => Facet::Node,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) path: Arc<str>,
    pub(super) read: Read,
    /// The generation in which it was submitted. Its answer does not count in a later one.
    generation: u64,
}

#[derive(Debug)]
pub(super) enum Answer {
    Synced,
    Absent,
    Stat(Stat),
    Data(Bytes, Stat),
    Names(Vec<String>, Stat),
    /// The server refuses this read.
    Refused(ErrorCode),
    /// No answer came. The read is repeated.
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No watch is set: a node that is read now would not be kept up to date.
    Unwatched,
    /// A sync is in flight, before anything is read.
    Syncing,
    Reading,
}

#[derive(Debug)]
pub(super) struct Machine {
    limits: Limits,
    selector: Selector,
    /// Whether the watches are one-shot, so that new children are noticed only where they are listed.
    one_shot: bool,
    tree: Tree,
    generation: u64,
    /// The first generation of the session. Nodes from earlier generations are read again in full.
    session: u64,
    complete: bool,
    phase: Phase,
    sync_wanted: bool,
    syncs_in_flight: usize,
    worklist: Worklist,
    events: Vec<CacheEvent>,
    changed: bool,
}

impl Machine {
    pub(super) fn new(base: &str, limits: Limits) -> Self {
        Machine {
            limits,
            selector: Selector::default(),
            one_shot: false,
            tree: Tree::new(base.into()),
            generation: 1,
            session: 1,
            complete: false,
            phase: Phase::Unwatched,
            sync_wanted: false,
            syncs_in_flight: 0,
            worklist: Worklist::default(),
            events: Vec::new(),
            changed: false,
        }
    }

    /// Covers only what `selector` chooses, from the start.
    pub(super) fn select(&mut self, selector: Selector) {
        self.selector = selector;
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            tree: self.tree.clone(),
            generation: self.generation,
            complete: self.complete,
        }
    }

    /// The changes since the last call, if there are any.
    pub(super) fn take_changes(&mut self) -> Option<(Snapshot, Vec<CacheEvent>)> {
        std::mem::take(&mut self.changed)
            .then(|| (self.snapshot(), std::mem::take(&mut self.events)))
    }

    /// Starts to read everything that is unconfirmed, with watches of this kind set.
    pub(super) fn load(&mut self, one_shot: bool) {
        self.one_shot = one_shot;
        self.phase = Phase::Syncing;
        self.sync_wanted = true;
        let base = self.tree.base().clone();
        self.worklist.schedule(&base, Facet::Node, true);
    }

    /// Changes may have been missed: all nodes are unconfirmed until they are [loaded](Self::load)
    /// again.
    pub(super) fn gap(&mut self) {
        self.phase = Phase::Unwatched;
        self.worklist.forget_names();
        self.complete = false;
        self.changed = true;
        self.generation += 1;
        self.events.push(CacheEvent::Gap {
            generation: self.generation,
        });
    }

    /// A [gap](Self::gap) between two sessions.
    pub(super) fn session_ended(&mut self) {
        self.gap();
        self.session = self.generation;
    }

    /// Handles an event for a path.
    pub(super) fn touch(&mut self, path: &str, facet: Facet) {
        let Some(depth) = self.tree.depth(path) else {
            return;
        };
        // A server that sends an invalid path cannot answer a read of it.
        if depth > self.limits.depth || path::validate(path).is_err() {
            return;
        }
        if !self.selector.covers(self.tree.base(), path) {
            return;
        }
        self.worklist.schedule_urgent(path.into(), facet);
        if self.worklist.bytes() > self.max_worklist_bytes() {
            self.start_over();
        }
    }

    /// Handles an event for the deletion of a path.
    pub(super) fn touch_deleted(&mut self, path: &str) {
        let in_flight = self.worklist.job(path).is_some_and(|job| job.in_flight);
        if in_flight || self.tree.get(path).is_some() {
            self.touch(path, Facet::Node);
        }
    }

    /// The memory that the worklist may take.
    fn max_worklist_bytes(&self) -> usize {
        let limit = self.limits.bytes;
        let rest = limit.saturating_sub(self.tree.bytes());
        // A tree that just fits still has to be kept up to date.
        rest.max(limit / 8).max(MIN_WORKLIST_BYTES)
    }

    /// Too many paths have events: drops the worklist, and reads everything again.
    fn start_over(&mut self) {
        self.gap();
        self.worklist.clear();
        self.load(self.one_shot);
    }

    /// The next read to submit. Its answer has to be passed to [`answered`](Self::answered).
    pub(super) fn next_query(&mut self) -> Option<Query> {
        match self.phase {
            Phase::Unwatched => return None,
            Phase::Syncing => {
                let wanted = std::mem::take(&mut self.sync_wanted);
                self.syncs_in_flight += usize::from(wanted);
                let base = self.tree.base().clone();
                return wanted.then(|| self.query(base, Read::Sync));
            }
            Phase::Reading => {}
        }
        loop {
            let path = self.worklist.next()?;
            if let Some(read) = self.begin(&path) {
                return Some(self.query(path, read));
            }
        }
    }

    fn query(&self, path: Arc<str>, read: Read) -> Query {
        Query {
            path,
            read,
            generation: self.generation,
        }
    }

    /// The first read of a job, unless the job is in flight.
    fn begin(&mut self, path: &Arc<str>) -> Option<Read> {
        let probes = !self.limits.data
            || match self.tree.get(path) {
                // If the stat has not changed while contact was lost, the data need not be read.
                Some(entry) => {
                    let known = entry.cached.generation;
                    known < self.generation && known >= self.session
                }
                // Only the watch of an `exists` reports its creation.
                None => self.one_shot && **path == **self.tree.base(),
            };
        let job = self.worklist.begin(path)?;
        if !job.node {
            job.children = false;
            return Some(Read::Names);
        }
        job.node = false;
        let full = std::mem::take(&mut job.full);
        // A cache without data never reads them.
        let stat = probes && (!full || !self.limits.data);
        Some(if stat { Read::Stat } else { Read::Data })
    }

    /// Handles the answer to a query.
    ///
    /// # Errors
    /// The tree exceeds the limits of the cache, or its root cannot be read.
    pub(super) fn answered(&mut self, query: &Query, answer: Answer) -> Result<(), CacheError> {
        if query.read == Read::Sync {
            self.synced(&answer);
            return Ok(());
        }
        let path = &query.path;
        let loads = self.worklist.job(path).is_some_and(|job| job.loads);
        // A query from before the last gap may have been answered in another session, by a server that
        // lags. Everything is read again in this generation, so that answer is ignored.
        let answer = match query.generation == self.generation {
            true => answer,
            false => Answer::Synced,
        };
        match answer {
            Answer::Synced => {}
            Answer::Failed => self.worklist.schedule(path, query.read.facet(), false),
            Answer::Absent => self.absent(path, query.read),
            Answer::Refused(code) => self.refused(path, code)?,
            Answer::Stat(stat) => self.probed(query, stat)?,
            Answer::Data(data, stat) => self.present(query, data, stat)?,
            Answer::Names(names, stat) => self.listed(path, names, &stat, loads)?,
        }
        self.worklist.finish(path);
        self.settle();
        self.changed = true;
        Ok(())
    }

    fn synced(&mut self, answer: &Answer) {
        self.syncs_in_flight -= 1;
        // Only the last sync is later than the last gap.
        if self.phase != Phase::Syncing || self.syncs_in_flight > 0 || self.sync_wanted {
            return;
        }
        match answer {
            // A server without a quorum has no leader to sync with.
            Answer::Synced | Answer::Refused(_) => self.phase = Phase::Reading,
            _ => self.sync_wanted = true,
        }
    }

    fn settle(&mut self) {
        if self.phase == Phase::Reading && self.worklist.is_loaded() && !self.complete {
            self.complete = true;
            self.events.push(CacheEvent::Initialized {
                generation: self.generation,
            });
            self.worklist.shrink_to_fit();
        }
    }

    fn absent(&mut self, path: &Arc<str>, read: Read) {
        self.remove(path);
        let root_unwatched = self.one_shot && **path == **self.tree.base() && read != Read::Stat;
        if let Some(job) = self.worklist.job_mut(path) {
            // Only a watch set by an `exists` reports the creation of the root.
            job.node |= root_unwatched;
            job.children &= job.node;
        }
    }

    fn refused(&mut self, path: &Arc<str>, code: ErrorCode) -> Result<(), CacheError> {
        if **path == **self.tree.base() {
            return Err(CacheError::Refused { code });
        }
        self.remove(path);
        if let Some(job) = self.worklist.job_mut(path) {
            job.children &= job.node;
        }
        self.events.push(CacheEvent::Refused {
            path: path.to_string(),
            code,
        });
        Ok(())
    }

    /// Removes a node and everything below it.
    fn remove(&mut self, path: &str) {
        let events = &mut self.events;
        self.tree.remove(path, &mut |path, before| {
            events.push(CacheEvent::Removed {
                path,
                before: before.clone(),
            });
        });
    }

    fn probed(&mut self, query: &Query, stat: Stat) -> Result<(), CacheError> {
        let path = &query.path;
        let written = |stat: &Stat| {
            let time = (stat.czxid, stat.mzxid, stat.mtime);
            (time, stat.version, stat.data_length)
        };
        let known = self.tree.get(path).map(|entry| &entry.cached);
        match known {
            Some(known) if written(&known.stat) == written(&stat) => {
                let data = known.data.clone();
                self.present(query, data, stat)
            }
            _ if !self.limits.data => self.present(query, Bytes::new(), stat),
            _ => {
                if let Some(job) = self.worklist.job_mut(path) {
                    job.node = true;
                    job.full = true;
                }
                Ok(())
            }
        }
    }

    /// Handles the data and the stat of a node.
    fn present(&mut self, query: &Query, data: Bytes, stat: Stat) -> Result<(), CacheError> {
        let path = &query.path;
        let depth = self.tree.depth(path).unwrap_or_default();
        if depth > DEPTH_LIMIT {
            return Err(CacheError::TooDeep { limit: DEPTH_LIMIT });
        }
        // In each generation a node's children are listed once: when the node is first confirmed.
        let mut lists = true;
        if let Some(known) = self.tree.get(path).map(|entry| &entry.cached) {
            if known.generation == query.generation
                && (stat.czxid, stat.mzxid) < (known.stat.czxid, known.stat.mzxid)
            {
                // On one connection the answers never go back: an older one is a server's fault. On the
                // next connection the zxids may be from another history, also in the same session.
                return Ok(());
            }
            if stat.czxid == known.stat.czxid {
                lists = known.generation < query.generation;
            } else {
                // Another node: the known children were those of the old one.
                self.remove(path);
            }
        }
        let node = Cached {
            data,
            stat,
            generation: query.generation,
        };
        let is_other = |before: &Cached| before.data != node.data;
        match self.tree.put(path, node.clone()) {
            Put::Added => self.events.push(CacheEvent::Added {
                path: path.to_string(),
                node,
            }),
            // In another history a zxid can be equal by chance.
            Put::Replaced(before) if before.stat.mzxid != stat.mzxid || is_other(&before) => {
                self.events.push(CacheEvent::Changed {
                    path: path.to_string(),
                    before,
                    node,
                });
            }
            Put::Replaced(_) => {}
            // If the parent exists, it will be read, and its list contains this node.
            Put::Orphan => return Ok(()),
        }
        // A recursive watch reports children that are created from now on; one-shot watches do only
        // after a list has set one.
        let below = (self.one_shot && !stat.is_ephemeral())
            || stat.num_children > 0
            || self
                .tree
                .get(path)
                .is_some_and(|entry| entry.child_count() > 0);
        if lists && below && depth < self.limits.depth && self.selector.traverses(path) {
            self.worklist
                .schedule(path, Facet::Children, !self.complete);
        }
        self.check_size()
    }

    fn check_size(&self) -> Result<(), CacheError> {
        if self.tree.len() > self.limits.nodes {
            let limit = self.limits.nodes;
            return Err(CacheError::TooManyNodes { limit });
        }
        if self.tree.bytes() > self.limits.bytes {
            let limit = self.limits.bytes;
            return Err(CacheError::TooManyBytes { limit });
        }
        Ok(())
    }

    /// Handles the names of a node's children. Schedules reads of the children that are new or
    /// unconfirmed, and of the known children that are not listed.
    fn listed(
        &mut self,
        path: &Arc<str>,
        mut names: Vec<String>,
        stat: &Stat,
        loads: bool,
    ) -> Result<(), CacheError> {
        if !self.selector.accepts_all() {
            names.retain(|name| self.selector.accepts(&path::join(path, name)));
        }
        if names.len() > self.limits.nodes {
            let limit = self.limits.nodes;
            return Err(CacheError::TooManyNodes { limit });
        }
        let Some(entry) = self.tree.get(path) else {
            // Its own read decides whether it exists, and schedules another list.
            self.worklist.schedule(path, Facet::Node, loads);
            return Ok(());
        };
        if entry.cached.stat.czxid != stat.czxid {
            // The path has another node now.
            self.worklist.schedule(path, Facet::Node, loads);
            return Ok(());
        }
        names.sort_unstable();
        let listed = |name: &str| names.binary_search_by(|other| (**other).cmp(name)).is_ok();
        let gone = entry.children().filter(|(name, _)| !listed(name));
        let named = |name: &str| {
            let name = entry.shared_name(name)?;
            Some(Named { name, known: true })
        };
        let gone = gone.filter_map(|(name, _)| named(name));
        let generation = self.generation;
        let unconfirmed = names.iter().filter_map(|name| match entry.child(name) {
            Some(known) if known.cached.generation < generation => named(name),
            Some(_) => None,
            None => is_name(name).then(|| Named {
                name: name.as_str().into(),
                known: false,
            }),
        });
        let unread: Vec<Named> = gone.chain(unconfirmed).collect();
        let newer = entry.cached.stat.mzxid == stat.mzxid && entry.cached.stat != *stat;
        let refreshed = newer.then(|| Cached {
            stat: *stat,
            ..entry.cached.clone()
        });
        if let Some(refreshed) = refreshed {
            self.tree.put(path, refreshed);
        }
        self.worklist.schedule_children(path.clone(), unread, loads);
        if self.tree.len() + self.worklist.new_names() > self.limits.nodes {
            let limit = self.limits.nodes;
            return Err(CacheError::TooManyNodes { limit });
        }
        if self.worklist.bytes() > self.max_worklist_bytes() {
            let limit = self.limits.bytes;
            return Err(CacheError::TooManyBytes { limit });
        }
        Ok(())
    }
}

/// Whether a child can have this name.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && path::validate(&path::join("/", name)).is_ok()
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

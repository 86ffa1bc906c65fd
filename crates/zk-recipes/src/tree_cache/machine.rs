//! What to read, and what the answers mean. No sockets, no clock.
//!
//! Only a read of a node decides what the node is and whether it is. Events and lists of children
//! say what to read. There is one read under way for a path at most, so the answers about a node
//! come in the order of what happened to it, and the cache never goes back; and whatever is heard
//! of a node while a read is under way has it read once more.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use zk_client::{ErrorCode, Stat};

use super::event::{CacheError, CacheEvent};
use super::snapshot::{Cached, Snapshot};
use super::tree::{DEPTH_LIMIT, Put, Tree, join};

/// What a cache covers, and how much it may hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) depth: usize,
    pub(super) nodes: usize,
    pub(super) bytes: usize,
    pub(super) data: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// Has the server catch up with the leader.
    Sync,
    /// The stat, or that there is no node.
    Stat,
    /// The data and the stat.
    Data,
    /// The names of the children, and the stat.
    Names,
}

impl Read {
    /// What it says something of.
    pub(super) fn facet(self) -> Facet {
        match self {
            Read::Names => Facet::Children,
            _ => Facet::Node,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) path: Arc<str>,
    pub(super) read: Read,
    /// The generation in which it is asked; its answer says nothing of a later one.
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
    /// There was none, and there may be one the next time.
    Failed,
}

/// What is to be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Facet {
    /// The node itself.
    Node,
    /// Its children.
    Children,
}

/// What is to be read of a path.
#[derive(Debug, Default)]
struct Job {
    node: bool,
    children: bool,
    /// The stat alone does not do.
    full: bool,
    in_flight: bool,
    urgent: bool,
    /// Reading everything is not done before this is.
    loads: bool,
}

impl Job {
    fn is_wanted(&self) -> bool {
        self.node || self.children
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No watch is set: what is read now would not be kept up to date.
    Unwatched,
    /// The server is to catch up with what has been seen, before anything is read.
    Syncing,
    Reading,
}

#[derive(Debug)]
pub(super) struct Machine {
    limits: Limits,
    /// Whether one-shot watches are set, so that children are to be listed to hear of new ones.
    one_shot: bool,
    tree: Tree,
    generation: u64,
    /// The first generation of the session. The zxids of what is known from before may be those of
    /// another history: the ensemble may have been restored from a backup since.
    session: u64,
    complete: bool,
    phase: Phase,
    sync_wanted: bool,
    syncs_in_flight: usize,
    jobs: HashMap<Arc<str>, Job>,
    /// Paths that something has happened to.
    urgent: VecDeque<Arc<str>>,
    /// Paths to be read because everything is.
    nodes: VecDeque<Arc<str>>,
    /// Paths whose children are to be listed. They come last, so that no more names are held than
    /// the lists on the wire have.
    lists: VecDeque<Arc<str>>,
    /// Jobs that reading everything waits for.
    loading: usize,
    events: Vec<CacheEvent>,
    changed: bool,
}

impl Machine {
    pub(super) fn new(base: &str, limits: Limits) -> Self {
        Machine {
            limits,
            one_shot: false,
            tree: Tree::new(base.into()),
            generation: 1,
            session: 1,
            complete: false,
            phase: Phase::Unwatched,
            sync_wanted: false,
            syncs_in_flight: 0,
            jobs: HashMap::new(),
            urgent: VecDeque::new(),
            nodes: VecDeque::new(),
            lists: VecDeque::new(),
            loading: 0,
            events: Vec::new(),
            changed: false,
        }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            tree: self.tree.clone(),
            generation: self.generation,
            complete: self.complete,
        }
    }

    /// What has changed since this was asked last, if anything has.
    pub(super) fn take_changes(&mut self) -> Option<(Snapshot, Vec<CacheEvent>)> {
        std::mem::take(&mut self.changed)
            .then(|| (self.snapshot(), std::mem::take(&mut self.events)))
    }

    /// Begins to read everything that is in doubt, with watches of this kind set.
    pub(super) fn load(&mut self, one_shot: bool) {
        self.one_shot = one_shot;
        self.phase = Phase::Syncing;
        self.sync_wanted = true;
        let base = self.tree.base().clone();
        self.want(&base, Facet::Node, true);
    }

    /// Something may have been missed: all that is known is in doubt until it is
    /// [loaded](Self::load) again.
    pub(super) fn gap(&mut self) {
        self.phase = Phase::Unwatched;
        self.complete = false;
        self.changed = true;
        self.generation += 1;
        self.events.push(CacheEvent::Gap {
            generation: self.generation,
        });
    }

    /// A [gap](Self::gap) from one session to the next.
    pub(super) fn session_ended(&mut self) {
        self.gap();
        self.session = self.generation;
    }

    /// Something has happened to a path.
    pub(super) fn touch(&mut self, path: &str, facet: Facet) {
        let Some(depth) = self.tree.depth(path) else {
            return;
        };
        if depth > self.limits.depth {
            return;
        }
        let path: Arc<str> = path.into();
        self.want(&path, facet, false);
        if let Some(job) = self.jobs.get_mut(&path) {
            job.full |= facet == Facet::Node;
            if !job.urgent && !job.in_flight {
                job.urgent = true;
                self.urgent.push_back(path);
            }
        }
    }

    /// A path is said to be gone.
    pub(super) fn touch_deleted(&mut self, path: &str) {
        let in_flight = self.jobs.get(path).is_some_and(|job| job.in_flight);
        if in_flight || self.tree.get(path).is_some() {
            self.touch(path, Facet::Node);
        }
    }

    /// Has a path be read; `loads` if reading everything is not done before that is.
    fn want(&mut self, path: &Arc<str>, facet: Facet, loads: bool) {
        let job = self.jobs.entry(path.clone()).or_default();
        let waits = job.is_wanted() || job.in_flight;
        match facet {
            Facet::Node => job.node = true,
            Facet::Children => job.children = true,
        }
        if loads && !job.loads {
            job.loads = true;
            self.loading += 1;
        }
        if !waits {
            let queue = match facet {
                Facet::Node => &mut self.nodes,
                Facet::Children => &mut self.lists,
            };
            queue.push_back(path.clone());
        }
    }

    /// The next read to be made; its answer is to be given to [`answered`](Self::answered).
    pub(super) fn next_ask(&mut self) -> Option<Ask> {
        match self.phase {
            Phase::Unwatched => return None,
            Phase::Syncing => {
                let wanted = std::mem::take(&mut self.sync_wanted);
                self.syncs_in_flight += usize::from(wanted);
                let base = self.tree.base().clone();
                return wanted.then(|| self.ask(base, Read::Sync));
            }
            Phase::Reading => {}
        }
        loop {
            let queues = [&mut self.urgent, &mut self.nodes, &mut self.lists];
            let path = queues.into_iter().find_map(VecDeque::pop_front)?;
            if let Some(read) = self.begin(&path) {
                return Some(self.ask(path, read));
            }
        }
    }

    fn ask(&self, path: Arc<str>, read: Read) -> Ask {
        Ask {
            path,
            read,
            generation: self.generation,
        }
    }

    /// The read that a job begins with, unless it has begun already.
    fn begin(&mut self, path: &Arc<str>) -> Option<Read> {
        let probes = !self.limits.data
            || match self.tree.get(path) {
                // What has not changed while contact was lost need not be sent again.
                Some(entry) => {
                    let known = entry.cached.generation;
                    let comparable = known >= self.session || zk_proto::seeded_bug!("M1");
                    known < self.generation && comparable
                }
                // Only a watch of this kind tells when it is created.
                None => self.one_shot && **path == **self.tree.base(),
            };
        let job = self.jobs.get_mut(path)?;
        job.urgent = false;
        if job.in_flight || !job.is_wanted() {
            return None;
        }
        job.in_flight = true;
        if !job.node {
            job.children = false;
            return Some(Read::Names);
        }
        job.node = false;
        let full = std::mem::take(&mut job.full);
        // Without data there is nothing more to be had.
        let stat = probes && (!full || !self.limits.data);
        Some(if stat { Read::Stat } else { Read::Data })
    }

    /// An answer has come.
    ///
    /// # Errors
    /// The tree is more than the cache may hold, or it cannot be read at all.
    pub(super) fn answered(&mut self, ask: &Ask, answer: Answer) -> Result<(), CacheError> {
        if ask.read == Read::Sync {
            self.synced(&answer);
            return Ok(());
        }
        let path = &ask.path;
        let loads = self.jobs.get(path).is_some_and(|job| job.loads);
        // What was read before the last gap may have been read in another session, of a server that
        // lags. All that it could be about is read again in this generation.
        let answer = match ask.generation == self.generation {
            true => answer,
            false => Answer::Failed,
        };
        match answer {
            Answer::Synced => {}
            Answer::Failed => self.want(path, ask.read.facet(), false),
            Answer::Absent => self.absent(path, ask.read),
            Answer::Refused(code) => self.refused(path, code)?,
            Answer::Stat(stat) => self.probed(ask, stat)?,
            Answer::Data(data, stat) => self.present(ask, data, stat)?,
            Answer::Names(names, stat) => self.listed(path, names, &stat, loads)?,
        }
        self.finish(path);
        self.settle();
        self.changed = true;
        Ok(())
    }

    fn synced(&mut self, answer: &Answer) {
        self.syncs_in_flight -= 1;
        // Only the last one is younger than the last gap.
        if self.phase != Phase::Syncing || self.syncs_in_flight > 0 || self.sync_wanted {
            return;
        }
        match answer {
            // A server without a quorum has no leader to catch up with.
            Answer::Synced | Answer::Refused(_) => self.phase = Phase::Reading,
            _ => self.sync_wanted = true,
        }
    }

    /// Queues what is left of a job, or ends it.
    fn finish(&mut self, path: &Arc<str>) {
        let Some(job) = self.jobs.get_mut(path) else {
            return;
        };
        job.in_flight = false;
        if !job.is_wanted() {
            self.loading -= usize::from(job.loads);
            self.jobs.remove(path);
        } else if job.full {
            job.urgent = true;
            self.urgent.push_back(path.clone());
        } else if job.node {
            self.nodes.push_back(path.clone());
        } else {
            self.lists.push_back(path.clone());
        }
    }

    fn settle(&mut self) {
        if self.phase == Phase::Reading && self.loading == 0 && !self.complete {
            self.complete = true;
            self.events.push(CacheEvent::Initialized {
                generation: self.generation,
            });
            self.nodes.shrink_to_fit();
            self.lists.shrink_to_fit();
            self.jobs.shrink_to_fit();
        }
    }

    fn absent(&mut self, path: &Arc<str>, read: Read) {
        self.forget(path);
        let root_unwatched = self.one_shot && **path == **self.tree.base() && read != Read::Stat;
        if let Some(job) = self.jobs.get_mut(path) {
            // Nobody else tells when the root is created.
            job.node |= root_unwatched;
            job.children &= job.node;
        }
    }

    fn refused(&mut self, path: &Arc<str>, code: ErrorCode) -> Result<(), CacheError> {
        if **path == **self.tree.base() {
            return Err(CacheError::Refused { code });
        }
        self.forget(path);
        if let Some(job) = self.jobs.get_mut(path) {
            job.children &= job.node;
        }
        self.events.push(CacheEvent::Refused {
            path: path.to_string(),
            code,
        });
        Ok(())
    }

    /// Takes a node out, with all below it.
    fn forget(&mut self, path: &str) {
        let events = &mut self.events;
        self.tree.remove(path, &mut |path, before| {
            events.push(CacheEvent::Removed {
                path,
                before: before.clone(),
            });
        });
    }

    fn probed(&mut self, ask: &Ask, stat: Stat) -> Result<(), CacheError> {
        let path = &ask.path;
        let written = |stat: &Stat| (stat.czxid, stat.mzxid);
        let known = self.tree.get(path).map(|entry| &entry.cached);
        match known {
            Some(known) if written(&known.stat) == written(&stat) => {
                let data = known.data.clone();
                self.present(ask, data, stat)
            }
            _ if !self.limits.data => self.present(ask, Bytes::new(), stat),
            _ => {
                if let Some(job) = self.jobs.get_mut(path) {
                    job.node = true;
                    job.full = true;
                }
                Ok(())
            }
        }
    }

    /// A node is like this.
    fn present(&mut self, ask: &Ask, data: Bytes, stat: Stat) -> Result<(), CacheError> {
        let path = &ask.path;
        let depth = self.tree.depth(path).unwrap_or_default();
        if depth > DEPTH_LIMIT {
            return Err(CacheError::TooDeep { limit: DEPTH_LIMIT });
        }
        // In each generation a node's children are listed once: when it is first known to be there.
        let mut lists = true;
        if let Some(known) = self.tree.get(path).map(|entry| &entry.cached) {
            let comparable = known.generation >= self.session || zk_proto::seeded_bug!("M1");
            if comparable
                && (stat.czxid, stat.mzxid) < (known.stat.czxid, known.stat.mzxid)
                && !zk_proto::seeded_bug!("A74")
            {
                // No server goes back within a session. One that does is not believed.
                return Ok(());
            }
            if stat.czxid == known.stat.czxid {
                lists = known.generation < ask.generation;
            } else {
                // Another node: nothing that is known of what is below the old one is of it.
                self.forget(path);
            }
        }
        let node = Cached {
            data,
            stat,
            generation: ask.generation,
        };
        let is_other = |before: &Cached| before.data != node.data;
        match self.tree.put(path, node.clone()) {
            Put::Added => self.events.push(CacheEvent::Added {
                path: path.to_string(),
                node,
            }),
            // In another history the zxid can be the same by chance.
            Put::Replaced(before) if before.stat.mzxid != stat.mzxid || is_other(&before) => {
                self.events.push(CacheEvent::Changed {
                    path: path.to_string(),
                    before,
                    node,
                });
            }
            Put::Replaced(_) => {}
            // When the parent is read, which it will be if it is there, this one is listed.
            Put::Orphan => return Ok(()),
        }
        // A recursive watch tells of children that are created from now on, a one-shot watch only
        // if it is set.
        let below = (self.one_shot && !stat.is_ephemeral())
            || stat.num_children > 0
            || self
                .tree
                .get(path)
                .is_some_and(|entry| entry.child_count() > 0);
        if lists && below && depth < self.limits.depth {
            self.want(path, Facet::Children, !self.complete);
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

    /// A node's children have these names. Of those that are new or in doubt, and of those that are
    /// known and not listed, a read says what is the case.
    fn listed(
        &mut self,
        path: &Arc<str>,
        mut names: Vec<String>,
        stat: &Stat,
        loads: bool,
    ) -> Result<(), CacheError> {
        if names.len() > self.limits.nodes {
            let limit = self.limits.nodes;
            return Err(CacheError::TooManyNodes { limit });
        }
        let Some(entry) = self.tree.get(path) else {
            // Its own read decides whether it is there, and lists again.
            self.want(path, Facet::Node, loads);
            return Ok(());
        };
        if entry.cached.stat.czxid != stat.czxid {
            // Another node is there now.
            self.want(path, Facet::Node, loads);
            return Ok(());
        }
        names.sort_unstable();
        let listed = |name: &str| names.binary_search_by(|other| (**other).cmp(name)).is_ok();
        let gone = entry
            .children()
            .map(|(name, _)| name)
            .filter(|name| !listed(name));
        let in_doubt = names.iter().map(String::as_str).filter(|name| {
            let known = entry.child(name);
            known.is_none_or(|known| known.cached.generation < self.generation)
        });
        let wanted: Vec<Arc<str>> = gone
            .chain(in_doubt)
            .map(|name| join(path, name).into())
            .collect();
        let newer = entry.cached.stat.mzxid == stat.mzxid && entry.cached.stat != *stat;
        let refreshed = newer.then(|| Cached {
            stat: *stat,
            ..entry.cached.clone()
        });
        if let Some(refreshed) = refreshed {
            self.tree.put(path, refreshed);
        }
        for child in wanted {
            self.want(&child, Facet::Node, loads);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

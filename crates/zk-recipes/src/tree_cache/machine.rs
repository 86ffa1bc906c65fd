//! What to read, and what the answers mean. No sockets, no clock.
//!
//! Only a read of a node decides what the node is and whether it is. Events and lists of children
//! say what to read. There is one read under way for a path at most, so the answers about a node
//! come in the order of what happened to it, and the cache never goes back; and whatever is heard
//! of a node while a read is under way has it read once more.

use std::sync::Arc;

use bytes::Bytes;
use zk_client::{ErrorCode, Stat, path};

use super::event::{CacheError, CacheEvent};
use super::snapshot::{Cached, Snapshot};
use super::tree::{DEPTH_LIMIT, Put, Tree, join};
use super::work::{Facet, Named, Work};

/// What is still to be read may take as many bytes, however little the cache may hold.
const LEAST_ROOM: usize = 1 << 16;

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
    /// The first generation of the session. What is known from before is read again in full.
    session: u64,
    complete: bool,
    phase: Phase,
    sync_wanted: bool,
    syncs_in_flight: usize,
    work: Work,
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
            work: Work::default(),
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
        self.work.want(&base, Facet::Node, true);
    }

    /// Something may have been missed: all that is known is in doubt until it is
    /// [loaded](Self::load) again.
    pub(super) fn gap(&mut self) {
        self.phase = Phase::Unwatched;
        self.work.forget_names();
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
        // What is no path of a znode comes from no server that could be asked about it.
        if depth > self.limits.depth || path::validate(path).is_err() {
            return;
        }
        self.work.want_soon(path.into(), facet);
        if self.work.bytes() > self.room() {
            self.start_over();
        }
    }

    /// A path is said to be gone.
    pub(super) fn touch_deleted(&mut self, path: &str) {
        let in_flight = self.work.job(path).is_some_and(|job| job.in_flight);
        if in_flight || self.tree.get(path).is_some() {
            self.touch(path, Facet::Node);
        }
    }

    /// How much memory what is still to be read may take.
    fn room(&self) -> usize {
        let limit = self.limits.bytes;
        let rest = limit.saturating_sub(self.tree.bytes());
        // A tree that just fits is kept up to date all the same.
        rest.max(limit / 8).max(LEAST_ROOM)
    }

    /// More has happened than may be remembered: forgets what, and reads everything again.
    fn start_over(&mut self) {
        self.gap();
        self.work.forget();
        self.load(self.one_shot);
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
            let path = self.work.next()?;
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
                    let is_of_session = known >= self.session || zk_proto::seeded_bug!("M1");
                    known < self.generation && is_of_session
                }
                // Only a watch of this kind tells when it is created.
                None => self.one_shot && **path == **self.tree.base(),
            };
        let job = self.work.begin(path)?;
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
        let loads = self.work.job(path).is_some_and(|job| job.loads);
        // What was asked before the last gap may have been read in another session, of a server that
        // lags. Everything is read again in this generation, so that answer is not needed.
        let answer = match ask.generation == self.generation {
            true => answer,
            false => Answer::Synced,
        };
        match answer {
            Answer::Synced => {}
            Answer::Failed => self.work.want(path, ask.read.facet(), false),
            Answer::Absent => self.absent(path, ask.read),
            Answer::Refused(code) => self.refused(path, code)?,
            Answer::Stat(stat) => self.probed(ask, stat)?,
            Answer::Data(data, stat) => self.present(ask, data, stat)?,
            Answer::Names(names, stat) => self.listed(path, names, &stat, loads)?,
        }
        self.work.finish(path);
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

    fn settle(&mut self) {
        if self.phase == Phase::Reading && self.work.is_loaded() && !self.complete {
            self.complete = true;
            self.events.push(CacheEvent::Initialized {
                generation: self.generation,
            });
            self.work.shrink_to_fit();
        }
    }

    fn absent(&mut self, path: &Arc<str>, read: Read) {
        self.forget(path);
        let root_unwatched = self.one_shot && **path == **self.tree.base() && read != Read::Stat;
        if let Some(job) = self.work.job_mut(path) {
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
        if let Some(job) = self.work.job_mut(path) {
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
        let written = |stat: &Stat| {
            let time = (stat.czxid, stat.mzxid, stat.mtime);
            (time, stat.version, stat.data_length)
        };
        let known = self.tree.get(path).map(|entry| &entry.cached);
        match known {
            Some(known) if written(&known.stat) == written(&stat) => {
                let data = known.data.clone();
                self.present(ask, data, stat)
            }
            _ if !self.limits.data => self.present(ask, Bytes::new(), stat),
            _ => {
                if let Some(job) = self.work.job_mut(path) {
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
            let comparable = known.generation == ask.generation || zk_proto::seeded_bug!("M1");
            if comparable
                && (stat.czxid, stat.mzxid) < (known.stat.czxid, known.stat.mzxid)
                && !zk_proto::seeded_bug!("A74")
            {
                // On a connection no server goes back: an older answer is a server's error. On the
                // next one the zxids may be those of another history, also in the same session.
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
            self.work.want(path, Facet::Children, !self.complete);
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
            self.work.want(path, Facet::Node, loads);
            return Ok(());
        };
        if entry.cached.stat.czxid != stat.czxid {
            // Another node is there now.
            self.work.want(path, Facet::Node, loads);
            return Ok(());
        }
        names.sort_unstable();
        let listed = |name: &str| names.binary_search_by(|other| (**other).cmp(name)).is_ok();
        let gone = entry.children().filter(|(name, _)| !listed(name));
        let gone = gone.filter_map(|(name, _)| entry.known_name(name));
        let generation = self.generation;
        let in_doubt = names.iter().filter_map(|name| match entry.child(name) {
            Some(known) if known.cached.generation < generation => entry.known_name(name),
            Some(_) => None,
            None => is_name(name).then(|| Named {
                name: name.as_str().into(),
                known: false,
            }),
        });
        let wanted: Vec<Named> = gone.chain(in_doubt).collect();
        let newer = entry.cached.stat.mzxid == stat.mzxid && entry.cached.stat != *stat;
        let refreshed = newer.then(|| Cached {
            stat: *stat,
            ..entry.cached.clone()
        });
        if let Some(refreshed) = refreshed {
            self.tree.put(path, refreshed);
        }
        self.work.want_children(path.clone(), wanted, loads);
        if self.tree.len() + self.work.new_names() > self.limits.nodes {
            let limit = self.limits.nodes;
            return Err(CacheError::TooManyNodes { limit });
        }
        if self.work.bytes() > self.room() {
            let limit = self.limits.bytes;
            return Err(CacheError::TooManyBytes { limit });
        }
        Ok(())
    }
}

/// Whether a child can be called so.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && path::validate(&join("/", name)).is_ok()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

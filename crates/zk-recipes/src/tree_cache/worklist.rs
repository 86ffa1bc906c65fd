//! The paths that are still to be read, their order, and their memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use zk_client::path::join;

/// The memory of a path to be read beside its name, in bytes: an entry of a hash map, half of which
/// may be empty, and an entry of a queue.
const JOB_BYTES: usize = 160;
/// The memory of a child in a listing beside its name.
const NAME_BYTES: usize = 48;
/// The memory of a child in a listing whose name the tree shares.
const SHARED_NAME_BYTES: usize = 16;

/// The part of a node that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Facet {
    /// Its data and stat.
    Node,
    /// The names of its children.
    Children,
}

/// The reads that a path needs.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) node: bool,
    pub(super) children: bool,
    /// The data have to be read, not only the stat.
    pub(super) full: bool,
    pub(super) in_flight: bool,
    urgent: bool,
    /// The load is complete only after this job.
    pub(super) loads: bool,
}

impl Job {
    pub(super) fn has_reads(&self) -> bool {
        self.node || self.children
    }
}

/// A child in a listing.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: Arc<str>,
    /// Whether the tree shares the name.
    pub(super) known: bool,
}

impl Named {
    fn bytes(&self) -> usize {
        match self.known {
            true => SHARED_NAME_BYTES,
            false => NAME_BYTES + self.name.len(),
        }
    }
}

/// The children of a node that are still to be read.
#[derive(Debug)]
struct Listing {
    parent: Arc<str>,
    children: Vec<Named>,
    loads: bool,
}

#[derive(Debug, Default)]
pub(super) struct Worklist {
    jobs: HashMap<Arc<str>, Job>,
    /// Paths with an event.
    urgent: VecDeque<Arc<str>>,
    /// Paths that are only loaded.
    nodes: VecDeque<Arc<str>>,
    /// Paths whose children have to be listed.
    lists: VecDeque<Arc<str>>,
    /// The latest is processed first, so that for each read in flight at most as many listings are held
    /// as the tree has levels.
    listings: Vec<Listing>,
    /// The number of jobs and listings that the load waits for.
    loading: usize,
    /// The number of children in the listings that are not in the tree.
    new_names: usize,
    bytes: usize,
}

impl Worklist {
    /// Its memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of listed nodes to be read that are not in the tree.
    pub(super) fn new_names(&self) -> usize {
        self.new_names
    }

    /// Whether the load is complete.
    pub(super) fn is_loaded(&self) -> bool {
        self.loading == 0
    }

    pub(super) fn job(&self, path: &str) -> Option<&Job> {
        self.jobs.get(path)
    }

    pub(super) fn job_mut(&mut self, path: &str) -> Option<&mut Job> {
        self.jobs.get_mut(path)
    }

    /// Schedules a read of a path; with `loads`, the load is complete only after that read.
    pub(super) fn schedule(&mut self, path: &Arc<str>, facet: Facet, loads: bool) {
        if self.add(path, facet, loads) {
            let queue = match facet {
                Facet::Node => &mut self.nodes,
                Facet::Children => &mut self.lists,
            };
            queue.push_back(path.clone());
        }
    }

    /// Schedules a read of a path with an event, before the paths that are only loaded.
    pub(super) fn schedule_urgent(&mut self, path: Arc<str>, facet: Facet) {
        self.add(&path, facet, false);
        if let Some(job) = self.jobs.get_mut(&path) {
            job.full |= facet == Facet::Node;
            if !job.urgent && !job.in_flight {
                job.urgent = true;
                self.urgent.push_back(path);
            }
        }
    }

    /// Schedules reads of the children of a node, one after the other. Replaces the rest of an earlier
    /// listing of the same node.
    pub(super) fn schedule_children(
        &mut self,
        parent: Arc<str>,
        mut children: Vec<Named>,
        mut loads: bool,
    ) {
        let same = |listing: &Listing| listing.parent == parent;
        if let Some(at) = self.listings.iter().position(same) {
            let earlier = self.listings.remove(at);
            loads |= earlier.loads;
            self.drop_listing(&earlier);
        }
        if children.is_empty() {
            return;
        }
        self.bytes += children.iter().map(Named::bytes).sum::<usize>();
        self.new_names += children.iter().filter(|child| !child.known).count();
        self.loading += usize::from(loads);
        // `next` takes them from the end.
        children.reverse();
        self.listings.push(Listing {
            parent,
            children,
            loads,
        });
    }

    /// Drops the listings: everything is listed again.
    pub(super) fn forget_names(&mut self) {
        for listing in std::mem::take(&mut self.listings) {
            self.drop_listing(&listing);
        }
    }

    fn drop_listing(&mut self, listing: &Listing) {
        self.loading -= usize::from(listing.loads);
        for child in &listing.children {
            self.bytes -= child.bytes();
            self.new_names -= usize::from(!child.known);
        }
    }

    /// Adds a read to the job of a path; true if the path has to be put into a queue.
    fn add(&mut self, path: &Arc<str>, facet: Facet, loads: bool) -> bool {
        let job = self.jobs.entry(path.clone()).or_insert_with(|| {
            self.bytes += JOB_BYTES + path.len();
            Job::default()
        });
        let is_queued = job.has_reads() || job.in_flight;
        match facet {
            Facet::Node => job.node = true,
            Facet::Children => job.children = true,
        }
        if loads && !job.loads {
            job.loads = true;
            self.loading += 1;
        }
        !is_queued
    }

    /// The next path to read. Lists come before listed children, so that a branch is read before the
    /// next one begins, and few names are held.
    pub(super) fn next(&mut self) -> Option<Arc<str>> {
        let queues = [&mut self.urgent, &mut self.nodes, &mut self.lists];
        if let Some(path) = queues.into_iter().find_map(VecDeque::pop_front) {
            return Some(path);
        }
        let listing = self.listings.last_mut()?;
        let (child, loads) = (listing.children.pop(), listing.loads);
        let is_done = listing.children.is_empty();
        let path = child.map(|child| {
            self.bytes -= child.bytes();
            self.new_names -= usize::from(!child.known);
            Arc::from(join(&listing.parent, &child.name))
        });
        if let Some(path) = &path {
            // The caller begins it at once, so it is not queued.
            self.add(path, Facet::Node, loads);
        }
        if is_done {
            self.listings.pop();
            self.loading -= usize::from(loads);
        }
        path
    }

    /// The job of a path, which counts as in flight from now on; `None` if it is in flight already, or
    /// has no reads.
    pub(super) fn begin(&mut self, path: &str) -> Option<&mut Job> {
        let job = self.jobs.get_mut(path)?;
        job.urgent = false;
        if job.in_flight || !job.has_reads() {
            return None;
        }
        job.in_flight = true;
        Some(job)
    }

    /// Ends the read of a path that is in flight: queues the rest of its job, or removes the job.
    pub(super) fn finish(&mut self, path: &Arc<str>) {
        let Some(job) = self.jobs.get_mut(path) else {
            return;
        };
        job.in_flight = false;
        if !job.has_reads() {
            self.loading -= usize::from(job.loads);
            self.bytes -= JOB_BYTES + path.len();
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

    /// Drops everything except the reads in flight.
    pub(super) fn clear(&mut self) {
        let mut jobs = std::mem::take(self).jobs;
        jobs.retain(|_, job| job.in_flight);
        for path in jobs.into_keys() {
            self.bytes += JOB_BYTES + path.len();
            let job = Job {
                in_flight: true,
                ..Job::default()
            };
            self.jobs.insert(path, job);
        }
    }

    pub(super) fn shrink_to_fit(&mut self) {
        self.nodes.shrink_to_fit();
        self.lists.shrink_to_fit();
        self.listings.shrink_to_fit();
        self.jobs.shrink_to_fit();
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let queues = [&self.urgent, &self.nodes, &self.lists];
        self.jobs.is_empty()
            && self.listings.is_empty()
            && self.loading == 0
            && (self.bytes, self.new_names) == (0, 0)
            && queues.iter().all(|queue| queue.is_empty())
    }
}

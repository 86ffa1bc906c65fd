//! What is still to be read, in which order, and how much memory that takes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::tree::join;

/// What a path that is to be read takes beside its name, in bytes: an entry of a hash map, half of
/// which may be empty, and one of a queue.
const JOB_BYTES: usize = 160;
/// The same of a child that a list has named.
const NAME_BYTES: usize = 48;
/// What a child takes whose name the tree has already.
const KNOWN_NAME_BYTES: usize = 16;

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
pub(super) struct Job {
    pub(super) node: bool,
    pub(super) children: bool,
    /// The stat alone does not do.
    pub(super) full: bool,
    pub(super) in_flight: bool,
    urgent: bool,
    /// Reading everything is not done before this is.
    pub(super) loads: bool,
}

impl Job {
    pub(super) fn is_wanted(&self) -> bool {
        self.node || self.children
    }
}

/// A child that a list has named.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: Arc<str>,
    /// Whether the tree holds the name as well.
    pub(super) known: bool,
}

impl Named {
    fn bytes(&self) -> usize {
        match self.known {
            true => KNOWN_NAME_BYTES,
            false => NAME_BYTES + self.name.len(),
        }
    }
}

/// The children of a node that are to be read.
#[derive(Debug)]
struct Listing {
    parent: Arc<str>,
    children: Vec<Named>,
    loads: bool,
}

#[derive(Debug, Default)]
pub(super) struct Work {
    jobs: HashMap<Arc<str>, Job>,
    /// Paths that something has happened to.
    urgent: VecDeque<Arc<str>>,
    /// Paths to be read because everything is.
    nodes: VecDeque<Arc<str>>,
    /// Paths whose children are to be listed.
    lists: VecDeque<Arc<str>>,
    /// The latest is worked off first, so that no more of them are held than the tree is deep, for
    /// each read that is under way at once.
    listings: Vec<Listing>,
    /// Jobs and listings that reading everything waits for.
    loading: usize,
    /// Children in the listings that the tree does not hold.
    new_names: usize,
    bytes: usize,
}

impl Work {
    /// What it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many nodes are to be read that lists have named and the tree does not hold.
    pub(super) fn new_names(&self) -> usize {
        self.new_names
    }

    /// Whether everything has been read that was to be loaded.
    pub(super) fn is_loaded(&self) -> bool {
        self.loading == 0
    }

    pub(super) fn job(&self, path: &str) -> Option<&Job> {
        self.jobs.get(path)
    }

    pub(super) fn job_mut(&mut self, path: &str) -> Option<&mut Job> {
        self.jobs.get_mut(path)
    }

    /// Has a path be read; `loads` if reading everything is not done before that is.
    pub(super) fn want(&mut self, path: &Arc<str>, facet: Facet, loads: bool) {
        if self.note(path, facet, loads) {
            let queue = match facet {
                Facet::Node => &mut self.nodes,
                Facet::Children => &mut self.lists,
            };
            queue.push_back(path.clone());
        }
    }

    /// Has a path be read before those that are only loaded, since something has happened to it.
    pub(super) fn want_soon(&mut self, path: Arc<str>, facet: Facet) {
        self.note(&path, facet, false);
        if let Some(job) = self.jobs.get_mut(&path) {
            job.full |= facet == Facet::Node;
            if !job.urgent && !job.in_flight {
                job.urgent = true;
                self.urgent.push_back(path);
            }
        }
    }

    /// Has the children of a node be read one after the other. What is left of an earlier list of the
    /// same node is out of date.
    pub(super) fn want_children(
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
        // They are taken from the end.
        children.reverse();
        self.listings.push(Listing {
            parent,
            children,
            loads,
        });
    }

    /// Forgets what lists have named: everything is listed again.
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

    /// Notes what is to be read of a path; whether the path has to be put into a queue for that.
    fn note(&mut self, path: &Arc<str>, facet: Facet, loads: bool) -> bool {
        let job = self.jobs.entry(path.clone()).or_insert_with(|| {
            self.bytes += JOB_BYTES + path.len();
            Job::default()
        });
        let waits = job.is_wanted() || job.in_flight;
        match facet {
            Facet::Node => job.node = true,
            Facet::Children => job.children = true,
        }
        if loads && !job.loads {
            job.loads = true;
            self.loading += 1;
        }
        !waits
    }

    /// The path that is to be read next. Lists come before the children that lists have named, so
    /// that a branch is read before the next one is begun, and few names are held.
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
            // It is begun at once, and need not wait in a queue.
            self.note(path, Facet::Node, loads);
        }
        if is_done {
            self.listings.pop();
            self.loading -= usize::from(loads);
        }
        path
    }

    /// The job of a path, which is under way from now on; `None` if it is already, or if nothing is
    /// left to read.
    pub(super) fn begin(&mut self, path: &str) -> Option<&mut Job> {
        let job = self.jobs.get_mut(path)?;
        job.urgent = false;
        if job.in_flight || !job.is_wanted() {
            return None;
        }
        job.in_flight = true;
        Some(job)
    }

    /// A read of a path is not under way any longer: queues what is left of its job, or ends it.
    pub(super) fn finish(&mut self, path: &Arc<str>) {
        let Some(job) = self.jobs.get_mut(path) else {
            return;
        };
        job.in_flight = false;
        if !job.is_wanted() {
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

    /// Forgets everything, except which reads are under way.
    pub(super) fn forget(&mut self) {
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

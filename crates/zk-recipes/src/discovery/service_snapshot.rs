//! The instances of a service at one time.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::catalog::{Found, Instances, Unreadable};
use super::instance::ServiceInstance;

/// The instances in a [`ServiceCache`](crate::ServiceCache) at one time. A snapshot never changes, is
/// read without a lock, and is cheap to clone.
pub struct ServiceSnapshot<P> {
    pub(super) instances: Instances<P>,
    pub(super) unreadable: Arc<[Unreadable]>,
    pub(super) complete: bool,
}

impl<P> ServiceSnapshot<P> {
    pub(super) fn empty() -> Self {
        ServiceSnapshot {
            instances: Arc::new([]),
            unreadable: Arc::new([]),
            complete: false,
        }
    }

    /// The instances, sorted by the names of their znodes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<ServiceInstance<P>>> {
        self.instances.iter().map(|found| &found.instance)
    }

    /// The instance whose znode has this name, which is the id of an instance that is not sequential.
    pub fn get(&self, node: &str) -> Option<&Arc<ServiceInstance<P>>> {
        let compare = |found: &Found<P>| (*found.node).cmp(node);
        let at = self.instances.binary_search_by(compare).ok()?;
        self.instances.get(at).map(|found| &found.instance)
    }

    /// The number of instances.
    pub fn len(&self) -> usize {
        self.instances.len()
    }

    /// Whether there is no instance.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    /// The names of the znodes whose data are empty or no instance, and why.
    pub fn unreadable(&self) -> impl Iterator<Item = (&str, &(dyn StdError + Send + Sync))> {
        (self.unreadable.iter()).map(|unreadable| (&*unreadable.node, &*unreadable.error))
    }

    /// Whether everything has been read since contact was last lost. If not, some instances may be gone
    /// since, or missing here.
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

impl<P> Clone for ServiceSnapshot<P> {
    fn clone(&self) -> Self {
        ServiceSnapshot {
            instances: self.instances.clone(),
            unreadable: self.unreadable.clone(),
            complete: self.complete,
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for ServiceSnapshot<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceSnapshot")
            .field("instances", &self.instances)
            .field("unreadable", &self.unreadable)
            .field("complete", &self.complete)
            .finish()
    }
}

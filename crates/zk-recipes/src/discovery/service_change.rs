//! A change of a service's instances.

use std::sync::Arc;

use super::instance::ServiceInstance;

/// A change of the instances in a [`ServiceCache`](crate::ServiceCache).
#[derive(Debug)]
#[non_exhaustive]
pub enum ServiceChange<P> {
    /// An instance is new.
    Added {
        /// The name of its znode, which is the id of the instance unless the instance is
        /// [sequential](crate::ServiceType::DynamicSequential). Two instances never have the same one.
        node: Arc<str>,
        /// The instance.
        instance: Arc<ServiceInstance<P>>,
    },
    /// An instance was updated, or registered again.
    Changed {
        /// The name of its znode.
        node: Arc<str>,
        /// The instance before.
        before: Arc<ServiceInstance<P>>,
        /// The instance.
        instance: Arc<ServiceInstance<P>>,
    },
    /// An instance is gone.
    Removed {
        /// The name of its znode.
        node: Arc<str>,
        /// The instance as it was.
        before: Arc<ServiceInstance<P>>,
    },
}

impl<P> Clone for ServiceChange<P> {
    fn clone(&self) -> Self {
        match self {
            ServiceChange::Added { node, instance } => ServiceChange::Added {
                node: node.clone(),
                instance: instance.clone(),
            },
            ServiceChange::Changed {
                node,
                before,
                instance,
            } => ServiceChange::Changed {
                node: node.clone(),
                before: before.clone(),
                instance: instance.clone(),
            },
            ServiceChange::Removed { node, before } => ServiceChange::Removed {
                node: node.clone(),
                before: before.clone(),
            },
        }
    }
}

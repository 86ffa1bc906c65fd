//! The instances of a service for the load balancers of `tower`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tower::discover::Change;

use super::instance::ServiceInstance;
use super::service_cache::ServiceCache;
use super::service_change::ServiceChange;
use super::service_changes::ServiceChanges;
use crate::error::CacheError;

/// A stream of the instances of a [`ServiceCache`], each made into a service: a
/// [`tower::discover::Discover`] for a load balancer such as `tower::balance::p2c::Balance`. Made by
/// [`ServiceCache::discover`].
///
/// The keys are the names of the znodes. An instance that was updated is inserted again, and one that is
/// not enabled is removed. The stream ends as [`ServiceChanges`] does; a balancer continues with the services
/// that it has.
#[must_use = "a stream does nothing until it is read"]
pub struct Discover<P, F> {
    changes: ServiceChanges<P>,
    make: F,
}

impl<P> ServiceCache<P> {
    /// A stream of the instances for a load balancer of `tower`, with `make` for the service of an
    /// instance. Needs the feature `tower`.
    pub fn discover<F, S>(&self, make: F) -> Discover<P, F>
    where
        F: FnMut(&Arc<ServiceInstance<P>>) -> S,
    {
        Discover {
            changes: self.changes(),
            make,
        }
    }
}

impl<P, F: Unpin, S> Stream for Discover<P, F>
where
    F: FnMut(&Arc<ServiceInstance<P>>) -> S,
{
    type Item = Result<Change<Arc<str>, S>, CacheError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let change = match std::task::ready!(this.changes.poll(cx)) {
            Some(Ok(change)) => change,
            Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            None => return Poll::Ready(None),
        };
        let change = match change {
            ServiceChange::Added { node, instance }
            | ServiceChange::Changed { node, instance, .. }
                if instance.enabled =>
            {
                Change::Insert(node, (this.make)(&instance))
            }
            ServiceChange::Added { node, .. }
            | ServiceChange::Changed { node, .. }
            | ServiceChange::Removed { node, .. } => Change::Remove(node),
        };
        Poll::Ready(Some(Ok(change)))
    }
}

impl<P, F> fmt::Debug for Discover<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discover")
            .field("changes", &self.changes)
            .finish_non_exhaustive()
    }
}

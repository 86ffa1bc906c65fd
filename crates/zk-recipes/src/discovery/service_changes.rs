//! The changes of a service's instances.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::catalog::{Instances, changes};
use super::published::Reader;
use super::service_cache::ServiceCache;
use super::service_change::ServiceChange;
use crate::error::CacheError;

/// The changes of a [`ServiceCache`](crate::ServiceCache), each present instance first as
/// [`Added`](ServiceChange::Added).
///
/// The stream compares the latest instances with those that it has yielded before. So a slow reader
/// misses only what has changed back meanwhile, and takes no memory for what it has not read. The stream
/// keeps the cache alive. It ends with the error of the cache, and without an error when the client is
/// closed.
#[must_use = "a stream does nothing until it is read"]
pub struct ServiceChanges<P> {
    _cache: ServiceCache<P>,
    reader: Reader<P>,
    seen: Instances<P>,
    unread: VecDeque<ServiceChange<P>>,
    ended: bool,
}

impl<P> ServiceCache<P> {
    /// A stream of the changes, the present instances first.
    pub fn changes(&self) -> ServiceChanges<P> {
        ServiceChanges {
            reader: self.reader(),
            _cache: self.clone(),
            seen: Arc::new([]),
            unread: VecDeque::new(),
            ended: false,
        }
    }
}

impl<P> ServiceChanges<P> {
    /// The next change; `None` at the end.
    ///
    /// # Errors
    /// The cache has ended. The stream ends after an error.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<ServiceChange<P>, CacheError>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<ServiceChange<P>, CacheError>>> {
        loop {
            if let Some(change) = self.unread.pop_front() {
                return Poll::Ready(Some(Ok(change)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let seen = &self.seen;
            let next = self.reader.poll(cx, |published| match &published.over {
                Some(error) => Some(Err(error.clone())),
                None => {
                    let instances = &published.snapshot.instances;
                    (!Arc::ptr_eq(instances, seen)).then(|| Ok(instances.clone()))
                }
            });
            match std::task::ready!(next) {
                Ok(instances) => {
                    self.unread = changes(&self.seen, &instances).into();
                    self.seen = instances;
                }
                Err(error) => {
                    self.ended = true;
                    return Poll::Ready(match error {
                        CacheError::Closed => None,
                        error => Some(Err(error)),
                    });
                }
            }
        }
    }
}

impl<P> Stream for ServiceChanges<P> {
    type Item = Result<ServiceChange<P>, CacheError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl<P> fmt::Debug for ServiceChanges<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceChanges")
            .field("seen", &self.seen.len())
            .field("unread", &self.unread.len())
            .finish_non_exhaustive()
    }
}

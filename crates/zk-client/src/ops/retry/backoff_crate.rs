//! Delays by the crate `backoff`.

use std::sync::Arc;
use std::time::Duration;

use backoff::backoff::Backoff;

use crate::ops::retry::{RetryPolicy, Source};

/// Makes a sequence of delays for each use of a policy.
#[derive(Clone)]
pub(super) struct Prototype(Arc<dyn Fn() -> Delays + Send + Sync>);

impl Prototype {
    pub(super) fn start(&self) -> Delays {
        (self.0)()
    }
}

pub(super) struct Delays(Box<dyn Backoff + Send>);

impl Delays {
    pub(super) fn next_delay(&mut self) -> Option<Duration> {
        self.0.next_backoff()
    }
}

impl RetryPolicy {
    /// A policy whose delays, and whose end, are those that `make` makes, anew for each use. Attempts
    /// and time are not limited otherwise, unless told.
    ///
    /// ```
    /// use backoff::ExponentialBackoff;
    /// use zk_client::RetryPolicy;
    ///
    /// let policy = RetryPolicy::from_backoff(ExponentialBackoff::default).attempts(5);
    /// ```
    ///
    /// The crate `backoff` is no longer maintained (RUSTSEC-2025-0012) and its jitter cannot be
    /// seeded. This is for programs that have it; others are better served by
    /// [`RetryPolicy::backoff`].
    pub fn from_backoff<B: Backoff + Send + 'static>(
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        RetryPolicy {
            attempts: None,
            deadline: None,
            source: Source::Foreign(Prototype(Arc::new(move || Delays(Box::new(make()))))),
        }
    }
}

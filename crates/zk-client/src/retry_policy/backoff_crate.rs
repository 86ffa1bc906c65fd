//! Delays by the crate `backoff`.

use std::sync::Arc;
use std::time::Duration;

use backoff::backoff::Backoff;

/// Makes a sequence of delays for each use of a policy.
#[derive(Clone)]
pub(super) struct Prototype(Arc<dyn Fn() -> Delays + Send + Sync>);

impl Prototype {
    pub(super) fn new<B: Backoff + Send + 'static>(
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        Prototype(Arc::new(move || Delays(Box::new(make()))))
    }

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

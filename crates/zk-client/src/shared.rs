//! The core behind its lock.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;

use crate::core::Core;

/// What the handles and the driver of a client share.
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// Where the driver runs, and what has to be done after its cause is gone.
    pub(crate) runtime: Handle,
}

impl Shared {
    pub(crate) fn new(core: Core, runtime: Handle) -> Self {
        Shared {
            core: Mutex::new(core),
            runtime,
        }
    }

    /// Runs `f` under the lock, and wakes whom it wants woken after the lock is released.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Core) -> R) -> R {
        // The core has no invariant that a panic in the middle could break for good: at worst a
        // request stays unanswered until its deadline.
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut core);
        let wakes = std::mem::take(&mut core.wakes);
        drop(core);
        for waker in wakes {
            waker.wake();
        }
        result
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, session) = self.with(|core| (core.state(), core.session.id()));
        f.debug_struct("Shared")
            .field("state", &state)
            .field("session", &session)
            .finish_non_exhaustive()
    }
}

/// The time by tokio's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

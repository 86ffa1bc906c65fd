//! Pauses between attempts at what failed for a reason that passes.

use zk_client::{Backoff, BackoffPolicy};

/// A sequence of pauses.
pub(crate) fn pause() -> Backoff {
    Backoff::new(BackoffPolicy::default(), fastrand::u64(..))
}

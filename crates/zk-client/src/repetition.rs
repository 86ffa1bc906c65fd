//! Making one request again and again, within bounds.

use std::time::Duration;

use zk_transport::{Backoff, BackoffPolicy};

use crate::error::{Error, ErrorKind, Outcome};

/// After so many lost connections, one after the other, a request that was sent over each of them
/// counts as the cause. No limit is needed for a server that cannot be reached: then nothing is
/// sent.
pub(crate) const MAX_LOSSES: u32 = 10;

/// Whether a request that may be executed twice is to be made again after it failed.
///
/// Its requests are made again as long as the reason of the failure may pass, with pauses that grow
/// from 0.1 s to 5 s; but only until ten attempts have each cost a connection or a session, or found
/// the server overloaded.
#[derive(Debug)]
pub struct Repetition {
    backoff: Backoff,
    failures: u32,
}

impl Default for Repetition {
    fn default() -> Self {
        Repetition {
            backoff: Backoff::new(BackoffPolicy::default(), fastrand::u64(..)),
            failures: 0,
        }
    }
}

impl Repetition {
    /// Whether another attempt may succeed where this one has failed.
    pub fn may_go_on(&mut self, error: &Error) -> bool {
        match (error.kind(), error.outcome()) {
            // It waited behind a write of another caller, or for room.
            (ErrorKind::ConnectionLost, Outcome::NotSent) | (ErrorKind::QueueFull, _) => true,
            (ErrorKind::ConnectionLost | ErrorKind::SessionExpired, _)
            | (ErrorKind::Throttled, _) => {
                self.failures += 1;
                self.failures < MAX_LOSSES
            }
            _ => error.is_retryable(),
        }
    }

    /// How long to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        self.backoff.next_delay()
    }
}

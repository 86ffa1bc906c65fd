//! Repeating one request, within limits.

use std::time::Duration;

use zk_transport::{Backoff, BackoffPolicy};

use crate::error::{Error, ErrorKind, Outcome};
use crate::session::failure::MAX_LOSSES;

/// Decides whether a request that may be executed twice is repeated after a failure, and when.
///
/// The request is repeated while the reason of the failure may pass, until ten attempts have failed
/// with an unknown outcome or with the end of the session: the request then counts as the cause.
/// The delays grow from 0.1 s to 5 s.
#[derive(Debug)]
pub struct Repetition {
    backoff: Backoff,
    losses: u32,
    awaits_quorum: bool,
}

impl Default for Repetition {
    fn default() -> Self {
        Repetition {
            backoff: Backoff::new(BackoffPolicy::default(), fastrand::u64(..)),
            losses: 0,
            awaits_quorum: false,
        }
    }
}

impl Repetition {
    /// The repetition of a clean-up's request. While the server is read-only it has no limit: the
    /// next server with a quorum can execute the request.
    pub fn of_cleanup() -> Self {
        Repetition {
            awaits_quorum: true,
            ..Repetition::default()
        }
    }

    /// Takes the error of an attempt. Whether another may succeed.
    pub fn may_go_on(&mut self, error: &Error) -> bool {
        if error.retries_exhausted() {
            return false;
        }
        match (error.kind(), error.outcome()) {
            // All attempts share the deadline; the other errors would come again.
            (
                ErrorKind::DeadlineExceeded
                | ErrorKind::ReplyTooLarge
                | ErrorKind::AuthFailed
                | ErrorKind::Closed,
                _,
            ) => false,
            (ErrorKind::SessionExpired, _) | (_, Outcome::Unknown) => {
                self.losses += 1;
                self.losses < MAX_LOSSES
            }
            // The next attempt uses an operation that the server knows.
            (ErrorKind::Unimplemented, _) => {
                self.losses += 1;
                error.is_retryable() && self.losses < MAX_LOSSES
            }
            (ErrorKind::ReadOnly, _) => self.awaits_quorum,
            _ => error.is_retryable(),
        }
    }

    /// How long to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        self.backoff.next_delay()
    }

    /// Begins anew after a success: the next request is another one.
    pub fn reset(&mut self) {
        self.backoff.reset();
        self.losses = 0;
    }
}

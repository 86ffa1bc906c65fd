//! Making one request again and again, within bounds.

use std::time::Duration;

use zk_transport::{Backoff, BackoffPolicy};

use crate::error::{Error, ErrorKind, Outcome};
use crate::session::failure::MAX_LOSSES;

/// Decides whether a request that may be executed twice is made again after it failed, and when.
///
/// It is, as long as the reason of the failure may pass, until ten attempts have failed with an
/// outcome that is not known or with the end of the session: such a request is taken for the cause
/// of what happens to it. The pauses grow from 0.1 s to 5 s.
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
    /// The repetition of a request that removes what must not stay. It goes on while the server is
    /// read-only, without a limit: the next server with a quorum can execute the request.
    pub fn of_cleanup() -> Self {
        Repetition {
            awaits_quorum: true,
            ..Repetition::default()
        }
    }

    /// Whether another attempt may succeed where this one has failed.
    pub fn may_go_on(&mut self, error: &Error) -> bool {
        if error.retries_exhausted() {
            return false;
        }
        match (error.kind(), error.outcome()) {
            // The deadline is that of all attempts; the others say the same the next time.
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
            // The next attempt makes do with what the server knows.
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

    /// An attempt has succeeded; what follows is another request.
    pub fn reset(&mut self) {
        self.backoff.reset();
        self.losses = 0;
    }
}

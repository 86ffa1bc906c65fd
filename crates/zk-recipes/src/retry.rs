//! Backoff between the attempts at a request.

use zk_client::{Error, Repetition};

/// The attempts at one request after another, and the delays between them.
#[derive(Debug)]
pub(crate) struct RetryBackoff {
    attempts: Repetition,
    repeatable: bool,
}

impl RetryBackoff {
    /// For requests of which an attempt with an unknown outcome is handled by the next attempt.
    pub(crate) fn new() -> Self {
        RetryBackoff {
            attempts: Repetition::default(),
            repeatable: false,
        }
    }

    /// For requests that may be executed any number of times: an error that is retryable is retried
    /// without a limit.
    pub(crate) fn of_repeatable() -> Self {
        RetryBackoff {
            repeatable: true,
            ..Self::new()
        }
    }

    /// For requests that remove a znode that must not stay: also retried while the server is
    /// read-only.
    pub(crate) fn of_cleanup() -> Self {
        RetryBackoff {
            attempts: Repetition::of_cleanup(),
            repeatable: false,
        }
    }

    /// Whether another attempt may succeed after this error. Counts the attempt.
    pub(crate) fn allows(&mut self, error: &Error) -> bool {
        (self.repeatable && error.is_retryable()) || self.attempts.may_go_on(error)
    }

    /// Sleeps until the next attempt is due.
    pub(crate) async fn sleep(&mut self) {
        tokio::time::sleep(self.attempts.next_delay()).await;
    }

    /// Sleeps until the next attempt is due, unless there is none.
    ///
    /// # Errors
    /// `error`, if another attempt would not succeed either.
    pub(crate) async fn sleep_after(&mut self, error: Error) -> zk_client::Result<()> {
        if !self.allows(&error) {
            return Err(error);
        }
        self.sleep().await;
        Ok(())
    }

    /// The delay before the next attempt, for callers with a timer of their own.
    pub(crate) fn next_delay(&mut self) -> std::time::Duration {
        self.attempts.next_delay()
    }

    /// An attempt has succeeded: the next request begins with the shortest delay.
    pub(crate) fn reset(&mut self) {
        self.attempts.reset();
    }
}

//! Retries, limited to operations that can be repeated without harm.

pub(crate) mod conditional;
pub(crate) mod repetition;
mod transaction;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::retry_policy::{Attempts, RetryPolicy};

pub use conditional::ConditionalRetry;

/// Takes the error of an attempt. Waits and returns true if the policy allows another.
async fn again(attempts: &mut Attempts, client: &Client, error: &Error) -> bool {
    let Some(delay) = attempts.next_delay(error) else {
        return false;
    };
    let mut states = client.states();
    // The end of the client ends the wait: the next attempt then fails at once.
    let over = async { while states.next().await.is_some() {} };
    let _ = tokio::time::timeout(delay, over).await;
    true
}

impl Client {
    /// Makes an operation until it succeeds, fails for good, or `policy` gives up. Unless the policy
    /// has a [rule](RetryPolicy::retry_if) of its own, retries only after an attempt that had no effect and may succeed later ([`Error::is_retryable`]): the
    /// request was not sent, or the server was overloaded. An error with
    /// [`Outcome::Unknown`](crate::Outcome::Unknown) is returned, so that nothing is done twice. What
    /// became of such an attempt is found out by [`Set::retry`](crate::Set::retry),
    /// [`Delete::retry`](crate::Delete::retry) and [`Multi::retry`](crate::Multi::retry).
    ///
    /// kazoo's `retry` also retries after a lost connection; that is
    /// [`retry_read`](Self::retry_read).
    ///
    /// `op` makes one operation, and is called for each attempt. Nothing is retried once the client
    /// is closed. The future borrows neither the client nor the policy.
    ///
    /// ```no_run
    /// # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
    /// use zk_client::RetryPolicy;
    ///
    /// let policy = RetryPolicy::default();
    /// zk.retry(&policy, || zk.multi().check("/a", 1).set("/b", "x")).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// That of the last attempt.
    ///
    /// # Cancel safety
    /// Dropping the future drops the current attempt.
    pub fn retry<T, F, Op>(
        &self,
        policy: &RetryPolicy,
        op: Op,
    ) -> impl Future<Output = Result<T>> + use<T, F, Op>
    where
        F: IntoFuture<Output = Result<T>>,
        Op: FnMut() -> F,
    {
        retry(self.clone(), policy.clone(), false, op)
    }

    /// As [`retry`](Self::retry), and also retries after an attempt of unknown outcome: for reads,
    /// for transactions that only check, and for everything else that may be executed twice.
    ///
    /// The client itself sends reads again after a lost connection, until their deadline; this
    /// method retries after the deadline, too.
    ///
    /// # Errors
    /// That of the last attempt.
    ///
    /// # Cancel safety
    /// Dropping the future drops the current attempt.
    #[doc(alias = "KazooRetry")]
    pub fn retry_read<T, F, Op>(
        &self,
        policy: &RetryPolicy,
        op: Op,
    ) -> impl Future<Output = Result<T>> + use<T, F, Op>
    where
        F: IntoFuture<Output = Result<T>>,
        Op: FnMut() -> F,
    {
        retry(self.clone(), policy.clone(), true, op)
    }

    /// The policy of [`ClientBuilder::retry_policy`](crate::ClientBuilder::retry_policy), for the
    /// methods that take one: `zk.retry(zk.retry_policy(), || zk.set("/a", "1"))`.
    #[doc(alias = "command_retry")]
    pub fn retry_policy(&self) -> &RetryPolicy {
        self.default_retry_policy()
    }
}

async fn retry<T, F: IntoFuture<Output = Result<T>>>(
    client: Client,
    policy: RetryPolicy,
    twice: bool,
    mut op: impl FnMut() -> F,
) -> Result<T> {
    let mut attempts = policy.start();
    loop {
        match op().await {
            Err(error) if policy.allows(&error, twice) => {
                if !again(&mut attempts, &client, &error).await {
                    return Err(error.with_retries_exhausted());
                }
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;

//! Retries, limited to operations that can be repeated without harm.

#[cfg(feature = "backoff")]
mod backoff_crate;
pub(crate) mod conditional;
pub(crate) mod repetition;

use std::fmt;
use std::time::{Duration, Instant};

use zk_transport::{Backoff, BackoffPolicy};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::shared::now;

pub use conditional::ConditionalRetry;

/// How often, how long and after which delays an operation is retried.
///
/// By default: at most ten attempts, none of which begins later than 30 s after the first, with the
/// delays of [`BackoffPolicy`]. [`Client::retry`], [`Client::retry_read`],
/// [`Set::retry`](crate::Set::retry) and [`Delete::retry`](crate::Delete::retry) take a policy. One
/// policy serves any number of operations, one after another or at once.
///
/// The attempts of nested policies do not multiply: an error that one policy has given up on is not
/// retried by another ([`Error::retries_exhausted`]).
///
/// # Throttled requests
///
/// A server that is overloaded may refuse a read or a write without having executed it
/// ([`ErrorKind::Throttled`](crate::ErrorKind::Throttled), ZOOKEEPER-3243). All of the methods
/// above retry that. The client does not do so by itself: the requests that were submitted behind
/// the refused one have been executed by then, and a retry would come after them. A program that
/// awaits each request before the next can use a policy without a change of order; a program that
/// relies on the order of requests in flight needs to see the error.
#[doc(alias = "KazooRetry")]
#[doc(alias = "ExponentialBackoffRetry")]
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    attempts: Option<u32>,
    deadline: Option<Duration>,
    delays: DelaySource,
}

/// What makes the delays.
#[derive(Clone)]
enum DelaySource {
    Ours(BackoffPolicy, Option<u64>),
    #[cfg(feature = "backoff")]
    Foreign(backoff_crate::Prototype),
}

impl fmt::Debug for DelaySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DelaySource::Ours(policy, seed) => {
                f.debug_tuple("Ours").field(policy).field(seed).finish()
            }
            #[cfg(feature = "backoff")]
            DelaySource::Foreign(_) => f.write_str("Foreign"),
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: Some(10),
            deadline: Some(Duration::from_secs(30)),
            delays: DelaySource::Ours(BackoffPolicy::default(), None),
        }
    }
}

impl RetryPolicy {
    /// The default policy.
    pub fn new() -> Self {
        Self::default()
    }

    /// A policy with the delays, and the end, of the backoffs that `make` makes, a new one for each
    /// operation. The number of attempts and the time have no other limits by default.
    ///
    /// ```
    /// use backoff::ExponentialBackoff;
    /// use zk_client::RetryPolicy;
    ///
    /// let policy = RetryPolicy::from_backoff(ExponentialBackoff::default).attempts(5);
    /// ```
    ///
    /// The crate `backoff` is no longer maintained (RUSTSEC-2025-0012) and its jitter cannot be
    /// seeded. This method is for programs that use the crate already; for others there is
    /// [`RetryPolicy::backoff`].
    #[cfg(feature = "backoff")]
    pub fn from_backoff<B: backoff::backoff::Backoff + Send + 'static>(
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        RetryPolicy {
            attempts: None,
            deadline: None,
            delays: DelaySource::Foreign(backoff_crate::Prototype::new(make)),
        }
    }

    /// The largest number of attempts, the first included; `None` for no limit. 0 counts as 1.
    #[must_use]
    pub fn attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.attempts = attempts.into();
        self
    }

    /// How long after the first attempt another may begin; `None` for no limit. The operation's own
    /// deadline limits how long an attempt takes.
    #[must_use]
    pub fn deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// The delays before the second attempt and those after it.
    #[must_use]
    pub fn backoff(mut self, policy: BackoffPolicy) -> Self {
        let seed = match self.delays {
            DelaySource::Ours(_, seed) => seed,
            #[cfg(feature = "backoff")]
            DelaySource::Foreign(_) => None,
        };
        self.delays = DelaySource::Ours(policy, seed);
        self
    }

    /// Makes the jitter of the delays deterministic, for tests. Without effect on delays
    /// from another crate.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        match &mut self.delays {
            DelaySource::Ours(_, own) => *own = Some(seed),
            #[cfg(feature = "backoff")]
            DelaySource::Foreign(_) => {}
        }
        self
    }

    fn start(&self) -> Attempts {
        Attempts {
            most: self.attempts.unwrap_or(u32::MAX),
            deadline: self.deadline,
            begun: now(),
            made: 1,
            delays: match &self.delays {
                DelaySource::Ours(policy, seed) => {
                    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
                    Delays::Ours(Backoff::new(*policy, seed))
                }
                #[cfg(feature = "backoff")]
                DelaySource::Foreign(prototype) => Delays::Foreign(prototype.start()),
            },
        }
    }
}

/// The attempts at one operation.
struct Attempts {
    most: u32,
    deadline: Option<Duration>,
    begun: Instant,
    /// How many have been made, the current one included.
    made: u32,
    delays: Delays,
}

enum Delays {
    Ours(Backoff),
    #[cfg(feature = "backoff")]
    Foreign(backoff_crate::Delays),
}

impl Attempts {
    /// Takes the error of an attempt. Waits and returns true if the policy allows another.
    async fn again(&mut self, client: &Client, error: &Error) -> bool {
        if error.retries_exhausted() || self.made >= self.most {
            return false;
        }
        let delay = match &mut self.delays {
            Delays::Ours(backoff) => Some(backoff.next_delay()),
            #[cfg(feature = "backoff")]
            Delays::Foreign(backoff) => backoff.next_delay(),
        };
        let begun = now().saturating_duration_since(self.begun);
        let in_time = |delay: &Duration| {
            let begins = begun.saturating_add(*delay);
            self.deadline.is_none_or(|deadline| begins <= deadline)
        };
        let Some(delay) = delay.filter(in_time) else {
            return false;
        };
        self.made = self.made.saturating_add(1);
        tracing::debug!(attempt = self.made, ?delay, %error, "trying again");
        let mut states = client.states();
        // The end of the client ends the wait: the next attempt then fails at once.
        let over = async { while states.next().await.is_some() {} };
        let _ = tokio::time::timeout(delay, over).await;
        true
    }
}

/// Whether to retry an operation that may be executed twice. An error code that says nothing about
/// the reason is retried as well: the policy limits how often.
fn may_pass(error: &Error) -> bool {
    error.is_transient() || is_unexplained(error)
}

/// Whether the server's error code says neither that it ran out of time nor whether it executed the
/// request.
fn is_unexplained(error: &Error) -> bool {
    let code = error.code();
    code.is_some_and(|code| !code.is_refusal() && !code.is_timeout())
}

impl Client {
    /// Makes an operation until it succeeds, fails for good, or `policy` gives up. Retries only
    /// after an attempt that had no effect and may succeed later ([`Error::is_retryable`]): the
    /// request was not sent, or the server was overloaded. An error with
    /// [`Outcome::Unknown`](crate::Outcome::Unknown) is returned, so that nothing is done twice,
    /// also of transactions.
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
        retry_if(self.clone(), policy.clone(), Error::is_retryable, op)
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
        retry_if(self.clone(), policy.clone(), may_pass, op)
    }
}

async fn retry_if<T, F: IntoFuture<Output = Result<T>>>(
    client: Client,
    policy: RetryPolicy,
    may: fn(&Error) -> bool,
    mut op: impl FnMut() -> F,
) -> Result<T> {
    let mut attempts = policy.start();
    loop {
        match op().await {
            Err(error) if may(&error) => {
                if !attempts.again(&client, &error).await {
                    return Err(error.with_retries_exhausted());
                }
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;

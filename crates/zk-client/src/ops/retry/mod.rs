//! Trying again, only what can be tried again without harm.

#[cfg(feature = "backoff")]
mod backoff_crate;
mod conditional;
pub(crate) mod repetition;

use std::fmt;
use std::time::{Duration, Instant};

use zk_transport::{Backoff, BackoffPolicy};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::shared::now;

pub use conditional::Retried;

/// How often, how long and with what pauses to try again.
///
/// By default: ten attempts at most, none begun later than 30 s after the first, with the delays of
/// [`BackoffPolicy`]. It is used by [`Client::retry`], [`Client::retry_read`],
/// [`Set::retry`](crate::Set::retry) and [`Delete::retry`](crate::Delete::retry). One policy serves any number of operations, one after another or at once.
///
/// Policies inside policies do not multiply: an error that one has given up on is not tried again by
/// another ([`Error::retries_exhausted`]).
///
/// # Throttled requests
///
/// A server that is overloaded may refuse a request, read or write, without having executed it
/// ([`ErrorKind::Throttled`](crate::ErrorKind::Throttled), ZOOKEEPER-3243). All of the above try that again. The client does not
/// do so of its own accord: what was submitted behind the refused request has been executed by then,
/// and the request would come after it. Who awaits each request before the next loses nothing by a
/// policy; who relies on the order of requests in flight has to be told.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    attempts: Option<u32>,
    deadline: Option<Duration>,
    source: Source,
}

/// Where the delays come from.
#[derive(Clone)]
enum Source {
    Ours(BackoffPolicy, Option<u64>),
    #[cfg(feature = "backoff")]
    Foreign(backoff_crate::Prototype),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Ours(policy, seed) => f.debug_tuple("Ours").field(policy).field(seed).finish(),
            #[cfg(feature = "backoff")]
            Source::Foreign(_) => f.write_str("Foreign"),
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            attempts: Some(10),
            deadline: Some(Duration::from_secs(30)),
            source: Source::Ours(BackoffPolicy::default(), None),
        }
    }
}

impl RetryPolicy {
    /// The default policy.
    pub fn new() -> Self {
        Self::default()
    }

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
    #[cfg(feature = "backoff")]
    pub fn from_backoff<B: backoff::backoff::Backoff + Send + 'static>(
        make: impl Fn() -> B + Send + Sync + 'static,
    ) -> Self {
        RetryPolicy {
            attempts: None,
            deadline: None,
            source: Source::Foreign(backoff_crate::Prototype::new(make)),
        }
    }

    /// How many attempts there are at most, the first included; `None` for no limit. 0 is taken as 1.
    #[must_use]
    pub fn attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.attempts = attempts.into();
        self
    }

    /// How long after the first attempt another may begin; `None` for no limit. An attempt that has
    /// begun takes as long as its operation's own deadline allows.
    #[must_use]
    pub fn deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// The delays before the second attempt and those after it.
    #[must_use]
    pub fn backoff(mut self, policy: BackoffPolicy) -> Self {
        let seed = match self.source {
            Source::Ours(_, seed) => seed,
            #[cfg(feature = "backoff")]
            Source::Foreign(_) => None,
        };
        self.source = Source::Ours(policy, seed);
        self
    }

    /// Determines the jitter of our own delays, for tests.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        match &mut self.source {
            Source::Ours(_, own) => *own = Some(seed),
            #[cfg(feature = "backoff")]
            Source::Foreign(_) => {}
        }
        self
    }

    fn start(&self) -> Attempts<'_> {
        Attempts {
            policy: self,
            begun: now(),
            made: 1,
            delays: match &self.source {
                Source::Ours(policy, seed) => {
                    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
                    Delays::Ours(Backoff::new(*policy, seed))
                }
                #[cfg(feature = "backoff")]
                Source::Foreign(prototype) => Delays::Foreign(prototype.start()),
            },
        }
    }
}

/// What is left of a policy.
struct Attempts<'a> {
    policy: &'a RetryPolicy,
    begun: Instant,
    /// How many have been made, the one under way included.
    made: u32,
    delays: Delays,
}

enum Delays {
    Ours(Backoff),
    #[cfg(feature = "backoff")]
    Foreign(backoff_crate::Delays),
}

impl Attempts<'_> {
    /// Whether there is to be another attempt after one that ended with `error`; pauses before it.
    async fn again(&mut self, client: &Client, error: &Error) -> bool {
        let most = self.policy.attempts.unwrap_or(u32::MAX);
        if error.retries_exhausted() || self.made >= most {
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
            self.policy
                .deadline
                .is_none_or(|deadline| begins <= deadline)
        };
        let Some(delay) = delay.filter(in_time) else {
            return false;
        };
        self.made = self.made.saturating_add(1);
        tracing::debug!(attempt = self.made, ?delay, %error, "trying again");
        let mut states = client.states();
        // A client that is over lets nobody wait: the next attempt says so at once.
        let over = async { while states.next().await.is_some() {} };
        let _ = tokio::time::timeout(delay, over).await;
        true
    }
}

/// Whether an operation that changes nothing, or the same twice, may be tried again. A policy ends
/// what an error code that says nothing would let go on.
fn may_pass(error: &Error) -> bool {
    error.is_transient() || is_unexplained(error)
}

/// Whether the server's answer says neither that it ran out of time nor whether it executed the
/// request.
fn is_unexplained(error: &Error) -> bool {
    let code = error.code();
    code.is_some_and(|code| !code.is_refusal() && !code.is_timeout())
}

impl Client {
    /// Makes an operation until it succeeds, fails for good, or `policy` gives it up. It is made again
    /// only after an attempt that had no effect and whose reason may pass
    /// ([`Error::is_retryable`]): it was not sent, or the server was overloaded. An error of
    /// [`Outcome::Unknown`](crate::Outcome::Unknown) is returned as it is, so that nothing is done twice; that goes for
    /// transactions, too.
    ///
    /// `op` makes one operation, anew for each attempt. Once the client is closed nothing is tried
    /// again.
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
    /// Dropping the future drops the attempt under way.
    pub async fn retry<T, F: IntoFuture<Output = Result<T>>>(
        &self,
        policy: &RetryPolicy,
        op: impl FnMut() -> F,
    ) -> Result<T> {
        self.retry_if(policy, Error::is_retryable, op).await
    }

    /// As [`retry`](Self::retry), and made again also when it is unknown what became of an attempt:
    /// for reads, for transactions that only check, and for whatever else may be executed twice.
    ///
    /// The client itself sends reads again after a lost connection, within their deadline; this goes
    /// on after the deadline.
    ///
    /// # Errors
    /// That of the last attempt.
    ///
    /// # Cancel safety
    /// Dropping the future drops the attempt under way.
    pub async fn retry_read<T, F: IntoFuture<Output = Result<T>>>(
        &self,
        policy: &RetryPolicy,
        op: impl FnMut() -> F,
    ) -> Result<T> {
        self.retry_if(policy, may_pass, op).await
    }

    async fn retry_if<T, F: IntoFuture<Output = Result<T>>>(
        &self,
        policy: &RetryPolicy,
        may: impl Fn(&Error) -> bool,
        mut op: impl FnMut() -> F,
    ) -> Result<T> {
        let mut attempts = policy.start();
        loop {
            match op().await {
                Err(error) if may(&error) => {
                    if !attempts.again(self, &error).await {
                        return Err(error.with_retries_exhausted());
                    }
                }
                done => return done,
            }
        }
    }
}

#[cfg(test)]
mod tests;

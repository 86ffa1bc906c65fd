//! How often, how long and after which delays operations are retried.

#[cfg(feature = "backoff")]
mod backoff_crate;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_transport::{Backoff, BackoffPolicy};

use crate::error::{Error, ErrorKind, Outcome};
use crate::shared::now;

/// How often, how long and after which delays an operation is retried.
///
/// By default: at most ten attempts, none of which begins later than 30 s after the first, with the
/// delays of [`BackoffPolicy`]. [`Client::retry`](crate::Client::retry), [`Client::retry_read`](crate::Client::retry_read),
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
    ignores_expiry: bool,
    rule: Option<Rule>,
    delays: DelaySource,
}

/// A program's own answer to whether an error is retried.
#[derive(Clone)]
struct Rule(Arc<dyn Fn(&Error) -> bool + Send + Sync>);

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rule")
    }
}

/// Returns the delay after so many attempts, and after this time.
type DelayFn = Arc<dyn Fn(u32, Duration) -> Option<Duration> + Send + Sync>;

/// What makes the delays.
#[derive(Clone)]
enum DelaySource {
    Ours(BackoffPolicy, Option<u64>),
    Function(DelayFn),
    #[cfg(feature = "backoff")]
    Foreign(backoff_crate::Prototype),
}

impl fmt::Debug for DelaySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DelaySource::Ours(policy, seed) => {
                f.debug_tuple("Ours").field(policy).field(seed).finish()
            }
            DelaySource::Function(_) => f.write_str("Function"),
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
            ignores_expiry: false,
            rule: None,
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
            ignores_expiry: false,
            rule: None,
            delays: DelaySource::Foreign(backoff_crate::Prototype::new(make)),
        }
    }

    /// The largest number of attempts, the first included; `None` for no limit. 0 counts as 1.
    #[doc(alias = "RetryNTimes")]
    #[doc(alias = "max_tries")]
    #[must_use]
    pub fn attempts(mut self, attempts: impl Into<Option<u32>>) -> Self {
        self.attempts = attempts.into();
        self
    }

    /// How long after the first attempt another may begin; `None` for no limit. The operation's own
    /// deadline limits how long an attempt takes.
    #[doc(alias = "RetryUntilElapsed")]
    #[must_use]
    pub fn deadline(mut self, deadline: impl Into<Option<Duration>>) -> Self {
        self.deadline = deadline.into();
        self
    }

    /// Whether an operation that failed with [`ErrorKind::SessionExpired`] is made again in the next
    /// session; false by default, true in kazoo. [`Client::retry`](crate::Client::retry) does so only if the request had no
    /// effect, [`Client::retry_read`](crate::Client::retry_read) in any case.
    ///
    /// Ephemeral znodes, watches and locks of the program are gone by then, so do it only for
    /// operations that do not depend on them. With [`SessionPolicy::Close`](crate::SessionPolicy) there
    /// is no next session, and the next attempt fails as well. The methods `retry` of
    /// [`Set`](crate::Set::retry) and [`Delete`](crate::Delete::retry) do not continue an attempt of
    /// unknown outcome in the next session.
    #[must_use]
    pub fn ignore_expire(mut self, ignore: bool) -> Self {
        self.ignores_expiry = ignore;
        self
    }

    /// Retries the errors for which `rule` returns true, and no others. It takes the place of
    /// [`Error::is_retryable`] and [`Error::is_transient`], and of
    /// [`ignore_expire`](Self::ignore_expire).
    ///
    /// The number of attempts and the deadline limit the retries as before, and so does
    /// [`Error::retries_exhausted`]. [`Client::retry`](crate::Client::retry) makes an operation again whenever `rule` says so,
    /// also after [`Outcome::Unknown`](crate::Outcome::Unknown); the operation may then be executed
    /// twice. [`Set::retry`](crate::Set::retry) and [`Delete::retry`](crate::Delete::retry) use `rule`
    /// for attempts that had no effect only.
    ///
    /// ```
    /// use zk_client::{ErrorKind, Outcome, RetryPolicy};
    ///
    /// // A znode that another client creates soon.
    /// let policy = RetryPolicy::new().retry_if(|error| {
    ///     error.kind() == ErrorKind::NoNode
    ///         || (error.is_transient() && error.outcome() != Outcome::Unknown)
    /// });
    /// ```
    #[must_use]
    pub fn retry_if(mut self, rule: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.rule = Some(Rule(Arc::new(rule)));
        self
    }

    /// Whether an operation that failed with `error` is made again. `twice` says whether it may be
    /// executed twice.
    pub(crate) fn allows(&self, error: &Error, twice: bool) -> bool {
        if let Some(Rule(rule)) = &self.rule {
            return rule(error);
        }
        let may_pass = match twice {
            true => may_pass(error),
            false => error.is_retryable(),
        };
        let has_expired = error.kind() == ErrorKind::SessionExpired && self.ignores_expiry;
        may_pass || (has_expired && (twice || error.outcome() != Outcome::Unknown))
    }

    /// The delays before the second attempt and those after it.
    #[must_use]
    pub fn backoff(mut self, policy: BackoffPolicy) -> Self {
        let seed = match self.delays {
            DelaySource::Ours(_, seed) => seed,
            DelaySource::Function(_) => None,
            #[cfg(feature = "backoff")]
            DelaySource::Foreign(_) => None,
        };
        self.delays = DelaySource::Ours(policy, seed);
        self
    }

    /// The delays that `delay` returns, in place of [`backoff`](Self::backoff). It is called after each
    /// attempt that may be followed by another, with the number of attempts made and the time since the
    /// first began; `None` ends the retries. The limits of this policy hold as well.
    ///
    /// ```
    /// use std::time::Duration;
    /// use zk_client::RetryPolicy;
    ///
    /// // Twice at once, and then each minute.
    /// let policy = RetryPolicy::new().deadline(None).delays(|attempts, _| match attempts {
    ///     1 | 2 => Some(Duration::ZERO),
    ///     _ => Some(Duration::from_secs(60)),
    /// });
    /// ```
    #[doc(alias = "allowRetry")]
    #[must_use]
    pub fn delays(
        mut self,
        delay: impl Fn(u32, Duration) -> Option<Duration> + Send + Sync + 'static,
    ) -> Self {
        self.delays = DelaySource::Function(Arc::new(delay));
        self
    }

    /// Makes the jitter of the delays deterministic, for tests. Without effect on delays
    /// from another crate or a function.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        match &mut self.delays {
            DelaySource::Ours(_, own) => *own = Some(seed),
            DelaySource::Function(_) => {}
            #[cfg(feature = "backoff")]
            DelaySource::Foreign(_) => {}
        }
        self
    }

    pub(crate) fn start(&self) -> Attempts {
        Attempts {
            policy: self.clone(),
            begun: now(),
            made: 1,
            delays: match &self.delays {
                DelaySource::Ours(policy, seed) => {
                    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
                    Delays::Ours(Backoff::new(*policy, seed))
                }
                DelaySource::Function(delay) => Delays::Function(delay.clone()),
                #[cfg(feature = "backoff")]
                DelaySource::Foreign(prototype) => Delays::Foreign(prototype.start()),
            },
        }
    }
}

/// The attempts at one operation.
pub(crate) struct Attempts {
    pub(crate) policy: RetryPolicy,
    begun: Instant,
    /// How many have been made, the current one included.
    made: u32,
    delays: Delays,
}

enum Delays {
    Ours(Backoff),
    Function(DelayFn),
    #[cfg(feature = "backoff")]
    Foreign(backoff_crate::Delays),
}

impl Attempts {
    /// Whether the policy allows another attempt after one that failed with this error, and had no
    /// effect.
    pub(crate) fn allows_repeat(&self, error: &Error) -> bool {
        error.outcome() != Outcome::Unknown && self.policy.allows(error, false)
    }

    /// Takes the error of an attempt. The delay before the next, if the policy allows one.
    pub(crate) fn next_delay(&mut self, error: &Error) -> Option<Duration> {
        let most = self.policy.attempts.unwrap_or(u32::MAX);
        if error.retries_exhausted() || self.made >= most {
            return None;
        }
        let begun = now().saturating_duration_since(self.begun);
        let delay = match &mut self.delays {
            Delays::Ours(backoff) => Some(backoff.next_delay()),
            Delays::Function(delay) => delay(self.made, begun),
            #[cfg(feature = "backoff")]
            Delays::Foreign(backoff) => backoff.next_delay(),
        };
        let in_time = |delay: &Duration| {
            let begins = begun.saturating_add(*delay);
            let deadline = self.policy.deadline;
            deadline.is_none_or(|deadline| begins <= deadline)
        };
        let delay = delay.filter(in_time)?;
        self.made = self.made.saturating_add(1);
        tracing::debug!(attempt = self.made, ?delay, %error, "trying again");
        Some(delay)
    }
}

/// Whether to retry an operation that may be executed twice. An error code that says nothing about
/// the reason is retried as well: the policy limits how often.
pub(crate) fn may_pass(error: &Error) -> bool {
    error.is_transient() || is_unexplained(error)
}

/// Whether the server's error code says neither that it ran out of time nor whether it executed the
/// request.
pub(crate) fn is_unexplained(error: &Error) -> bool {
    let code = error.code();
    code.is_some_and(|code| !code.is_refusal() && !code.is_timeout())
}

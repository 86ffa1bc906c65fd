//! Which operations are retried, and how often, on a paused clock and without a server.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant as Clock;
use zk_proto::{ErrorCode, OpCode};
use zk_transport::{BackoffPolicy, Disconnect};

use crate::error::ErrorKind;
use crate::error::Outcome;
use crate::ops::retry::*;
use crate::retry_policy::*;

const DELAY: BackoffPolicy = BackoffPolicy::new(Duration::from_secs(1), Duration::from_secs(1));

fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy::new().attempts(attempts).backoff(DELAY).seed(1)
}

/// A client without a server.
fn client() -> Client {
    Client::builder("127.0.0.1:1").start().unwrap()
}

fn throttled() -> Error {
    Error::answered(ErrorCode::ThrottledOp).at(OpCode::SetData, "/a")
}

fn lost(outcome: Outcome) -> Error {
    Error::connection_lost(Disconnect::ClosedByServer, outcome).at(OpCode::SetData, "/a")
}

/// Retries an operation that always fails with `error`: the number of attempts, and the error.
async fn made(zk: &Client, policy: &RetryPolicy, error: impl Fn() -> Error) -> (u32, Error) {
    let made = Cell::new(0);
    let failing = || {
        made.set(made.get() + 1);
        let failed: Result<()> = Err(error());
        async { failed }
    };
    let result = zk.retry(policy, failing).await;
    (made.get(), result.unwrap_err())
}

// ZOOKEEPER-3243: a throttled write was not executed, so it can be retried as a read can.
/// Guards: A36.
#[tokio::test(start_paused = true)]
async fn a_throttled_write_is_retried_with_delays() {
    let zk = client();
    let (begun, made) = (Clock::now(), Cell::new(0));
    let done = zk
        .retry(&policy(10), || {
            made.set(made.get() + 1);
            let throttles = made.get() <= 3;
            async move { if throttles { Err(throttled()) } else { Ok(5) } }
        })
        .await;
    assert_eq!((done.unwrap(), made.get()), (5, 4));
    let took = begun.elapsed();
    assert!(
        (Duration::from_millis(1500)..=Duration::from_secs(3)).contains(&took),
        "{took:?}"
    );
}

/// Guards: B106.
#[tokio::test(start_paused = true)]
async fn attempts_include_the_first_call() {
    let zk = client();
    for (allowed, expected) in [(0, 1), (1, 1), (3, 3)] {
        let (made, error) = made(&zk, &policy(allowed), throttled).await;
        assert_eq!(made, expected);
        assert!(error.retries_exhausted() && error.is_retryable());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rule_replaces_what_is_retried() {
    let zk = client();
    let missing = || Error::answered(ErrorCode::NoNode).at(OpCode::GetData, "/a");
    let plain = policy(3);
    assert_eq!(made(&zk, &plain, missing).await.0, 1);
    let rule = plain.retry_if(|error| error.kind() == ErrorKind::NoNode);
    let (attempts, error) = made(&zk, &rule, missing).await;
    assert_eq!(attempts, 3);
    assert!(error.retries_exhausted());
    // What the rule does not name is not retried, however harmless.
    assert_eq!(made(&zk, &rule, throttled).await.0, 1);
    assert_eq!(
        made(&zk, &rule.clone().ignore_expire(true), expired)
            .await
            .0,
        1
    );
    // A rule may allow what can be executed twice, and reads follow it as well.
    let rule = policy(4).retry_if(|error| error.outcome() == Outcome::Unknown);
    assert_eq!(made(&zk, &rule, || lost(Outcome::Unknown)).await.0, 4);
    assert_eq!(made(&zk, &rule, || lost(Outcome::NotSent)).await.0, 1);
    let (reads, failing) = counted(|| lost(Outcome::NotSent));
    zk.retry_read(&rule, failing).await.unwrap_err();
    assert_eq!(reads.get(), 1);
}

/// The error of a write that belonged to a session that has ended.
fn expired() -> Error {
    Error::new(ErrorKind::SessionExpired, Outcome::NotSent).at(OpCode::SetData, "/a")
}

/// An operation that always fails, and how often it was made.
fn counted(
    error: impl Fn() -> Error,
) -> (
    Rc<Cell<u32>>,
    impl FnMut() -> std::future::Ready<Result<()>>,
) {
    let made = Rc::new(Cell::new(0));
    let counter = made.clone();
    let failing = move || {
        counter.set(counter.get() + 1);
        std::future::ready(Err(error()))
    };
    (made, failing)
}

#[tokio::test(start_paused = true)]
async fn a_function_sets_delays_and_end() {
    let zk = client();
    let begun = Clock::now();
    let delays = policy(10).delays(|attempts, since| {
        // The attempts take no time, only the delays before them do.
        assert_eq!(since.as_secs(), u64::from((attempts - 1) * attempts / 2));
        (attempts < 4).then(|| Duration::from_secs(attempts.into()))
    });
    let (attempts, error) = made(&zk, &delays, throttled).await;
    assert_eq!((attempts, begun.elapsed().as_secs()), (4, 6));
    assert!(error.retries_exhausted());
    // The limits of the policy hold as well.
    let most = policy(2).delays(|_, _| Some(Duration::ZERO));
    assert_eq!(made(&zk, &most, throttled).await.0, 2);
    let short = policy(9).deadline(Duration::from_secs(3));
    let short = short.delays(|_, _| Some(Duration::from_secs(2)));
    assert_eq!(made(&zk, &short, throttled).await.0, 2);
    // And the last of the two kinds of delays that was given.
    assert_eq!(made(&zk, &delays.backoff(DELAY), throttled).await.0, 10);
}

// kazoo's `ignore_expire`.
#[tokio::test(start_paused = true)]
async fn an_expired_session_is_ignored_if_wanted() {
    let zk = client();
    assert_eq!(made(&zk, &policy(3), expired).await.0, 1);
    let ignoring = policy(3).ignore_expire(true);
    let (attempts, error) = made(&zk, &ignoring, expired).await;
    assert_eq!(attempts, 3);
    assert_eq!(error.kind(), ErrorKind::SessionExpired);
    // What may have been executed is made again only if it may be executed twice.
    let unknown = || Error::new(ErrorKind::SessionExpired, Outcome::Unknown);
    assert_eq!(made(&zk, &ignoring, unknown).await.0, 1);
    let (reads, failing) = counted(unknown);
    zk.retry_read(&ignoring, failing).await.unwrap_err();
    assert_eq!(reads.get(), 3);
    let (reads, failing) = counted(unknown);
    let again = ignoring.ignore_expire(false);
    zk.retry_read(&again, failing).await.unwrap_err();
    assert_eq!(reads.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_has_a_policy_of_its_own() {
    let builder = Client::builder("127.0.0.1:1").retry_policy(policy(4));
    let zk = builder.start().unwrap();
    assert_eq!(made(&zk, zk.retry_policy(), throttled).await.0, 4);
    // Handles can have others, and hand theirs on.
    let other = zk.with_retry_policy(policy(2)).chroot("/a").unwrap();
    assert_eq!(made(&zk, other.retry_policy(), throttled).await.0, 2);
    assert_eq!(made(&zk, zk.retry_policy(), throttled).await.0, 4);
    let default = client();
    assert_eq!(made(&zk, default.retry_policy(), throttled).await.0, 10);
}

// CURATOR-559: a policy of three attempts in another two is three attempts.
/// Guards: A60, B106.
#[tokio::test(start_paused = true)]
async fn nested_policies_do_not_multiply() {
    let zk = client();
    let (three, made) = (policy(3), Cell::new(0));
    let innermost = || {
        made.set(made.get() + 1);
        async { Err::<(), _>(throttled()) }
    };
    let result = zk
        .retry(&three, || {
            Box::pin(zk.retry(&three, || Box::pin(zk.retry_read(&three, innermost))))
        })
        .await;
    assert!(result.unwrap_err().retries_exhausted());
    assert_eq!(made.get(), 3);
}

/// Guards: A58, G2.
#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_not_retried() {
    let zk = client();
    let (made, error) = made(&zk, &policy(5), || lost(Outcome::Unknown)).await;
    assert_eq!((made, error.outcome()), (1, Outcome::Unknown));
    assert!(!error.retries_exhausted());
}

/// Guards: A58.
#[tokio::test(start_paused = true)]
async fn a_read_is_retried_unless_refused() {
    let zk = client();
    for (error, expected) in [
        (lost as fn(Outcome) -> Error, 4),
        (|_| Error::answered(ErrorCode::OperationTimeout), 4),
        (|_| Error::answered(ErrorCode::Unknown(-999)), 4),
        (|_| Error::answered(ErrorCode::NoNode), 1),
        (
            |_| Error::new(ErrorKind::MalformedReply, Outcome::Unknown),
            1,
        ),
        (
            |_| Error::new(ErrorKind::SessionExpired, Outcome::Unknown),
            1,
        ),
    ] {
        let made = Cell::new(0);
        let result = zk
            .retry_read(&policy(4), || {
                made.set(made.get() + 1);
                async { Err::<(), _>(error(Outcome::Unknown)) }
            })
            .await;
        assert_eq!(made.get(), expected, "{}", result.unwrap_err());
    }
}

/// Guards: B47.
#[tokio::test(start_paused = true)]
async fn the_longest_durations_do_not_overflow() {
    let zk = client();
    let forever = BackoffPolicy::new(Duration::MAX, Duration::MAX);
    // A delay that does not end before the deadline is not begun.
    let bounded = RetryPolicy::new().attempts(None).backoff(forever);
    assert_eq!(made(&zk, &bounded, throttled).await.0, 1);
    let unbounded = RetryPolicy::new()
        .attempts(u32::MAX)
        .deadline(Duration::MAX)
        .backoff(DELAY);
    let made = Cell::new(0_u32);
    let done = zk
        .retry(&unbounded, || {
            made.set(made.get() + 1);
            let over = made.get() == 1000;
            async move { if over { Ok(()) } else { Err(throttled()) } }
        })
        .await;
    done.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_after_the_deadline() {
    let zk = client();
    let begun = Clock::now();
    let policy = policy(u32::MAX).deadline(Duration::from_secs(5));
    let (made, error) = made(&zk, &policy, throttled).await;
    let took = begun.elapsed();
    assert!(took <= Duration::from_secs(5), "{took:?}");
    // Delays are of half a second to one.
    assert!((5..=11).contains(&made), "{made}");
    assert!(error.retries_exhausted());
}

/// Guards: A84.
#[tokio::test(start_paused = true)]
async fn closing_the_client_ends_the_delay() {
    let zk = client();
    let hour = BackoffPolicy::new(Duration::from_secs(3600), Duration::from_secs(3600));
    let policy = RetryPolicy::new().deadline(None).backoff(hour);
    let (begun, made) = (Clock::now(), Cell::new(0));
    let retried = zk.retry(&policy, || {
        made.set(made.get() + 1);
        let first = made.get() == 1;
        let zk = &zk;
        async move {
            match first {
                true => Err(throttled()),
                false => zk.set("/a", "").await,
            }
        }
    });
    let closing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        zk.clone().close().await
    };
    let (retried, closed) = tokio::join!(retried, closing);
    closed.unwrap();
    assert_eq!(retried.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!((made.get(), begun.elapsed()), (2, Duration::from_secs(1)));
}

#[cfg(feature = "backoff")]
#[tokio::test(start_paused = true)]
async fn a_foreign_backoff_sets_delays_and_end() {
    #[derive(Default)]
    struct Twice(u32);

    impl backoff::backoff::Backoff for Twice {
        fn next_backoff(&mut self) -> Option<Duration> {
            self.0 += 1;
            (self.0 <= 2).then_some(Duration::from_secs(7))
        }
    }

    let zk = client();
    let policy = RetryPolicy::from_backoff(Twice::default);
    for _ in 0..2 {
        let begun = Clock::now();
        assert_eq!(made(&zk, &policy, throttled).await.0, 3);
        assert_eq!(begun.elapsed(), Duration::from_secs(14));
    }
    let at_once = RetryPolicy::from_backoff(|| backoff::backoff::Zero {}).attempts(4);
    assert_eq!(made(&zk, &at_once, throttled).await.0, 4);
}

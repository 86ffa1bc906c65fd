//! What is tried again, how often, and what not, on a paused clock and without a server.

use std::cell::Cell;

use tokio::time::Instant as Clock;
use zk_proto::{ErrorCode, OpCode};
use zk_transport::Disconnect;

use crate::error::ErrorKind;
use crate::error::Outcome;
use crate::ops::retry::*;

const PAUSE: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(1),
};

fn policy(attempts: u32) -> RetryPolicy {
    RetryPolicy::new().attempts(attempts).backoff(PAUSE).seed(1)
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

/// How often an operation that always fails so is made, and what comes of it.
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

/// A36, ZOOKEEPER-3243: it was not executed, so a write is as good as a read.
#[tokio::test(start_paused = true)]
async fn a36_a_throttled_write_is_made_again_with_pauses() {
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

#[tokio::test(start_paused = true)]
async fn b106_attempts_are_calls_the_first_included() {
    let zk = client();
    for (allowed, expected) in [(0, 1), (1, 1), (3, 3)] {
        let (made, error) = made(&zk, &policy(allowed), throttled).await;
        assert_eq!(made, expected);
        assert!(error.retries_exhausted() && error.is_retryable());
    }
}

/// CURATOR-559: three times three is three.
#[tokio::test(start_paused = true)]
async fn a60_b106_policies_inside_policies_do_not_multiply() {
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

/// G2, A58: what may have been done is not done again.
#[tokio::test(start_paused = true)]
async fn a58_what_became_of_an_attempt_is_unknown_and_stays_so() {
    let zk = client();
    let (made, error) = made(&zk, &policy(5), || lost(Outcome::Unknown)).await;
    assert_eq!((made, error.outcome()), (1, Outcome::Unknown));
    assert!(!error.retries_exhausted());
}

#[tokio::test(start_paused = true)]
async fn a58_a_read_is_made_again_after_an_unknown_outcome_but_not_after_a_refusal() {
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

/// B47: nothing overflows, and no limit is not a small one.
#[tokio::test(start_paused = true)]
async fn b47_the_longest_durations_and_no_limits() {
    let zk = client();
    let forever = BackoffPolicy {
        initial: Duration::MAX,
        max: Duration::MAX,
    };
    // A pause that does not end before the deadline is not begun.
    let bounded = RetryPolicy::new().attempts(None).backoff(forever);
    assert_eq!(made(&zk, &bounded, throttled).await.0, 1);
    let unbounded = RetryPolicy::new()
        .attempts(u32::MAX)
        .deadline(Duration::MAX)
        .backoff(PAUSE);
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
    // Pauses are of half a second to one.
    assert!((5..=11).contains(&made), "{made}");
    assert!(error.retries_exhausted());
}

#[tokio::test(start_paused = true)]
async fn a84_a_client_that_is_closed_meanwhile_ends_the_pause() {
    let zk = client();
    let hour = BackoffPolicy {
        initial: Duration::from_secs(3600),
        max: Duration::from_secs(3600),
    };
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
async fn a_foreign_backoff_says_how_long_and_when_it_is_enough() {
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

//! Waiting, while the endpoint's own deadlines still count.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::endpoint::Reconnect;

/// How a wait has ended.
pub(super) enum Waited<T> {
    Done(T),
    Leave,
    Stop,
}

/// Waits until `poll` is ready, the endpoint stops the loop or, if it `may_leave`, leaves the attempt.
pub(super) async fn wait<E: Reconnect, T>(
    endpoint: &mut E,
    may_leave: bool,
    mut poll: impl FnMut(&mut E, &mut Context<'_>) -> Poll<T>,
) -> Waited<T> {
    let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
    poll_fn(|cx| {
        loop {
            let standby = endpoint.poll_standby(now(), cx.waker());
            if standby.stop {
                return Poll::Ready(Waited::Stop);
            }
            if standby.leave && may_leave {
                return Poll::Ready(Waited::Leave);
            }
            if let Poll::Ready(value) = poll(endpoint, cx) {
                return Poll::Ready(Waited::Done(value));
            }
            let Some(due) = standby.due else {
                return Poll::Pending;
            };
            timer.as_mut().reset(due.into());
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Sleeps for `delay`. tokio rounds up to 1 ms, so zero skips the timer.
pub(super) async fn sleep(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// The time of tokio's clock, which tests can pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

//! A stream of children that have not changed for a time.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::Sleep;
use zk_client::Client;

use super::children_watch::{ChildrenState, ChildrenWatch};
use crate::error::Result;

/// A stream of a znode's children once they have not changed for a while: for programs that divide
/// work among members, and should not start again with each of many members that come or go.
///
/// A [`ChildrenWatch`] with a delay. Each state that it yields has lasted for `boundary`; shorter
/// states are skipped. Children that change and change back are yielded again.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use std::time::Duration;
/// use zk_recipes::PatientChildrenWatch;
///
/// let mut members = PatientChildrenWatch::new(&zk, "/members", Duration::from_secs(30));
/// while let Some(state) = members.next().await {
///     println!("divide the work among {:?}", state?);
/// }
/// # Ok(()) }
/// ```
///
/// # Losing the connection or the session
///
/// While there is no connection the stream yields nothing, and the time starts again once there is
/// one. The stream continues in the next session.
///
/// # Znodes
///
/// None. kazoo's `PatientChildrenWatch` waits like this once; this stream continues. Curator has no
/// counterpart.
///
/// # Cost
///
/// As a [`ChildrenWatch`], and a timer.
///
/// # Cancel safety
///
/// As a [`ChildrenWatch`]. Dropping a [`next`](Self::next) does not restart the time.
#[derive(Debug)]
pub struct PatientChildrenWatch {
    client: Client,
    watch: ChildrenWatch,
    boundary: Duration,
    /// The latest state, and the timer after which it is yielded.
    latest: Option<(ChildrenState, Pin<Box<Sleep>>)>,
}

impl PatientChildrenWatch {
    /// Watches the children of `path`, which need not exist, for states that last for `boundary`.
    pub fn new(client: &Client, path: &str, boundary: Duration) -> Self {
        PatientChildrenWatch {
            client: client.clone(),
            watch: ChildrenWatch::new(client, path),
            boundary,
            latest: None,
        }
    }

    /// The next state that has lasted for the boundary; `None` at the end.
    ///
    /// # Errors
    /// The path is invalid, or the ensemble refuses the read. The stream ends after an error.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing, and does not restart the time.
    pub async fn next(&mut self) -> Option<Result<ChildrenState>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn start_timer(&self) -> Pin<Box<Sleep>> {
        let _context = self.client.runtime().enter();
        Box::pin(tokio::time::sleep(self.boundary))
    }
}

impl Stream for PatientChildrenWatch {
    type Item = Result<ChildrenState>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Poll::Ready(state) = Pin::new(&mut self.watch).poll_next(cx) {
            match state {
                Some(Ok(state)) => self.latest = Some((state, self.start_timer())),
                end => return Poll::Ready(end),
            }
        }
        while let Some((state, mut timer)) = self.latest.take() {
            if timer.as_mut().poll(cx).is_pending() {
                self.latest = Some((state, timer));
                return Poll::Pending;
            }
            if self.client.state().is_connected() {
                return Poll::Ready(Some(Ok(state)));
            }
            // Without a connection, changes are not noticed.
            self.latest = Some((state, self.start_timer()));
        }
        Poll::Pending
    }
}

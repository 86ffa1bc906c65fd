//! Children that have come to rest.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::time::Sleep;
use zk_client::Client;

use crate::children_watch::{ChildrenState, ChildrenWatch};
use crate::error::Result;

/// A stream of a znode's children as they are when they have not changed for a while: for those who
/// divide work among members and do not want to start over with each one of many that come or go.
///
/// It is a [`ChildrenWatch`] that waits. Each state that it yields lasted for the time asked for,
/// and all that did not are skipped. Children that change and change back are yielded again.
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
/// # Losing the connection, losing the session
///
/// While there is no connection nothing comes to rest: time counts anew once there is one. The
/// stream goes on in the next session.
///
/// # Znodes
///
/// None. kazoo's `PatientChildrenWatch` waits like this once; this one goes on. Curator has nothing
/// like it.
///
/// # Cost
///
/// That of a [`ChildrenWatch`], and a timer.
///
/// # Cancel safety
///
/// That of a [`ChildrenWatch`]. Dropping a wait does not stop the time.
#[derive(Debug)]
pub struct PatientChildrenWatch {
    client: Client,
    watch: ChildrenWatch,
    boundary: Duration,
    /// What has changed last, and when it will have come to rest.
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

    /// The next state that has come to rest; `None` at the end.
    ///
    /// # Errors
    /// The path is invalid, or the ensemble refuses to let the znode be read. Nothing follows an error.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing, and does not stop the time.
    pub async fn next(&mut self) -> Option<Result<ChildrenState>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    fn rest(&self) -> Pin<Box<Sleep>> {
        let _context = self.client.runtime().enter();
        Box::pin(tokio::time::sleep(self.boundary))
    }
}

impl Stream for PatientChildrenWatch {
    type Item = Result<ChildrenState>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while let Poll::Ready(state) = Pin::new(&mut self.watch).poll_next(cx) {
            match state {
                Some(Ok(state)) => self.latest = Some((state, self.rest())),
                end => return Poll::Ready(end),
            }
        }
        while let Some((state, mut rest)) = self.latest.take() {
            if rest.as_mut().poll(cx).is_pending() {
                self.latest = Some((state, rest));
                return Poll::Pending;
            }
            if self.client.state().is_connected() {
                return Poll::Ready(Some(Ok(state)));
            }
            // Who knows what has happened.
            self.latest = Some((state, self.rest()));
        }
        Poll::Pending
    }
}

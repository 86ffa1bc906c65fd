//! The states of a session, as a stream.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::session::state::State;
use crate::session::state_readers::ReaderId;
use crate::shared::Shared;

/// The states of a session, the current one first.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// use zk_client::State;
///
/// let mut states = zk.states();
/// # server.expire_session(zk.session().id);
/// while let Some(state) = states.next().await {
///     match state {
///         State::Connected { epoch, .. } => println!("session number {epoch}"),
///         // What is there may be out of date; locks are held until the deadline of their guard.
///         State::Suspended { until } => println!("no connection, at most until {until:?}"),
///         // Ephemeral znodes and watches are gone: begin again when connected.
///         State::Expired { .. } => break,
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct StateStream {
    shared: Arc<Shared>,
    id: ReaderId,
    over: bool,
}

impl StateStream {
    pub(crate) fn new(shared: Arc<Shared>, id: ReaderId) -> Self {
        StateStream {
            shared,
            id,
            over: false,
        }
    }

    /// The next state; `None` after the client is over.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<State> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<State>> {
        if self.over {
            return Poll::Ready(None);
        }
        let (state, over) = self
            .shared
            .with(|core| (core.poll_state(self.id, cx.waker()), core.is_over()));
        match state {
            Some(state) => {
                self.over = matches!(state, State::Closed | State::AuthFailed);
                Poll::Ready(Some(state))
            }
            None if over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl Stream for StateStream {
    type Item = State;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<State>> {
        self.poll(cx)
    }
}

impl Drop for StateStream {
    fn drop(&mut self) {
        self.shared.with(|core| core.forget_reader(self.id));
    }
}

impl Client {
    /// The state of the session, now and after each change. A reader that is more than 16 states behind
    /// misses older states, but no expiries, up to that many.
    ///
    /// The stream does not report a session that was lost before the servers had accepted its
    /// credentials.
    #[doc(alias = "remove_listener")]
    #[doc(alias = "add_listener")]
    #[doc(alias = "ConnectionStateListener")]
    #[doc(alias = "getConnectionStateListenable")]
    pub fn states(&self) -> StateStream {
        let shared = self.shared().clone();
        let id = shared.with(|core| core.add_reader());
        StateStream::new(shared, id)
    }

    /// Waits until a session is established.
    ///
    /// # Errors
    /// The client is over: closed, expired without renewal, or refused; or it has given up
    /// ([`ErrorKind::Unreachable`]).
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    #[doc(alias = "blockUntilConnected")]
    pub async fn connected(&self) -> Result<()> {
        let mut states = self.states();
        let mut last = None;
        while let Some(state) = states.next().await {
            if state.is_connected() {
                return Ok(());
            }
            last = Some(state);
        }
        if let Some(reason) = self.shared().with(|core| core.refused_for()) {
            return Err(self.over(ErrorKind::AuthFailed).with_source(reason));
        }
        if self.shared().with(|core| core.has_given_up()) {
            return Err(self.over(ErrorKind::Unreachable));
        }
        Err(self.over(match last {
            Some(State::Expired { .. }) => ErrorKind::SessionExpired,
            _ => ErrorKind::Closed,
        }))
    }

    /// Waits for the first session as `connected` does, and fails once every server has failed in a way
    /// that does not pass by itself.
    pub(crate) async fn fail_fast(
        &self,
        connected: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let mut connected = pin!(connected);
        poll_fn(|cx| {
            if let Poll::Ready(result) = connected.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            match self
                .shared()
                .with(|core| core.poll_connect_verdict(cx.waker()))
            {
                Some(verdict) => {
                    let kind = match verdict.is_lasting {
                        true => ErrorKind::Untrusted,
                        false => ErrorKind::Unreachable,
                    };
                    Poll::Ready(Err(self.over(kind).with_source(verdict.reason)))
                }
                None => Poll::Pending,
            }
        })
        .await
    }

    fn over(&self, kind: ErrorKind) -> Error {
        let error = Error::new(kind, Outcome::NotSent);
        match self.connect_failures() {
            failures if failures.is_empty() => error,
            failures => error.with_detail(format!("{kind}: {failures}")),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests {
    use std::future::pending;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use zk_embedded::Server;

    use super::*;
    use crate::session::identity::SessionPolicy;

    async fn connect(policy: SessionPolicy) -> (Server, Client) {
        let server = Server::start().await.unwrap();
        let client = Client::builder(server.connect_string()).session_policy(policy);
        let client = client.connect().await.unwrap();
        (server, client)
    }

    fn polled(states: &mut StateStream) -> Poll<Option<State>> {
        Pin::new(states).poll_next(&mut Context::from_waker(Waker::noop()))
    }

    #[tokio::test]
    async fn states_are_read_until_the_client_is_over() {
        let (_server, zk) = connect(SessionPolicy::Renew).await;
        let (mut one, mut other) = (zk.states(), zk.states());
        let session = zk.session().id;
        let connected = State::Connected { session, epoch: 1 };
        assert_eq!(one.next().await, Some(connected));
        assert_eq!(polled(&mut other), Poll::Ready(Some(connected)));
        assert!(polled(&mut one).is_pending() && polled(&mut other).is_pending());
        zk.connected().await.unwrap();
        zk.clone().close().await.unwrap();
        assert_eq!(one.next().await, Some(State::Closed));
        assert_eq!(polled(&mut other), Poll::Ready(Some(State::Closed)));
        assert_eq!(one.next().await, None);
        assert_eq!(polled(&mut other), Poll::Ready(None));
        let over = zk.connected().await.unwrap_err();
        assert_eq!(over.kind(), ErrorKind::Closed);
        let plain = Error::new(ErrorKind::Closed, Outcome::NotSent);
        assert_eq!(over.to_string(), plain.to_string());
    }

    #[tokio::test]
    async fn an_expired_unrenewed_client_is_over() {
        let (server, zk) = connect(SessionPolicy::Close).await;
        let mut states = zk.states();
        assert!(server.expire_session(zk.session().id));
        let expired = State::Expired { epoch: 1 };
        while states.next().await.unwrap() != expired {}
        assert_eq!(polled(&mut states), Poll::Ready(None));
        let over = zk.connected().await.unwrap_err();
        assert_eq!(over.kind(), ErrorKind::SessionExpired);
    }

    /// The reason for which no session was established, or the last one was lost.
    #[tokio::test]
    async fn an_error_says_why_servers_have_failed() {
        let refused = "127.0.0.1:1";
        let zk = Client::builder(refused).start().unwrap();
        // Nothing listens there; the client tries until it is closed.
        while zk.connect_failures().is_empty() {
            tokio::task::yield_now().await;
        }
        let mut waits = Box::pin(zk.fail_fast(pending()));
        let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(waits);
        zk.clone().close().await.unwrap();
        let over = zk.connected().await.unwrap_err();
        assert_eq!(over.kind(), ErrorKind::Closed);
        assert!(over.to_string().contains(refused), "{over}");
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The core forgets the waker, and with it the task.
    #[tokio::test]
    async fn a_dropped_reader_leaves_nothing() {
        let (_server, zk) = connect(SessionPolicy::Renew).await;
        let mut states = zk.states();
        states.next().await.unwrap();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut next = Box::pin(states.next());
        let polled = next.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop((next, waker));
        // The stream is still there, and would be woken.
        assert_eq!(Arc::strong_count(&wakes), 2);
        drop(states);
        assert_eq!(Arc::strong_count(&wakes), 1);
    }
}

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
    /// The client is over: closed, expired without renewal, or refused.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
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
        Err(self.over(match last {
            Some(State::Expired { .. }) => ErrorKind::SessionExpired,
            _ => ErrorKind::Closed,
        }))
    }

    /// Waits for the first session as `connected` does, and fails once every server has failed in a way
    /// that does not pass by itself.
    pub(crate) async fn unless_hopeless(
        &self,
        connected: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let mut connected = pin!(connected);
        poll_fn(|cx| {
            if let Poll::Ready(result) = connected.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            match self.shared().with(|core| core.poll_verdict(cx.waker())) {
                Some(reason) => {
                    Poll::Ready(Err(self.over(ErrorKind::Untrusted).with_source(reason)))
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

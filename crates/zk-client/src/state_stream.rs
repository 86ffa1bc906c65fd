//! The states of a session, as a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

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

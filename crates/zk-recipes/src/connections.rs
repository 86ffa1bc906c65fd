//! Notice of the connections of a client.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use zk_client::{Client, State, StateStream, Watch, WatchEvent};

/// Reports when the client is connected again in a session that resumes.
///
/// A server that arms the watches of such a session again compares the last zxid that the client has
/// seen with those of the znodes. If the ensemble was restored from a backup meanwhile, the znodes
/// have smaller zxids, and the server reports no change.
#[derive(Debug)]
pub(crate) struct Connections {
    states: StateStream,
    /// The session of the latest connection.
    epoch: Option<u64>,
}

impl Connections {
    pub(crate) fn of(client: &Client) -> Self {
        Connections {
            states: client.states(),
            epoch: None,
        }
    }

    /// Waits for the event of a watch, or until the client is connected again: `None`.
    /// The watch must be held until another is set in its place.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub(crate) async fn restored_before(&mut self, watch: &mut Watch) -> Option<WatchEvent> {
        std::future::poll_fn(|cx| {
            if self.poll_restored(cx).is_ready() {
                return Poll::Ready(None);
            }
            Pin::new(&mut *watch).poll(cx).map(Some)
        })
        .await
    }

    /// Ready once for each connection by which a session resumes. The end of a session ends its
    /// watches, so the first connection of the next session is not reported.
    pub(crate) fn poll_restored(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(Some(state)) = Pin::new(&mut self.states).poll_next(cx) {
            let (State::Connected { epoch, .. } | State::ConnectedReadOnly { epoch }) = state
            else {
                continue;
            };
            // A connection without a session has the epoch 0.
            let resumes = |before| before == epoch || before == 0;
            if self.epoch.replace(epoch).is_some_and(resumes) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

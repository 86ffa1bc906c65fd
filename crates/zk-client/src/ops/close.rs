//! The end of a client: closing its session, or leaving the session to another client.

use std::future::poll_fn;
use std::task::Poll;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::session::token::SessionToken;
use crate::shared::now;

impl Client {
    /// Closes the session on the server: its ephemeral znodes are gone when this returns. Requests that
    /// were submitted before are still executed; later ones fail with [`ErrorKind::Closed`]. All other
    /// handles are closed, too.
    ///
    /// The client finishes its clean-ups first. The znodes of guards, waits for a lock and
    /// [`protected`](crate::Create::protected) creations that were dropped before the call, and of all
    /// [`guaranteed`](crate::Delete::guaranteed) deletions, are gone when this returns, persistent ones
    /// included. In other tasks, waits for persistent locks and protected creations of persistent
    /// znodes end with this call and are cleaned up, too. One that this task has not dropped delays the
    /// close and is reported. Clean-ups have three quarters of
    /// [`close_timeout`](crate::ClientBuilder::close_timeout). They continue after a lost connection
    /// and, for persistent znodes, in another session if this one expires.
    ///
    /// ClickHouse Keeper acknowledges the end of a session by closing the connection. If it is killed at
    /// that moment, the client cannot see the difference, and the session may last until its timeout.
    ///
    /// # Errors
    /// [`ErrorKind::CloseUnacknowledged`]: no server acknowledged in time, or the session had expired
    /// by the client's clock alone; the session ends when its timeout passes.
    /// [`ErrorKind::CleanupFailed`]: the session has ended, and a clean-up failed. The text names the
    /// paths that may be left.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the closing, nor, while the runtime lives, the deletion of the
    /// file of a [`SessionStore`](crate::SessionStore). The deletion continues, too, if it takes longer than
    /// `close_timeout`.
    #[doc(alias = "stop")]
    pub async fn close(self) -> Result<()> {
        let shared = self.shared();
        let due = shared.with(|core| {
            let now = now();
            core.close(now);
            core.close_deadline(now)
        });
        let acknowledged = self.end().await;
        let (left, ended) = shared.with(|core| (core.failed_cleanups(), core.has_ended_session()));
        if let Some(stored) = shared.stored_session() {
            stored.finish_by(self.runtime(), due, ended).await;
        }
        let kind = match (acknowledged, left.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => ErrorKind::CleanupFailed,
            (false, _) => ErrorKind::CloseUnacknowledged,
        };
        let error = Error::new(kind, Outcome::Unknown);
        Err(match left.is_empty() {
            true => error,
            false => error.with_detail(format!(
                "{kind}; clean-ups may have left {left}; see the log for the cause"
            )),
        })
    }

    /// Waits until the client is over. Returns whether a server has acknowledged the end of the session.
    pub(crate) async fn end(&self) -> bool {
        poll_fn(|cx| {
            self.shared()
                .with(|core| core.poll_closed(cx.waker()))
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Ends this client and leaves its session, with the ephemeral znodes, to another client: for a
    /// process that is about to be replaced. All other handles are closed. Requests without a reply fail
    /// with [`ErrorKind::Closed`]; the outcome of those on the wire is unknown.
    ///
    /// This does not wait for clean-ups, such as those of guards that were just dropped. A clean-up that
    /// does not finish is logged as a warning with its path, and its znode stays with the session. So
    /// release guards, and wait for that, before the session is handed over.
    ///
    /// # Errors
    /// [`ErrorKind::SessionExpired`] if there is no session, [`ErrorKind::Closed`] if the client is
    /// being closed or is over. The client and its file are as they were then.
    pub fn detach(self) -> Result<SessionToken> {
        let (token, over) = self
            .shared()
            .with(|core| (core.detach(), core.is_closing()));
        // Without a token the client keeps its session file, or gives it up at its end.
        if let (Some(_), Some(stored)) = (&token, self.shared().stored_session()) {
            stored.leave();
        }
        token.ok_or_else(|| {
            let kind = if over {
                ErrorKind::Closed
            } else {
                ErrorKind::SessionExpired
            };
            Error::new(kind, Outcome::NotSent).with_detail("there is no session to hand over")
        })
    }
}

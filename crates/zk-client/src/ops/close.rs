//! The end of a client: closing its session, or leaving the session to another client.

use std::future::poll_fn;
use std::task::Poll;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::session::token::SessionToken;
use crate::shared::now;

impl Client {
    /// Closes the session on the server, so that its ephemeral znodes are gone when this returns.
    /// What was submitted in the session is still executed; later requests fail with [`ErrorKind::Closed`].
    /// All other handles are closed too.
    ///
    /// Clean-ups come first: what was dropped before the call, such as a guard, a wait for a lock, a
    /// [`protected`](crate::Create::protected) creation, and every
    /// [`guaranteed`](crate::Delete::guaranteed) deletion, is gone from the ensemble when this
    /// returns, also if it is persistent. Waits for persistent locks and protected creations of
    /// persistent znodes that other tasks have under way end with this call, and are cleaned up,
    /// too; one that this task holds and has not dropped delays the close and is reported. Clean-ups
    /// have three quarters of
    /// [`close_timeout`](crate::ClientBuilder::close_timeout), over lost connections and, for what is persistent, in another
    /// session if this one expires meanwhile.
    ///
    /// ClickHouse Keeper acknowledges the end of a session by closing the connection. If it is killed at
    /// this moment, the client cannot tell the difference, and the session may last until its timeout.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`]: no server acknowledged in time, and the session ends when its timeout
    /// passes, as it does if it had expired by the client's clock alone; or a clean-up failed, and the text names the path of what may be left.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the closing.
    pub async fn close(self) -> Result<()> {
        let shared = self.shared();
        shared.with(|core| core.close(now()));
        let acknowledged = poll_fn(|cx| {
            shared
                .with(|core| core.poll_closed(cx.waker()))
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        const UNACKNOWLEDGED: &str = "no server acknowledged the end of the session; its ephemeral \
                                      znodes go when its timeout passes";
        let left = shared.with(|core| core.failed_cleanups());
        let is_clean = left.is_empty();
        let left =
            format!("what was to be cleaned up may be left: {left}; see the log for the cause");
        let detail = match (acknowledged, is_clean) {
            (true, true) => return Ok(()),
            (false, true) => UNACKNOWLEDGED.to_owned(),
            (true, false) => left,
            (false, false) => format!("{UNACKNOWLEDGED}; {left}"),
        };
        Err(Error::new(ErrorKind::Closed, Outcome::Unknown).with_detail(detail))
    }

    /// Ends this client and leaves the session to another, with its ephemeral znodes: a process that
    /// is about to be replaced hands it over. All other handles are closed; what has not been
    /// answered fails with [`ErrorKind::Closed`], and its outcome is unknown if it was sent.
    ///
    /// Clean-ups under way, such as those of guards that were just dropped, are not waited for; one
    /// that is cut off is logged as a warning with its path, and its znode goes with the session to
    /// the next client. So release guards, and wait for that, before the session is handed over.
    ///
    /// # Errors
    /// [`ErrorKind::SessionExpired`] if there is no session, [`ErrorKind::Closed`] if the client is
    /// over.
    pub fn detach(self) -> Result<SessionToken> {
        let (token, over) = self
            .shared()
            .with(|core| (core.detach(), core.is_closing()));
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

//! Renewing a guard's lease while it is held.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_client::{Client, ErrorKind, Lease, Outcome, Pending};

use super::loss::LossSignal;
use crate::error::GuardLost;

/// What moves a guard's [`deadline`](crate::Guard::deadline) forward while it is held.
///
/// A server that has been cut off from its ensemble answers pings, reads and handshakes for a while,
/// by default up to 10 seconds (`syncLimit`), also if it was the leader. Meanwhile the others may end
/// the session and give its lock to another client. A client that counts such answers regards
/// itself as the holder at the same time as the next one.
#[doc(alias = "ConnectionStateErrorPolicy")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LeaseBasis {
    /// Only decisions of a quorum count, as [`Lease::by_quorum`] says.
    ///
    /// While a guard is held, the session has a write decided every sixth of its timeout: no extra
    /// write if the program writes anyway, else an empty transaction, the check that the guard's
    /// znode exists. That is one write for the session, however many guards it holds. Writes of the
    /// program that the leader refuses count; writes that hang or are not sent do not. A guard that
    /// had to wait is returned after one more such transaction.
    ///
    /// When a write has waited for an eighth of the timeout and a quarter is left, the client gives
    /// up its connection for another server, so that a server which is stopped, or has lost its
    /// leader, does not cost the guard. Other requests in flight then have an unknown outcome, as
    /// after every lost connection. A server that answers keeps its connection.
    #[default]
    Quorum,
    /// Every answer of a server counts. Costs nothing. Work under the guard must not depend on the
    /// deadline alone: write with [`fenced`](crate::Guard::fenced), or pass on the
    /// [`token`](crate::Guard::token).
    Server,
}

/// Writes whenever a renewal is due, until the session has ended or the znode is deleted.
pub(super) async fn renew(client: Client, lease: Arc<Lease>, path: String, loss: Arc<LossSignal>) {
    while lease.deadline().is_some() {
        let overdue = lease.leave_overdue_server();
        if !lease.claim_renewal() {
            let due = lease.renewal_due();
            let wake = overdue.map_or(due, |overdue| overdue.min(due));
            tokio::time::sleep_until(wake.into()).await;
            continue;
        }
        let renewed = client.multi().check(&path, -1).commit();
        match reply_or_leave_server(renewed, &lease, client.session().timeout).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NoNode => {
                if lease.deadline().is_some() {
                    loss.set(GuardLost::Deleted);
                }
                return;
            }
            // The leader has decided that the session may not read the znode: a decision all the same.
            Err(error) if error.kind() == ErrorKind::NoAuth => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::SessionExpired | ErrorKind::Closed | ErrorKind::AuthFailed
                ) =>
            {
                tracing::debug!(%error, "a guard is no longer renewed");
                return;
            }
            // The client's queue is full, or the check was queued behind a write whose connection was
            // lost.
            Err(error) if error.outcome() == Outcome::NotSent => {
                lease.return_renewal();
                tokio::time::sleep(client.session().timeout / 24).await;
            }
            // A check has no effect, so it can be repeated, but not before a renewal is due again: the
            // server may have no quorum at present.
            Err(_) => {}
        }
    }
}

/// Waits for the reply, and leaves the server when the reply is overdue.
async fn reply_or_leave_server<T>(
    commit: Pending<T>,
    lease: &Lease,
    timeout: Duration,
) -> zk_client::Result<T> {
    let mut commit = pin!(commit);
    loop {
        let overdue = lease.leave_overdue_server();
        let look_again = overdue.unwrap_or_else(|| now() + timeout / 24);
        if let Ok(reply) = tokio::time::timeout_at(look_again.into(), commit.as_mut()).await {
            return reply;
        }
    }
}

/// The time of tokio's clock, which tests can pause.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

//! Keeping a guard's lease while it is held.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_client::{Client, ErrorKind, Lease, Outcome, Pending};

use crate::error::Lost;
use crate::fate::Fate;

/// What moves a guard's [`deadline`](crate::Guard::deadline) while it is held.
///
/// A server that has been cut off from its ensemble answers pings, reads and handshakes for a while,
/// by default up to 10 seconds (`syncLimit`), also if it was the leader. Meanwhile the others may end
/// the session and give away what it held. A client that counts such answers takes itself for the
/// holder beside the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Trust {
    /// Only what a quorum has decided counts, as [`Lease::by_quorum`] says.
    ///
    /// While a guard is held, the session has a write decided every sixth of its timeout: none of its
    /// own if the program writes anyway, else an empty transaction, the check that the guard's znode
    /// is there. That is one write for the session, however many guards it holds. Writes of the
    /// program that the leader refuses count; writes that hang or that are not sent do not. A guard
    /// that had to wait is given after one more such transaction.
    ///
    /// When a write has waited for an eighth of the timeout and a quarter is left, the client gives up
    /// its connection for another server, so that a server which is stopped, or has lost its leader,
    /// does not cost what is held. What else is in flight then has an outcome that is not known, as
    /// whenever a connection is lost. A server that answers keeps its connection.
    #[default]
    Quorum,
    /// Every answer of a server counts. Costs nothing. What is done under the guard must not depend on
    /// its deadline alone: write with [`fenced`](crate::Guard::fenced), or hand on the
    /// [`token`](crate::Guard::token).
    Server,
}

/// Writes when a renewal is due, until the session or the znode is gone.
pub(crate) async fn renew(client: Client, lease: Arc<Lease>, path: String, fate: Arc<Fate>) {
    while lease.deadline().is_some() {
        let overdue = lease.leave_overdue_server();
        if !lease.claim_renewal() {
            let due = lease.renewal_due();
            let wake = overdue.map_or(due, |overdue| overdue.min(due));
            tokio::time::sleep_until(wake.into()).await;
            continue;
        }
        let renewed = client.multi().check(&path, -1).commit();
        match replied(renewed, &lease, client.session().timeout).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NoNode => {
                if lease.deadline().is_some() {
                    fate.lose(Lost::Deleted);
                }
                return;
            }
            // The leader has decided that the session may not even ask for the znode.
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
            // Without room for it, or behind a write whose connection was lost.
            Err(error) if error.outcome() == Outcome::NotSent => {
                lease.return_renewal();
                tokio::time::sleep(client.session().timeout / 24).await;
            }
            // A check has no effect, so it can be made twice, and not before a renewal is due again. A
            // server may have lost its quorum for now.
            Err(_) => {}
        }
    }
}

/// Waits for the reply, and leaves the server when it is overdue.
async fn replied<T>(commit: Pending<T>, lease: &Lease, timeout: Duration) -> zk_client::Result<T> {
    let mut commit = pin!(commit);
    loop {
        let again = lease.leave_overdue_server();
        let again = again.unwrap_or_else(|| now() + timeout / 24);
        if let Ok(reply) = tokio::time::timeout_at(again.into(), commit.as_mut()).await {
            return reply;
        }
    }
}

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

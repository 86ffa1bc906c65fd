//! Keeping a guard's lease while it is held.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_client::{Client, ErrorKind, Lease, Outcome, Pending};

use crate::error::Lost;
use crate::fate::Fate;

/// What a guard's trust in itself rests on: what moves its [`deadline`](crate::Guard::deadline)
/// while it is held.
///
/// A server that has just been cut off from its ensemble goes on answering pings and reads, by
/// default for up to 10 seconds (`syncLimit`), while the leader, which hears nothing of the session,
/// may end it and give away what it held. A client that counts such answers believes that it holds a
/// lock which is somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Trust {
    /// Only what a quorum has committed counts, as [`Lease::by_quorum`] says.
    ///
    /// While a guard is held, the session writes at least every sixth of its timeout: nothing if the
    /// program does it anyway, else an empty transaction, the check that the guard's znode is there.
    /// That is one write for the session, however many guards it holds. A guard that had to wait is
    /// given after one more such transaction.
    ///
    /// When a write is not committed until a quarter of the timeout is left, the client gives up its
    /// connection and looks for another server, so that a server which is stopped, or has lost its
    /// leader, does not cost what is held. What else is in flight then has an outcome that is not
    /// known, as whenever a connection is lost.
    #[default]
    Quorum,
    /// Every answer of a server counts. Costs nothing. What is done under the guard must not rest on
    /// its deadline alone: write with [`fenced`](crate::Guard::fenced), or hand on the
    /// [`token`](crate::Guard::token).
    Server,
}

/// Writes when nobody else has for a while, until the session or the znode is gone.
pub(crate) async fn renew(client: Client, lease: Arc<Lease>, path: String, fate: Arc<Fate>) {
    while let Some(deadline) = lease.deadline() {
        let due = lease.asked() + interval(client.session().timeout, deadline, now());
        if due > now() {
            tokio::time::sleep_until(due.into()).await;
            continue;
        }
        let renewed = client.multi().check(&path, -1).commit();
        match with_doubts(renewed, &lease, client.session().timeout).await {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NoNode => {
                if lease.deadline().is_some() {
                    fate.lose(Lost::Deleted);
                }
                return;
            }
            // Whoever may not even ask whether it exists has been answered by a quorum, too.
            Err(error) if error.kind() == ErrorKind::NoAuth => {}
            // To ask twice does no harm.
            Err(error) if error.is_transient() || error.outcome() == Outcome::Unknown => {
                tokio::time::sleep(client.session().timeout / 24).await;
            }
            Err(error) => {
                tracing::debug!(%error, "a guard is no longer renewed");
                return;
            }
        }
    }
}

/// Waits for a commit, and when time is getting short, looks for another server meanwhile: this one
/// may be stopped, or may have lost its leader.
async fn with_doubts<T>(
    commit: Pending<T>,
    lease: &Lease,
    timeout: Duration,
) -> zk_client::Result<T> {
    let mut commit = pin!(commit);
    loop {
        let Some(deadline) = lease.deadline() else {
            return commit.await;
        };
        // Where nothing is in doubt, the least that is left is four tenths.
        let late = deadline.checked_sub(timeout / 4).unwrap_or(deadline);
        let mut wait = timeout / 24;
        if late > now() {
            wait = late - now();
        } else {
            lease.doubt();
        }
        if let Ok(done) = tokio::time::timeout(wait, commit.as_mut()).await {
            return done;
        }
    }
}

/// How long after a write the next one is due. A guard that has just been given may have little time
/// left, since its client had nothing to say before.
fn interval(timeout: Duration, deadline: Instant, now: Instant) -> Duration {
    if deadline < now + timeout / 3 {
        timeout / 24
    } else {
        timeout / 6
    }
}

pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

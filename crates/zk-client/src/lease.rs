//! Leases: until when a session can be trusted to be alive. `session/leader_contact.rs` computes the
//! deadline by quorum.

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use zk_proto::SessionId;

use crate::client::Client;
use crate::session::Core;
use crate::session::state::State;
use crate::session::state_readers::ReaderId;
use crate::shared::{Shared, now};

/// One session of a client, and the time until which it can be trusted to be alive. Locks and
/// leaderships depend on it.
///
/// A lease can be trusted until its [`deadline`](Self::deadline): the earliest time at which the
/// ensemble can end the session, by the client's clock, counted from the submission of the latest
/// request that a server has answered. The deadline moves forward with every reply and ping, and it
/// passes *before* the session can expire on the server, even if this process is stopped meanwhile.
///
/// A read-only server never moves it forward, neither by its answers nor by the timeout it grants.
/// So a session resumed by [`ClientBuilder::resume`](crate::ClientBuilder::resume) is not trusted before a
/// server with a quorum has answered.
///
/// ```
/// # #[cfg(feature = "testkit")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = zk_embedded::Server::start().await?;
/// # let zk = zk_client::Client::connect(server.connect_string()).await?;
/// let lease = zk.lease();
/// // Sends nothing: fails once the ensemble may have ended the session.
/// lease.check()?;
/// zk.create("/mine", "").ephemeral().await?;
/// # let mut states = zk.states();
/// # server.expire_session(zk.session().id);
/// # while !matches!(states.next().await, Some(zk_client::State::Expired { .. }) | None) {}
/// # assert!(lease.check().is_err());
/// # Ok(()) }
/// # #[cfg(not(feature = "testkit"))]
/// # fn main() {}
/// ```
///
/// # What it depends on
///
/// - On the connection's server, which may have lost its leader, or may be a deposed leader. Both
///   answer pings, reads and handshakes for up to `syncLimit` ticks (10 s in Apache's example
///   configuration) while the ensemble ends the session. A lease [`by_quorum`](Self::by_quorum) does
///   not depend on that.
/// - On a clock that does not stop. Where the platform has a clock that counts while the machine is
///   suspended, the lease uses it (Linux, Apple's systems; see
///   [`ClientBuilder::suspended_time`](crate::ClientBuilder::suspended_time)). In a virtual machine that
///   its host pauses without notification, no clock counts that time.
///
/// A write in one transaction with a check of a znode of the session is safe in every case, and so
/// are resources that compare fencing tokens.
pub struct Lease {
    shared: Arc<Shared>,
    epoch: u64,
    session: SessionId,
    basis: Basis,
}

/// What moves a lease's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basis {
    Answers,
    Commits,
}

/// A lease can no longer be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeaseLost {
    /// The session is over.
    #[error("the session is over")]
    SessionEnded,
    /// No server has answered for so long that the session may be over.
    #[error("no server has answered for so long that the session may have expired")]
    OutOfContact,
}

impl Lease {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let (epoch, session) = shared.with(|core| (core.session.epoch(), core.session.id()));
        Lease {
            shared,
            epoch,
            session,
            basis: Basis::Answers,
        }
    }

    /// The same lease, counted from the requests that a quorum is known to have received, and not from
    /// those that one server has answered.
    ///
    /// A write that a quorum decides proves that the leader had received, when the write was submitted,
    /// every request that the same connection had answered three tenths of the session's timeout before.
    /// Pings, reads and the handshake that resumes a session move the deadline only when such a write
    /// follows them on their connection; a write that the leader refuses (a version that does not match,
    /// a znode that exists) proves as much as one that succeeds. After a write of a client that was
    /// idle, the deadline is at least half of the timeout away, less the time for the reply, since the
    /// client pings every twelfth.
    ///
    /// To extend such a lease, write whenever [`claim_renewal`](Self::claim_renewal) returns `true`:
    /// every sixth of the timeout. If there is nothing to write, use an empty transaction such as the
    /// check of a znode's existence. The deadline is then never less than four tenths of the timeout
    /// away.
    ///
    /// The argument assumes that a leader collects the sessions of its servers at least every quarter of
    /// the timeout. Apache's does so every half tick, and grants no timeout of less than two ticks
    /// unless `minSessionTimeout` is set lower. Observers that follow another observer
    /// (`observerMasterPort`) add half a tick.
    #[must_use]
    pub fn by_quorum(self) -> Self {
        Lease {
            basis: Basis::Commits,
            ..self
        }
    }

    /// Whether a write is due to extend a lease [by quorum](Self::by_quorum), and the caller is to submit
    /// it: of all callers that share the session, one gets `true` each time. A write is due a sixth of
    /// the timeout after the last decided one was submitted, and earlier while less than a third of the
    /// timeout is left. If no write is decided within an eighth of the timeout, the next caller gets
    /// `true`.
    pub fn claim_renewal(&self) -> bool {
        self.with_session(|core| core.session.claim_renewal(now()))
            .unwrap_or(false)
    }

    /// The write of the latest [claim](Self::claim_renewal) was not sent: it can be claimed again at once.
    pub fn return_renewal(&self) {
        self.with_session(|core| core.session.return_renewal());
    }

    /// When [`claim_renewal`](Self::claim_renewal) can next return `true`, unless a write is decided
    /// before.
    pub fn renewal_due(&self) -> Instant {
        self.shared.with(|core| core.session.renewal_due())
    }

    /// Leaves the connection's server for another one if the server is overdue: a write has waited for an
    /// eighth of the session's timeout without any being decided, and a quarter of the timeout or less
    /// is left of the lease by quorum. Requests in flight end as whenever a connection is lost. Does
    /// nothing once the lease has passed, without a connection, or in another session.
    ///
    /// Returns when to call it again: never earlier than a twenty-fourth of the timeout from now;
    /// `None` while no write waits.
    pub fn leave_overdue_server(&self) -> Option<Instant> {
        let now = now();
        self.with_session(|core| {
            core.leave_overdue_server(now);
            let soonest = now + core.session.timeout() / 24;
            core.session.overdue().map(|due| due.max(soonest))
        })?
    }

    /// Runs `f` if the session is still this one.
    fn with_session<R>(&self, f: impl FnOnce(&mut Core) -> R) -> Option<R> {
        self.shared
            .with_suspension(|core| (core.session.epoch() == self.epoch).then(|| f(core)))
    }

    /// The session's id, none if there was none.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The session's epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Until when the lease can be trusted, as far as is known now; `None` once the session is over, or
    /// is being closed: a server may have ended it although its answer has not arrived.
    pub fn deadline(&self) -> Option<Instant> {
        self.shared.with_suspension(|core| {
            let live = core.session.epoch() == self.epoch
                && core.session.exists()
                && !core.is_closing()
                && !matches!(core.state(), State::Expired { .. });
            live.then(|| match self.basis {
                Basis::Answers => core.session.lease_until(),
                Basis::Commits => core.session.quorum_lease_until(),
            })
        })
    }

    /// Whether the lease can be trusted now. Sends nothing.
    ///
    /// # Errors
    /// It cannot be trusted.
    pub fn check(&self) -> Result<(), LeaseLost> {
        match self.deadline() {
            None => Err(LeaseLost::SessionEnded),
            Some(deadline) if deadline <= now() => Err(LeaseLost::OutOfContact),
            Some(_) => Ok(()),
        }
    }

    /// Waits until the lease can no longer be trusted.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn lost(&self) -> LeaseLost {
        let reader = self.shared.with(|core| core.add_reader());
        let reader = Reader {
            shared: &self.shared,
            id: reader,
        };
        let mut timer = pin!(tokio::time::sleep_until(now().into()));
        poll_fn(|cx| {
            // A new state is only a reason to look at the deadline again.
            while self
                .shared
                .with(|core| core.poll_state(reader.id, cx.waker()))
                .is_some()
            {}
            loop {
                let Some(deadline) = self.deadline() else {
                    return Poll::Ready(LeaseLost::SessionEnded);
                };
                if deadline <= now() {
                    return Poll::Ready(LeaseLost::OutOfContact);
                }
                timer.as_mut().reset(deadline.into());
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

impl Client {
    /// The lease of the current session: the time until which it can be trusted to be alive.
    pub fn lease(&self) -> Lease {
        Lease::new(self.shared().clone())
    }
}

struct Reader<'a> {
    shared: &'a Shared,
    id: ReaderId,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.shared.with(|core| core.forget_reader(self.id));
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("epoch", &self.epoch)
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}

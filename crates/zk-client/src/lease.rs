//! A session as something that can be lost.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use zk_proto::SessionId;

use crate::shared::{Shared, now};
use crate::state::{ReaderId, State};

/// One session of a client, the basis of everything that is held only as long as it lives.
///
/// A lease is trusted until its [`deadline`](Self::deadline): the time at which the ensemble could
/// first give away what this session holds, reckoned on this side's monotonic clock from the
/// submission of the latest request that a server has answered. It moves forward with every reply
/// and ping, and it passes *before* the session can expire on the server, also when this process
/// was stopped and has not noticed anything yet.
///
/// A read-only server never moves it forward: neither by its answers nor by the timeout it grants.
/// So a session taken over by [`Builder::resume`](crate::Builder::resume) is not to be trusted before
/// a server with a quorum has agreed to it.
///
/// # What it rests on
///
/// On two things that this side cannot see. That the server which answers is in contact with its
/// leader: one that has just been cut off from the ensemble answers pings for up to its `syncLimit`
/// (10 s as Apache ships it) while the leader, which does not hear of them, may end the session. A
/// lease [`by_quorum`](Self::by_quorum) does not rest on that. And that the clock went on: on Linux
/// it stands still while the whole machine is suspended. What is written with a check of a znode of
/// the session, in one transaction, is safe in both cases, and so is what is compared by its fencing
/// token.
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
    /// No server has been heard for so long that the session may be over.
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

    /// The same lease, reckoned from what the ensemble's leader is known to have heard of, and not
    /// from whatever a server has answered.
    ///
    /// Pings and reads do not move its deadline, for a server that has lost its leader answers them,
    /// too. Writes do, when they are committed: then the leader has heard of everything that this
    /// server had answered a while before, three tenths of the session's timeout. So does each new
    /// connection, which no server accepts without asking its leader. Who wants to keep such a lease
    /// writes every sixth of the timeout, and if it has nothing to write, an empty transaction such
    /// as the check of a znode's existence; its deadline is then never less than four tenths of the
    /// timeout away.
    ///
    /// It takes for granted that a leader asks its followers for their sessions at least every
    /// quarter of the timeout. Apache's does it every half tick, and grants no timeout of less than
    /// two ticks unless `minSessionTimeout` says otherwise.
    #[must_use]
    pub fn by_quorum(self) -> Self {
        Lease {
            basis: Basis::Commits,
            ..self
        }
    }

    /// Gives up the connection in favour of one to another server, which moves the deadline: for who
    /// waits for a write to be committed, and for whom it is getting late. Nothing happens without a
    /// connection, or with one that is younger than a quarter of the session's timeout, or if the
    /// session is another by now. What is in flight ends as it does whenever a connection is lost.
    pub fn doubt(&self) {
        self.shared.with(|core| {
            if core.session.epoch() == self.epoch {
                core.doubt(now(), core.session.timeout() / 4);
            }
        });
    }

    /// When the client last submitted a write, or asked for a connection: a sixth of the session's
    /// timeout later it is time for the next write, if a lease [by quorum](Self::by_quorum) is to be
    /// kept.
    pub fn asked(&self) -> Instant {
        self.shared.with(|core| core.session.asked())
    }

    /// The session's id, none if there was none.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The session's epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Until when the lease can be trusted, as things stand; `None` once the session is over, or is
    /// being closed, which a server may have done before its answer is here.
    pub fn deadline(&self) -> Option<Instant> {
        self.shared.with(|core| {
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

    /// Whether the lease can be trusted now. Asks nobody but the clock.
    ///
    /// # Errors
    /// It can not.
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
        let reader = self.shared.with(|core| {
            let state = core.state();
            core.readers.add(state)
        });
        let reader = Reader {
            shared: &self.shared,
            id: reader,
        };
        let mut timer = pin!(tokio::time::sleep_until(now().into()));
        poll_fn(|cx| {
            // A new state is only a reason to look again.
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

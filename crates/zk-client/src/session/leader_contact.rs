//! The deadline before which the ensemble cannot have ended a session, computed from the requests that
//! a quorum is known to have received.
//!
//! This module is the argument for [`Lease::by_quorum`](crate::Lease::by_quorum): which replies
//! prove that the session is alive, when a renewal is due, and when a server has failed to answer.
//! `tests/model.rs` checks it against every interleaving of a small ensemble.
//!
//! # What ends a session
//!
//! Only the leader ends sessions. Apache's leader (`SessionTrackerImpl`) ends a session when it has
//! not been *touched* for the session's timeout, rounded up to the next tick. A touch is:
//!
//! - at the leader's own clients, every packet (`ZooKeeperServer.submitRequestNow`);
//! - at another server's clients, that server's answer to the leader's ping, which lists the
//!   sessions that sent packets since the answer before (`Learner.ping`, `LearnerHandler`). The
//!   leader pings every half tick. A write that the server forwards touches nothing;
//! - the handshake that resumes a session: the server asks its leader (`REVALIDATE`), and a leader
//!   answers from its own table;
//! - the transaction that creates the session;
//! - the start of another leader, which gives every session its whole timeout again.
//!
//! # What a client knows
//!
//! A client does not know which server leads. Its server may have lost the leader, or may be a
//! deposed leader: both answer pings, reads and handshakes for up to `syncLimit` ticks, and neither can
//! commit. So the reply to anything but a write is only a *sign of life*, which counts once it is
//! proven:
//!
//! **A write that was submitted at `s` and decided by a quorum proves every sign of life of the same
//! connection that the leader had received by `s`.** A connection has one server and one leader,
//! since a server that changes its leader closes its connections. The server forwards messages to the
//! leader in order, so the leader had received those sent before the write, and it led a quorum when it
//! decided the write. A later leader starts after `s` and gives the session its whole timeout from
//! then.
//!
//! The leader had received by `s`:
//!
//! - every request that was answered [`touch_delay`] before `s`. In that time the leader has pinged the
//!   server: it does so every half tick, and Apache grants no timeout below two ticks
//!   (`minSessionTimeout`). A server that pauses in between answers that ping when it continues, as it
//!   forwards the write. That is in time: the client closes a connection after two thirds of the timeout
//!   without a byte, and the previous answer was at most a quarter of the timeout older than the pause;
//! - a handshake that was answered before `s`, as the server asked its leader before answering;
//! - for a new session, the handshake itself, which a quorum has decided.
//!
//! A resumed session's handshake proves nothing by itself, however recent it is. Refusals that only a
//! leader makes (`NodeExists`, `BadVersion` and so on) are logged as transactions and prove as much as
//! a success; refusals that any server makes prove nothing.
//!
//! # What follows
//!
//! - The deadline is the latest proven sign of life, plus the timeout, less [`reserve`]. The timeout is
//!   the least that was granted in the session: a server touches with what it granted itself, and a
//!   later leader with what the session was created with.
//! - A renewal is due [`renewal_interval`] after the last *decided* write was submitted. Writes that are
//!   refused by the client, or that hang, do not delay it.
//! - The client leaves a server only when a write has waited for [`answer_time`] without any progress,
//!   and at most a quarter of the timeout is left. Neither an idle client nor a slow reply alone costs a
//!   healthy connection, and the rest of the timeout is enough to connect to another server.
//! - The more frequent the signs of life, the more recent is the one that the next write proves: the
//!   connection pings every twelfth of the timeout. A write of an idle client then proves a sign that is
//!   at most 3/10 + 1/12 of the timeout old, and leaves more than half of the timeout.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use zk_proto::{ErrorCode, OpCode};

/// Within this time the leader has pinged each of its followers and has received the answer. A quarter
/// of the timeout is the longest half tick; the rest is for the network and for a late leader.
fn touch_delay(timeout: Duration) -> Duration {
    timeout * 3 / 10
}

/// The part of the timeout that no deadline uses, for clocks that run at different speeds and for a
/// late leader.
pub(crate) fn reserve(timeout: Duration) -> Duration {
    timeout / 12
}

/// The interval between the submission of a decided write and the next renewal.
fn renewal_interval(timeout: Duration) -> Duration {
    timeout / 6
}

/// The same interval, when less than a third of the timeout is left.
fn urgent_interval(timeout: Duration) -> Duration {
    timeout / 24
}

/// The time that a server has for a write before the client may leave it.
fn answer_time(timeout: Duration) -> Duration {
    timeout / 8
}

/// While more than this is left, the client does not leave a server: replies may be slow.
fn late(timeout: Duration) -> Duration {
    timeout / 4
}

/// Signs of life that are closer together than this part of the timeout count as one.
const GRAIN: u32 = 32;
/// The maximum number of signs of life that are kept; they span the timeout.
const KEPT: usize = GRAIN as usize + 1;

/// A reply to a request, a ping or a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SignOfLife {
    submitted: Instant,
    /// A write that is submitted at this time, or later, proves it.
    proven_from: Instant,
}

/// The signs of life of a session, and which of them its leader is known to have received.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct LeaderContact {
    /// When the latest proven sign of life was submitted.
    proven: Option<Instant>,
    /// When the latest write that a quorum has decided was submitted.
    decided: Instant,
    /// When a renewal was last claimed.
    claimed: Option<Instant>,
    /// Those of this connection that are not proven yet, the oldest first.
    signs: VecDeque<SignOfLife>,
    /// Writes on this connection that have no reply.
    waiting: usize,
    /// When the first of them was submitted, or the last decision was received, if that was later.
    waiting_since: Instant,
}

impl LeaderContact {
    pub(crate) fn new(now: Instant) -> Self {
        LeaderContact {
            proven: None,
            decided: now,
            claimed: None,
            signs: VecDeque::new(),
            waiting: 0,
            waiting_since: now,
        }
    }

    /// The time before which the leader cannot have ended the session; `None` if nothing is proven.
    pub(crate) fn deadline(&self, timeout: Duration) -> Option<Instant> {
        self.proven.map(|at| at + timeout - reserve(timeout))
    }

    /// When the next write should be submitted, so that the deadline moves on in time.
    pub(crate) fn renewal_due(&self, timeout: Duration) -> Instant {
        let regular = self.decided + renewal_interval(timeout);
        let short = self
            .deadline(timeout)
            .and_then(|at| at.checked_sub(timeout / 3));
        let due = match short {
            Some(short) => regular.min((self.decided + urgent_interval(timeout)).max(short)),
            None => regular,
        };
        match self.claimed {
            Some(claimed) if claimed > self.decided => due.max(claimed + answer_time(timeout)),
            _ => due,
        }
    }

    /// Whether the caller is to submit the renewal: true for one caller each time that one is due.
    pub(crate) fn claim_renewal(&mut self, now: Instant, timeout: Duration) -> bool {
        let is_due = self.renewal_due(timeout) <= now;
        if is_due {
            self.claimed = Some(now);
        }
        is_due
    }

    /// The claimed write was not sent, so that another caller may claim it.
    pub(crate) fn return_renewal(&mut self) {
        self.claimed = None;
    }

    /// When the client may leave the connection's server, because a write is not decided and the
    /// deadline is near; `None` while no write waits.
    pub(crate) fn overdue(&self, timeout: Duration) -> Option<Instant> {
        let late = self.deadline(timeout)?.checked_sub(late(timeout))?;
        (self.waiting > 0).then(|| late.max(self.waiting_since + answer_time(timeout)))
    }

    /// A server has created the session, which takes a write, or has resumed it, which a deposed leader
    /// does as well.
    pub(crate) fn handle_connected(&mut self, asked: Instant, now: Instant, is_new: bool) {
        self.waiting = 0;
        // A claimed renewal was lost with the previous connection.
        self.claimed = None;
        self.signs.clear();
        if is_new {
            self.proven = self.proven.max(Some(asked));
            self.decided = self.decided.max(asked);
        }
        self.signs.push_back(SignOfLife {
            submitted: asked,
            proven_from: now,
        });
    }

    /// A server without a leader serves reads.
    pub(crate) fn handle_cut_off(&mut self) {
        self.waiting = 0;
        self.signs.clear();
    }

    /// The server has answered what was submitted at `submitted`.
    pub(crate) fn handle_answered(&mut self, submitted: Instant, now: Instant, timeout: Duration) {
        if let Some(last) = self.signs.back()
            && submitted < last.submitted + timeout / GRAIN
        {
            return;
        }
        // A sign older than the timeout is of no use, and the number of signs is bounded.
        let passed = |sign: &SignOfLife| sign.submitted + timeout <= now;
        while self.signs.len() >= KEPT || self.signs.front().is_some_and(passed) {
            self.signs.pop_front();
        }
        self.signs.push_back(SignOfLife {
            submitted,
            proven_from: now + touch_delay(timeout),
        });
    }

    /// A write goes onto the wire.
    pub(crate) fn handle_written(&mut self, now: Instant) {
        if self.waiting == 0 {
            self.waiting_since = now;
        }
        self.waiting += 1;
    }

    /// A write that was submitted at `submitted` has its reply; whether a quorum has `decided` it.
    pub(crate) fn handle_reply(&mut self, submitted: Instant, now: Instant, decided: bool) {
        self.waiting = self.waiting.saturating_sub(1);
        if !decided {
            return;
        }
        self.waiting_since = now;
        self.decided = self.decided.max(submitted);
        while let Some(sign) = self.signs.front()
            && sign.proven_from <= submitted
        {
            self.proven = self.proven.max(Some(sign.submitted));
            self.signs.pop_front();
        }
    }

    /// The machine was suspended for `by`, which the clock has not counted: every sign is that much
    /// older.
    pub(crate) fn handle_suspended(&mut self, by: Duration) {
        self.proven = self.proven.and_then(|at| at.checked_sub(by));
        for sign in &mut self.signs {
            sign.submitted = sign.submitted.checked_sub(by).unwrap_or(sign.submitted);
        }
    }
}

/// Whether the leader and a quorum decide on the operation before it is answered. (`sync` asks the
/// leader alone, which others may have deposed: ZOOKEEPER-2136.)
pub(crate) fn is_decided_by_quorum(op: OpCode) -> bool {
    op.is_write()
}

/// Whether this refusal of such an operation comes from a leader with a quorum. Apache's leader
/// proposes it as an `ErrorTxn` like a write (`PrepRequestProcessor`); other codes may come from the
/// connection's server alone.
pub(crate) fn is_refusal_by_quorum(code: &ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NoNode
            | ErrorCode::NoAuth
            | ErrorCode::BadVersion
            | ErrorCode::NoChildrenForEphemerals
            | ErrorCode::NodeExists
            | ErrorCode::NotEmpty
            | ErrorCode::InvalidAcl
            | ErrorCode::QuotaExceeded
    )
}

//! What a session's leader is known to have heard of it.
//!
//! Only the leader ends sessions, and a client may be connected to another server. That one tells
//! the leader which of its sessions are alive when the leader asks, every half tick; a write that it
//! passes on does not count as a sign of life there. But it passes on and answers over one
//! connection, in order: when a write has been committed, everything that the server had told the
//! leader before has arrived, too. So what was answered long enough before a committed write was
//! submitted, so that the leader has asked in between, is known to have been heard of.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use zk_proto::OpCode;

/// Signs of life that are closer together than this part of the timeout count as one.
const GRAIN: u32 = 32;
/// More are not needed: they span the timeout.
const KEPT: usize = GRAIN as usize + 1;

/// A request that a server has answered.
#[derive(Debug, Clone, Copy)]
struct Answered {
    submitted: Instant,
    answered: Instant,
}

/// Signs of life, and which of them the leader has heard of.
#[derive(Debug)]
pub(crate) struct LeaderContact {
    /// When the latest sign of life was given that the leader is known to have heard of.
    heard: Instant,
    /// When the leader was last asked for something, whatever the answer.
    asked: Instant,
    /// Those of this connection, the oldest first.
    answered: VecDeque<Answered>,
}

impl LeaderContact {
    pub(crate) fn new(now: Instant) -> Self {
        LeaderContact {
            heard: now,
            asked: now,
            answered: VecDeque::new(),
        }
    }

    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    pub(crate) fn asked(&self) -> Instant {
        self.asked
    }

    /// A server has taken the session over. It has asked the leader, who counts that as a sign of
    /// life.
    pub(crate) fn handle_connected(&mut self, asked: Instant, now: Instant) {
        self.heard = self.heard.max(asked);
        self.asked = asked;
        self.answered.clear();
        self.answered.push_back(Answered {
            submitted: asked,
            answered: now,
        });
    }

    /// A server without a leader serves reads.
    pub(crate) fn handle_cut_off(&mut self) {
        self.answered.clear();
    }

    pub(crate) fn handle_answered(&mut self, submitted: Instant, now: Instant, timeout: Duration) {
        if let Some(last) = self.answered.back()
            && submitted < last.submitted + timeout / GRAIN
        {
            return;
        }
        self.answered.push_back(Answered {
            submitted,
            answered: now,
        });
        if self.answered.len() > KEPT {
            self.answered.pop_front();
        }
    }

    /// A write is on its way.
    pub(crate) fn handle_submitted(&mut self, now: Instant) {
        self.asked = self.asked.max(now);
    }

    pub(crate) fn handle_committed(&mut self, submitted: Instant, timeout: Duration) {
        let asked_since = asked_within(timeout);
        while let Some(sign) = self.answered.front()
            && sign.answered + asked_since <= submitted
        {
            self.heard = self.heard.max(sign.submitted);
            self.answered.pop_front();
        }
    }
}

/// Whether the leader and a quorum have been asked before this operation succeeds. (`sync` asks the
/// leader alone, which may have been deposed.)
pub(crate) fn is_decided_by_quorum(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Reconfig
    )
}

/// Within which time a leader has asked, and been answered by, a server that is in contact with it.
/// It asks every half tick; the shortest timeout that servers grant by default is two ticks, of
/// which that is a quarter. The rest is for the way.
fn asked_within(timeout: Duration) -> Duration {
    timeout * 3 / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_committed_write_proves_what_was_answered_long_enough_before_it() {
        let start = Instant::now();
        let mut leader = LeaderContact::new(start);
        leader.handle_connected(start, at(start, 5));
        leader.handle_answered(at(start, 1_000), at(start, 1_010), TIMEOUT);
        leader.handle_answered(at(start, 2_000), at(start, 2_010), TIMEOUT);
        assert_eq!(leader.heard(), start, "pings prove nothing");
        leader.handle_committed(at(start, 4_009), TIMEOUT);
        assert_eq!(leader.heard(), start, "the leader may not have asked since");
        leader.handle_committed(at(start, 4_010), TIMEOUT);
        assert_eq!(leader.heard(), at(start, 1_000));
        leader.handle_committed(at(start, 60_000), TIMEOUT);
        assert_eq!(leader.heard(), at(start, 2_000));
    }

    #[test]
    fn another_server_has_not_told_what_the_one_before_was_told() {
        let start = Instant::now();
        let mut leader = LeaderContact::new(start);
        leader.handle_connected(start, start);
        leader.handle_answered(at(start, 3_000), at(start, 3_000), TIMEOUT);
        leader.handle_connected(at(start, 3_500), at(start, 3_600));
        assert_eq!(leader.heard(), at(start, 3_500), "it has asked the leader");
        leader.handle_cut_off();
        leader.handle_answered(at(start, 4_000), at(start, 4_000), TIMEOUT);
        leader.handle_committed(at(start, 5_000), TIMEOUT);
        assert_eq!(leader.heard(), at(start, 3_500));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_spans_the_timeout() {
        let start = Instant::now();
        let mut leader = LeaderContact::new(start);
        for ms in 0..30_000 {
            leader.handle_answered(at(start, ms), at(start, ms), TIMEOUT);
        }
        assert_eq!(leader.answered.len(), KEPT);
        let span = at(start, 30_000) - leader.answered[0].submitted;
        assert!(span > TIMEOUT, "{span:?}");
        leader.handle_committed(at(start, 30_000), TIMEOUT);
        let late = at(start, 27_000) - leader.heard();
        assert!(late < TIMEOUT / GRAIN, "{late:?}");
    }
}

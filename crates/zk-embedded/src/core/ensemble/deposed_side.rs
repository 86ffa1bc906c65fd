//! What a leader that was deposed and has not noticed keeps for its side of the ensemble.

use crate::core::session::SessionTable;

#[derive(Debug)]
pub(crate) struct DeposedSide {
    pub(crate) leader: usize,
    pub(crate) sessions: SessionTable,
    /// Whether a proposal waits for a quorum.
    pub(crate) proposed: bool,
    /// When it notices, in milliseconds since the server's start.
    pub(crate) notices: u64,
}

impl DeposedSide {
    pub(crate) fn new(leader: usize, sessions: SessionTable, notices: u64) -> Self {
        Self {
            leader,
            sessions,
            proposed: false,
            notices,
        }
    }

    /// Sessions expire in the tracker; their ends are proposed and not committed.
    pub(crate) fn expire(&mut self, elapsed: u64) {
        while let Some(session) = self.sessions.expired(elapsed, true) {
            self.sessions.remove(session);
            self.proposed = true;
        }
    }

    pub(crate) fn next_timeout(&self) -> u64 {
        let expiry = self.sessions.next_expiry(true).unwrap_or(u64::MAX);
        expiry.min(self.notices)
    }
}

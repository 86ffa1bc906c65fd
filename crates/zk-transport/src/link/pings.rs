//! Pings, and the deadlines of the server's answers.

use std::time::Instant;

use zk_proto::{OpCode, xid};

use super::state::{Link, Phase};
use super::wire::framed;
use crate::error::Disconnect;

/// A connection over which bytes arrive, but for this many read timeouts no answer, ends: ten times
/// the session's timeout.
const MAX_UNANSWERED: u32 = 15;

/// How many requests an idle link keeps room for.
const IDLE_CAPACITY: usize = 16;

impl<T> Link<T> {
    /// When [`handle_timeout`](Self::handle_timeout) has to be called next.
    pub fn poll_timeout(&self) -> Instant {
        match self.phase {
            _ if self.given_up => self.opened_at,
            Phase::Handshake { deadline, .. } => deadline,
            Phase::Login { since, timeout, .. } => since + timeout * 2 / 3,
            Phase::Open {
                read_timeout,
                ping_interval,
            } => {
                let dead = self.last_received + read_timeout;
                if self.ping_waits_to_be_written() {
                    dead
                } else {
                    dead.min(self.last_sent + ping_interval)
                }
            }
        }
    }

    /// One ping in a stalled output buffer is enough; more would only follow it (B23).
    fn ping_waits_to_be_written(&self) -> bool {
        !self.pings.is_empty() && !self.out.is_empty()
    }

    /// Writes a ping if one is due.
    ///
    /// # Errors
    /// The server has not answered in time, or was given up.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        match self.phase {
            _ if self.given_up => Err(Disconnect::GivenUp),
            Phase::Handshake {
                deadline, budget, ..
            } if now >= deadline => Err(Disconnect::HandshakeTimeout(budget)),
            Phase::Handshake { .. } => Ok(()),
            Phase::Login { since, timeout, .. } => {
                let waited = now.saturating_duration_since(since);
                if waited >= timeout * 2 / 3 {
                    return Err(Disconnect::ReadTimeout(waited));
                }
                Ok(())
            }
            Phase::Open {
                read_timeout,
                ping_interval,
            } => {
                let waited = now.saturating_duration_since(self.last_received);
                if waited >= read_timeout {
                    return Err(Disconnect::ReadTimeout(waited));
                }
                let unanswered = now.saturating_duration_since(self.oldest_unanswered(now));
                if unanswered >= read_timeout * MAX_UNANSWERED {
                    return Err(Disconnect::Unanswered(unanswered));
                }
                if now >= self.last_sent + ping_interval && !self.ping_waits_to_be_written() {
                    framed(&mut self.out, xid::PING, OpCode::Ping, |_| {});
                    self.in_flight.shrink_to(IDLE_CAPACITY);
                    self.last_sent = now;
                    let end = self.taken + self.out.len() as u64;
                    self.pings.push_back((now, end));
                }
                Ok(())
            }
        }
    }

    /// Since when a request or a ping has been waiting for its answer.
    fn oldest_unanswered(&self, now: Instant) -> Instant {
        let request = self.in_flight.front();
        // The server answers in order, so the time it spent on earlier requests does not count.
        let request = request.map(|request| request.sent_at.max(self.answered));
        let ping = self.pings.front().map(|(sent_at, _)| *sent_at);
        request.into_iter().chain(ping).min().unwrap_or(now)
    }
}

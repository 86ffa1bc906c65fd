//! A leader that was deposed and has not noticed, and the members that follow it.
//!
//! This imitates Apache ZooKeeper, by its sources and by 3.8.0 as observed when both followers of its
//! leader were stopped. Such a leader answers a handshake from its own session tracker
//! (`ZooKeeperServer.reopenSession`, for its followers' clients `REVALIDATE`), without a quorum. Each
//! member answers pings, reads and the `sync` of its own clients from its own state. Requests that need
//! a transaction (writes and their refusals, the creation and the end of a session) are proposed and
//! never committed; in a session with such a request, the commit processor holds all later requests
//! back. The tracker continues to expire sessions: a handshake for one of these is answered as for any
//! expired session, although no end was committed. `Leader.lead` counts its followers every tick and
//! gives up when it has received nothing from a quorum for `syncLimit` ticks; then its side closes all
//! connections. Its proposals are truncated when it joins the new leader.

use std::time::Instant;

use zk_proto::OpCode;

use crate::core::ensemble::deposed_side::DeposedSide;
use crate::core::ensemble::member::Contact;
use crate::core::requests::Request;
use crate::core::session::SessionTable;
use crate::core::state::State;
use crate::options::millis_u64;

impl State {
    /// Cuts the leader and some of its followers off from the other members, which elect a new leader
    /// at once and restart the timeout of every session. The deposed side notices after
    /// [`Options::sync_limit`](crate::Options::sync_limit) ticks; until then it answers requests that
    /// need no quorum. Returns false, without any effect, if the others are no majority or if there is
    /// a deposed leader already.
    pub fn depose_leader(&mut self, now: Instant, followers: &[usize]) -> bool {
        let stays = |index: &usize| *index == self.leader || followers.contains(index);
        let led = (0..self.members.len()).filter(|&index| self.has_quorum(index));
        let (staying, others): (Vec<_>, Vec<_>) = led.partition(stays);
        let majority = self.is_majority(others.iter().copied());
        let next = others.iter().find(|&&index| self.votes(index));
        let Some(&next) = next.filter(|_| majority && self.deposed.is_none()) else {
            return false;
        };
        let limit = u64::from(self.options.sync_limit) * millis_u64(self.options.tick);
        let notices = self.elapsed(now) + limit;
        let side = DeposedSide::new(self.leader, self.sessions.clone(), notices);
        self.deposed = Some(side);
        for &index in &staying {
            if let Some(member) = self.members.get_mut(index) {
                member.contact = Contact::Deposed;
            }
        }
        self.lead(now, next);
        true
    }

    /// Lets a deposed leader and its followers notice now: they close their connections and are
    /// read-only.
    pub fn notice_deposition(&mut self) {
        if self.deposed.take().is_none() {
            return;
        }
        for index in 0..self.members.len() {
            let Some(member) = self.members.get_mut(index) else {
                continue;
            };
            if member.contact == Contact::Deposed {
                member.contact = Contact::None;
                member.stuck.clear();
                self.disconnect_member(index);
            }
        }
    }

    /// The leader that was deposed and has not noticed, counted from 0.
    pub fn deposed_leader(&self) -> Option<usize> {
        self.deposed.as_ref().map(|deposed| deposed.leader)
    }

    /// Keeps a deposed leader whose process is stopped from noticing before a tick after `now`.
    pub fn hold_deposed(&mut self, now: Instant) {
        let earliest = self.elapsed(now) + millis_u64(self.options.tick);
        if let Some(deposed) = &mut self.deposed {
            deposed.notices = deposed.notices.max(earliest);
        }
    }

    pub(crate) fn deposed_timeout(&mut self, elapsed: u64) {
        let Some(deposed) = &mut self.deposed else {
            return;
        };
        deposed.expire(elapsed);
        if deposed.notices <= elapsed {
            self.notice_deposition();
        }
    }

    pub(crate) fn next_deposed_timeout(&self) -> u64 {
        let deposed = self.deposed.as_ref();
        deposed.map_or(u64::MAX, DeposedSide::next_timeout)
    }

    pub(crate) fn contact(&self, member: usize) -> Contact {
        let member = self.members.get(member);
        member.map_or(Contact::None, |member| member.contact)
    }

    /// The session table of a member's leader.
    pub(crate) fn sessions_of(&mut self, member: usize) -> &mut SessionTable {
        let deposed = self.contact(member) == Contact::Deposed;
        match &mut self.deposed {
            Some(side) if deposed => &mut side.sessions,
            _ => &mut self.sessions,
        }
    }

    /// Whether the handshake of a new session waits for a commit that never happens.
    pub(crate) fn new_session_hangs(&mut self, member: usize) -> bool {
        match (self.contact(member), &mut self.deposed) {
            (Contact::Deposed, Some(deposed)) => {
                deposed.proposed = true;
                true
            }
            _ => false,
        }
    }

    /// Whether a request waits for a leader or a quorum that does not answer, itself or because an
    /// earlier request of its session waits.
    pub(crate) fn hangs(&mut self, request: &Request<'_>) -> bool {
        // These two do not pass through the request processors.
        if matches!(request.op, OpCode::Auth | OpCode::Sasl) {
            return false;
        }
        let hangs = match (self.contact(request.member), &mut self.deposed) {
            (Contact::Lost, _) => request.op.needs_leader(),
            (Contact::Deposed, Some(deposed)) if request.op == OpCode::Sync => {
                // The leader answers its own clients' `sync` from its own state, and that of its
                // followers' clients unless a proposal is outstanding.
                deposed.leader != request.member && deposed.proposed
            }
            (Contact::Deposed, Some(deposed)) => {
                let proposes = request.op.needs_leader();
                deposed.proposed |= proposes;
                proposes
            }
            _ => return false,
        };
        let Some(member) = self.members.get_mut(request.member) else {
            return false;
        };
        if hangs {
            member.stuck.insert(request.session);
        }
        member.stuck.contains(&request.session)
    }
}

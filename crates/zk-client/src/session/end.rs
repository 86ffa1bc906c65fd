//! How things end: deadlines, the session, the client.

use std::collections::HashSet;
use std::task::Waker;
use std::time::{Duration, Instant};

use zk_proto::OpCode;

use crate::error::Outcome;
use crate::session::failure::{Failure, Replay};
use crate::session::identity::SessionPolicy;
use crate::session::state::State;
use crate::session::token::SessionToken;
use crate::session::{Closing, Core, Token};

/// From so many requests on, their deadlines are looked at together, this far apart at least.
const MANY: usize = 1024;
const COARSE: Duration = Duration::from_millis(10);

impl Core {
    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let expiry =
            (self.session.exists() && !self.is_connected() && !zk_proto::seeded_bug!("B28"))
                .then(|| self.session.expires_at());
        let close = match self.closing {
            Closing::Draining { until, .. } => Some(until),
            Closing::Requested { deadline } => Some(deadline),
            Closing::No | Closing::Done { .. } => None,
        };
        [self.next_deadline, expiry, close]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due by now, if anything is.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        if self.next_deadline.is_some_and(|deadline| deadline <= now) {
            self.fail_overdue(now);
        }
        if self.session.exists() && !self.is_connected() && self.session.expires_at() <= now {
            self.expire();
        }
        match self.closing {
            Closing::Draining { until, deadline } if until <= now => {
                self.close_session(now, deadline);
            }
            Closing::Requested { deadline } if deadline <= now => {
                self.finish(State::Closed, &Failure::Closed(Outcome::Unknown), false);
            }
            _ => {}
        }
    }

    /// Fails what is overdue. A request in flight keeps its place in the order of replies; one that
    /// is parked will not be sent.
    fn fail_overdue(&mut self, now: Instant) {
        let (overdue, next) = self.slots.overdue(now);
        // To look at so many for each of them would take all the time there is.
        let many = self.slots.len() > MANY;
        self.next_deadline = next.map(|next| if many { next.max(now + COARSE) } else { next });
        if overdue.is_empty() {
            return;
        }
        // Parked requests and unsent credentials have not left; everything else is in flight.
        let in_flight = self.is_connected();
        let parked: HashSet<_> = self.parked.iter().copied().collect();
        for key in overdue {
            let outcome = if in_flight && !parked.contains(&key) {
                Outcome::Unknown
            } else {
                Outcome::NotSent
            };
            let failure = Failure::DeadlineExceeded(outcome);
            self.slots.fail(key, failure, &mut self.wakes);
        }
        self.forget_unwanted();
    }

    /// The machine has been suspended for `total` in all. What waits for a lease to end looks again.
    pub(crate) fn handle_suspension(&mut self, now: Instant, total: Duration) {
        if self.session.handle_suspension(now, total) {
            self.readers.wake(&mut self.wakes);
        }
    }

    /// The session is over: its watches end, and no write made in it will be executed in the next.
    pub(super) fn expire(&mut self) {
        let epoch = self.session.epoch();
        // A handshake under way would bring back the session that is being given up.
        if !zk_proto::seeded_bug!("B49") {
            self.link = None;
        }
        self.session.handle_expired();
        self.after_expiry(epoch, false);
    }

    /// What follows when the session of `epoch` has ended, be it that a server has said so or that
    /// it counts as over here.
    pub(super) fn after_expiry(&mut self, epoch: u64, proven: bool) {
        self.traffic.expiries += 1;
        self.end_is_proven = proven && (self.closing == Closing::No || self.end_is_proven);
        self.registry.end(&mut self.wakes);
        if self.announced == epoch {
            self.set_state(State::Expired { epoch });
        }
        let drains =
            matches!(self.closing, Closing::Draining { .. }) && self.cleanups.outlive_session();
        if self.closing != Closing::No && !(drains && self.policy == SessionPolicy::Renew) {
            // What was to be achieved by closing has happened by itself.
            self.finish(
                State::Closed,
                &Failure::SessionExpired(Outcome::NotSent),
                proven,
            );
        } else if self.policy == SessionPolicy::Close {
            self.finish(
                State::Expired { epoch },
                &Failure::SessionExpired(Outcome::NotSent),
                proven,
            );
        } else {
            let parked = std::mem::take(&mut self.parked);
            for key in parked {
                if (self.slots.get(key)).is_some_and(|slot| {
                    slot.replay() == Replay::Always || zk_proto::seeded_bug!("D8")
                }) {
                    self.parked.push_back(key);
                } else {
                    self.fail(key, Failure::SessionExpired(Outcome::NotSent));
                }
            }
            self.forget_unwanted();
        }
    }

    /// The client is over: every request is answered, every watch ended. There is one end only, the
    /// first.
    pub(super) fn finish(&mut self, state: State, failure: &Failure, acknowledged: bool) {
        if self.is_over() {
            return;
        }
        self.registry.end(&mut self.wakes);
        let mut unsent = std::mem::take(&mut self.parked);
        let (slots, mut made) = (&self.slots, Vec::new());
        unsent.retain(|key| {
            let is_made = slots.get(*key).is_some_and(|slot| slot.stage() != slot.op);
            made.extend(is_made.then_some(*key));
            !is_made
        });
        for key in made.iter().chain(&unsent) {
            self.fail(*key, failure.clone());
        }
        let waiting: Vec<_> = self
            .credentials
            .iter_mut()
            .flat_map(|credential| std::mem::take(&mut credential.waiting))
            .collect();
        for key in waiting {
            self.fail(key, failure.clone());
        }
        if let Some(link) = self.link.take() {
            for lost in link.into_lost(u64::MAX, &[]) {
                if let Token::Call(key) = lost.token {
                    self.fail(key, failure.clone().of_unknown_outcome());
                }
            }
        }
        let unused = self.session.epoch() == 0;
        self.cleanups
            .give_up(|it| unused || it.is_void(acknowledged, &unsent));
        self.closing = Closing::Done { acknowledged };
        self.wakes.append(&mut self.close_wakers);
        self.set_state(state);
        self.wake_driver();
    }

    /// Asks for the end: what was submitted is still sent, clean-ups are done, then the session is
    /// closed on the server. Does nothing the second time.
    pub(crate) fn close(&mut self, now: Instant) {
        if self.closing != Closing::No {
            return;
        }
        let timeout = self.limits.close_timeout;
        let deadline = now + timeout;
        // Another session may have ended long before without proof.
        self.end_is_proven |= self.session.exists();
        // Without a session up to now nothing of this client's is on the ensemble.
        let unused = self.session.epoch() == 0;
        if self.cleanups.is_empty() || unused || zk_proto::seeded_bug!("H5") {
            self.close_session(now, deadline);
            return;
        }
        self.closing = Closing::Draining {
            until: now + timeout * 3 / 4,
            deadline,
        };
        // Those who wait for an event learn that there will be none, and clean up.
        self.registry.end(&mut self.wakes);
        // They have waited for watches that are not armed any more.
        if self.takes_requests() {
            self.release(now);
        }
        self.readers.wake(&mut self.wakes);
        self.wake_driver();
    }

    /// Closes the session on the server, by the deadline.
    pub(super) fn close_session(&mut self, now: Instant, deadline: Instant) {
        if !self.session.exists() && !self.is_connected() {
            let failure = Failure::Closed(Outcome::NotSent);
            self.finish(State::Closed, &failure, self.end_is_proven);
            return;
        }
        self.closing = Closing::Requested {
            deadline: deadline.min(now + self.session.timeout()),
        };
        if self.takes_requests() {
            self.send_close(now);
        }
        // What the session holds can be given away from now on.
        self.readers.wake(&mut self.wakes);
        self.wake_driver();
    }

    /// Ends the client without ending the session, if there is one. What has not been answered fails
    /// as it would if the connection were lost.
    pub(crate) fn detach(&mut self) -> Option<SessionToken> {
        if self.closing != Closing::No {
            return None;
        }
        let token = self.session.token()?;
        self.finish(State::Closed, &Failure::Closed(Outcome::NotSent), true);
        Some(token)
    }

    pub(super) fn send_close(&mut self, now: Instant) {
        if let Some(link) = &mut self.link {
            // A closeSession has no record, so no limit can be too small for it.
            let _ = link.submit(now, OpCode::CloseSession, Token::Close, usize::MAX, |_| {});
        }
    }

    /// Whether the end has been reached, and if so, whether the server has acknowledged it.
    pub(crate) fn poll_closed(&mut self, waker: &Waker) -> Option<bool> {
        if let Closing::Done { acknowledged } = self.closing {
            return Some(acknowledged);
        }
        if !self.close_wakers.iter().any(|known| known.will_wake(waker)) {
            self.close_wakers.push(waker.clone());
        }
        None
    }
}

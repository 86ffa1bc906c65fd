//! Deadlines of requests and the end of the session.

use std::time::{Duration, Instant};

use crate::error::Outcome;
use crate::session::Core;
use crate::session::failure::{Failure, Replay};
use crate::session::identity::SessionPolicy;
use crate::session::requests::Slot;
use crate::session::shutdown::Due;
use crate::session::state::State;

impl Core {
    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.is_over() {
            return None;
        }
        let expiry =
            (self.session.exists() && !self.is_connected()).then(|| self.session.expires_at());
        [
            self.requests.next_deadline(),
            expiry,
            self.shutdown.poll_timeout(),
            // While the client is being closed, the end of an outage is not acted on.
            self.outage.poll_timeout().filter(|_| !self.is_closing()),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due by now, if anything is.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.is_over() {
            return;
        }
        let connected = self.is_connected();
        if (self.requests).fail_overdue(now, connected, &mut self.wakeups.wakers) {
            self.forget_abandoned();
        }
        if self.session.exists() && !self.is_connected() && self.session.expires_at() <= now {
            self.expire();
        }
        self.check_outage(now);
        match self.shutdown.due(now) {
            Some(Due::CloseSession(deadline)) => self.close_session(now, deadline),
            Some(Due::GiveUp) => {
                self.finish(State::Closed, &Failure::Closed(Outcome::Unknown), false);
            }
            None => {}
        }
    }

    /// The machine has been suspended for `total` in all. Callers that wait for a lease to end check it
    /// again.
    pub(crate) fn handle_suspension(&mut self, now: Instant, total: Duration) {
        if self.session.handle_suspension(now, total) {
            self.wake_readers();
        }
    }

    /// The session is over: its watches end, and no write made in it will be executed in the next.
    fn expire(&mut self) {
        let epoch = self.session.epoch();
        // A handshake under way would resume the session that now counts as over.
        self.connection.link = None;
        self.session.handle_expired();
        self.after_expiry(epoch, false);
    }

    /// The session of `epoch` has ended. `proven` if a server has answered that it is over; otherwise
    /// the client counts it as over.
    pub(in crate::session) fn after_expiry(&mut self, epoch: u64, proven: bool) {
        self.counters.traffic_mut().expiries += 1;
        self.shutdown.handle_expired(proven);
        self.registry.end(&mut self.wakeups.wakers);
        if self.state.is_announced(epoch) {
            self.set_state(State::Expired { epoch });
        }
        let renews = self.state.policy() == SessionPolicy::Renew;
        let drains = self.shutdown.drains_into_next_session() && renews;
        let failure = Failure::SessionExpired(Outcome::NotSent);
        if self.is_closing() && !drains {
            // The end of the session is what closing was to achieve.
            self.finish(State::Closed, &failure, proven);
        } else if !renews {
            self.finish(State::Expired { epoch }, &failure, proven);
        } else {
            let keeps = |slot: &Slot| slot.replay() == Replay::Always;
            for key in self.requests.remove_parked(keeps) {
                self.fail(key, failure.clone());
            }
            self.forget_abandoned();
        }
    }
}

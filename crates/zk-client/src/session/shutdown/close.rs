//! The end of the client.

use std::task::Waker;
use std::time::Instant;

use bytes::Bytes;
use zk_proto::{ErrorCode, OpCode};
use zk_transport::Disconnect;

use crate::error::Outcome;
use crate::session::Core;
use crate::session::connection::ReplyTarget;
use crate::session::failure::Failure;
use crate::session::requests::SlotKey;
use crate::session::shutdown::cleanups::Target;
use crate::session::state::State;
use crate::session::token::SessionToken;

impl Core {
    /// Begins to close the client: what was submitted is still sent, clean-ups are done, then the
    /// session is closed on the server. Does nothing the second time.
    pub(crate) fn close(&mut self, now: Instant) {
        if self.is_closing() {
            return;
        }
        let deadline = self.shutdown.deadline(now);
        (self.shutdown).forget_earlier_sessions(self.session.exists());
        // Without a session up to now nothing of this client's is on the ensemble.
        let unused = self.session.epoch() == 0;
        if self.shutdown.cleanups.is_empty() || unused {
            self.close_session(now, deadline);
            return;
        }
        self.shutdown.begin_draining(now);
        // Subscribers get the end of their watches, and clean up.
        self.registry.end(&mut self.wakeups.wakers);
        // Parked requests have waited for watches that are not armed any more.
        if self.takes_requests() {
            self.release(now);
        }
        self.wake_readers();
        self.wakeups.wake_driver();
    }

    /// When a close that begins now is over at the latest.
    pub(crate) fn close_deadline(&self, now: Instant) -> Instant {
        self.shutdown.deadline(now)
    }

    /// Begins to end the client without ending the session: clean-ups are done first. Does nothing if
    /// the client is being closed.
    pub(crate) fn leave(&mut self, now: Instant) {
        if !self.is_closing() {
            self.shutdown.set_leaves_session();
            self.close(now);
        }
    }

    /// Whether the client is over and a server has acknowledged the end of its session.
    pub(crate) fn has_ended_session(&self) -> bool {
        self.shutdown.has_ended_session()
    }

    /// Closes the session on the server, by the deadline, unless the session is to stay.
    pub(in crate::session) fn close_session(&mut self, now: Instant, deadline: Instant) {
        if self.shutdown.leaves_session() {
            self.finish(State::Closed, &Failure::Closed(Outcome::NotSent), true);
            return;
        }
        if !self.session.exists() && !self.is_connected() {
            let failure = Failure::Closed(Outcome::NotSent);
            self.finish(State::Closed, &failure, self.shutdown.end_is_proven());
            return;
        }
        let timeout = self.session.timeout();
        self.shutdown.request(deadline.min(now + timeout));
        if self.takes_requests() {
            self.send_close(now);
        }
        // From now on another client can own what the session holds.
        self.wake_readers();
        self.wakeups.wake_driver();
    }

    pub(in crate::session) fn send_close(&mut self, now: Instant) {
        if let Some(link) = &mut self.connection.link {
            let (op, target) = (OpCode::CloseSession, ReplyTarget::Close);
            // A closeSession has no record, so no limit can be too small for it.
            let _ = link.submit(now, op, target, usize::MAX, |_| {});
        }
    }

    /// The server has answered the end of the session.
    pub(in crate::session) fn handle_close_reply(
        &mut self,
        now: Instant,
        result: &Result<Bytes, ErrorCode>,
    ) -> Result<(), Disconnect> {
        match result {
            // A read-only server cannot end the session.
            Err(_) if self.connection.is_read_only => Err(Disconnect::WithoutQuorum),
            // Until the deadline of the closing.
            Err(ErrorCode::ThrottledOp) => {
                self.handle_throttled_close(now);
                Ok(())
            }
            _ => {
                // A session that has expired is over, too; any other refusal leaves it as it is.
                let ended = matches!(result, Ok(_) | Err(ErrorCode::SessionExpired));
                let ended = ended && self.shutdown.end_is_proven();
                self.finish(State::Closed, &Failure::Closed(Outcome::Unknown), ended);
                Err(Disconnect::Local)
            }
        }
    }

    /// The current session, unless it is being closed.
    pub(crate) fn session_token(&self) -> Option<SessionToken> {
        self.session.token().filter(|_| !self.is_closing())
    }

    /// Ends the client without ending the session, if there is one. What has not been answered fails
    /// as it would if the connection were lost.
    pub(crate) fn detach(&mut self) -> Option<SessionToken> {
        let token = self.session_token()?;
        self.shutdown.set_leaves_session();
        self.finish(State::Closed, &Failure::Closed(Outcome::NotSent), true);
        Some(token)
    }

    /// The client is over: every request is answered, every watch ended. Only the first end counts.
    pub(in crate::session) fn finish(
        &mut self,
        state: State,
        failure: &Failure,
        acknowledged: bool,
    ) {
        if self.is_over() {
            return;
        }
        self.registry.end(&mut self.wakeups.wakers);
        let mut unsent = self.requests.take_parked();
        let (slots, mut made) = (&self.requests, Vec::new());
        unsent.retain(|key| {
            let is_made = slots.get(*key).is_some_and(|slot| slot.stage() != slot.op);
            made.extend(is_made.then_some(*key));
            !is_made
        });
        for key in made.iter().chain(&unsent) {
            self.fail(*key, failure.clone());
        }
        for key in self.auth.take_all_waiting() {
            self.fail(key, failure.clone());
        }
        if let Some(link) = self.connection.link.take() {
            for lost in link.into_lost(u64::MAX, &[]) {
                if let ReplyTarget::Call(key) = lost.token {
                    self.fail(key, failure.clone().of_unknown_outcome());
                }
            }
        }
        let unused = self.session.epoch() == 0;
        (self.shutdown.cleanups).give_up(unused, acknowledged, &unsent);
        (self.shutdown).finish(acknowledged, &mut self.wakeups.wakers);
        self.set_state(state);
        self.wakeups.wake_driver();
    }

    /// Whether the client is over, and if so, whether the server has acknowledged it.
    pub(crate) fn poll_closed(&mut self, waker: &Waker) -> Option<bool> {
        self.shutdown.poll(waker)
    }

    /// The paths of the clean-ups that failed since the client began to close; empty if none did.
    pub(crate) fn failed_cleanups(&self) -> String {
        self.shutdown.cleanups.failures()
    }

    /// A clean-up of `path` begins; its requests are accepted until the session is being closed.
    /// `None` if it comes too late for that.
    pub(crate) fn begin_cleanup(&mut self, path: &str, target: Target) -> Option<u64> {
        let accepts = self.shutdown.accepts_cleanups();
        accepts.then(|| self.shutdown.cleanups.begin(path, target))
    }

    /// Whether a clean-up is under way of a znode with this name.
    pub(crate) fn is_cleaning_up(&self, name: &str) -> bool {
        self.shutdown.cleanups.include(name)
    }

    /// Only the request `creation` can have created what the clean-up deletes; `None` if others can.
    pub(crate) fn set_creation(&mut self, id: u64, creation: Option<SlotKey>) {
        self.shutdown.cleanups.set_creation(id, creation);
    }

    /// A clean-up has ended; whether it is `done`, or has failed.
    pub(crate) fn end_cleanup(&mut self, now: Instant, id: u64, done: bool) {
        let failed = !done && self.is_closing();
        if !self.shutdown.cleanups.end(id, failed) {
            return;
        }
        if let Some(deadline) = self.shutdown.draining()
            && self.shutdown.cleanups.is_empty()
        {
            self.close_session(now, deadline);
        }
    }
}

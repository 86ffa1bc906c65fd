//! Logging in, between the handshake and everything else.
//!
//! The mechanism is the user's and does not run in here: the driver takes the next
//! [`challenge`](Core::next_challenge), has the mechanism answer it with the lock released, and
//! passes the answer to [`handle_login_step`](Core::handle_login_step).

use std::time::Instant;

use bytes::Bytes;
use zk_proto::ErrorCode;
use zk_transport::{Disconnect, Link, SaslError, Step};

use crate::error::Outcome;
use crate::session::Core;
use crate::session::auth::{Login, LoginAnswer};
use crate::session::connection::ReplyTarget;
use crate::session::failure::Failure;
use crate::session::state::State;

impl Core {
    /// Every connection is to begin with a login by this mechanism.
    pub(crate) fn require_login(&mut self, mechanism: &str) {
        self.auth.login = Some(Login::new(mechanism));
    }

    /// What the mechanism has to answer now; the first time there is no challenge.
    pub(crate) fn next_challenge(&mut self) -> Option<Option<Bytes>> {
        if !self.connection.is_logging_in() {
            return None;
        }
        self.auth.login.as_mut()?.next_challenge()
    }

    /// The mechanism's answer to the challenge.
    pub(crate) fn handle_login_step(
        &mut self,
        now: Instant,
        step: Result<Step, SaslError>,
    ) -> Result<(), Disconnect> {
        let (Some(link), Some(login)) = (&mut self.connection.link, &mut self.auth.login) else {
            return Err(Disconnect::Local);
        };
        match step {
            Ok(Step::Respond(token)) => link.submit_sasl(now, &token),
            Ok(Step::Final(token)) => {
                login.sent_last();
                link.submit_sasl(now, &token);
            }
            Ok(Step::Done) => self.finish_login(now),
            Err(cause) => return Err(self.handle_login_failed(cause)),
        }
        Ok(())
    }

    /// The server's answer to the mechanism's last token.
    pub(in crate::session) fn handle_sasl(
        &mut self,
        now: Instant,
        answer: Result<Option<Bytes>, ErrorCode>,
    ) -> Result<(), Disconnect> {
        let Some(login) = &mut self.auth.login else {
            return Err(Disconnect::Local);
        };
        match login.handle_answer(answer) {
            LoginAnswer::Done => self.finish_login(now),
            LoginAnswer::Challenge => {}
            LoginAnswer::TimedOut(code) => return Err(Disconnect::AuthTimedOut(code)),
            LoginAnswer::Failed(cause) => return Err(self.handle_login_failed(cause)),
        }
        Ok(())
    }

    /// Why the server has closed the connection before it served anything.
    pub(crate) fn closed_unserved(&self) -> Disconnect {
        match &self.auth.login {
            Some(login) if self.connection.is_logging_in() => Disconnect::LoginFailed {
                mechanism: login.mechanism().to_owned(),
                cause: SaslError::Closed,
            },
            _ => match self.connection.link.as_ref().and_then(Link::next_auth) {
                Some(ReplyTarget::Credential(index)) => {
                    let scheme = self.auth.scheme(*index).unwrap_or_default();
                    Disconnect::ClosedInAuth(scheme.to_owned())
                }
                _ => Disconnect::ClosedInHandshake,
            },
        }
    }

    /// The login cannot succeed with this server; nor with any other, unless the cause is temporary.
    pub(crate) fn handle_login_failed(&mut self, cause: SaslError) -> Disconnect {
        let temporary = cause.is_temporary();
        let mechanism = self.auth.login.as_ref().map(Login::mechanism);
        let mechanism = mechanism.unwrap_or_default().to_owned();
        let reason = Disconnect::LoginFailed { mechanism, cause };
        if !temporary {
            self.refuse(reason.clone());
        }
        reason
    }

    /// A server refuses the client's identity, or requires one: the client is over. Without it, requests
    /// would be executed with the rights of an anonymous client; and with more attempts, a user whose
    /// password has changed could be locked out.
    pub(in crate::session) fn refuse(&mut self, reason: Disconnect) {
        // Before the state changes: readers of the state look at the failures.
        (self.health).note_current_failure(&self.relocation.hosts, reason.clone());
        let failure = Failure::AuthFailed(reason.clone(), Outcome::NotSent);
        self.auth.set_refused(reason);
        self.finish(State::AuthFailed, &failure, false);
    }

    fn finish_login(&mut self, now: Instant) {
        if let Some(link) = &mut self.connection.link {
            link.finish_login();
        }
        self.begin_requests(now);
        self.announce();
        self.check_config(now);
        self.wakeups.wake_driver();
    }
}

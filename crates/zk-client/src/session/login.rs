//! Logging in, between the handshake and everything else.
//!
//! The mechanism is the user's and does not run in here: the driver asks for the next
//! [`challenge`](Core::next_challenge), has the mechanism answer it with the lock released, and
//! brings back the [`step`](Core::handle_login_step).

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use zk_proto::ErrorCode;
use zk_transport::{Disconnect, Link, SaslError, Step};

use crate::error::Outcome;
use crate::session::failure::Failure;
use crate::session::state::State;
use crate::session::{Core, Token};

/// A login that every connection has to begin with.
#[derive(Debug)]
pub(crate) struct Login {
    mechanism: Arc<str>,
    turn: Turn,
    /// Whether the server has said anything to this connection's login.
    answered: bool,
}

/// Whose turn it is.
#[derive(Debug)]
enum Turn {
    /// The mechanism's; with the server's challenge, if there is one.
    Mechanism(Option<Bytes>),
    /// The server's, or nobody's. After the last token it only has to accept.
    Server { last: bool },
}

impl Core {
    /// Every connection is to begin with a login by this mechanism.
    pub(crate) fn require_login(&mut self, mechanism: &str) {
        self.login = Some(Login {
            mechanism: mechanism.into(),
            turn: Turn::Server { last: false },
            answered: false,
        });
    }

    /// A server has answered the handshake, and is told first who we are.
    pub(super) fn begin_login(&mut self) {
        if let Some(login) = &mut self.login {
            login.turn = Turn::Mechanism(None);
            login.answered = false;
        }
    }

    /// What the mechanism has to answer now; the first time there is no challenge.
    pub(crate) fn next_challenge(&mut self) -> Option<Option<Bytes>> {
        if !self.link.as_ref()?.is_logging_in() {
            return None;
        }
        let login = self.login.as_mut()?;
        match std::mem::replace(&mut login.turn, Turn::Server { last: false }) {
            Turn::Mechanism(challenge) => Some(challenge),
            other => {
                login.turn = other;
                None
            }
        }
    }

    /// What the mechanism makes of the challenge.
    pub(crate) fn handle_login_step(
        &mut self,
        now: Instant,
        step: Result<Step, SaslError>,
    ) -> Result<(), Disconnect> {
        let (Some(link), Some(login)) = (&mut self.link, &mut self.login) else {
            return Err(Disconnect::Local);
        };
        match step {
            Ok(Step::Respond(token)) => link.submit_sasl(now, &token),
            Ok(Step::Final(token)) => {
                login.turn = Turn::Server { last: true };
                link.submit_sasl(now, &token);
            }
            Ok(Step::Done) => self.finish_login(now),
            Err(cause) => return Err(self.handle_login_failed(cause)),
        }
        Ok(())
    }

    /// The server's answer to the mechanism's last token.
    pub(super) fn handle_sasl(
        &mut self,
        now: Instant,
        answer: Result<Option<Bytes>, ErrorCode>,
    ) -> Result<(), Disconnect> {
        if zk_proto::seeded_bug!("B79") && answer.is_err() {
            self.finish_login(now);
            return Ok(());
        }
        let Some(login) = &mut self.login else {
            return Err(Disconnect::Local);
        };
        let last = matches!(login.turn, Turn::Server { last: true });
        let cause = match answer {
            Ok(_) if last => {
                self.finish_login(now);
                return Ok(());
            }
            Ok(Some(challenge)) => {
                login.answered = true;
                login.turn = Turn::Mechanism(Some(challenge));
                return Ok(());
            }
            Ok(None) if login.answered => SaslError::Unproven,
            Ok(None) => SaslError::NotOffered,
            // The next connection begins with another login.
            Err(code) if code.is_timeout() => return Err(Disconnect::AuthTimedOut(code)),
            Err(code) => SaslError::Refused(code),
        };
        Err(self.handle_login_failed(cause))
    }

    /// What it means that the server has closed the connection before anything was served.
    pub(crate) fn closed_unserved(&self) -> Disconnect {
        match &self.login {
            Some(login) if self.link.as_ref().is_some_and(Link::is_logging_in) => {
                Disconnect::LoginFailed {
                    mechanism: login.mechanism.to_string(),
                    cause: SaslError::Closed,
                }
            }
            _ => match self.link.as_ref().and_then(Link::next_auth) {
                Some(Token::Credential(index)) => {
                    let scheme = self
                        .credentials
                        .get(*index)
                        .map(|known| known.scheme.clone());
                    Disconnect::ClosedInAuth(scheme.unwrap_or_default())
                }
                _ => Disconnect::ClosedInHandshake,
            },
        }
    }

    /// The login cannot succeed, here or, if it is not temporary, anywhere.
    pub(crate) fn handle_login_failed(&mut self, cause: SaslError) -> Disconnect {
        let temporary = cause.is_temporary();
        let mechanism = match &self.login {
            Some(login) => login.mechanism.to_string(),
            None => String::new(),
        };
        let reason = Disconnect::LoginFailed { mechanism, cause };
        if !temporary {
            self.refuse(reason.clone());
        }
        reason
    }

    /// A server refuses who we say we are, or that we do not say: the client is over. Going on
    /// without would have requests executed by nobody in particular; going on trying would lock out
    /// a user whose password has changed.
    pub(super) fn refuse(&mut self, reason: Disconnect) {
        // Before anyone is told, for it is what they are told.
        if let Some(server) = self.server.clone() {
            self.note_failure(&server, reason.clone());
        }
        let failure = Failure::AuthFailed(reason.clone(), Outcome::NotSent);
        self.refused_for = Some(reason);
        self.finish(State::AuthFailed, &failure, false);
    }

    fn finish_login(&mut self, now: Instant) {
        if let Some(link) = &mut self.link {
            link.finish_login();
        }
        self.prime(now);
        self.announce();
        self.check_follow(now);
        self.wake_driver();
    }
}

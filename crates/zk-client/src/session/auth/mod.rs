//! How the client authenticates: credentials, sent on every connection before anything else, and the
//! login that comes before those.

mod credentials;
mod login;

use std::sync::Arc;

use bytes::Bytes;
use zk_proto::ErrorCode;
use zk_transport::{Disconnect, Link, SaslError};

use crate::session::connection::ReplyTarget;
use crate::session::failure::Failure;
use crate::session::requests::{Limits, SlotKey};

/// Credentials of other schemes than SASL.
struct Credential {
    scheme: String,
    secret: Vec<u8>,
    /// Calls that wait for the server to accept or refuse them.
    waiting: Vec<SlotKey>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("scheme", &self.scheme)
            .field("secret", &"[redacted]")
            .finish_non_exhaustive()
    }
}

/// The credentials and the login of a client.
#[derive(Debug, Default)]
pub(super) struct Auth {
    credentials: Vec<Credential>,
    pub(super) login: Option<Login>,
    /// Why the servers do not accept this client.
    refused_for: Option<Disconnect>,
}

impl Auth {
    /// Why the servers do not accept this client, if they do not.
    pub(super) fn refused_for(&self) -> Option<Disconnect> {
        self.refused_for.clone()
    }

    /// The servers do not accept this client.
    pub(super) fn set_refused(&mut self, reason: Disconnect) {
        self.refused_for = Some(reason);
    }

    fn position(&self, scheme: &str, secret: &[u8]) -> Option<usize> {
        self.credentials
            .iter()
            .position(|known| known.scheme == scheme && known.secret == secret)
    }

    /// Whether there is room for these credentials. There is for known ones.
    pub(super) fn check_room(
        &self,
        scheme: &str,
        secret: &[u8],
        limits: &Limits,
    ) -> Result<(), Failure> {
        if self.position(scheme, secret).is_some() {
            return Ok(());
        }
        if self.credentials.len() >= limits.outstanding {
            return Err(Failure::QueueFull);
        }
        let sizes = self.credentials.iter().map(|known| known.secret.len());
        let (bytes, limit) = (sizes.sum::<usize>(), limits.outstanding_bytes);
        if bytes + secret.len() > limit {
            return Err(Failure::QueueBytes { bytes, limit });
        }
        Ok(())
    }

    /// Adds credentials, to be sent on every connection from the next one on, unless they are known.
    /// Returns their index.
    pub(super) fn add(&mut self, scheme: String, secret: Vec<u8>) -> usize {
        if let Some(index) = self.position(&scheme, &secret) {
            return index;
        }
        self.credentials.push(Credential {
            scheme,
            secret,
            waiting: Vec::new(),
        });
        self.credentials.len() - 1
    }

    /// A call waits for the answer to these credentials. Sends them if there is a connection, unless
    /// another call that waits has had them sent.
    pub(super) fn submit(
        &mut self,
        index: usize,
        key: SlotKey,
        link: Option<&mut Link<ReplyTarget>>,
    ) {
        let Some(credential) = self.credentials.get_mut(index) else {
            return;
        };
        if let Some(link) = link.filter(|_| credential.waiting.is_empty()) {
            let target = ReplyTarget::Credential(index);
            link.submit_auth(&credential.scheme, &credential.secret, target);
        }
        credential.waiting.push(key);
    }

    /// Sends all credentials over a new connection.
    pub(super) fn send_all(&self, link: &mut Link<ReplyTarget>) {
        for (credential, index) in self.credentials.iter().zip(0..) {
            let target = ReplyTarget::Credential(index);
            link.submit_auth(&credential.scheme, &credential.secret, target);
        }
    }

    pub(super) fn scheme(&self, index: usize) -> Option<&str> {
        self.credentials
            .get(index)
            .map(|credential| &*credential.scheme)
    }

    /// The server has accepted these credentials. Returns the calls that wait for that.
    pub(super) fn take_waiting(&mut self, index: usize) -> Vec<SlotKey> {
        let credential = self.credentials.get_mut(index);
        credential.map_or_else(Vec::new, |credential| {
            std::mem::take(&mut credential.waiting)
        })
    }

    /// The calls that wait for an answer to any credentials.
    pub(super) fn take_all_waiting(&mut self) -> Vec<SlotKey> {
        let all = self.credentials.iter_mut();
        all.flat_map(|credential| std::mem::take(&mut credential.waiting))
            .collect()
    }

    /// Removes and returns the calls for which `is_awaited` is false.
    pub(super) fn take_abandoned(&mut self, is_awaited: impl Fn(SlotKey) -> bool) -> Vec<SlotKey> {
        let mut abandoned = Vec::new();
        for credential in &mut self.credentials {
            let gone = credential.waiting.extract_if(.., |key| !is_awaited(*key));
            abandoned.extend(gone);
        }
        abandoned
    }
}

/// A login that every connection has to begin with.
#[derive(Debug)]
pub(super) struct Login {
    mechanism: Arc<str>,
    turn: Turn,
    /// Whether the server has answered anything on this connection.
    answered: bool,
}

/// Which side sends the next token.
#[derive(Debug)]
enum Turn {
    /// The mechanism, in answer to the server's challenge if there is one.
    Mechanism(Option<Bytes>),
    /// The server, or neither side. After the `last` token the server only has to accept.
    Server { last: bool },
}

/// What follows from the server's answer to a token.
pub(super) enum LoginAnswer {
    /// The login has succeeded.
    Done,
    /// The mechanism is to answer a challenge.
    Challenge,
    /// The login has failed.
    Failed(SaslError),
    /// The server timed out; the next connection begins with another login.
    TimedOut(ErrorCode),
}

impl Login {
    pub(super) fn new(mechanism: &str) -> Self {
        Login {
            mechanism: mechanism.into(),
            turn: Turn::Server { last: false },
            answered: false,
        }
    }

    pub(super) fn mechanism(&self) -> &str {
        &self.mechanism
    }

    /// A server has answered the handshake: the mechanism begins.
    pub(super) fn begin(&mut self) {
        self.turn = Turn::Mechanism(None);
        self.answered = false;
    }

    /// What the mechanism has to answer now; the first time there is no challenge.
    pub(super) fn next_challenge(&mut self) -> Option<Option<Bytes>> {
        match std::mem::replace(&mut self.turn, Turn::Server { last: false }) {
            Turn::Mechanism(challenge) => Some(challenge),
            other => {
                self.turn = other;
                None
            }
        }
    }

    /// The mechanism has sent its last token.
    pub(super) fn sent_last(&mut self) {
        self.turn = Turn::Server { last: true };
    }

    /// The server has answered a token.
    pub(super) fn handle_answer(
        &mut self,
        answer: Result<Option<Bytes>, ErrorCode>,
    ) -> LoginAnswer {
        let last = matches!(self.turn, Turn::Server { last: true });
        match answer {
            Ok(_) if last => LoginAnswer::Done,
            Ok(Some(challenge)) => {
                self.answered = true;
                self.turn = Turn::Mechanism(Some(challenge));
                LoginAnswer::Challenge
            }
            Ok(None) if self.answered => LoginAnswer::Failed(SaslError::Unproven),
            Ok(None) => LoginAnswer::Failed(SaslError::NotOffered),
            Err(code) if code.is_timeout() => LoginAnswer::TimedOut(code),
            Err(code) => LoginAnswer::Failed(SaslError::Refused(code)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::session::watches::MailboxLimits;

    const LIMITS: Limits = Limits {
        outstanding: 2,
        request_bytes: 1024,
        outstanding_bytes: 10,
        mailbox: MailboxLimits {
            events: 1,
            bytes: 1,
        },
        close_timeout: Duration::ZERO,
    };

    #[test]
    fn a_secret_is_not_printed() {
        let mut auth = Auth::default();
        let index = auth.add("digest".to_owned(), b"ann:secret".to_vec());
        assert_eq!(auth.scheme(index), Some("digest"));
        assert_eq!(auth.scheme(index + 1), None);
        let printed = format!("{auth:?}");
        assert!(
            printed.contains("digest") && printed.contains("redacted"),
            "{printed}"
        );
        assert!(!printed.contains("ann"), "{printed}");
    }

    /// So many, with so many bytes; known ones take no more room.
    #[test]
    fn credentials_have_limits() {
        let mut auth = Auth::default();
        let room = |auth: &Auth, secret: &[u8]| auth.check_room("digest", secret, &LIMITS);
        assert!(room(&auth, &[1; 10]).is_ok());
        assert!(matches!(
            room(&auth, &[1; 11]),
            Err(Failure::QueueBytes {
                bytes: 0,
                limit: 10
            })
        ));
        auth.add("digest".to_owned(), vec![1; 4]);
        assert!(room(&auth, &[2; 6]).is_ok());
        assert!(matches!(
            room(&auth, &[2; 7]),
            Err(Failure::QueueBytes { bytes: 4, .. })
        ));
        auth.add("digest".to_owned(), vec![2; 1]);
        assert!(matches!(room(&auth, &[3; 1]), Err(Failure::QueueFull)));
        assert!(room(&auth, &[1; 4]).is_ok());
    }
}

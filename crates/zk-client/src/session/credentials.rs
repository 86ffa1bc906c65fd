//! Credentials of other schemes than SASL: sent on every connection, before anything else.

use std::time::Instant;

use zk_proto::OpCode;

use crate::session::failure::{Failure, Replay};
use crate::session::requests::SlotKey;
use crate::session::{Core, OpSet, Token};

/// Credentials, sent again on every connection, in order.
pub(super) struct Credential {
    pub(super) scheme: String,
    pub(super) secret: Vec<u8>,
    /// Who waits for the server's verdict.
    pub(super) waiting: Vec<SlotKey>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential")
            .field("scheme", &self.scheme)
            .field("secret", &"[redacted]")
            .finish_non_exhaustive()
    }
}

impl Core {
    /// Adds credentials to this and every later connection. The slot tells the server's verdict.
    pub(crate) fn add_credential(
        &mut self,
        scheme: String,
        secret: Vec<u8>,
        deadline: Option<Instant>,
    ) -> Result<SlotKey, Failure> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        self.make_room()?;
        let known = self.position(&scheme, &secret);
        if known.is_none() && self.credentials.len() >= self.limits.outstanding {
            return Err(Failure::QueueFull);
        }
        let sizes = self.credentials.iter().map(|known| known.secret.len());
        let (bytes, limit) = (sizes.sum::<usize>(), self.limits.outstanding_bytes);
        if known.is_none() && bytes + secret.len() > limit {
            return Err(Failure::QueueBytes { bytes, limit });
        }
        let key = self.slots.insert(
            OpCode::Auth,
            OpSet::NONE,
            "",
            Replay::Always,
            None,
            deadline,
        );
        self.note_deadline(deadline);
        let index = known.unwrap_or_else(|| self.preset_credential(scheme, secret));
        let link = self.link.as_mut().filter(|link| link.is_open());
        if let Some(credential) = self.credentials.get_mut(index) {
            // Somebody who waits on this connection has had them sent.
            if let Some(link) = link.filter(|_| credential.waiting.is_empty()) {
                let token = Token::Credential(index);
                link.submit_auth(&credential.scheme, &credential.secret, token);
            }
            credential.waiting.push(key);
        }
        self.wake_driver();
        Ok(key)
    }

    /// Credentials to be sent from the first connection on, and their place.
    pub(crate) fn preset_credential(&mut self, scheme: String, secret: Vec<u8>) -> usize {
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

    fn position(&self, scheme: &str, secret: &[u8]) -> Option<usize> {
        self.credentials
            .iter()
            .position(|known| known.scheme == scheme && known.secret == secret)
    }
}

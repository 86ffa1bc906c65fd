//! Credentials of other schemes than SASL.

use std::time::Instant;

use bytes::Bytes;
use zk_proto::ErrorCode;
use zk_transport::Disconnect;

use crate::session::Core;
use crate::session::connection::ReplyTarget;
use crate::session::failure::Failure;
use crate::session::requests::SlotKey;

impl Core {
    /// Adds credentials to this and every later connection. The slot gets the server's answer.
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
        (self.auth).check_room(&scheme, &secret, &self.requests.limits)?;
        let key = self.requests.insert_credentials(deadline);
        let index = self.auth.add(scheme, secret);
        (self.auth).submit(index, key, self.connection.open_link());
        self.wakeups.wake_driver();
        Ok(key)
    }

    /// Credentials to be sent from the first connection on.
    pub(crate) fn preset_credential(&mut self, scheme: String, secret: Vec<u8>) {
        self.auth.add(scheme, secret);
    }

    /// The server has accepted or refused credentials.
    pub(in crate::session) fn handle_verdict(
        &mut self,
        target: &ReplyTarget,
        refused: Option<ErrorCode>,
    ) -> Result<(), Disconnect> {
        let ReplyTarget::Credential(index) = target else {
            return Ok(());
        };
        let Some(scheme) = self.auth.scheme(*index) else {
            return Ok(());
        };
        if let Some(code) = refused.filter(|code| code.is_timeout()) {
            return Err(Disconnect::AuthTimedOut(code));
        }
        if refused.is_some() {
            let reason = Disconnect::AuthRefused(scheme.to_owned());
            self.refuse(reason.clone());
            return Err(reason);
        }
        for key in self.auth.take_waiting(*index) {
            let wakes = &mut self.wakeups.wakers;
            (self.requests).answer(key, Ok(Bytes::new()), None, None, wakes);
        }
        self.announce();
        Ok(())
    }
}

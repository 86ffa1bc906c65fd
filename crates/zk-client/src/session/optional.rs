//! Operations that not every server has: what is learnt of them, and which requests that ends.

use std::time::Instant;

use bytes::Bytes;
use zk_proto::{ErrorCode, OpCode};
use zk_transport::{Addresses, Disconnect, Lost, Unsent};

use crate::session::abilities::{OpSet, ServerId};
use crate::session::identity::Established;
use crate::session::{Core, Token};

/// Operations that a server also answers as unknown while they are switched off, and may have
/// switched on later: nothing is concluded from that answer.
const CONFIGURED: [OpCode; 2] = [OpCode::CreateTtl, OpCode::Reconfig];

/// Whether the server has closed the connection, for all that is known here.
fn is_close(reason: &Disconnect) -> bool {
    match reason {
        Disconnect::ClosedByServer | Disconnect::Reset(_) | Disconnect::Io(_) => true,
        #[cfg(feature = "tls")]
        Disconnect::Tls(_) => true,
        _ => false,
    }
}

/// What a connection's server has answered that it does not know. A server that answers so at once looks
/// at the operation of a request, and not into a transaction, which another server may execute.
#[derive(Debug, Default)]
pub(super) struct Refused {
    alone: OpSet,
    /// The only operation of a transaction that not every server has.
    in_multi: OpSet,
}

impl Refused {
    fn note(&mut self, op: OpCode, ops: OpSet) {
        if op != OpCode::Multi {
            self.alone = self.alone.with(ops);
        } else if ops.is_single() {
            self.in_multi = self.in_multi.with(ops);
        }
    }

    fn is_empty(&self) -> bool {
        self.alone.with(self.in_multi).is_empty()
    }

    /// What a request for this operation will not be executed for.
    pub(super) fn of(&self, op: OpCode) -> OpSet {
        match op {
            OpCode::Multi => self.in_multi,
            _ => self.alone,
        }
    }
}

impl Core {
    /// Whether the current server is known, or assumed, to lack the operation.
    pub(crate) fn lacks(&self, op: OpCode) -> bool {
        self.abilities.lacking().contains(op)
    }

    /// What was learnt of servers since this was last called, for the log.
    pub(crate) fn take_learnt(&mut self) -> Option<Box<str>> {
        self.learnt.take()
    }

    /// A server has answered the handshake. Until `lease` no leader can have ended the session for its
    /// timeout.
    ///
    /// Pongs alone do not prove this: a server that has lost its leader answers pings, but not what it
    /// must forward, and closes the connection after a while. Where nothing is proven, the operation
    /// stays suspect, and a second close is needed.
    pub(super) fn note_established(
        &mut self,
        now: Instant,
        lease: Instant,
        established: Established,
    ) {
        match established {
            Established::Expired { .. } if now < lease => {
                let lacks = self.abilities.handle_session_over();
                self.report(lacks, "ended the session when it was to be answered");
            }
            Established::WithoutSession => self.abilities.acquit(),
            _ => {}
        }
    }

    /// Requests can be made of the server that has answered the handshake.
    pub(super) fn begin_abilities(&mut self) {
        let addresses = self
            .server
            .as_ref()
            .and_then(|host| self.hosts.addresses_of(host));
        let address = addresses.and_then(Addresses::current);
        let server = ServerId::of(self.server.as_ref(), address);
        self.abilities.handle_connected(server);
        self.refused = Refused::default();
        self.heed_abilities();
    }

    pub(super) fn heed_abilities(&mut self) {
        self.registry.set_keeps(self.lacks(OpCode::RemoveWatches));
    }

    /// The server has answered a request for these operations.
    #[cold]
    pub(super) fn note_answer(
        &mut self,
        op: OpCode,
        ops: OpSet,
        result: &mut Result<Bytes, ErrorCode>,
    ) {
        // A server of version 3.4 answers so a transaction that has an operation it does not know.
        if op == OpCode::Multi
            && *result == Err(ErrorCode::MarshallingError)
            && !ops.without(self.abilities.having()).is_empty()
        {
            *result = Err(ErrorCode::Unimplemented);
        }
        let is_unknown = *result == Err(ErrorCode::Unimplemented);
        if !is_unknown && self.abilities.is_settled(ops) {
            return;
        }
        if is_unknown {
            self.refused.note(op, ops);
            let ops = ops.without(OpSet::of_all(&CONFIGURED));
            let lacks = match op {
                OpCode::Multi => self.abilities.handle_refused_multi(ops),
                _ => self.abilities.handle_refused(ops),
            };
            self.report(lacks, "answered that it does not know it");
        } else {
            self.abilities.handle_answered(ops);
        }
        self.heed_abilities();
    }

    /// The connection has ended with these requests unanswered. The operations that it may have ended
    /// for.
    ///
    /// A server that does not know an operation closes the connection as soon as it reads the request:
    /// a round trip after the submission. One that has lost its leader lets the request wait, and closes
    /// the connection seconds later. So a request that was submitted more than a sixth of the timeout
    /// ago is no evidence. That is seven tenths of a second for a timeout of four seconds; over a network
    /// that takes longer the session would hardly live, and nothing is learnt there.
    ///
    /// Operations that may only be switched off count as well, for a server that has switched them off
    /// answers so, and closes nothing.
    pub(super) fn note_closed(
        &mut self,
        now: Instant,
        reason: &Disconnect,
        lost: &[Lost<Token>],
    ) -> OpSet {
        // After an answer that says so, the close is no news.
        if !is_close(reason) || !self.refused.is_empty() {
            self.abilities.acquit();
            return OpSet::NONE;
        }
        let timeout = self.session.timeout();
        let is_recent = |lost: &Lost<Token>| {
            // The client itself sends this, over every connection, and no server forwards it.
            lost.op == OpCode::SetWatches2
                || now.saturating_duration_since(lost.submitted) <= timeout / 6
        };
        let needs = |lost: &Lost<Token>| match (&lost.unsent, &lost.token) {
            _ if !is_recent(lost) => OpSet::NONE,
            (Unsent::Nothing, Token::Call(key)) => {
                let slot = self.slots.get(*key);
                slot.map_or(OpSet::NONE, |slot| slot.asks)
            }
            (Unsent::Nothing, _) => OpSet::of(lost.op),
            _ => OpSet::NONE,
        };
        let next = lost.first().map_or(OpSet::NONE, needs);
        let having = self.abilities.having();
        let mut sent = lost.iter().map(|lost| needs(lost).without(having));
        let sent = sent.find(|ops| !ops.is_empty()).unwrap_or_default();
        // The client sends it by itself, beside all else that a lost session may be due to.
        let sent = match sent.contains(OpCode::RemoveWatches) && sent != next {
            true => OpSet::NONE,
            false => sent,
        };
        let lacks = self.abilities.handle_closed(now, timeout, next, sent);
        self.report(lacks, "closed two connections when it was to be answered");
        match lacks.is_empty() {
            true => self.abilities.suspected(),
            false => lacks,
        }
    }

    /// Says what was learnt of a server.
    pub(super) fn report(&mut self, lacks: OpSet, why: &str) {
        if lacks.is_empty() {
            return;
        }
        let names: Vec<_> = lacks.iter().map(OpCode::name).collect();
        let learnt = format!("the server does not have {}: it {why}", names.join(", "));
        self.learnt = Some(match self.learnt.take() {
            Some(before) => format!("{before}; {learnt}").into(),
            None => learnt.into(),
        });
    }
}

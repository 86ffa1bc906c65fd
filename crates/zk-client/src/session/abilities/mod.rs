//! What the current server can do: operations that not every server has.
//!
//! [`server_history`] keeps what each server was seen to have or to lack, [`request_form`] has the
//! requests that an older server is sent instead, [`keeper_flags`] reads the features of a ClickHouse
//! Keeper.

mod keeper_features;
pub(crate) mod keeper_flags;
pub(crate) mod op_set;
pub(crate) mod request_form;
mod resend;
pub(crate) mod server_history;

use std::time::{Duration, Instant};

use bytes::Bytes;
use zk_proto::records::GetDataResponse;
use zk_proto::{ErrorCode, OpCode, decode_frame};
use zk_transport::Disconnect;

use self::keeper_flags::features;
use self::op_set::OpSet;
use self::request_form::{Form, replaceable};
use self::server_history::{ServerHistory, ServerId};
use crate::session::identity::Established;

/// Operations that a server answers as unknown also while they are switched off, and may have
/// switched on later: nothing is concluded from that answer.
const CONFIGURED: [OpCode; 2] = [OpCode::CreateTtl, OpCode::Reconfig];

/// Whether the server has closed the connection, as far as the client can see.
fn is_close(reason: &Disconnect) -> bool {
    match reason {
        Disconnect::ClosedByServer | Disconnect::Reset(_) | Disconnect::Io(_) => true,
        #[cfg(feature = "tls-no-provider")]
        Disconnect::Tls(_) => true,
        _ => false,
    }
}

/// Operations that the current connection's server has answered that it does not know. Such a server
/// looks at the operation of a request at once, but not into a transaction, which another server may
/// execute.
#[derive(Debug, Default)]
struct Refused {
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

    /// The operations for which a request of type `op` will not be executed.
    fn of(&self, op: OpCode) -> OpSet {
        match op {
            OpCode::Multi => self.in_multi,
            _ => self.alone,
        }
    }
}

/// A request that was in flight when the connection ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unanswered {
    pub(crate) op: OpCode,
    pub(crate) submitted: Instant,
    /// The operations in it that not every server has; none if it was not wholly sent.
    pub(crate) ops: OpSet,
}

/// What is known of the operations of the current server, and of those the client met before.
#[derive(Debug, Default)]
pub(crate) struct ServerAbilities {
    history: ServerHistory,
    refused: Refused,
    /// The server is a ClickHouse Keeper.
    is_keeper: bool,
    /// The read of a Keeper's feature flags has not been answered; requests wait for that.
    awaits_features: bool,
    /// What was learnt since the log last took it.
    news: Option<Box<str>>,
}

impl ServerAbilities {
    /// What the current server lacks, as far as is known or assumed.
    #[inline]
    pub(crate) fn lacking(&self) -> OpSet {
        self.history.lacking()
    }

    /// Whether the current server is known, or assumed, to lack the operation.
    pub(crate) fn lacks(&self, op: OpCode) -> bool {
        self.lacking().contains(op)
    }

    /// What the current server has shown that it has.
    #[inline]
    pub(crate) fn having(&self) -> OpSet {
        self.history.having()
    }

    /// Whether a request that needs these operations may have to be sent again in another form.
    #[inline]
    pub(crate) fn may_need_another_form(&self, needs: OpSet) -> bool {
        !needs.without(self.having()).is_empty()
    }

    /// The form in which the current server can be sent a request that needs these operations; `None`
    /// if the server lacks one that nothing can replace.
    #[inline]
    pub(crate) fn form(&self, op: OpCode, needs: OpSet) -> Option<Form> {
        let lacks = self.lacking().and(needs);
        match lacks.is_empty() {
            true => Some(Form {
                op,
                ops: needs,
                is_adapted: false,
            }),
            false => Form::adapted(op, needs, lacks, self.having()),
        }
    }

    /// Whether a request that the server has answered as unknown can be sent in another form.
    pub(crate) fn has_other_form(&self, op: OpCode, needs: OpSet, sent: OpSet) -> bool {
        let lacks = sent.and(self.lacking());
        !lacks.and(replaceable()).is_empty() && self.form(op, needs).is_some()
    }

    /// Whether a request in flight contains an operation that this connection's server has answered
    /// that it does not know: the server will not execute the request.
    pub(crate) fn is_refused(&self, op: OpCode, sent: OpSet) -> bool {
        !sent.and(self.refused.of(op)).is_empty()
    }

    /// What was learnt of servers since this was last called, for the log.
    pub(crate) fn take_news(&mut self) -> Option<Box<str>> {
        self.news.take()
    }

    /// A server has answered the handshake. Until `lease` no leader can have ended the session for its
    /// timeout.
    ///
    /// Pongs alone do not prove this: a server that has lost its leader answers pings, but not what it
    /// must forward, and closes the connection after a while. Where nothing is proven, the operation
    /// stays suspect, and a second close is needed.
    pub(crate) fn handle_established(
        &mut self,
        now: Instant,
        lease: Instant,
        established: Established,
    ) {
        match established {
            Established::Expired { .. } if now < lease => {
                let lacks = self.history.handle_session_over();
                self.report(lacks, "ended the session when it was to be answered");
            }
            Established::WithoutSession => self.history.acquit(),
            _ => {}
        }
    }

    /// The server that has answered the handshake takes requests.
    pub(crate) fn handle_connected(&mut self, server: ServerId, is_keeper: bool) {
        self.history.handle_connected(server);
        self.refused = Refused::default();
        self.is_keeper = is_keeper;
        self.awaits_features = is_keeper;
    }

    /// Whether the server is a ClickHouse Keeper.
    pub(crate) fn is_keeper(&self) -> bool {
        self.is_keeper
    }

    /// Whether requests wait for the feature flags of a Keeper.
    #[inline]
    pub(crate) fn awaits_features(&self) -> bool {
        self.awaits_features
    }

    /// A Keeper has answered the read of its feature flags. One from before there were any has no such
    /// znode.
    pub(crate) fn handle_features(&mut self, result: &Result<Bytes, ErrorCode>) {
        self.awaits_features = false;
        let all = OpSet::ALL;
        let known = match result {
            Ok(body) => decode_frame::<GetDataResponse>(body, 0).ok().map(|node| {
                let has = features(&node.data.unwrap_or_default());
                let unsaid = OpSet::of(OpCode::Reconfig);
                (has, all.without(has).without(unsaid))
            }),
            Err(ErrorCode::NoNode) => Some((OpSet::NONE, all)),
            Err(_) => None,
        };
        if let Some((has, lacks)) = known {
            let new = self.history.learn(has, lacks);
            self.report(new, "is a ClickHouse Keeper whose feature flags say so");
        }
    }

    /// The server has answered a request of type `op` that contains `ops`. False if nothing can have
    /// changed.
    #[cold]
    pub(crate) fn handle_answer(
        &mut self,
        op: OpCode,
        ops: OpSet,
        result: &mut Result<Bytes, ErrorCode>,
    ) -> bool {
        // A server of version 3.4 answers so a transaction that has an operation it does not know.
        if op == OpCode::Multi
            && *result == Err(ErrorCode::MarshallingError)
            && self.may_need_another_form(ops)
        {
            *result = Err(ErrorCode::Unimplemented);
        }
        let is_unknown = *result == Err(ErrorCode::Unimplemented);
        if !is_unknown && self.history.is_settled(ops) {
            return false;
        }
        if is_unknown {
            self.refused.note(op, ops);
            let ops = ops.without(OpSet::of_all(&CONFIGURED));
            let lacks = match op {
                OpCode::Multi => self.history.handle_refused_multi(ops),
                _ => self.history.handle_refused(ops),
            };
            self.report(lacks, "answered that it does not know it");
        } else {
            self.history.handle_answered(ops);
        }
        true
    }

    /// The connection has ended with these requests unanswered, the oldest first. Returns the
    /// operations that it may have ended for.
    ///
    /// A server that does not know an operation closes the connection as soon as it reads the request:
    /// a round trip after the submission. One that has lost its leader lets the request wait, and closes
    /// the connection seconds later. So a request that was submitted more than a sixth of the timeout
    /// ago is no evidence. That is seven tenths of a second for a timeout of four seconds; over a network
    /// that takes longer the session would hardly live, and nothing is learnt there.
    ///
    /// Operations that may only be switched off count as well, because a server that has switched them
    /// off answers so, and closes nothing.
    pub(crate) fn handle_closed(
        &mut self,
        now: Instant,
        timeout: Duration,
        reason: &Disconnect,
        unanswered: impl Iterator<Item = Unanswered>,
    ) -> OpSet {
        // After the answer that the operation is unknown, the close adds nothing.
        if !is_close(reason) || !self.refused.is_empty() {
            self.history.acquit();
            return OpSet::NONE;
        }
        let evidence = |it: Unanswered| {
            // The client itself sends this, over every connection, and no server forwards it.
            let is_recent = it.op == OpCode::SetWatches2
                || now.saturating_duration_since(it.submitted) <= timeout / 6;
            if is_recent { it.ops } else { OpSet::NONE }
        };
        let mut unanswered = unanswered.map(evidence).peekable();
        let next = unanswered.peek().copied().unwrap_or_default();
        let having = self.having();
        let mut sent = unanswered.map(|ops| ops.without(having));
        let sent = sent.find(|ops| !ops.is_empty()).unwrap_or_default();
        // The client sends this by itself, among all else that may have ended the session.
        let sent = match sent.contains(OpCode::RemoveWatches) && sent != next {
            true => OpSet::NONE,
            false => sent,
        };
        let lacks = self.history.handle_closed(now, timeout, next, sent);
        self.report(lacks, "closed two connections when it was to be answered");
        match lacks.is_empty() {
            true => self.history.suspected(),
            false => lacks,
        }
    }

    /// Notes for the log what a server was found to lack.
    fn report(&mut self, lacks: OpSet, why: &str) {
        if lacks.is_empty() {
            return;
        }
        let names: Vec<_> = lacks.iter().map(OpCode::name).collect();
        let news = format!("the server does not have {}: it {why}", names.join(", "));
        self.news = Some(match self.news.take() {
            Some(before) => format!("{before}; {news}").into(),
            None => news.into(),
        });
    }
}

//! Requests: dispatch by operation, and replies.
//!
//! A file per family: `handshake`, `login`, `read`, `write`, `multi`, `watches`. `prepare` checks writes,
//! `null_tolerant_acl` reads what kazoo sends.

mod handshake;
mod login;
mod multi;
mod null_tolerant_acl;
pub(crate) mod prepare;
mod read;
mod watches;
mod write;

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use zk_proto::Request as Body;
use zk_proto::jute::{Decoder, Encode, decode_frame};
use zk_proto::records::WhoAmIResponse;
use zk_proto::{ErrorCode, OpCode, ReplyHeader, RequestHeader, Xid, Zxid, xid};

use crate::core::connection::ConnectionId;
use crate::core::ensemble::member::Contact;
use crate::core::pose::behaviour::{UnknownOp, Unreadable};
use crate::core::state::State;
use crate::core::tree::acl;

/// One request: its connection, its session and its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) now: Instant,
    pub(crate) connection: ConnectionId,
    pub(crate) member: usize,
    pub(crate) session: i64,
    pub(crate) xid: Xid,
    pub(crate) op: OpCode,
    pub(crate) frame: &'a Bytes,
}

impl<'a> Request<'a> {
    /// The body, read by the operation.
    pub(crate) fn body(&self) -> Result<Body<'a>, ErrorCode> {
        let mut input = Decoder::at(self.frame, RequestHeader::LEN);
        null_tolerant_acl::decode(self.op, &mut input).map_err(|_| ErrorCode::MarshallingError)
    }

    /// The body of an operation that only one handler reads.
    pub(crate) fn record<T: zk_proto::Decode<'a>>(&self) -> Result<T, ErrorCode> {
        decode_frame(self.frame, RequestHeader::LEN).map_err(|_| ErrorCode::MarshallingError)
    }
}

/// Whether an overloaded server refuses the operation.
fn is_throttled(op: OpCode) -> bool {
    use OpCode::{Auth, CloseSession, Ping, Sasl};
    !matches!(op, Ping | Auth | Sasl | CloseSession)
}

impl State {
    pub(crate) fn request(&mut self, now: Instant, id: ConnectionId, session: i64, frame: &Bytes) {
        let Ok(header) = decode_frame::<RequestHeader>(frame, 0) else {
            return self.connections.close(id);
        };
        let elapsed = self.elapsed(now);
        let Some(member) = self.connections.all.get(&id).map(|c| c.member) else {
            return;
        };
        let contact = self.contact(member);
        if contact != Contact::Lost && !self.sessions_of(member).touch(elapsed, session) {
            if contact != Contact::Deposed {
                return self.connections.close(id);
            }
            if self.deposed_leader() == Some(member) {
                // The end of the session is proposed; the leader drops requests until it is committed.
                return;
            }
        }
        let behaviour = self.options.behaviour();
        let Some(op) = header.op_code().filter(|&op| behaviour.ops.has(op)) else {
            if behaviour.unknown_op == UnknownOp::AnswerAndClose {
                let unknown = Err(ErrorCode::Unimplemented);
                self.reply_at(id, header.xid, Zxid(-1), unknown);
            }
            return self.connections.close(id);
        };
        let request = Request {
            now,
            connection: id,
            member,
            session,
            xid: header.xid,
            op,
            frame,
        };
        self.note(&request);
        if !matches!(op, OpCode::Auth | OpCode::Sasl) && self.lacks_auth(&request) {
            return;
        }
        if self.throttled > 0 && is_throttled(op) {
            self.throttled -= 1;
            return self.reply(&request, Err(ErrorCode::ThrottledOp));
        }
        if self.hangs(&request) {
            return;
        }
        match op {
            OpCode::Auth => self.auth(&request),
            OpCode::Sasl => self.sasl(&request),
            OpCode::Ping => {
                let zxid = self.last_zxid(member);
                self.reply_at(id, xid::PING, zxid, Ok(&EmptyBody));
            }
            OpCode::WhoAmI => {
                let auth = self
                    .connections
                    .all
                    .get(&id)
                    .map(|c| acl::client_infos(&c.auth));
                let clients = auth.unwrap_or_default();
                self.reply(&request, Ok(&WhoAmIResponse { clients }));
            }
            OpCode::Sync if contact == Contact::Deposed => self.sync(&request),
            _ if op.needs_leader() => self.write(&request),
            OpCode::SetWatches
            | OpCode::SetWatches2
            | OpCode::AddWatch
            | OpCode::CheckWatches
            | OpCode::RemoveWatches => self.watches(&request),
            _ => self.read(&request),
        }
    }

    fn note(&mut self, request: &Request<'_>) {
        let zxid = self.last_zxid(request.member).0;
        if let Some(connection) = self.connections.all.get_mut(&request.connection) {
            connection.stats.last_op = short_name(request.op);
            connection.stats.last_xid = request.xid;
            connection.stats.last_zxid = zxid;
        }
    }

    pub(crate) fn last_zxid(&self, member: usize) -> Zxid {
        Zxid(self.members.get(member).map_or(0, |member| member.zxid))
    }

    /// Answers a request with a body or an error.
    pub(crate) fn reply(&mut self, request: &Request<'_>, result: Result<&dyn Encode, ErrorCode>) {
        if matches!(result, Err(ErrorCode::MarshallingError))
            && self.options.behaviour().unreadable == Unreadable::Closes
        {
            return self.connections.close(request.connection);
        }
        let zxid = self.last_zxid(request.member);
        self.reply_at(request.connection, request.xid, zxid, result);
    }

    /// Answers a request with a body, error or not.
    pub(crate) fn reply_with(
        &mut self,
        request: &Request<'_>,
        error: Option<ErrorCode>,
        body: &dyn Encode,
    ) {
        let zxid = self.last_zxid(request.member);
        self.reply_with_at(request.connection, request.xid, zxid, error, body);
    }

    pub(crate) fn reply_with_at(
        &mut self,
        id: ConnectionId,
        xid: Xid,
        zxid: Zxid,
        error: Option<ErrorCode>,
        body: &dyn Encode,
    ) {
        let err = error.map_or(0, ErrorCode::code);
        let header = ReplyHeader { xid, zxid, err };
        if let Some(connection) = self.connections.all.get_mut(&id) {
            connection.output.frame(|out| {
                header.encode(out);
                body.encode(out);
            });
            connection.stats.traffic.sent += 1;
        }
    }

    pub(crate) fn reply_at(
        &mut self,
        id: ConnectionId,
        xid: Xid,
        zxid: Zxid,
        result: Result<&dyn Encode, ErrorCode>,
    ) {
        let err = result.as_ref().err().map_or(0, |code| code.code());
        if let Some(connection) = self.connections.all.get_mut(&id) {
            connection.output.frame(|out| {
                ReplyHeader { xid, zxid, err }.encode(out);
                if let Ok(body) = result {
                    body.encode(out);
                }
            });
            connection.stats.traffic.sent += 1;
        }
    }
}

/// The body of a reply without fields.
pub(crate) struct EmptyBody;

impl Encode for EmptyBody {
    fn encode(&self, _: &mut BytesMut) {}
}

/// As `cons` prints it.
fn short_name(op: OpCode) -> &'static str {
    match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => "CREA",
        OpCode::Delete | OpCode::DeleteContainer => "DELE",
        OpCode::Exists => "EXIS",
        OpCode::GetData => "GETD",
        OpCode::SetData => "SETD",
        OpCode::GetAcl => "GETA",
        OpCode::SetAcl => "SETA",
        OpCode::GetChildren | OpCode::GetChildren2 => "GETC",
        OpCode::Sync => "SYNC",
        OpCode::Ping => "PING",
        OpCode::Multi => "MULT",
        OpCode::MultiRead => "MLTR",
        OpCode::Reconfig => "RECO",
        OpCode::CheckWatches => "CHKW",
        OpCode::RemoveWatches => "REMW",
        OpCode::SetWatches => "SETW",
        OpCode::SetWatches2 => "STW2",
        OpCode::AddWatch => "ADDW",
        OpCode::GetEphemerals => "GETE",
        OpCode::GetAllChildrenNumber => "GETACN",
        OpCode::WhoAmI => "HOMI",
        OpCode::CloseSession => "CLOS",
        _ => "NA",
    }
}

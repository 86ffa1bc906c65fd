//! The first frame of a connection.

use std::time::Instant;

use bytes::Bytes;
use zk_proto::jute::{DecodeError, Decoder, Encode};
use zk_proto::records::ConnectResponse;
use zk_proto::{OpCode, SessionId};

use crate::core::connection::ConnectionId;
use crate::core::ensemble::member::Contact;
use crate::core::pose::behaviour::Handshake;
use crate::core::session::{password, zero_password};
use crate::core::state::State;

/// A connect request as a server reads it: the password may be null.
struct ConnectArgs<'a> {
    last_zxid_seen: i64,
    timeout_ms: i32,
    session: i64,
    password: Option<&'a [u8]>,
    read_only: Option<bool>,
}

impl<'a> ConnectArgs<'a> {
    fn read(frame: &'a Bytes) -> Result<Self, DecodeError> {
        let mut input = Decoder::new(frame);
        input.record("ConnectRequest");
        input.i32("protocol_version")?;
        Ok(Self {
            last_zxid_seen: input.i64("last_zxid_seen")?,
            timeout_ms: input.i32("timeout_ms")?,
            session: input.i64("session_id")?,
            password: input.slice("password")?,
            read_only: match input.remaining() {
                0 => None,
                _ => Some(input.bool("read_only")?),
            },
        })
    }
}

impl State {
    pub(crate) fn handshake(&mut self, now: Instant, id: ConnectionId, frame: &Bytes) {
        let Ok(args) = ConnectArgs::read(frame) else {
            return self.connections.close(id);
        };
        let Some(index) = self.connections.all.get(&id).map(|c| c.member) else {
            return;
        };
        let Some(member) = self.members.get(index) else {
            return self.connections.close(id);
        };
        if self.options.behaviour().handshake == Handshake::Keeper {
            return self.keeper_handshake(now, id, index, args.timeout_ms);
        }
        let read_only = member.is_read_only();
        if (read_only && args.read_only != Some(true)) || args.last_zxid_seen > member.zxid {
            return self.connections.close(id);
        }
        // The member waits for its leader, or its leader for a quorum.
        if member.contact == Contact::Lost || (args.session == 0 && self.new_session_hangs(index)) {
            return;
        }
        let timeout_ms = self.options.negotiate(args.timeout_ms);
        let session = if args.session == 0 {
            Some(self.new_session(now, index, timeout_ms, read_only))
        } else {
            let known = self.sessions.get(args.session);
            if read_only && known.is_some_and(|session| session.local.is_none()) {
                return self.connections.close(id);
            }
            self.drop_older(args.session, index, id);
            self.resume(now, &args, index, timeout_ms)
        };
        if let Some(session) = session {
            self.adopt(id, index, session);
        }
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: if session.is_some() { timeout_ms } else { 0 },
            session_id: SessionId(session.unwrap_or(0)),
            password: session.map_or_else(zero_password, password),
            read_only,
        };
        let Some(connection) = self.connections.all.get_mut(&id) else {
            return;
        };
        connection.output.frame(|out| {
            if args.read_only.is_some() {
                response.encode(out);
            } else {
                response.encode_without_read_only(out);
            }
        });
        connection.stats.traffic.sent += 1;
        connection.stats.last_op = "SESS";
        if session.is_none() {
            self.connections.close(id);
        }
    }

    /// The handshake of ClickHouse Keeper, which ignores the requested session and the zxid seen.
    fn keeper_handshake(
        &mut self,
        now: Instant,
        id: ConnectionId,
        index: usize,
        requested_ms: i32,
    ) {
        /// The timeout granted to a client that requests 0.
        const DEFAULT_MS: i32 = 30_000;
        /// The protocol version in the response to a refused connection.
        const REJECT: i32 = 42;
        let contact = self.contact(index);
        if contact == Contact::Lost || self.new_session_hangs(index) {
            return;
        }
        let requested_ms = if requested_ms == 0 {
            DEFAULT_MS
        } else {
            requested_ms
        };
        let timeout_ms = self.options.negotiate(requested_ms);
        let session =
            (contact != Contact::None).then(|| self.new_session(now, index, timeout_ms, false));
        if let Some(session) = session {
            self.adopt(id, index, session);
        }
        let response = ConnectResponse {
            protocol_version: if session.is_some() { 0 } else { REJECT },
            timeout_ms,
            session_id: SessionId(session.unwrap_or(0)),
            password: zero_password(),
            read_only: false,
        };
        if let Some(connection) = self.connections.all.get_mut(&id) {
            let output = &mut connection.output;
            output.frame(|out| response.encode_without_read_only(out));
            connection.stats.traffic.sent += 1;
        }
        if session.is_none() {
            self.connections.close(id);
        }
    }

    fn new_session(&mut self, now: Instant, index: usize, timeout_ms: i32, local: bool) -> i64 {
        let elapsed = self.elapsed(now);
        let local = local.then_some(index);
        let session = self.sessions.create(elapsed, timeout_ms, local);
        if local.is_none() {
            let txn = self.txn(now, session, 0, OpCode::CreateSession, Ok(Vec::new()));
            self.commit(txn, Some(index));
        }
        session
    }

    /// Closes the session's other connections to this member, which a real server does before it checks
    /// the password. A connection to another member is closed at its next write.
    fn drop_older(&mut self, session: i64, index: usize, id: ConnectionId) {
        let all = self.connections.all.iter();
        let older = all.filter(|&(&other, connection)| {
            other != id && connection.session == Some(session) && connection.member == index
        });
        let older: Vec<_> = older.map(|(&id, _)| id).collect();
        for id in older {
            self.connections.close(id);
        }
    }

    fn resume(
        &mut self,
        now: Instant,
        args: &ConnectArgs<'_>,
        index: usize,
        timeout_ms: i32,
    ) -> Option<i64> {
        let elapsed = self.elapsed(now);
        let sessions = self.sessions_of(index);
        let session = sessions.get_mut(args.session)?;
        let reachable = session.local.is_none_or(|local| local == index);
        if !reachable || args.password != Some(password(args.session).as_bytes()) {
            return None;
        }
        // The session takes the timeout of the new connection, shorter or longer.
        session.timeout_ms = timeout_ms;
        sessions.revalidate(elapsed, args.session);
        Some(args.session)
    }

    fn adopt(&mut self, id: ConnectionId, member: usize, session: i64) {
        if let Some(known) = self.sessions_of(member).get_mut(session) {
            known.owner = Some(id);
        }
        if let Some(connection) = self.connections.all.get_mut(&id) {
            connection.session = Some(session);
        }
    }
}

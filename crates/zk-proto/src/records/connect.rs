//! The handshake, the only exchange without headers.

use bytes::{BufMut, BytesMut};

use crate::ids::{SessionId, SessionPassword, Zxid};
use crate::jute::record::Field;
use crate::jute::{Decode, DecodeError, Decoder, Encode, put_bool};

/// Requests a new session, or to resume one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Always 0.
    pub protocol_version: i32,
    /// The last transaction that the client has seen. A server with an older state closes the
    /// connection.
    pub last_zxid_seen: Zxid,
    /// The requested session timeout, in milliseconds.
    pub timeout_ms: i32,
    /// The session to resume; [`SessionId::NONE`] for a new one.
    pub session_id: SessionId,
    /// Its password.
    pub password: SessionPassword,
    /// Whether the client accepts a read-only server. `None` is a client of before 3.4, which leaves
    /// the byte out and must be answered without it as well.
    pub read_only: Option<bool>,
}

impl Encode for ConnectRequest {
    fn encode(&self, out: &mut BytesMut) {
        out.put_i32(self.protocol_version);
        self.last_zxid_seen.put(out);
        out.put_i32(self.timeout_ms);
        self.session_id.put(out);
        self.password.put(out);
        if let Some(read_only) = self.read_only {
            put_bool(out, read_only);
        }
    }
}

impl<'a> Decode<'a> for ConnectRequest {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let outer = input.record("ConnectRequest");
        let request = Self {
            protocol_version: input.i32("protocol_version")?,
            last_zxid_seen: Field::get(input, "last_zxid_seen")?,
            timeout_ms: input.i32("timeout_ms")?,
            session_id: Field::get(input, "session_id")?,
            password: Field::get(input, "password")?,
            read_only: optional_bool(input)?,
        };
        input.record(outer);
        Ok(request)
    }
}

/// Grants a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Always 0.
    pub protocol_version: i32,
    /// The session timeout granted, in milliseconds. Not positive if the requested session does not
    /// exist any more, or if the password is wrong.
    pub timeout_ms: i32,
    /// The session.
    pub session_id: SessionId,
    /// Its password.
    pub password: SessionPassword,
    /// Whether the server is read-only. Servers leave the byte out for clients that left it out; it
    /// is read as false then.
    pub read_only: bool,
}

impl ConnectResponse {
    /// Whether the response reports that the session has ended.
    pub fn is_expired(&self) -> bool {
        self.timeout_ms <= 0
    }

    /// Writes the response without its last byte, for clients that did not send theirs.
    pub fn encode_without_read_only(&self, out: &mut BytesMut) {
        out.put_i32(self.protocol_version);
        out.put_i32(self.timeout_ms);
        self.session_id.put(out);
        self.password.put(out);
    }
}

impl Encode for ConnectResponse {
    fn encode(&self, out: &mut BytesMut) {
        self.encode_without_read_only(out);
        put_bool(out, self.read_only);
    }
}

impl<'a> Decode<'a> for ConnectResponse {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let outer = input.record("ConnectResponse");
        let response = Self {
            protocol_version: input.i32("protocol_version")?,
            timeout_ms: input.i32("timeout_ms")?,
            session_id: Field::get(input, "session_id")?,
            password: Field::get(input, "password")?,
            read_only: optional_bool(input)?.unwrap_or(false),
        };
        input.record(outer);
        Ok(response)
    }
}

fn optional_bool(input: &mut Decoder<'_>) -> Result<Option<bool>, DecodeError> {
    if input.remaining() == 0 {
        Ok(None)
    } else {
        input.bool("read_only").map(Some)
    }
}

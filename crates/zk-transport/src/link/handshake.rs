//! The handshake, and the login that may follow it before the first request.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use zk_proto::records::{ConnectResponse, SaslRequest, SaslResponse};
use zk_proto::{Decode, Decoder, Encode, ErrorCode, OpCode, ReplyHeader, Xid, decode_frame};

use super::state::{Link, Phase};
use super::wire::{decode_header, framed};
use crate::error::Disconnect;

/// The longest connect response in bytes. It has some 40; the password in it is sent back with every
/// reconnect.
const MAX_HANDSHAKE: usize = 1024;

/// The shortest session in milliseconds that a server may grant unless the client requested a shorter
/// one.
const MIN_SESSION: i32 = 10;
/// The longest session in milliseconds that a server may grant unless the client requested a longer
/// one: for as long the client could not find out that its session is lost.
const MAX_SESSION: i32 = 24 * 3600 * 1000;

impl<T> Link<T> {
    /// Writes a token of the login into the output buffer. The next one may follow only after the
    /// server's answer. Servers do not count a token as a sign of life of the session.
    pub fn submit_sasl(&mut self, now: Instant, token: &[u8]) {
        let Phase::Login { asked, since, .. } = &mut self.phase else {
            debug_assert!(false, "a token outside the login");
            return;
        };
        debug_assert!(asked.is_none(), "a token before the answer to the last one");
        let xid = self.next_xid;
        *asked = Some(xid);
        *since = now;
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        framed(&mut self.out, xid, OpCode::Sasl, |out| {
            SaslRequest { token: Some(token) }.encode(out);
        });
    }

    /// The login has succeeded.
    pub fn finish_login(&mut self) {
        if let Phase::Login { timeout, .. } = self.phase {
            self.phase = Phase::open(timeout);
        }
    }

    pub(super) fn handle_connect_response(
        &mut self,
        frame: &Bytes,
        requested: i32,
        read_only: bool,
    ) -> Result<ConnectResponse, Disconnect> {
        if frame.len() > MAX_HANDSHAKE {
            let text = format!("its handshake is {} bytes long", frame.len());
            return Err(Disconnect::NotZooKeeper(text));
        }
        let response: ConnectResponse =
            decode_frame(frame, 0).map_err(|e| match refused_read_only(frame) {
                true => Disconnect::WithoutQuorum,
                false => Disconnect::NotZooKeeper(e.to_string()),
            })?;
        let mut whole = BytesMut::new();
        response.encode(&mut whole);
        self.short_handshake = frame.len() < whole.len();
        let granted = response.timeout_ms;
        if (1..MIN_SESSION.min(requested)).contains(&granted)
            || granted > MAX_SESSION.max(requested)
        {
            return Err(Disconnect::NotZooKeeper(format!(
                "it granted a session of {granted} ms where {requested} ms were requested"
            )));
        }
        // A server does not do this; it closes the connection.
        if response.read_only && !read_only && granted > 0 {
            let text = "it is read-only, which the client did not allow".to_owned();
            return Err(Disconnect::NotZooKeeper(text));
        }
        // A timeout of zero or less says that the session has expired; the caller ends the connection.
        let timeout = Duration::from_millis(u64::try_from(response.timeout_ms).unwrap_or(0));
        self.phase = if self.login {
            Phase::Login {
                asked: None,
                since: self.last_received,
                timeout,
            }
        } else {
            Phase::open(timeout)
        };
        self.acknowledged = self.opened_at;
        Ok(response)
    }
}

/// Whether the frame is a reply with the code `NotReadOnly`: a read-only server that may not grant a
/// session answers the connect request like an ordinary request.
fn refused_read_only(frame: &Bytes) -> bool {
    frame.len() == ReplyHeader::LEN
        && decode_header(&mut Decoder::new(frame))
            .is_ok_and(|header| header.err == ErrorCode::NotReadOnly.code())
}

/// Decodes the answer to the last token. During a login the server may send nothing else: another
/// frame means that server and client disagree about the state of the login (ZOOKEEPER-4342).
pub(super) fn handle_token(
    asked: &mut Option<Xid>,
    frame: &Bytes,
) -> Result<Result<Option<Bytes>, ErrorCode>, Disconnect> {
    let header = decode_header(&mut Decoder::new(frame))?;
    let expected = asked.take().ok_or(Disconnect::Unsolicited(header.xid))?;
    if header.xid != expected {
        return Err(Disconnect::XidMismatch {
            got: header.xid,
            expected,
        });
    }
    if let Some(code) = ErrorCode::from_i32(header.err) {
        return Ok(Err(code));
    }
    let mut body = Decoder::at(frame, ReplyHeader::LEN);
    let response = SaslResponse::decode(&mut body)?;
    body.finish()?;
    Ok(Ok(response.token))
}

//! What comes before requests: the handshake, and the login if there is to be one.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use zk_proto::records::{ConnectResponse, SaslRequest, SaslResponse};
use zk_proto::{Decode, Decoder, Encode, ErrorCode, OpCode, ReplyHeader, Xid, decode_frame};

use super::{Link, Phase, decode_header, framed};
use crate::Disconnect;

/// A handshake is some 40 bytes; the password it brings is sent back with every reconnect.
const LONGEST_HANDSHAKE: usize = 1024;

/// Shorter sessions than this are only granted to who asks for them.
const SHORTEST_SESSION: i32 = 10;
/// As are longer ones: a client could not tell for as long that its session is lost.
const LONGEST_SESSION: i32 = 24 * 3600 * 1000;

impl<T> Link<T> {
    /// Writes a token of the login into the output buffer. The server must answer it before another
    /// one is due. It does not count as a sign of life of the session.
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
        if frame.len() > LONGEST_HANDSHAKE {
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
        if (1..SHORTEST_SESSION.min(requested)).contains(&granted)
            || granted > LONGEST_SESSION.max(requested)
        {
            return Err(Disconnect::NotZooKeeper(format!(
                "it granted a session of {granted} ms where {requested} ms were asked for"
            )));
        }
        // A server does not do this; it closes the connection.
        if response.read_only && !read_only && granted > 0 {
            let text = "it is read-only, which was not asked for".to_owned();
            return Err(Disconnect::NotZooKeeper(text));
        }
        // A timeout of zero or less says that the session is gone; the connection ends with it.
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

/// Whether this is how a read-only server that may not give a session answers a connect request: as
/// if it were an ordinary one.
fn refused_read_only(frame: &Bytes) -> bool {
    frame.len() == ReplyHeader::LEN
        && decode_header(&mut Decoder::new(frame))
            .is_ok_and(|header| header.err == ErrorCode::NotReadOnly.code())
}

/// During a login the server has one thing to say: the answer to the last token. Anything else
/// means that it is not where we think it is (ZOOKEEPER-4342).
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

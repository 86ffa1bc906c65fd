//! Frames from the server.

use std::time::Instant;

use bytes::{Buf, Bytes};
use zk_proto::records::ConnectResponse;
use zk_proto::{Decode, Decoder, ErrorCode, OpCode, ReplyHeader, WatcherEvent, Xid, Zxid, xid};

use super::handshake::handle_token;
use super::state::{Link, Phase, RoundTrip};
use super::wire::decode_header;
use crate::error::Disconnect;

/// The meaning of a frame from the server.
#[derive(Debug)]
pub enum Received<T> {
    /// The answer to the connect request. A timeout of zero says that the session has expired.
    Connected(ConnectResponse),
    /// The reply to the oldest request in flight.
    Reply {
        /// The token it was submitted with.
        token: T,
        /// Its operation.
        op: OpCode,
        /// The zxid of the reply header; zero or less carries no information.
        zxid: Zxid,
        /// The record, or the server's refusal.
        result: Result<Bytes, ErrorCode>,
        /// When it was submitted.
        submitted: Instant,
    },
    /// The server's next token in a login, or its refusal. Null from a server without SASL.
    Sasl(Result<Option<Bytes>, ErrorCode>),
    /// The reply to the oldest credentials in flight; it may overtake other replies.
    Auth {
        /// The token they were submitted with.
        token: T,
        /// The server's refusal, if it was one.
        refused: Option<ErrorCode>,
    },
    /// A ping was answered, or the server sent the reply to a ping or to credentials without having
    /// received one (ZOOKEEPER-2253).
    Pong,
}

/// A watch fired.
#[derive(Debug)]
#[non_exhaustive]
pub struct Notification<'a> {
    /// The transaction that fired it, from servers that send it (3.9 and newer).
    pub zxid: Option<Zxid>,
    /// What happened, and where.
    pub event: WatcherEvent<'a>,
}

impl<T> Link<T> {
    /// The watch notification in a whole frame, if the frame is one. The link does not change.
    ///
    /// # Errors
    /// The server broke the protocol; the connection must be dropped.
    #[inline]
    pub fn notification<'a>(
        &self,
        frame: &'a [u8],
    ) -> Result<Option<Notification<'a>>, Disconnect> {
        if !self.is_open() || !frame.starts_with(&xid::NOTIFICATION.to_be_bytes()) {
            return Ok(None);
        }
        let mut input = Decoder::of_borrowed(frame);
        let header = decode_header(&mut input)?;
        let zxid = (header.zxid > Zxid::ZERO).then_some(header.zxid);
        let event = WatcherEvent::decode(&mut input)?;
        Ok(Some(Notification { zxid, event }))
    }

    /// Why the connection ends when a frame is longer than `limit`. `begun` is what has arrived of the
    /// frame behind its length; `None` until that holds the xid. Only the reply that is due is
    /// attributed to a request.
    pub fn too_large(&self, len: usize, limit: usize, begun: &[u8]) -> Option<Disconnect> {
        let xid = Xid::from_be_bytes(*begun.first_chunk()?);
        let due = self.in_flight.front().map(|request| request.xid);
        Some(match due == Some(xid) {
            true => Disconnect::ReplyTooLarge { len, limit },
            false => Disconnect::FrameTooLarge { len, limit },
        })
    }

    /// A whole frame arrived that is no [`notification`](Self::notification).
    ///
    /// # Errors
    /// The server broke the protocol; the connection must be dropped. A notification would be taken
    /// for a reply to no request.
    #[inline]
    pub fn handle_frame(&mut self, frame: Bytes) -> Result<Received<T>, Disconnect> {
        if let Phase::Handshake {
            requested,
            read_only,
            ..
        } = self.phase
        {
            return self
                .handle_connect_response(&frame, requested, read_only)
                .map(Received::Connected);
        }
        if let Phase::Login { asked, .. } = &mut self.phase {
            return handle_token(asked, &frame).map(Received::Sasl);
        }
        let header = decode_header(&mut Decoder::new(&frame))?;
        let mut body = frame;
        body.advance(ReplyHeader::LEN);
        let refused = ErrorCode::from_i32(header.err);
        match header.xid {
            xid::PING => {
                // The server cannot have answered a ping that has not been taken yet.
                if self
                    .pings
                    .front()
                    .is_some_and(|(_, end)| *end <= self.taken)
                    && let Some((sent_at, _)) = self.pings.pop_front()
                {
                    self.acknowledged = self.acknowledged.max(sent_at);
                    let last = self.last_received.saturating_duration_since(sent_at);
                    let smoothed = self.round_trip.map_or(last, |before| {
                        before.smoothed.saturating_mul(7) / 8 + last / 8
                    });
                    self.round_trip = Some(RoundTrip { last, smoothed });
                }
                Ok(Received::Pong)
            }
            xid::AUTH => {
                let Some(token) = self.auths.pop_front() else {
                    return match refused {
                        None => Ok(Received::Pong),
                        Some(_) => Err(Disconnect::Unsolicited(xid::AUTH)),
                    };
                };
                Ok(Received::Auth { token, refused })
            }
            got => {
                if refused == Some(ErrorCode::Unimplemented) {
                    self.bring_forward(got);
                }
                let Some(request) = self.in_flight.pop_front() else {
                    return Err(Disconnect::Unsolicited(got));
                };
                if got != request.xid {
                    let expected = request.xid;
                    self.in_flight.push_front(request);
                    return Err(Disconnect::XidMismatch { got, expected });
                }
                self.acknowledged = self.acknowledged.max(request.sent_at);
                self.last_xid = request.xid;
                self.answered = self.last_received;
                Ok(Received::Reply {
                    token: request.token,
                    op: request.op,
                    zxid: header.zxid,
                    result: refused.map_or(Ok(body), Err),
                    submitted: request.sent_at,
                })
            }
        }
    }

    /// Makes a request the next to be answered: a server answers an operation that it does not
    /// implement at once, before it has answered earlier requests.
    #[cold]
    fn bring_forward(&mut self, xid: Xid) {
        let index = self.in_flight.iter().position(|it| it.xid == xid);
        if let Some(request) = index.and_then(|index| self.in_flight.remove(index)) {
            self.in_flight.push_front(request);
        }
    }
}

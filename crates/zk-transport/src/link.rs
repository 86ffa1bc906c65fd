//! The state machine of one connection.
//!
//! A [`Link`] is born with a connect request in its output buffer and dies with the connection. It
//! gives every request an xid, remembers it until the reply (servers answer in order), pings when
//! nothing else is said, and knows when the peer has been silent for too long. It carries the
//! caller's token `T` of each request and knows nothing of sessions and watches.
//!
//! It has no socket and no clock: `handle_*` take `now`, `poll_*` say what to do next.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use zk_proto::records::{AuthRequest, ConnectRequest, ConnectResponse};
use zk_proto::{
    Decode, Decoder, Encode, ErrorCode, OpCode, ReplyHeader, RequestHeader, Xid, Zxid,
    decode_frame, xid,
};

use crate::Disconnect;

/// Length prefix and [`RequestHeader`].
const PREAMBLE: usize = 4 + 8;

/// What a frame from the server meant.
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
        /// The zxid of the reply header; zero or less says nothing about the ensemble.
        zxid: Zxid,
        /// The record, or the server's refusal.
        result: Result<Bytes, ErrorCode>,
    },
    /// The reply to the oldest credentials in flight; it may overtake other replies.
    Auth {
        /// The token they were submitted with.
        token: T,
        /// The server's refusal, if it was one.
        refused: Option<ErrorCode>,
    },
    /// A watch fired; `body` is a `WatcherEvent`.
    Notification {
        /// The transaction that fired it, from servers that say so (3.9 and newer).
        zxid: Option<Zxid>,
        /// The record.
        body: Bytes,
    },
    /// A ping was answered, or the server sent a ping reply unasked (ZOOKEEPER-2253).
    Pong,
}

/// A request that was in flight, or in the output buffer, when the connection ended.
#[derive(Debug)]
pub struct Lost<T> {
    /// The token it was submitted with.
    pub token: T,
    /// Its operation.
    pub op: OpCode,
    /// What is known of its way to the server.
    pub unsent: Unsent,
}

/// How much of a request had left this process when the connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// All of it: whether the server executed it is unknown.
    Nothing,
    /// A part of it, which no server can execute.
    Tail,
    /// None of it; here is its record, to be sent again.
    Whole(Bytes),
}

#[derive(Debug)]
struct InFlight<T> {
    xid: Xid,
    op: OpCode,
    token: T,
    sent_at: Instant,
    /// Where its frame starts and ends in the stream of this connection's output.
    start: u64,
    end: u64,
}

#[derive(Debug)]
enum Phase {
    Handshake {
        deadline: Instant,
        budget: Duration,
    },
    Open {
        read_timeout: Duration,
        ping_interval: Duration,
    },
}

/// One connection to a server, without the socket.
#[derive(Debug)]
pub struct Link<T> {
    phase: Phase,
    next_xid: Xid,
    in_flight: VecDeque<InFlight<T>>,
    auths: VecDeque<(T, Instant)>,
    /// When each ping was written, and where it ends in the stream of the output.
    pings: VecDeque<(Instant, u64)>,
    out: BytesMut,
    /// Stream offset of the first byte of `out`.
    taken: u64,
    opened_at: Instant,
    last_sent: Instant,
    last_received: Instant,
    acknowledged: Instant,
}

impl<T> Link<T> {
    /// A link whose first output is `request`, and which gives the server `budget` to answer it.
    pub fn new(now: Instant, request: &ConnectRequest, budget: Duration) -> Self {
        let mut out = BytesMut::with_capacity(4096);
        framed(&mut out, |out| request.encode(out));
        Link {
            phase: Phase::Handshake {
                deadline: now + budget,
                budget,
            },
            next_xid: 1,
            in_flight: VecDeque::new(),
            auths: VecDeque::new(),
            pings: VecDeque::new(),
            out,
            taken: 0,
            opened_at: now,
            last_sent: now,
            last_received: now,
            acknowledged: now,
        }
    }

    /// Whether the server has answered the connect request.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// Whether credentials have been submitted and not answered.
    pub fn awaits_auth(&self) -> bool {
        !self.auths.is_empty()
    }

    /// Requests submitted and not yet answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// When the latest request that the server has answered was submitted. The server has heard
    /// from this session no earlier, so counting a session's time from here errs on the safe side.
    pub fn acknowledged(&self) -> Instant {
        self.acknowledged
    }

    /// When the server was last heard.
    pub fn last_received(&self) -> Instant {
        self.last_received
    }

    /// Bytes waiting to be taken by [`poll_output`](Self::poll_output).
    pub fn pending_output(&self) -> usize {
        self.out.len()
    }

    /// Writes a request into the output buffer; its reply will carry `token`.
    ///
    /// # Errors
    /// The request's size in bytes if it is larger than `limit`; then nothing has been written.
    pub fn submit(
        &mut self,
        now: Instant,
        op: OpCode,
        token: T,
        limit: usize,
        record: impl FnOnce(&mut BytesMut),
    ) -> Result<(), usize> {
        debug_assert!(
            self.is_open(),
            "a request before the connect response (ZOOKEEPER-1702)"
        );
        let xid = self.next_xid;
        let from = self.out.len();
        framed(&mut self.out, |out| {
            RequestHeader { xid, op: op.code() }.encode(out);
            record(out);
        });
        let size = self.out.len() - from - 4;
        if size > limit {
            self.out.truncate(from);
            return Err(size);
        }
        // ZOOKEEPER-3253: after the largest xid comes 1; zero and below have other meanings.
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        self.last_sent = now;
        let (start, end) = (self.taken + from as u64, self.taken + self.out.len() as u64);
        self.in_flight.push_back(InFlight {
            xid,
            op,
            token,
            sent_at: now,
            start,
            end,
        });
        Ok(())
    }

    /// Writes credentials into the output buffer. They are answered out of band, under an xid of
    /// their own.
    pub fn submit_auth(&mut self, now: Instant, scheme: &str, auth: &[u8], token: T) {
        framed(&mut self.out, |out| {
            RequestHeader {
                xid: xid::AUTH,
                op: OpCode::Auth.code(),
            }
            .encode(out);
            AuthRequest {
                auth_type: 0,
                scheme,
                auth: Some(auth),
            }
            .encode(out);
        });
        self.last_sent = now;
        self.auths.push_back((token, now));
    }

    /// Moves all output into `into`, which must be empty.
    pub fn poll_output(&mut self, into: &mut BytesMut) {
        debug_assert!(into.is_empty());
        self.taken += self.out.len() as u64;
        std::mem::swap(&mut self.out, into);
        self.out.clear();
    }

    /// Bytes arrived, whole frames or not.
    pub fn handle_received(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// A whole frame arrived.
    ///
    /// # Errors
    /// The peer broke the protocol; the connection must be dropped.
    pub fn handle_frame(&mut self, frame: Bytes) -> Result<Received<T>, Disconnect> {
        if let Phase::Handshake { .. } = self.phase {
            return self
                .handle_connect_response(&frame)
                .map(Received::Connected);
        }
        let header: ReplyHeader = decode_header(&frame)?;
        let mut body = frame;
        body.advance(ReplyHeader::LEN.min(body.len()));
        let refused = ErrorCode::from_i32(header.err);
        match header.xid {
            xid::NOTIFICATION => {
                let zxid = (header.zxid > Zxid::ZERO).then_some(header.zxid);
                Ok(Received::Notification { zxid, body })
            }
            xid::PING => {
                // One that is still here was not what the server answered.
                if self
                    .pings
                    .front()
                    .is_some_and(|(_, end)| *end <= self.taken)
                    && let Some((sent_at, _)) = self.pings.pop_front()
                {
                    self.acknowledged = self.acknowledged.max(sent_at);
                }
                Ok(Received::Pong)
            }
            xid::AUTH => {
                let (token, sent_at) = self
                    .auths
                    .pop_front()
                    .ok_or(Disconnect::Unsolicited(xid::AUTH))?;
                self.acknowledged = self.acknowledged.max(sent_at);
                Ok(Received::Auth { token, refused })
            }
            got => {
                let expected = self
                    .in_flight
                    .front()
                    .ok_or(Disconnect::Unsolicited(got))?
                    .xid;
                if got != expected {
                    return Err(Disconnect::XidMismatch { got, expected });
                }
                let Some(request) = self.in_flight.pop_front() else {
                    return Err(Disconnect::Unsolicited(got));
                };
                self.acknowledged = self.acknowledged.max(request.sent_at);
                Ok(Received::Reply {
                    token: request.token,
                    op: request.op,
                    zxid: header.zxid,
                    result: refused.map_or(Ok(body), Err),
                })
            }
        }
    }

    fn handle_connect_response(&mut self, frame: &Bytes) -> Result<ConnectResponse, Disconnect> {
        let response: ConnectResponse =
            decode_frame(frame, 0).map_err(|e| Disconnect::NotZooKeeper(e.to_string()))?;
        // A timeout of zero or less says that the session is gone; the connection ends with it.
        let timeout = Duration::from_millis(u64::try_from(response.timeout_ms).unwrap_or(0));
        self.phase = Phase::Open {
            read_timeout: timeout * 2 / 3,
            ping_interval: timeout / 3,
        };
        self.acknowledged = self.opened_at;
        Ok(response)
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Instant {
        match self.phase {
            Phase::Handshake { deadline, .. } => deadline,
            Phase::Open {
                read_timeout,
                ping_interval,
            } => {
                let dead = self.last_received + read_timeout;
                if self.ping_waits_to_be_written() {
                    dead
                } else {
                    dead.min(self.last_sent + ping_interval)
                }
            }
        }
    }

    /// A ping in a stalled output buffer is enough; more would only follow it (B23).
    fn ping_waits_to_be_written(&self) -> bool {
        !self.pings.is_empty() && !self.out.is_empty()
    }

    /// Pings if it is time to.
    ///
    /// # Errors
    /// The peer has been silent for too long.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        match self.phase {
            Phase::Handshake { deadline, budget } if now >= deadline => {
                Err(Disconnect::HandshakeTimeout(budget))
            }
            Phase::Handshake { .. } => Ok(()),
            Phase::Open {
                read_timeout,
                ping_interval,
            } => {
                let silence = now.saturating_duration_since(self.last_received);
                if silence >= read_timeout {
                    return Err(Disconnect::Silent(silence));
                }
                if now >= self.last_sent + ping_interval && !self.ping_waits_to_be_written() {
                    framed(&mut self.out, |out| {
                        RequestHeader {
                            xid: xid::PING,
                            op: OpCode::Ping.code(),
                        }
                        .encode(out);
                    });
                    self.last_sent = now;
                    let end = self.taken + self.out.len() as u64;
                    self.pings.push_back((now, end));
                }
                Ok(())
            }
        }
    }

    /// Ends the link and returns what was in flight, oldest first.
    ///
    /// `written` counts the bytes the socket has accepted, `rest` is output that was taken and not
    /// accepted.
    pub fn into_lost(self, written: u64, rest: &[u8]) -> impl Iterator<Item = Lost<T>> {
        let mut unsent = BytesMut::with_capacity(rest.len() + self.out.len());
        unsent.extend_from_slice(rest);
        unsent.extend_from_slice(&self.out);
        let unsent = unsent.freeze();
        self.in_flight.into_iter().map(move |request| {
            let unsent = if request.end <= written {
                Unsent::Nothing
            } else {
                let at = |offset: u64| usize::try_from(offset.checked_sub(written)?).ok();
                match (at(request.start), at(request.end)) {
                    (Some(start), Some(end)) if end <= unsent.len() => {
                        Unsent::Whole(unsent.slice(start + PREAMBLE..end))
                    }
                    _ => Unsent::Tail,
                }
            };
            Lost {
                token: request.token,
                op: request.op,
                unsent,
            }
        })
    }
}

fn decode_header(frame: &Bytes) -> Result<ReplyHeader, Disconnect> {
    Ok(ReplyHeader::decode(&mut Decoder::new(frame))?)
}

/// Appends a frame around what `write` appends.
fn framed(out: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let len = i32::try_from(out.len() - start - 4).unwrap_or(i32::MAX);
    if let Some(prefix) = out.get_mut(start..start + 4) {
        prefix.copy_from_slice(&len.to_be_bytes());
    }
}

#[cfg(test)]
mod tests;

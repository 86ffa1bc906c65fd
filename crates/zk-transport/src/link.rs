//! The state machine of one connection.
//!
//! A [`Link`] is born with a connect request in its output buffer and dies with the connection. It
//! gives every request an xid, remembers it until the reply (servers answer in order), pings when
//! nothing else is said, and knows when the peer has been silent for too long. It carries the
//! caller's token `T` of each request and knows nothing of sessions and watches.
//!
//! It has no socket and no clock: `handle_*` take `now`, `poll_*` say what to do next.

mod opening;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use zk_proto::records::{AuthRequest, ConnectRequest, ConnectResponse};
use zk_proto::{
    Decode, Decoder, Encode, ErrorCode, OpCode, ReplyHeader, WatcherEvent, Xid, Zxid, xid,
};

use self::opening::handle_token;
use crate::Disconnect;

/// Length prefix and [`RequestHeader`].
const PREAMBLE: usize = 4 + 8;

/// A server that talks, and for so many of its read deadlines answers nothing that it was asked, will
/// not answer any more: ten times the session's timeout.
const MOST_UNANSWERED: u32 = 15;

/// Requests that are kept room for while nothing is said but pings.
const KEEP_AT_REST: usize = 16;

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
        /// When it was submitted.
        submitted: Instant,
    },
    /// The server's next word in a login, or its refusal. Null from a server without SASL.
    Sasl(Result<Option<Bytes>, ErrorCode>),
    /// The reply to the oldest credentials in flight; it may overtake other replies.
    Auth {
        /// The token they were submitted with.
        token: T,
        /// The server's refusal, if it was one.
        refused: Option<ErrorCode>,
    },
    /// A ping was answered, or the server sent the reply to a ping or to credentials unasked
    /// (ZOOKEEPER-2253).
    Pong,
}

/// A watch fired.
#[derive(Debug)]
pub struct Notification<'a> {
    /// The transaction that fired it, from servers that say so (3.9 and newer).
    pub zxid: Option<Zxid>,
    /// What happened, and where.
    pub event: WatcherEvent<'a>,
}

/// A request that was in flight, or in the output buffer, when the connection ended.
#[derive(Debug)]
pub struct Lost<T> {
    /// The token it was submitted with.
    pub token: T,
    /// Its operation.
    pub op: OpCode,
    /// When it was submitted.
    pub submitted: Instant,
    /// What is known of its way to the server.
    pub unsent: Unsent,
}

/// How much of a request certainly had not left this process when the connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// Nothing: all of it was offered to the stream, and whether the server executed it is unknown.
    Nothing,
    /// Its last bytes, without which no server can execute it.
    Tail,
    /// All of it; here is its record, to be sent again.
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
        /// The timeout asked for, in milliseconds.
        requested: i32,
        /// Whether a read-only server will do.
        read_only: bool,
    },
    /// Between the handshake and everything else.
    Login {
        /// The token that waits for an answer.
        asked: Option<Xid>,
        /// When the last token was sent, or the login begun.
        since: Instant,
        timeout: Duration,
    },
    Open {
        read_timeout: Duration,
        ping_interval: Duration,
    },
}

impl Phase {
    fn open(timeout: Duration) -> Self {
        Phase::Open {
            read_timeout: timeout * 2 / 3,
            ping_interval: ping_interval(timeout),
        }
    }
}

/// After how much silence of this side a link pings: a twelfth of the session's timeout.
///
/// A third would keep the session alive. A lease that counts only what a quorum has seen needs a
/// sign of life that is recent whenever the program writes, also after it was idle.
pub fn ping_interval(timeout: Duration) -> Duration {
    if zk_proto::seeded_bug!("H6") {
        return timeout / 3;
    }
    timeout / 12
}

/// One connection to a server, without the socket.
#[derive(Debug)]
pub struct Link<T> {
    phase: Phase,
    /// Whether nothing may be said after the handshake until a login has succeeded.
    login: bool,
    /// Whether the answer to the connect request lacked its last byte.
    short_handshake: bool,
    next_xid: Xid,
    in_flight: VecDeque<InFlight<T>>,
    auths: VecDeque<T>,
    /// When each ping was written, and where it ends in the stream of the output.
    pings: VecDeque<(Instant, u64)>,
    out: BytesMut,
    /// Stream offset of the first byte of `out`.
    taken: u64,
    opened_at: Instant,
    last_sent: Instant,
    last_received: Instant,
    /// When the latest reply to a request came.
    answered: Instant,
    acknowledged: Instant,
    given_up: bool,
    round_trip: Option<RoundTrip>,
    last_xid: Xid,
}

/// How long the server takes to answer a ping, which queues behind requests as one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    /// The last ping.
    pub last: Duration,
    /// All of this connection's; each new one counts an eighth.
    pub smoothed: Duration,
}

impl<T> Link<T> {
    /// A link whose first output is `request`, and which gives the server `budget` to answer it.
    pub fn new(now: Instant, request: &ConnectRequest, budget: Duration) -> Self {
        let mut out = BytesMut::new();
        out.extend_from_slice(&[0; 4]);
        request.encode(&mut out);
        put_length(&mut out, 0);
        Link {
            phase: Phase::Handshake {
                deadline: now + budget,
                budget,
                requested: request.timeout_ms,
                read_only: request.read_only == Some(true),
            },
            login: false,
            short_handshake: false,
            next_xid: 1,
            in_flight: VecDeque::new(),
            auths: VecDeque::new(),
            pings: VecDeque::new(),
            out,
            taken: 0,
            opened_at: now,
            last_sent: now,
            last_received: now,
            answered: now,
            acknowledged: now,
            given_up: false,
            round_trip: None,
            last_xid: 0,
        }
    }

    /// Nothing but a login will be written between the handshake and
    /// [`finish_login`](Self::finish_login).
    #[must_use]
    pub fn with_login(mut self) -> Self {
        self.login = true;
        self
    }

    /// Whether requests can be submitted: the server has answered the connect request, and the login
    /// has succeeded if there is to be one.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// Whether the server answered the connect request without the byte that says whether it is
    /// read-only, as servers before 3.4 and ClickHouse Keeper do.
    pub fn is_short_handshake(&self) -> bool {
        self.short_handshake
    }

    /// When it was opened.
    pub fn opened_at(&self) -> Instant {
        self.opened_at
    }

    /// Ends the connection at the next [`handle_timeout`](Self::handle_timeout), which is due at once.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }

    /// Whether a login is under way.
    pub fn is_logging_in(&self) -> bool {
        matches!(self.phase, Phase::Login { .. })
    }

    /// Whether credentials have been submitted and not answered.
    pub fn awaits_auth(&self) -> bool {
        !self.auths.is_empty()
    }

    /// The token of the credentials that the server has to answer next.
    pub fn next_auth(&self) -> Option<&T> {
        self.auths.front()
    }

    /// Requests submitted and not yet answered.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The tokens of the requests that have not been answered, oldest first.
    pub fn tokens(&self) -> impl Iterator<Item = &T> {
        self.in_flight.iter().map(|request| &request.token)
    }

    /// Whether a request that has been taken by [`poll_output`](Self::poll_output) is not answered.
    pub fn awaits_reply(&self) -> bool {
        self.in_flight
            .front()
            .is_some_and(|request| request.end <= self.taken)
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

    /// The xid of the request that was answered last; 0 before the first.
    pub fn last_xid(&self) -> Xid {
        self.last_xid
    }

    /// How long pings take; `None` before the first was answered.
    pub fn round_trip(&self) -> Option<RoundTrip> {
        self.round_trip
    }

    /// Bytes waiting to be taken by [`poll_output`](Self::poll_output).
    pub fn pending_output(&self) -> usize {
        self.out.len()
    }

    /// Writes a request into the output buffer; its reply will carry `token`.
    ///
    /// # Errors
    /// The request's size in bytes if it is larger than `limit`; then nothing has been written.
    #[inline]
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
        framed(&mut self.out, xid, op, record);
        let size = self.out.len() - from - 4;
        if size > limit && !zk_proto::seeded_bug!("A17") {
            self.out.truncate(from);
            return Err(size);
        }
        // ZOOKEEPER-3253: after the largest xid comes 1; zero and below have other meanings.
        self.next_xid = xid.checked_add(1).unwrap_or(1);
        if zk_proto::seeded_bug!("B16") {
            self.next_xid = xid.wrapping_add(1);
        }
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
    /// their own, and servers do not count them as a sign of life: they neither put off the next
    /// ping nor prolong the session.
    pub fn submit_auth(&mut self, scheme: &str, auth: &[u8], token: T) {
        framed(&mut self.out, xid::AUTH, OpCode::Auth, |out| {
            AuthRequest {
                auth_type: 0,
                scheme,
                auth: Some(auth),
            }
            .encode(out);
        });
        self.auths.push_back(token);
    }

    /// Moves all output into `into`, which must be empty.
    pub fn poll_output(&mut self, into: &mut BytesMut) {
        debug_assert!(into.is_empty());
        self.taken += self.out.len() as u64;
        std::mem::swap(&mut self.out, into);
        self.out.clear();
    }

    /// How many bytes [`poll_output`](Self::poll_output) has handed over.
    pub fn handed_over(&self) -> u64 {
        self.taken
    }

    /// Bytes arrived, whole frames or not.
    pub fn handle_received(&mut self, now: Instant) {
        self.last_received = now;
    }

    /// What a whole frame tells without having been asked, if it does. It changes nothing here.
    ///
    /// # Errors
    /// The peer broke the protocol; the connection must be dropped.
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

    /// What it means that a frame is longer than `limit`. `begun` is what has arrived of it behind its
    /// length; `None` until that holds the xid. Only the reply that is due is attributed to a request.
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
    /// The peer broke the protocol; the connection must be dropped. A notification would be taken for
    /// a reply that nobody waits for.
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
                if zk_proto::seeded_bug!("B19") && self.pings.is_empty() {
                    return Err(Disconnect::Unsolicited(xid::PING));
                }
                // One that is still here was not what the server answered.
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
                if got != request.xid && !zk_proto::seeded_bug!("B17") {
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

    /// Makes a request the next to be answered: a server that does not know an operation says so at
    /// once, before it has answered earlier requests.
    #[cold]
    fn bring_forward(&mut self, xid: Xid) {
        let index = self.in_flight.iter().position(|it| it.xid == xid);
        if let Some(request) = index.and_then(|index| self.in_flight.remove(index)) {
            self.in_flight.push_front(request);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Instant {
        match self.phase {
            _ if self.given_up => self.opened_at,
            Phase::Handshake { deadline, .. } => deadline,
            Phase::Login { since, timeout, .. } => since + timeout * 2 / 3,
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
        !self.pings.is_empty() && !self.out.is_empty() && !zk_proto::seeded_bug!("B23")
    }

    /// Pings if it is time to.
    ///
    /// # Errors
    /// The peer has been silent for too long, or was given up.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        match self.phase {
            _ if self.given_up => Err(Disconnect::GivenUp),
            Phase::Handshake {
                deadline, budget, ..
            } if now >= deadline => Err(Disconnect::HandshakeTimeout(budget)),
            Phase::Handshake { .. } => Ok(()),
            Phase::Login { since, timeout, .. } => {
                let silence = now.saturating_duration_since(since);
                if silence >= timeout * 2 / 3 {
                    return Err(Disconnect::Silent(silence));
                }
                Ok(())
            }
            Phase::Open {
                read_timeout,
                ping_interval,
            } => {
                let silence = now.saturating_duration_since(self.last_received);
                if silence >= read_timeout {
                    return Err(Disconnect::Silent(silence));
                }
                let unanswered = now.saturating_duration_since(self.oldest_unanswered(now));
                if unanswered >= read_timeout * MOST_UNANSWERED {
                    return Err(Disconnect::Unanswered(unanswered));
                }
                if now >= self.last_sent + ping_interval && !self.ping_waits_to_be_written() {
                    framed(&mut self.out, xid::PING, OpCode::Ping, |_| {});
                    self.in_flight.shrink_to(KEEP_AT_REST);
                    self.last_sent = now;
                    let end = self.taken + self.out.len() as u64;
                    self.pings.push_back((now, end));
                }
                Ok(())
            }
        }
    }

    /// Since when the server has owed an answer, to a request or to a ping.
    fn oldest_unanswered(&self, now: Instant) -> Instant {
        let request = self.in_flight.front();
        // What came before it may have taken long.
        let request = request.map(|request| request.sent_at.max(self.answered));
        let ping = self.pings.front().map(|(sent_at, _)| *sent_at);
        request.into_iter().chain(ping).min().unwrap_or(now)
    }

    /// Bytes that [`poll_output`](Self::poll_output) has moved out since the beginning.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Ends the link and returns what was in flight, oldest first.
    ///
    /// `offered` counts the bytes of the output that may have left this process, acknowledged or not:
    /// all that were offered to the stream. `rest` is output that was taken and never offered. If that
    /// is not known, `offered` is [`taken`](Self::taken) and `rest` is empty.
    pub fn into_lost(self, offered: u64, rest: &[u8]) -> impl Iterator<Item = Lost<T>> {
        let mut unsent = BytesMut::with_capacity(rest.len() + self.out.len());
        unsent.extend_from_slice(rest);
        unsent.extend_from_slice(&self.out);
        let unsent = unsent.freeze();
        self.in_flight.into_iter().map(move |request| {
            let unsent = if request.end <= offered {
                Unsent::Nothing
            } else {
                let at = |offset: u64| usize::try_from(offset.checked_sub(offered)?).ok();
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
                submitted: request.sent_at,
                unsent,
            }
        })
    }
}

#[inline]
fn decode_header(input: &mut Decoder<'_>) -> Result<ReplyHeader, Disconnect> {
    input.need("header", ReplyHeader::LEN)?;
    Ok(ReplyHeader::decode(input)?)
}

/// Appends a request, of which `record` appends what follows the header.
#[inline]
fn framed(out: &mut BytesMut, xid: Xid, op: OpCode, record: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    let header = [[0; 4], xid.to_be_bytes(), op.code().to_be_bytes()];
    out.extend_from_slice(header.as_flattened());
    record(out);
    put_length(out, start);
}

/// Writes the length of the frame that begins at `start` into its first four bytes.
#[inline]
fn put_length(out: &mut BytesMut, start: usize) {
    let Some((prefix, frame)) = out.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut) else {
        return;
    };
    *prefix = i32::try_from(frame.len()).unwrap_or(i32::MAX).to_be_bytes();
}

#[cfg(test)]
mod tests;

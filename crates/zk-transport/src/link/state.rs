//! The state of a connection, and its getters.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use zk_proto::records::ConnectRequest;
use zk_proto::{Encode, OpCode, Xid};

use super::wire::put_length;

/// How long a link sends nothing before it pings: a twelfth of the session's timeout.
///
/// A third would keep the session alive. A lease that counts only what a quorum has seen needs a
/// recent sign of life at any time the program writes, also when it was idle before.
pub fn ping_interval(timeout: Duration) -> Duration {
    timeout / 12
}

/// How long the server takes to answer a ping, which queues behind requests as one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoundTrip {
    /// The last ping.
    pub last: Duration,
    /// All of this connection's; each new one counts an eighth.
    pub smoothed: Duration,
}

/// A request that has not been answered.
#[derive(Debug)]
pub(super) struct InFlight<T> {
    pub(super) xid: Xid,
    pub(super) op: OpCode,
    pub(super) token: T,
    pub(super) sent_at: Instant,
    /// Where its frame starts and ends in the stream of this connection's output.
    pub(super) start: u64,
    pub(super) end: u64,
}

#[derive(Debug)]
pub(super) enum Phase {
    Handshake {
        deadline: Instant,
        budget: Duration,
        /// The session timeout in the connect request, in milliseconds.
        requested: i32,
        /// Whether the connect request allows a read-only server.
        read_only: bool,
    },
    /// Between the handshake and everything else.
    Login {
        /// The token that the server has not answered yet.
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
    pub(super) fn open(timeout: Duration) -> Self {
        Phase::Open {
            read_timeout: timeout * 2 / 3,
            ping_interval: ping_interval(timeout),
        }
    }
}

/// The longest time for the handshake, ten years: a later point in time may not exist on every clock.
const LONGEST_BUDGET: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// One connection to a server, without the socket.
#[derive(Debug)]
pub struct Link<T> {
    pub(super) phase: Phase,
    /// Whether a login follows the handshake, before everything else.
    pub(super) login: bool,
    /// Whether the answer to the connect request lacked its last byte.
    pub(super) short_handshake: bool,
    pub(super) next_xid: Xid,
    pub(super) in_flight: VecDeque<InFlight<T>>,
    pub(super) auths: VecDeque<T>,
    /// When each ping was written, and where it ends in the stream of the output.
    pub(super) pings: VecDeque<(Instant, u64)>,
    pub(super) out: BytesMut,
    /// Stream offset of the first byte of `out`.
    pub(super) taken: u64,
    pub(super) opened_at: Instant,
    pub(super) last_sent: Instant,
    pub(super) last_received: Instant,
    /// When the latest reply to a request arrived.
    pub(super) answered: Instant,
    pub(super) acknowledged: Instant,
    pub(super) given_up: bool,
    pub(super) round_trip: Option<RoundTrip>,
    pub(super) last_xid: Xid,
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
                deadline: now + budget.min(LONGEST_BUDGET),
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

    /// Writes nothing but a login between the handshake and [`finish_login`](Self::finish_login).
    #[must_use]
    pub fn with_login(mut self) -> Self {
        self.login = true;
        self
    }

    /// Whether requests can be submitted: the server has answered the connect request, and the login,
    /// if there is one, has succeeded.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open { .. })
    }

    /// Whether the server answered the connect request without the byte that says whether it is
    /// read-only, as servers before 3.4 and ClickHouse Keeper do.
    pub fn is_short_handshake(&self) -> bool {
        self.short_handshake
    }

    /// When the link was made.
    pub fn opened_at(&self) -> Instant {
        self.opened_at
    }

    /// Ends the connection at the next [`handle_timeout`](Self::handle_timeout), which is due at once.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }

    /// Whether a login has begun and not ended.
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

    /// The number of requests submitted and not yet answered.
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

    /// When the latest request that the server has answered was submitted. The server received it
    /// no earlier, so counting a session's time from here errs on the safe side.
    pub fn acknowledged(&self) -> Instant {
        self.acknowledged
    }

    /// When bytes last arrived from the server.
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

    /// The number of bytes that [`poll_output`](Self::poll_output) would take.
    pub fn pending_output(&self) -> usize {
        self.out.len()
    }

    /// Moves all output into `into`, which must be empty.
    pub fn poll_output(&mut self, into: &mut BytesMut) {
        debug_assert!(into.is_empty());
        self.taken += self.out.len() as u64;
        std::mem::swap(&mut self.out, into);
        self.out.clear();
    }

    /// The number of bytes that [`poll_output`](Self::poll_output) has moved out so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes arrived, whole frames or not.
    pub fn handle_received(&mut self, now: Instant) {
        self.last_received = now;
    }
}

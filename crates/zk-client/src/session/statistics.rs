//! What a client has done and holds, as numbers for an operator.

use std::time::Duration;

use zk_proto::{HostPort, Zxid};

use crate::error::Outcome;
use crate::session::failure::Failure;
use crate::session::identity::SessionInfo;
use crate::session::state::State;

/// What a client has done since it was made, and what it holds at the moment.
///
/// A snapshot: all of it is true at one time. Taking it costs a lock and the look at what is parked;
/// what it is made of costs a request no more than additions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Statistics {
    /// The state of the session.
    pub state: State,
    /// The session, its epoch and the timeout agreed.
    pub session: SessionInfo,
    /// The server that serves the session, while one does.
    pub server: Option<HostPort>,
    /// The newest transaction that the session has seen.
    pub last_zxid: Zxid,
    /// How long ago a server was last heard, or how long ago the client was made.
    pub last_contact: Duration,
    /// How long the server took to answer the last ping on this connection; `None` before the first.
    /// A connection that is busy is not pinged.
    pub ping: Option<Duration>,
    /// [`ping`](Self::ping), smoothed: each new one counts an eighth.
    pub ping_smoothed: Option<Duration>,

    /// Requests that have not been answered, or whose answer has not been taken; without those that
    /// wait for a connection and nobody waits for.
    pub outstanding: usize,
    /// Those of them that wait for a connection.
    pub parked: usize,
    /// Bytes of requests that wait to be handed to a connection.
    pub queue_bytes: usize,
    /// Requests that are sent again after a connection is lost: reads, the setting of lasting
    /// watches, credentials.
    pub reads: RequestCounts,
    /// Requests that are not.
    pub writes: RequestCounts,

    /// Bytes handed to connections, handshakes and pings included.
    pub bytes_sent: u64,
    /// Bytes received, in whole frames.
    pub bytes_received: u64,
    /// Connections over which a session was established or resumed.
    pub connections: u64,
    /// Attempts to connect that failed before that. Those that a server answered by saying that the
    /// session is over are [`expiries`](Self::expiries).
    pub failed_connections: u64,
    /// Connections lost after that, those of sessions that were being closed aside.
    pub lost_connections: u64,
    /// Sessions established; the epoch of the last.
    pub sessions: u64,
    /// How often a session was resumed over another connection.
    pub resumptions: u64,
    /// Sessions that expired.
    pub expiries: u64,

    /// Watches armed on the server, or to be armed on the next one.
    pub watches: usize,
    /// Handles of watches.
    pub subscribers: usize,
    /// Events of znodes queued for handles, one for each handle that is told.
    pub watch_events: u64,
    /// Events dropped because a handle's reader was too slow; it was told so by
    /// [`Lagged`](crate::WatchEvent::Lagged).
    pub watch_events_dropped: u64,
    /// How often a handle was told of a [`Gap`](crate::WatchEvent::Gap).
    pub watch_gaps: u64,
    /// Requests sent to arm watches again after a reconnect.
    pub rearm_batches: u64,
    /// Watches in those.
    pub rearmed_watches: u64,
}

/// What became of requests of a class: those [`submitted`](Self::submitted) are the others together,
/// and those still waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RequestCounts {
    /// Asked for, those refused at once included, those with invalid arguments not.
    pub submitted: u64,
    /// Answered. Transactions that were answered count here, also if they failed.
    pub answered: u64,
    /// Answered with an error code.
    pub rejected: u64,
    /// Failed with [`Outcome::NotSent`].
    pub not_sent: u64,
    /// Failed with [`Outcome::Unknown`].
    pub unknown: u64,
    /// Given up by their callers before there was an answer.
    pub dropped: u64,
}

impl RequestCounts {
    pub(crate) fn failed(&mut self, failure: &Failure) {
        match failure.outcome() {
            Outcome::NotSent => self.not_sent += 1,
            Outcome::Rejected => self.rejected += 1,
            Outcome::Unknown => self.unknown += 1,
        }
    }
}

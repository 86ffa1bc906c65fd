//! Numbers for an operator: what a client has done and holds.

use std::time::Duration;

use zk_proto::{HostPort, Zxid};

use crate::error::Outcome;
use crate::session::failure::Failure;
use crate::session::identity::SessionInfo;
use crate::session::state::State;

/// What a client has done since it was made, and what it holds at the moment.
///
/// A snapshot: all numbers are of the same moment. Taking it locks the client and visits each parked
/// request; keeping the numbers costs a request a few additions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Statistics {
    /// The state of the session.
    pub state: State,
    /// The session, its epoch and the timeout granted.
    pub session: SessionInfo,
    /// The server that serves the session, while one does.
    pub server: Option<HostPort>,
    /// The newest transaction that the session has seen.
    pub last_zxid: Zxid,
    /// How long ago the client last received something from a server; before that, how long ago it was
    /// created.
    pub last_contact: Duration,
    /// How long the server took to answer the last ping on this connection; `None` before the first.
    /// A connection that is busy is not pinged.
    pub ping: Option<Duration>,
    /// [`ping`](Self::ping), smoothed: each new one counts an eighth.
    pub ping_smoothed: Option<Duration>,

    /// Requests that have not been answered, or whose answer has not been taken; without those that
    /// wait for a connection and have no caller any more.
    pub outstanding: usize,
    /// Those of them that wait for a connection.
    pub parked: usize,
    /// Calls of [`wait_for_room`](crate::Client::wait_for_room) that wait.
    pub waiting: usize,
    /// Bytes of requests that wait to be handed to a connection.
    pub queue_bytes: usize,
    /// Requests that are sent again after a connection is lost: reads, the setting of lasting
    /// watches, credentials.
    pub reads: RequestCounts,
    /// All other requests.
    pub writes: RequestCounts,

    /// Bytes handed to connections, handshakes and pings included.
    pub bytes_sent: u64,
    /// Bytes received, in whole frames.
    pub bytes_received: u64,
    /// Connections over which a session was established or resumed.
    pub connections: u64,
    /// Attempts to connect that failed before that. Attempts that a server answered with the end of the
    /// session are not counted here but in [`expiries`](Self::expiries).
    pub failed_connections: u64,
    /// Connections lost after that, without those whose session was being closed.
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
    /// Events of znodes queued for handles, one for each handle.
    pub watch_events: u64,
    /// Events dropped because a handle's reader was too slow; the reader gets
    /// [`Lagged`](crate::WatchEvent::Lagged) instead.
    pub watch_events_dropped: u64,
    /// [`Gap`](crate::WatchEvent::Gap)s queued for handles.
    pub watch_gaps: u64,
    /// Requests sent to arm watches again after a reconnect.
    pub rearm_batches: u64,
    /// Watches in those requests.
    pub rearmed_watches: u64,
}

/// How the requests of a class have ended. [`submitted`](Self::submitted) is the sum of the others and
/// of the requests that have not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct RequestCounts {
    /// Submitted, including those refused at once, without those with invalid arguments.
    pub submitted: u64,
    /// Answered. Transactions that were answered count here, even if they failed.
    pub answered: u64,
    /// Answered with an error code.
    pub rejected: u64,
    /// Failed with [`Outcome::NotSent`].
    pub not_sent: u64,
    /// Failed with [`Outcome::Unknown`].
    pub unknown: u64,
    /// Dropped by their callers before there was an answer.
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

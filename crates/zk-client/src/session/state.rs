//! The state of a client's session.

use std::fmt;
use std::time::Instant;

use zk_proto::SessionId;

/// The state of a client's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "state", rename_all = "snake_case"))]
#[non_exhaustive]
#[doc(alias = "KazooState")]
#[doc(alias = "ConnectionState")]
pub enum State {
    /// No session has been established yet; or the connection to a read-only server, made without
    /// one, is lost.
    Connecting,
    /// A server serves the session.
    #[doc(alias = "SyncConnected")]
    Connected {
        /// The session's id.
        session: SessionId,
        /// Counts the sessions of this client, from 1.
        epoch: u64,
    },
    /// A server without a quorum serves reads. Only a client that asked for it gets there
    /// ([`ClientBuilder::read_only`](crate::ClientBuilder::read_only)), and it goes on looking for a server
    /// with one.
    ConnectedReadOnly {
        /// That of the session, if this client had one before and the server knows it. Otherwise 0:
        /// such a server can give none that others would know.
        epoch: u64,
    },
    /// The connection is lost; the session may live on.
    #[doc(alias = "Disconnected")]
    Suspended {
        /// Until when the session counts as alive on this side. Locks and leaderships end earlier,
        /// at the time their guard's `deadline()` gives. Not serialized: an `Instant` has no meaning
        /// outside the process.
        #[cfg_attr(feature = "serde", serde(skip))]
        until: Instant,
    },
    /// The session is over; its ephemeral nodes are or will be gone, its watches have ended.
    ///
    /// Under [`SessionPolicy::Renew`](crate::SessionPolicy::Renew) this is the state until a new
    /// session is established, with the next epoch. Under [`SessionPolicy::Close`](crate::SessionPolicy::Close) this is final.
    #[doc(alias = "LOST")]
    Expired {
        /// The epoch that ended.
        epoch: u64,
    },
    /// The server refused the credentials or the login, or requires one. Final.
    AuthFailed,
    /// The client was closed. Final.
    Closed,
}

impl State {
    /// The name of the variant, such as `connected` or `connected_read_only`.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Connecting => "connecting",
            State::Connected { .. } => "connected",
            State::ConnectedReadOnly { .. } => "connected_read_only",
            State::Suspended { .. } => "suspended",
            State::Expired { .. } => "expired",
            State::AuthFailed => "auth_failed",
            State::Closed => "closed",
        }
    }

    /// Whether requests are being served now.
    pub fn is_connected(self) -> bool {
        matches!(
            self,
            State::Connected { .. } | State::ConnectedReadOnly { .. }
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Connecting => f.write_str("connecting"),
            State::Connected { session, epoch } => {
                write!(f, "connected, session {session}, epoch {epoch}")
            }
            State::ConnectedReadOnly { epoch } => write!(f, "connected read-only, epoch {epoch}"),
            State::Suspended { .. } => f.write_str("suspended"),
            State::Expired { epoch } => write!(f, "session expired, epoch {epoch}"),
            State::AuthFailed => f.write_str("authentication failed"),
            State::Closed => f.write_str("closed"),
        }
    }
}

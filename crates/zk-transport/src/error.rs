//! Why a connection ended.

use std::time::Duration;

use zk_proto::{DecodeError, Xid};

/// Why a connection to a server ended, or could not be made.
///
/// It is `Clone` because one disconnect is the cause of many failed requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    /// The server closed the connection between frames. ZooKeeper does so when it shuts down, when
    /// a request was larger than its `jute.maxbuffer`, and when this client has seen a newer zxid
    /// than the server has.
    #[error("the server closed the connection")]
    ClosedByServer,
    /// The server closed the connection before it answered the connect request.
    #[error(
        "the server accepted the connection and closed it without answering the handshake; it may \
         be starting, without a quorum, behind this client's last zxid, or not a ZooKeeper server"
    )]
    ClosedInHandshake,
    /// The operating system reported a failure.
    #[error("{0}")]
    Io(String),
    /// The connection could not be opened.
    #[error("{0}")]
    Dial(String),
    /// Nothing was received for two thirds of the session's timeout, pings notwithstanding.
    #[error("the server was silent for {} ms", .0.as_millis())]
    Silent(Duration),
    /// The connection was accepted, but the connect request was not answered in time.
    #[error(
        "the connection was accepted, but the handshake was not answered within {} ms; the server \
         is overloaded, frozen, or not a ZooKeeper server",
        .0.as_millis()
    )]
    HandshakeTimeout(Duration),
    /// The first bytes were not a ZooKeeper connect response.
    #[error("the peer does not speak the ZooKeeper protocol: {0}")]
    NotZooKeeper(String),
    /// A frame announced more bytes than the configured limit.
    #[error("the server sent a frame of {len} bytes, more than the limit of {limit}")]
    FrameTooLarge {
        /// Announced length in bytes.
        len: usize,
        /// The configured limit in bytes.
        limit: usize,
    },
    /// A frame announced a negative length.
    #[error("the server sent a frame of negative length {0}")]
    NegativeLength(i32),
    /// A reply arrived for another request than the one it is the turn of.
    #[error("reply for xid {got} when {expected} was due")]
    XidMismatch {
        /// The reply's xid.
        got: Xid,
        /// The xid of the oldest request in flight.
        expected: Xid,
    },
    /// A reply arrived although no request was in flight.
    #[error("reply for xid {0}, but no request is in flight")]
    Unsolicited(Xid),
    /// A frame that could not be decoded.
    #[error("malformed frame: {0}")]
    Malformed(#[from] DecodeError),
    /// The server refused to re-establish a watch, so the connection cannot be trusted to deliver.
    #[error("the server refused to re-arm watches: {0}")]
    RearmRefused(zk_proto::ErrorCode),
    /// The server refused the credentials.
    #[error("the server refused the credentials of scheme {0:?}")]
    AuthRefused(String),
    /// The server says that the session has expired.
    #[error("the session has expired")]
    SessionExpired,
    /// This side is done with the connection.
    #[error("closed by this client")]
    Local,
}

impl Disconnect {
    /// Whether the peer broke the protocol, as opposed to being away.
    pub fn is_protocol_violation(&self) -> bool {
        matches!(
            self,
            Disconnect::NotZooKeeper(_)
                | Disconnect::NegativeLength(_)
                | Disconnect::XidMismatch { .. }
                | Disconnect::Unsolicited(_)
                | Disconnect::Malformed(_)
        )
    }
}

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
         have as many connections from this address as it allows (maxClientCnxns: share one client, \
         or raise it), be starting or without a quorum, be behind what this client has seen, speak \
         TLS on this port while this client does not, or not be a ZooKeeper server"
    )]
    ClosedInHandshake,
    /// The server answered the connect request, and closed the connection without answering the
    /// credentials of this scheme.
    #[error(
        "the server closed the connection when it received the credentials of scheme {0:?}; they are \
         likely to be wrong (for the scheme \"ensemble\": it is not the name of this ensemble), unless \
         the server has just shut down"
    )]
    ClosedInAuth(String),
    /// The connection was reset: the server is gone, or closed it without reading all that was sent.
    #[error("{0}")]
    Reset(String),
    /// The operating system reported a failure.
    #[error("{0}")]
    Io(String),
    /// The connection could not be opened.
    #[error("{0}")]
    Dial(String),
    /// The TLS handshake failed, or TLS ended with an alert.
    #[cfg(feature = "tls-no-provider")]
    #[error(transparent)]
    Tls(#[from] crate::tls::error::TlsError),
    /// The connection was opened without TLS to a port for TLS.
    #[error("the server speaks TLS on this port; connect with TLS, or to its port for plaintext")]
    ServerSpeaksTls,
    /// Nothing was received for two thirds of the session's timeout, although the client pinged.
    #[error("nothing was received from the server for {} ms", .0.as_millis())]
    ReadTimeout(Duration),
    /// The client leaves for a server that answers sooner.
    #[error("the server did not answer soon enough")]
    GivenUp,
    /// Bytes were received all the time, but for ten times the session's timeout no answer to the
    /// oldest request or ping.
    #[error("the server sent data, but answered no request for {} ms", .0.as_millis())]
    Unanswered(Duration),
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
    /// A frame announced more bytes than the configured limit, and is not, or not known to be, the reply
    /// that was due: a watch notification, for example.
    #[error("the server sent a frame of {len} bytes, more than the limit of {limit}")]
    FrameTooLarge {
        /// Announced length in bytes.
        len: usize,
        /// The configured limit in bytes.
        limit: usize,
    },
    /// The reply to the oldest request in flight announced more bytes than the configured limit.
    #[error("the server sent a reply of {len} bytes, more than the limit of {limit}")]
    ReplyTooLarge {
        /// Announced length in bytes.
        len: usize,
        /// The configured limit in bytes.
        limit: usize,
    },
    /// A frame announced a negative length.
    #[error("the server sent a frame of negative length {0}")]
    NegativeLength(i32),
    /// A reply arrived for another request than the oldest in flight.
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
    Malformed(DecodeError),
    /// The server refused to re-establish a watch, so the connection cannot be trusted to deliver.
    #[error("the server refused to re-arm watches: {0}")]
    RearmRefused(zk_proto::ErrorCode),
    /// The server ran out of time over credentials or a step of the login, which is no refusal; the
    /// client sends them again on the next connection.
    #[error("the server did not verify the credentials: {0}")]
    AuthTimedOut(zk_proto::ErrorCode),
    /// The server refused the credentials.
    #[error("the server refused the credentials of scheme {0:?}")]
    AuthRefused(String),
    /// A read-only server does not know the session, which may be alive where there is a quorum; or the
    /// client requested a new session, which this server may not grant.
    #[error(
        "the server has no quorum and cannot serve this session; without one, servers serve only \
         local sessions (localSessionsEnabled)"
    )]
    WithoutQuorum,
    /// The login with SASL failed.
    #[error("the login with {mechanism} failed: {cause}")]
    LoginFailed {
        /// The name of the mechanism.
        mechanism: String,
        /// Why.
        cause: crate::sasl::SaslError,
    },
    /// The server serves only clients that have authenticated, and this client has not, or not by a
    /// scheme that the server requires.
    #[error(
        "the server requires clients to authenticate, with SASL or the schemes of its \
         `enforce.auth.schemes`, and this client has no such credentials"
    )]
    LoginRequired,
    /// The server answered that the session has expired.
    #[error("the session has expired")]
    SessionExpired,
    /// The client leaves the server for another one.
    #[error("the client moves to another server")]
    Moving,
    /// The client closed the connection.
    #[error("closed by this client")]
    Local,
}

// Not `#[from]`, which would make the error a source although the text contains it.
impl From<DecodeError> for Disconnect {
    fn from(error: DecodeError) -> Self {
        Disconnect::Malformed(error)
    }
}

impl Disconnect {
    /// Whether the next attempt will fail in the same way unless a certificate or a setting is changed.
    pub fn is_lasting(&self) -> bool {
        match self {
            #[cfg(feature = "tls-no-provider")]
            Disconnect::Tls(error) => error.is_lasting(),
            Disconnect::ServerSpeaksTls => true,
            _ => false,
        }
    }

    /// A failure that a stream reported.
    #[cfg(feature = "io")]
    pub(crate) fn of_stream(error: &std::io::Error) -> Self {
        #[cfg(feature = "tls-no-provider")]
        if let Some(error) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<crate::tls::error::TlsError>())
        {
            return Disconnect::Tls(error.clone());
        }
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset => {
                Disconnect::Reset(error.to_string())
            }
            _ => Disconnect::Io(error.to_string()),
        }
    }

    /// Whether the peer broke the protocol, as opposed to being unreachable.
    pub fn is_protocol_violation(&self) -> bool {
        matches!(
            self,
            Disconnect::NotZooKeeper(_)
                | Disconnect::ServerSpeaksTls
                | Disconnect::NegativeLength(_)
                | Disconnect::XidMismatch { .. }
                | Disconnect::Unsolicited(_)
                | Disconnect::Malformed(_)
        )
    }
}

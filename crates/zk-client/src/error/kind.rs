//! What happened, and whether the operation took effect.

use std::fmt;

use zk_proto::ErrorCode;

/// Whether a failed operation took effect on the ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The request did not leave this process, or not as a whole, or was refused before being
    /// executed. No effect.
    NotSent,
    /// The server refused the request. No effect.
    Rejected,
    /// The request may have been sent, and there was no reply, or one that does not say whether the
    /// server executed it. It may have taken effect, or still may.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The znode does not exist; for a create, its parent does not.
    #[doc(alias = "NoNodeException")]
    #[doc(alias = "NoNodeError")]
    NoNode,
    /// The znode exists already.
    #[doc(alias = "NodeExistsException")]
    NodeExists,
    /// The version given is not the current one.
    #[doc(alias = "BadVersionException")]
    BadVersion,
    /// The znode has children.
    #[doc(alias = "NotEmptyException")]
    NotEmpty,
    /// Ephemeral znodes cannot have children.
    NoChildrenForEphemerals,
    /// The ACL does not allow it.
    #[doc(alias = "NoAuthException")]
    NoAuth,
    /// The ACL given is empty or malformed, or its scheme is unknown or not authenticated.
    InvalidAcl,
    /// The server is read-only.
    ReadOnly,
    /// A quota was exceeded.
    QuotaExceeded,
    /// The server throttled the request and did not execute it.
    Throttled,
    /// The server does not know the operation, or has not enabled it. The error's text names the
    /// version that has it. With [`Outcome::NotSent`] the client had learnt that from an earlier
    /// request and sent nothing.
    Unimplemented,
    /// The server answered with another error code; see [`Error::code`](crate::Error::code). The
    /// code is a refusal only if [`Error::outcome`](crate::Error::outcome) is
    /// [`Outcome::Rejected`].
    Server,
    /// The connection was lost.
    #[doc(alias = "ConnectionLoss")]
    #[doc(alias = "ConnectionLossException")]
    ConnectionLost,
    /// The session has expired.
    #[doc(alias = "SessionExpiredException")]
    #[doc(alias = "SessionExpiredError")]
    SessionExpired,
    /// The operation's deadline passed.
    DeadlineExceeded,
    /// No session could be established in time.
    ConnectTimeout,
    /// No server could be connected to, and the client makes no further attempt: see
    /// [`ClientBuilder::fail_eagerly`](crate::ClientBuilder::fail_eagerly),
    /// [`max_connect_attempts`](crate::ClientBuilder::max_connect_attempts) and
    /// [`max_outage`](crate::ClientBuilder::max_outage). The text says what was wrong with each.
    Unreachable,
    /// No server can be connected to securely, and a retry would not help: a certificate is not
    /// valid, or only one side uses TLS.
    Untrusted,
    /// The server refused the credentials or the login, or requires one.
    AuthFailed,
    /// The client has been closed.
    Closed,
    /// [`Client::close`](crate::Client::close) has closed the client, and no server acknowledged
    /// the end of the session in time. The session and its ephemeral znodes end with the session
    /// timeout.
    CloseUnacknowledged,
    /// [`Client::close`](crate::Client::close) has ended the session, and a clean-up failed. The
    /// text names the paths that may be left.
    CleanupFailed,
    /// As many requests, or as many bytes of requests, are outstanding as the client is configured
    /// to hold.
    QueueFull,
    /// The request is larger than the client is configured to send.
    RequestTooLarge,
    /// The reply is larger than the client is configured to receive.
    ReplyTooLarge,
    /// The path is not a valid znode path.
    InvalidPath,
    /// Another argument is invalid.
    InvalidArgument,
    /// The file of a [`SessionStore`](crate::SessionStore) cannot be read or written, is in use or is
    /// accessible to other users, or contains something else. The text says which, and what to do.
    SessionFile,
    /// The reply could not be decoded.
    MalformedReply,
}

impl ErrorKind {
    pub(super) fn text(self) -> &'static str {
        match self {
            ErrorKind::NoNode => "the znode does not exist",
            ErrorKind::NodeExists => "the znode exists already",
            ErrorKind::BadVersion => "the znode has another version",
            ErrorKind::NotEmpty => "the znode has children",
            ErrorKind::NoChildrenForEphemerals => "ephemeral znodes cannot have children",
            ErrorKind::NoAuth => "the znode's ACL does not allow it",
            ErrorKind::InvalidAcl => "the ACL is empty, malformed or of an unknown scheme",
            ErrorKind::ReadOnly => "the server is read-only: it has no quorum",
            ErrorKind::QuotaExceeded => "a quota of the ensemble is exceeded",
            ErrorKind::Throttled => "the server is overloaded and did not execute the request",
            ErrorKind::Unimplemented => "the server does not know or has not enabled the operation",
            ErrorKind::Server => "the server answered with an error",
            ErrorKind::ConnectionLost => "the connection was lost",
            ErrorKind::SessionExpired => "the session has expired",
            ErrorKind::DeadlineExceeded => "the deadline passed",
            ErrorKind::ConnectTimeout => "no session could be established in time",
            ErrorKind::Unreachable => "no server could be connected to",
            ErrorKind::Untrusted => "no server can be connected to securely",
            ErrorKind::AuthFailed => "authentication failed",
            ErrorKind::Closed => "the client is closed",
            ErrorKind::CloseUnacknowledged => {
                "no server acknowledged the end of the session; its ephemeral znodes go when its \
                 timeout passes"
            }
            ErrorKind::CleanupFailed => "a clean-up failed",
            ErrorKind::QueueFull => "too many requests are outstanding",
            ErrorKind::RequestTooLarge => "the request is too large",
            ErrorKind::ReplyTooLarge => "the reply is too large",
            ErrorKind::InvalidPath => "the path is invalid",
            ErrorKind::InvalidArgument => "an argument is invalid",
            ErrorKind::SessionFile => "the session file cannot be used",
            ErrorKind::MalformedReply => "the server's reply is malformed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// What an error code says about the effect of the request that was answered with it.
pub(crate) fn outcome_of(code: ErrorCode) -> Outcome {
    match code.is_refusal() {
        true => Outcome::Rejected,
        false => Outcome::Unknown,
    }
}

pub(super) fn kind_of(code: ErrorCode) -> ErrorKind {
    match code {
        ErrorCode::NoNode => ErrorKind::NoNode,
        ErrorCode::NodeExists => ErrorKind::NodeExists,
        ErrorCode::BadVersion => ErrorKind::BadVersion,
        ErrorCode::NotEmpty => ErrorKind::NotEmpty,
        ErrorCode::NoChildrenForEphemerals => ErrorKind::NoChildrenForEphemerals,
        ErrorCode::NoAuth => ErrorKind::NoAuth,
        ErrorCode::InvalidAcl => ErrorKind::InvalidAcl,
        ErrorCode::NotReadOnly => ErrorKind::ReadOnly,
        ErrorCode::QuotaExceeded => ErrorKind::QuotaExceeded,
        ErrorCode::ThrottledOp => ErrorKind::Throttled,
        ErrorCode::Unimplemented => ErrorKind::Unimplemented,
        ErrorCode::SessionExpired => ErrorKind::SessionExpired,
        ErrorCode::AuthFailed => ErrorKind::AuthFailed,
        _ => ErrorKind::Server,
    }
}

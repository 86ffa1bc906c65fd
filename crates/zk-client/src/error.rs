//! What went wrong, with which operation and path, and whether it took effect.

use std::error::Error as StdError;
use std::fmt;

use zk_proto::{DecodeError, ErrorCode, OpCode};
use zk_transport::Disconnect;

use crate::call::PATH_SEPARATOR;

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. One pointer wide.
///
/// Ask it what you need to know: [`kind`](Self::kind) what happened, [`outcome`](Self::outcome)
/// whether the operation took effect, [`is_retryable`](Self::is_retryable) whether the same request
/// can be made again without harm.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    outcome: Outcome,
    op: Option<OpCode>,
    path: Option<String>,
    detail: Option<String>,
    /// The operation of a transaction that failed.
    failed_op: Option<usize>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Whether a failed operation took effect on the ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It never left this process whole, or was refused before being executed. No effect.
    NotSent,
    /// The server refused it. No effect.
    Rejected,
    /// It was sent and no reply came: it may have taken effect, or still may.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The znode does not exist; for a create, its parent does not.
    NoNode,
    /// The znode exists already.
    NodeExists,
    /// The version given is not the current one.
    BadVersion,
    /// The znode has children.
    NotEmpty,
    /// Ephemeral znodes cannot have children.
    NoChildrenForEphemerals,
    /// The ACL does not allow it.
    NoAuth,
    /// The ACL given is empty or malformed, or its scheme is unknown or not authenticated.
    InvalidAcl,
    /// The server is read-only.
    ReadOnly,
    /// A quota was exceeded.
    QuotaExceeded,
    /// The server throttled the request and did not execute it.
    Throttled,
    /// The server does not know the operation.
    Unimplemented,
    /// Another refusal of the server; see [`Error::code`].
    Server,
    /// The connection was lost.
    ConnectionLost,
    /// The session has expired.
    SessionExpired,
    /// The operation's deadline passed.
    DeadlineExceeded,
    /// No session could be established in time.
    ConnectTimeout,
    /// The server refused the credentials.
    AuthFailed,
    /// The client has been closed.
    Closed,
    /// As many requests are outstanding as the client is configured to hold.
    QueueFull,
    /// The request is larger than the client is configured to send.
    RequestTooLarge,
    /// The reply is larger than the client is configured to receive.
    ReplyTooLarge,
    /// The path is not a valid znode path.
    InvalidPath,
    /// Another argument is invalid.
    InvalidArgument,
    /// The reply could not be decoded.
    MalformedReply,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, outcome: Outcome) -> Self {
        Error(Box::new(Inner {
            kind,
            outcome,
            op: None,
            path: None,
            detail: None,
            failed_op: None,
            source: None,
        }))
    }

    pub(crate) fn rejected(code: ErrorCode) -> Self {
        let kind = match code {
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
        };
        Error::new(kind, Outcome::Rejected).with_source(Refusal(code))
    }

    pub(crate) fn connection_lost(reason: Disconnect, outcome: Outcome) -> Self {
        Error::new(ErrorKind::ConnectionLost, outcome).with_source(reason)
    }

    pub(crate) fn malformed(error: DecodeError) -> Self {
        Error::new(ErrorKind::MalformedReply, Outcome::Unknown).with_source(error)
    }

    pub(crate) fn unexpected(detail: &str) -> Self {
        Error::new(ErrorKind::MalformedReply, Outcome::Unknown).with_detail(detail)
    }

    pub(crate) fn invalid_argument(detail: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidArgument, Outcome::NotSent).with_detail(detail)
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    pub(crate) fn with_failed_op(mut self, index: usize) -> Self {
        self.0.failed_op = Some(index);
        self
    }

    pub(crate) fn at(mut self, op: OpCode, path: &str) -> Self {
        self.0.op = Some(op);
        self.0.path = (!path.is_empty()).then(|| path.replace(PATH_SEPARATOR, ", "));
        self
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the operation took effect. Total: every error has an outcome.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The name of the operation that failed, as the protocol has it, if there was one.
    pub fn op(&self) -> Option<&'static str> {
        self.0.op.map(OpCode::name)
    }

    /// The path the operation was about, as the caller gave it; of a transaction all of them, or the
    /// one of the operation that made it fail.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The server's error code, if it refused the operation.
    pub fn code(&self) -> Option<ErrorCode> {
        self.0
            .source
            .as_ref()?
            .downcast_ref::<Refusal>()
            .map(|refusal| refusal.0)
    }

    /// The index of the operation that made a transaction fail; [`kind`](Self::kind) and
    /// [`path`](Self::path) are that operation's. None of the transaction took effect.
    pub fn failed_op(&self) -> Option<usize> {
        self.0.failed_op
    }

    /// Whether the same request can be made again without harm: it had no effect, and what stood in
    /// its way may pass by itself.
    pub fn is_retryable(&self) -> bool {
        self.outcome() != Outcome::Unknown
            && matches!(
                self.kind(),
                ErrorKind::ConnectionLost
                    | ErrorKind::DeadlineExceeded
                    | ErrorKind::Throttled
                    | ErrorKind::QueueFull
            )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(op) = inner.op {
            write!(f, "{}", op.name())?;
            if let Some(path) = &inner.path {
                write!(f, " {path}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(index) = inner.failed_op {
            write!(f, "operation {index} of the transaction: ")?;
        }
        match (&inner.detail, inner.kind) {
            (Some(detail), _) => f.write_str(detail)?,
            (None, ErrorKind::Server) => match &inner.source {
                Some(source) => write!(f, "{source}")?,
                None => f.write_str("refused by the server")?,
            },
            (None, kind) => write!(f, "{kind}")?,
        }
        match inner.outcome {
            Outcome::Unknown => f.write_str("; whether it took effect is unknown"),
            Outcome::NotSent if inner.op.is_some() => f.write_str("; it had no effect"),
            Outcome::NotSent | Outcome::Rejected => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("outcome", &inner.outcome)
            .field("op", &inner.op)
            .field("path", &inner.path)
            .field("detail", &inner.detail)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self.0.kind {
            // Its text is the source's already.
            ErrorKind::Server => None,
            _ => self.0.source.as_deref().map(|source| source as _),
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::NoNode => "the znode does not exist",
            ErrorKind::NodeExists => "the znode exists already",
            ErrorKind::BadVersion => "the znode has another version",
            ErrorKind::NotEmpty => "the znode has children",
            ErrorKind::NoChildrenForEphemerals => "ephemeral znodes cannot have children",
            ErrorKind::NoAuth => "the znode's ACL does not allow it",
            ErrorKind::InvalidAcl => "the ACL is empty, malformed or of an unknown scheme",
            ErrorKind::ReadOnly => "the server is read-only",
            ErrorKind::QuotaExceeded => "a quota of the ensemble is exceeded",
            ErrorKind::Throttled => "the server is overloaded and did not execute the request",
            ErrorKind::Unimplemented => "the server does not know or has not enabled the operation",
            ErrorKind::Server => "the server refused",
            ErrorKind::ConnectionLost => "the connection was lost",
            ErrorKind::SessionExpired => "the session has expired",
            ErrorKind::DeadlineExceeded => "the deadline passed",
            ErrorKind::ConnectTimeout => "no session could be established in time",
            ErrorKind::AuthFailed => "the server refused the credentials",
            ErrorKind::Closed => "the client is closed",
            ErrorKind::QueueFull => "too many requests are outstanding",
            ErrorKind::RequestTooLarge => "the request is too large",
            ErrorKind::ReplyTooLarge => "the reply is too large",
            ErrorKind::InvalidPath => "the path is invalid",
            ErrorKind::InvalidArgument => "an argument is invalid",
            ErrorKind::MalformedReply => "the server's reply is malformed",
        })
    }
}

/// A server's refusal, as the source of an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refusal(ErrorCode);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn the_message_names_operation_path_and_outcome() {
        let error = Error::connection_lost(Disconnect::ClosedByServer, Outcome::Unknown)
            .at(OpCode::Create, "/a");
        assert_eq!(
            error.to_string(),
            "create /a: the connection was lost; whether it took effect is unknown"
        );
        assert_eq!(
            error.source().unwrap().to_string(),
            "the server closed the connection"
        );
        let error = Error::rejected(ErrorCode::NoNode).at(OpCode::GetData, "/b");
        assert_eq!(error.to_string(), "getData /b: the znode does not exist");
        assert_eq!(error.code(), Some(ErrorCode::NoNode));
    }

    #[test]
    fn only_what_had_no_effect_is_retryable() {
        let lost = |outcome| Error::connection_lost(Disconnect::ClosedByServer, outcome);
        assert!(lost(Outcome::NotSent).is_retryable());
        assert!(!lost(Outcome::Unknown).is_retryable());
        assert!(!Error::rejected(ErrorCode::NoNode).is_retryable());
        assert!(Error::rejected(ErrorCode::ThrottledOp).is_retryable());
    }
}

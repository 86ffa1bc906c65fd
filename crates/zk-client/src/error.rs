//! What went wrong, with which operation and path, and whether it took effect.

mod display;
mod op_class;

pub(crate) use op_class::is_create;

use std::error::Error as StdError;
use std::fmt;

use zk_proto::{DecodeError, ErrorCode, OpCode};
use zk_transport::Disconnect;

/// Between the paths of a transaction's operations; no path contains it.
pub(crate) const PATH_SEPARATOR: char = '\n';

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. One pointer wide.
///
/// Ask it what you need to know: [`kind`](Self::kind) what happened, [`outcome`](Self::outcome)
/// whether the operation took effect, [`is_retryable`](Self::is_retryable) whether the same request
/// can be made again without harm. Its text says what happened, to which operation and path, whether
/// that took effect, and in parentheses what to do; the cause, if there is one beyond that, is its
/// source.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    outcome: Outcome,
    op: Option<OpCode>,
    path: Option<String>,
    detail: Option<String>,
    /// The operation of a transaction that failed.
    failed_op: Option<usize>,
    /// A retry policy has given up on it.
    exhausted: bool,
    /// The server closed the connection, maybe because it does not know the operation.
    closed_on: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Whether a failed operation took effect on the ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It never left this process whole, or was refused before being executed. No effect.
    NotSent,
    /// The server refused it. No effect.
    Rejected,
    /// It may have been sent, and no reply came, or one that does not say whether it was executed: it
    /// may have taken effect, or still may.
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
    /// The server does not know the operation, or it is not enabled there. The error's text names the
    /// version that has it. With [`Outcome::NotSent`] the client knew it before it asked.
    Unimplemented,
    /// The server answered with another error; see [`Error::code`]. It is a refusal only if
    /// [`Error::outcome`] says so.
    Server,
    /// The connection was lost.
    ConnectionLost,
    /// The session has expired.
    SessionExpired,
    /// The operation's deadline passed.
    DeadlineExceeded,
    /// No session could be established in time.
    ConnectTimeout,
    /// No server can be connected to securely, and trying again would not help: a certificate is
    /// not good, or only one side speaks TLS.
    Untrusted,
    /// The server refused the credentials or the login, or requires one.
    AuthFailed,
    /// The client has been closed.
    Closed,
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
            exhausted: false,
            closed_on: false,
            source: None,
        }))
    }

    /// The server's answer was an error code: a refusal, or one that leaves open whether the request
    /// was executed.
    pub(crate) fn answered(code: ErrorCode) -> Self {
        let outcome = outcome_of(code);
        Error::new(kind_of(code), outcome).with_source(Answered(code))
    }

    /// The same operation's failure, now that it is known to have been refused.
    pub(crate) fn into_rejected(self, code: ErrorCode) -> Self {
        let mut error = Error::answered(code);
        (error.0.op, error.0.path) = (self.0.op, self.0.path);
        error
    }

    pub(crate) fn connection_lost(reason: Disconnect, outcome: Outcome) -> Self {
        Error::new(ErrorKind::ConnectionLost, outcome).with_source(reason)
    }

    pub(crate) fn auth_failed(reason: Disconnect, outcome: Outcome) -> Self {
        Error::new(ErrorKind::AuthFailed, outcome)
            .with_detail(reason.to_string())
            .with_source(reason)
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

    /// An error of the kind [`ErrorKind::InvalidPath`] for a request that was not sent, for layers
    /// that check a path before they send anything. `text` says which path, and what is wrong with
    /// it.
    pub fn invalid_path(text: impl Into<String>) -> Self {
        Error::new(ErrorKind::InvalidPath, Outcome::NotSent).with_detail(text)
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    pub(crate) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The failure of an operation whose effect was looked for, in vain: `look` is why.
    pub(crate) fn not_found_out(mut self, look: Error) -> Self {
        let what = match self.code() {
            Some(code) => code.to_string(),
            None => self.kind().to_string(),
        };
        self.0.detail = Some(format!("{what}, and looking for its effect failed"));
        self.0.outcome = Outcome::Unknown;
        self.with_source(look)
    }

    pub(crate) fn with_failed_op(mut self, index: usize) -> Self {
        self.0.failed_op = Some(index);
        self
    }

    /// A read has been sent again after each lost connection, and is not to be any more.
    pub(crate) fn of_replayed(self, op: OpCode) -> Self {
        let lost = self.kind() == ErrorKind::ConnectionLost && self.outcome() == Outcome::Unknown;
        match lost && op_class::is_read(op) {
            true => self.with_retries_exhausted(),
            false => self,
        }
    }

    pub(crate) fn with_closed_on(mut self) -> Self {
        self.0.closed_on = true;
        self
    }

    pub(crate) fn with_retries_exhausted(mut self) -> Self {
        self.0.exhausted = true;
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

    /// The error code that the server answered with. Whether the operation took effect is said by
    /// [`outcome`](Self::outcome) alone.
    pub fn code(&self) -> Option<ErrorCode> {
        self.0
            .source
            .as_ref()?
            .downcast_ref::<Answered>()
            .map(|answered| answered.0)
    }

    /// The index of the operation that made a transaction fail; [`kind`](Self::kind) and
    /// [`path`](Self::path) are that operation's. None of the transaction took effect. `None` if that
    /// is not known.
    pub fn failed_op(&self) -> Option<usize> {
        self.0.failed_op
    }

    /// Whether a [`RetryPolicy`](crate::RetryPolicy) has given up on it. Another policy does not try
    /// it again, so that policies inside policies do not multiply.
    pub fn retries_exhausted(&self) -> bool {
        self.0.exhausted
    }

    /// Whether the server does not know the operation, or may not know it: the kind is
    /// [`Unimplemented`](ErrorKind::Unimplemented), or the server closed the connection when it was to
    /// answer an operation that no server of this client has answered yet.
    ///
    /// Servers that close the connection on what they do not know may end the session as well. The
    /// client learns from it, and does not ask the same server again: what can be done by another
    /// operation then is, so that the request can be made again; else it fails with `Unimplemented`
    /// at once. Where the [`outcome`](Self::outcome) is unknown, it stays so: the connection may have
    /// been lost for another reason.
    ///
    /// What was learnt of Apache's servers is kept as long as the client lives: one that outlives an
    /// upgrade of its servers in place does not use what is new until the program makes another client.
    /// A Keeper is asked over each connection.
    pub fn lacks_operation(&self) -> bool {
        self.kind() == ErrorKind::Unimplemented || self.0.closed_on
    }

    /// Whether the same request can be made again without harm: it had no effect, and what stood in
    /// its way may pass by itself.
    ///
    /// So it is after [`Unimplemented`](ErrorKind::Unimplemented) where the client has an older operation
    /// to send instead, and could not do so at once because another write was on its way.
    pub fn is_retryable(&self) -> bool {
        let is_replaced =
            self.kind() == ErrorKind::Unimplemented && self.0.op.is_some_and(op_class::is_replaced);
        if is_replaced {
            return self.outcome() != Outcome::Unknown;
        }
        self.outcome() != Outcome::Unknown
            && !(zk_proto::seeded_bug!("A36") && self.kind() == ErrorKind::Throttled)
            && matches!(
                self.kind(),
                ErrorKind::ConnectionLost
                    | ErrorKind::DeadlineExceeded
                    | ErrorKind::Throttled
                    | ErrorKind::QueueFull
            )
    }

    /// Whether a request that can be executed twice without harm, as a read can, can be made again
    /// and may succeed then. True of all that [`is_retryable`](Self::is_retryable), and of
    /// [`Outcome::Unknown`] when the connection was lost, the deadline passed, or the server says that
    /// it ran out of time ([`ErrorCode::is_timeout`]).
    pub fn is_transient(&self) -> bool {
        let timed_out = self.code().is_some_and(ErrorCode::is_timeout);
        let lost = matches!(
            self.kind(),
            ErrorKind::ConnectionLost | ErrorKind::DeadlineExceeded
        );
        self.is_retryable() || (self.outcome() == Outcome::Unknown && (lost || timed_out))
    }

    /// Whether the operation may have taken effect, and a later look at the ensemble can tell: the
    /// session and the client go on.
    pub(crate) fn is_unresolved(&self) -> bool {
        self.outcome() == Outcome::Unknown
            && matches!(
                self.kind(),
                ErrorKind::ConnectionLost
                    | ErrorKind::DeadlineExceeded
                    | ErrorKind::Server
                    | ErrorKind::MalformedReply
            )
    }
}

/// What an error code says about the effect of the request that was answered with it.
pub(crate) fn outcome_of(code: ErrorCode) -> Outcome {
    match code.is_refusal() {
        true => Outcome::Rejected,
        false => Outcome::Unknown,
    }
}

fn kind_of(code: ErrorCode) -> ErrorKind {
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
            ErrorKind::Server if self.0.detail.is_none() => None,
            _ => self.0.source.as_deref().map(|source| source as _),
        }
    }
}

/// The error code of a reply, as the source of an error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Answered(ErrorCode);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn only_what_had_no_effect_is_retryable() {
        let lost = |outcome| Error::connection_lost(Disconnect::ClosedByServer, outcome);
        assert!(lost(Outcome::NotSent).is_retryable());
        assert!(!lost(Outcome::Unknown).is_retryable());
        assert!(!Error::answered(ErrorCode::NoNode).is_retryable());
        assert!(Error::answered(ErrorCode::ThrottledOp).is_retryable());
    }

    /// Guards: M2.
    #[test]
    fn a_code_that_is_no_refusal_is_unknown() {
        for code in [-1, -2, -4, -7, -122, -999] {
            let error = Error::answered(ErrorCode::from_i32(code).unwrap());
            assert_eq!(error.outcome(), Outcome::Unknown, "{code}");
            assert_eq!(error.code().unwrap().code(), code);
            assert!(error.is_unresolved() && !error.is_retryable(), "{code}");
            assert_eq!(
                error.is_transient(),
                matches!(code, -4 | -7 | -122),
                "{code}"
            );
        }
        let refused = Error::answered(ErrorCode::BadVersion);
        assert_eq!(refused.outcome(), Outcome::Rejected);
        assert!(!refused.is_unresolved() && !refused.is_transient());
    }
}

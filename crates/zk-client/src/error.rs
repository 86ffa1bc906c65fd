//! What went wrong, with which operation and path, and whether it took effect.

mod display;
mod kind;
mod op_class;

pub(crate) use kind::outcome_of;
pub use kind::{ErrorKind, Outcome};

use std::error::Error as StdError;
use std::fmt;

use zk_proto::{Chroot, DecodeError, ErrorCode, OpCode};
use zk_transport::Disconnect;

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. One pointer wide.
///
/// [`kind`](Self::kind) is what happened, [`outcome`](Self::outcome) whether the operation took
/// effect, [`is_retryable`](Self::is_retryable) whether the same request can be made again without
/// harm.
///
/// `Display` says what happened, to which operation and path, whether that took effect, and in
/// parentheses what to do. The cause is the [`source`](StdError::source), unless the text contains
/// it already. `Debug` is the same text with its causes behind it, so that a `main` that returns
/// the error prints a sentence; `{:#?}` shows the fields.
///
/// ```
/// use zk_client::{Client, ErrorKind, Outcome};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let error = Client::connect("no port:x").await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidArgument);
/// assert_eq!(error.outcome(), Outcome::NotSent);
/// assert!(format!("{error:?}").starts_with("the connect string is invalid; caused by: "));
/// # });
/// ```
#[doc(alias = "KeeperException")]
#[doc(alias = "KazooException")]
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    outcome: Outcome,
    op: Option<OpCode>,
    path: Option<String>,
    detail: Option<String>,
    /// The chroot of the handle, if the server found no znode below it.
    chroot: Option<String>,
    /// The operation of a transaction that failed.
    failed_op: Option<usize>,
    /// A retry policy has given up on the operation.
    exhausted: bool,
    /// The server closed the connection, maybe because it lacks the operation.
    closed_on: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, outcome: Outcome) -> Self {
        Error(Box::new(Inner {
            kind,
            outcome,
            op: None,
            path: None,
            detail: None,
            chroot: None,
            failed_op: None,
            exhausted: false,
            closed_on: false,
            source: None,
        }))
    }

    /// The server answered with an error code: a refusal, or one that does not say whether the
    /// request was executed.
    pub(crate) fn answered(code: ErrorCode) -> Self {
        Error::new(kind::kind_of(code), outcome_of(code)).with_source(Answered(code))
    }

    /// The failure of the same operation, with an outcome that has meanwhile become known: refused.
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
    /// that check a path before they send anything. `text` says which path, and why it is invalid.
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

    /// The failure of an operation of unknown outcome, where the read that should have found the
    /// outcome failed, too, with `look`.
    pub(crate) fn with_failed_look(mut self, look: Error) -> Self {
        self.0.detail = Some(format!(
            "{}, and looking for its effect failed",
            self.what()
        ));
        self.0.outcome = Outcome::Unknown;
        self.with_source(look)
    }

    /// The failure of a transaction of unknown outcome, about which its znodes prove nothing.
    pub(crate) fn with_undecided_look(mut self) -> Self {
        self.0.detail = Some(format!(
            "{}, and its znodes do not show its effect",
            self.what()
        ));
        self
    }

    /// The code of the server, or the kind.
    fn what(&self) -> String {
        match self.code() {
            Some(code) => code.to_string(),
            None => self.kind().to_string(),
        }
    }

    pub(crate) fn with_failed_op(mut self, index: usize) -> Self {
        self.0.failed_op = Some(index);
        self
    }

    /// Marks a read that the session has sent again after lost connections as given up.
    pub(crate) fn of_replayed(self, op: OpCode) -> Self {
        let lost = self.kind() == ErrorKind::ConnectionLost && self.outcome() == Outcome::Unknown;
        match lost && op_class::is_read(op) {
            true => self.with_retries_exhausted(),
            false => self,
        }
    }

    /// Says in which chroot the server found no znode.
    pub(crate) fn in_chroot(mut self, chroot: &Chroot) -> Self {
        if self.kind() == ErrorKind::NoNode && !chroot.is_none() {
            self.0.chroot = Some(chroot.as_str().to_owned());
        }
        self
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
        self.0.path = (!path.is_empty()).then(|| path.to_owned());
        self
    }

    /// What happened.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the operation took effect. Every error has an outcome.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The name of the operation that failed, as the protocol has it, if there was one.
    pub fn op(&self) -> Option<&'static str> {
        self.0.op.map(OpCode::name)
    }

    /// The path the operation was about, as the caller gave it; of a transaction all of them, or
    /// the one of the operation that made it fail.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The error code that the server answered with. Only [`outcome`](Self::outcome) says whether
    /// the operation took effect.
    pub fn code(&self) -> Option<ErrorCode> {
        self.cause::<Answered>().map(|answered| answered.0)
    }

    /// How the connection ended or could not be established, if that is the cause. Of several
    /// servers that failed, that of one; the text names all.
    pub fn disconnect(&self) -> Option<&Disconnect> {
        self.cause()
    }

    fn cause<T: StdError + 'static>(&self) -> Option<&T> {
        self.0.source.as_ref()?.downcast_ref()
    }

    /// The index of the operation that made a transaction fail; [`kind`](Self::kind) and
    /// [`path`](Self::path) are that operation's. Nothing of the transaction took effect. `None` if
    /// the server did not say which operation failed.
    pub fn failed_op(&self) -> Option<usize> {
        self.0.failed_op
    }

    /// Whether a [`RetryPolicy`](crate::RetryPolicy) has given up on the operation. Other policies
    /// then do not retry it, so that the attempts of nested policies do not multiply.
    pub fn retries_exhausted(&self) -> bool {
        self.0.exhausted
    }

    /// Whether the server lacks the operation, or may lack it: the kind is
    /// [`Unimplemented`](ErrorKind::Unimplemented), or the server closed the connection instead of
    /// answering an operation that no server of this client has answered before.
    ///
    /// A server that closes the connection on an unknown operation may end the session as well. The
    /// client remembers the operation and does not send it to that server again: later requests use
    /// an older operation where there is one, and fail with `Unimplemented` at once where there is
    /// none. The [`outcome`](Self::outcome) stays unknown, as the connection may have been lost for
    /// another reason.
    ///
    /// The client remembers what Apache's servers lack for as long as it lives: after an upgrade of
    /// its servers in place it does not use their new operations until the program makes another
    /// client. A ClickHouse Keeper reports its operations on each connection.
    pub fn lacks_operation(&self) -> bool {
        self.kind() == ErrorKind::Unimplemented || self.0.closed_on
    }

    /// Whether the same request can be made again without harm: it had no effect, and the reason of
    /// its failure may pass by itself.
    ///
    /// That includes [`Unimplemented`](ErrorKind::Unimplemented) where the client has an older
    /// operation to send instead, and did not send it at once because another write was in flight.
    pub fn is_retryable(&self) -> bool {
        let is_replaced =
            self.kind() == ErrorKind::Unimplemented && self.0.op.is_some_and(op_class::is_replaced);
        if is_replaced {
            return self.outcome() != Outcome::Unknown;
        }
        self.outcome() != Outcome::Unknown
            && matches!(
                self.kind(),
                ErrorKind::ConnectionLost
                    | ErrorKind::DeadlineExceeded
                    | ErrorKind::Throttled
                    | ErrorKind::QueueFull
            )
    }

    /// Whether a request that can be executed twice without harm, such as a read, may succeed if it
    /// is made again. True of every error that [`is_retryable`](Self::is_retryable), and of
    /// [`Outcome::Unknown`] when the connection was lost, the deadline passed, or the server
    /// answered that it ran out of time ([`ErrorCode::is_timeout`]).
    pub fn is_transient(&self) -> bool {
        let timed_out = self.code().is_some_and(ErrorCode::is_timeout);
        let lost = matches!(
            self.kind(),
            ErrorKind::ConnectionLost | ErrorKind::DeadlineExceeded
        );
        self.is_retryable() || (self.outcome() == Outcome::Unknown && (lost || timed_out))
    }

    /// Whether the operation may have taken effect, and a read can still find out: neither the
    /// session nor the client has ended.
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

impl fmt::Debug for Error {
    /// The text and its causes on one line; `{:#?}` shows the fields.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if f.alternate() {
            return f
                .debug_struct("Error")
                .field("kind", &inner.kind)
                .field("outcome", &inner.outcome)
                .field("op", &self.op())
                .field("path", &inner.path)
                .field("chroot", &inner.chroot)
                .field("detail", &inner.detail)
                .field("failed_op", &inner.failed_op)
                .field("source", &inner.source)
                .finish_non_exhaustive();
        }
        fmt::Display::fmt(self, f)?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, "; caused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    /// The cause, without causes that the text contains already.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref()?;
        // The kind, or the text, says what the code says.
        if source.is::<Answered>() {
            return None;
        }
        let detail = self.0.detail.as_deref().unwrap_or_default();
        match detail.contains(&source.to_string()) {
            true => source.source(),
            false => Some(source),
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
    fn debug_is_the_text_with_its_causes() {
        let lost = Error::connection_lost(Disconnect::ClosedByServer, Outcome::NotSent);
        let error = lost.at(OpCode::SetData, "/a");
        assert_eq!(
            format!("{error:?}"),
            "setData /a: the connection was lost; it had no effect (it can be made again); caused \
             by: the server closed the connection"
        );
        let fields = format!("{error:#?}");
        assert!(fields.contains("kind: ConnectionLost") && fields.contains("path: Some("));
    }

    #[test]
    fn a_cause_is_not_repeated() {
        let refused = Error::auth_failed(Disconnect::LoginRequired, Outcome::NotSent);
        assert!(
            refused
                .to_string()
                .contains(&Disconnect::LoginRequired.to_string())
        );
        assert!(refused.source().is_none());
        assert_eq!(refused.disconnect(), Some(&Disconnect::LoginRequired));
        for code in [ErrorCode::NoNode, ErrorCode::OperationTimeout] {
            let error = Error::answered(code);
            assert_eq!(error.code(), Some(code));
            assert!(error.source().is_none());
        }
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
    fn an_ambiguous_code_is_unknown() {
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

//! Why a request has no answer, and whether it may be sent again.

use zk_transport::Disconnect;

use crate::error::Outcome;

/// After so many connections that were lost one after the other when this request was to be answered
/// next, the request counts as their cause. There is no limit while no server can be reached, because
/// then nothing is sent.
pub(crate) const MAX_LOSSES: u32 = 10;

/// Whether a request may be sent again when its reply did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replay {
    /// It could be executed twice.
    Never,
    /// On another connection of the same session: it depends on what was sent before it.
    InSession,
    /// Whenever there is a connection.
    Always,
}

impl Replay {
    pub(crate) fn is_never(self) -> bool {
        self == Replay::Never
    }
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    ConnectionLost(Disconnect, Outcome),
    /// The server closed the connection when the request was to be answered, and may lack the operation.
    ClosedOn(Disconnect),
    /// The server lacks the operation.
    Unimplemented(Outcome),
    SessionExpired(Outcome),
    DeadlineExceeded(Outcome),
    AuthFailed(Disconnect, Outcome),
    Closed(Outcome),
    QueueFull,
    QueueBytes {
        bytes: usize,
        limit: usize,
    },
    RequestTooLarge {
        size: usize,
        limit: usize,
    },
    ReplyTooLarge {
        size: usize,
        limit: usize,
    },
}

impl Failure {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Failure::ConnectionLost(_, outcome)
            | Failure::AuthFailed(_, outcome)
            | Failure::Unimplemented(outcome)
            | Failure::SessionExpired(outcome)
            | Failure::DeadlineExceeded(outcome)
            | Failure::Closed(outcome) => *outcome,
            Failure::QueueFull | Failure::QueueBytes { .. } | Failure::RequestTooLarge { .. } => {
                Outcome::NotSent
            }
            Failure::ClosedOn(_) | Failure::ReplyTooLarge { .. } => Outcome::Unknown,
        }
    }

    /// The same failure, of a request that was sent.
    pub(crate) fn of_unknown_outcome(self) -> Self {
        match self {
            Failure::SessionExpired(_) => Failure::SessionExpired(Outcome::Unknown),
            Failure::AuthFailed(reason, _) => Failure::AuthFailed(reason, Outcome::Unknown),
            Failure::Closed(_) => Failure::Closed(Outcome::Unknown),
            other => other,
        }
    }
}

//! What is done to a request, and how often.

use std::time::Duration;

use bytes::Bytes;
use zk_proto::ErrorCode;

use super::matcher::Matcher;

impl Matcher {
    /// The rule that does `action` to the first request that matches.
    #[must_use]
    pub fn then(self, action: Action) -> Rule {
        Rule {
            on: self,
            action,
            times: Some(1),
        }
    }
}

/// What is done to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Executes the request and closes the connection instead of answering.
    DropReply,
    /// Closes the connection without executing the request.
    Close,
    /// Executes the request and never answers it; the connection stays open.
    Swallow,
    /// Answers with this code without executing the request.
    Refuse(ErrorCode),
    /// Executes the request and answers with this code instead of its result, as servers do that lost
    /// track of a transaction before it was committed
    /// ([`OperationTimeout`](ErrorCode::OperationTimeout), [`ConnectionLoss`](ErrorCode::ConnectionLoss)).
    /// Watch events of the request are sent as usual.
    Misreport(ErrorCode),
    /// Executes the request and answers after this time; later replies wait.
    Delay(Duration),
    /// Sends these bytes instead of a frame, without executing the request.
    Respond(Bytes),
    /// As [`Action::Respond`], and then the connection is closed.
    RespondAndClose(Bytes),
    /// Executes the request and sends its reply this many times.
    Repeat(u32),
    /// Leaves the connection open, and executes and answers nothing on it from here on.
    HalfOpen,
}

/// One line of the script: a matcher, an action, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(super) on: Matcher,
    pub(super) action: Action,
    pub(super) times: Option<u32>,
}

impl Rule {
    /// For this many requests instead of one.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Until the faults are [cleared](crate::Faults::clear).
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }
}

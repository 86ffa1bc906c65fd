//! The error codes of reply headers and multi results.

use std::fmt;

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why a server refused or failed a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
            /// A code this crate does not know, as a newer server may send.
            Unknown(i32),
        }

        impl ErrorCode {
            /// Every code with a name.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The error with this code; `None` for 0, which is success.
            pub fn from_i32(code: i32) -> Option<Self> {
                match code {
                    0 => None,
                    $($code => Some(Self::$name),)*
                    unknown => Some(Self::Unknown(unknown)),
                }
            }

            /// The number on the wire.
            pub fn code(self) -> i32 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Unknown(code) => code,
                }
            }

            /// A short text, without the code.
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Unknown(_) => "unknown error",
                }
            }
        }
    };
}

error_codes! {
    /// The server failed in a way without a code of its own.
    SystemError = -1, "server error";
    /// In a multi: not done, because another operation failed.
    RuntimeInconsistency = -2, "not done because another operation of the multi failed";
    /// The server found its data inconsistent.
    DataInconsistency = -3, "the server found an inconsistency in its data";
    /// The connection was lost before the reply.
    ConnectionLoss = -4, "connection lost";
    /// The server could not read the request, or does not know one of its values.
    MarshallingError = -5, "the server could not read the request";
    /// The server does not have the operation, or has it disabled.
    Unimplemented = -6, "operation not supported by the server";
    /// The operation took too long.
    OperationTimeout = -7, "operation timed out";
    /// A path or another argument is not valid.
    BadArguments = -8, "invalid arguments";
    /// The client's state does not allow the operation (C client only).
    InvalidState = -9, "invalid client state";
    /// The server does not know the session.
    UnknownSession = -12, "unknown session";
    /// A reconfiguration's new ensemble has no quorum connected and in sync.
    NewConfigNoQuorum = -13, "no quorum of the new configuration is connected and in sync";
    /// Another reconfiguration is under way.
    ReconfigInProgress = -14, "another reconfiguration is in progress";
    /// TLS failed (C client only).
    SslConnectionError = -15, "TLS connection failed";
    /// The base of the codes below; no server sends it.
    ApiError = -100, "API error";
    /// The node does not exist.
    NoNode = -101, "node does not exist";
    /// The ACL does not allow it.
    NoAuth = -102, "not permitted by the node's ACL";
    /// The version given is not the node's.
    BadVersion = -103, "version does not match";
    /// An ephemeral node cannot have children.
    NoChildrenForEphemerals = -108, "an ephemeral node cannot have children";
    /// The node exists already.
    NodeExists = -110, "node already exists";
    /// The node has children.
    NotEmpty = -111, "node has children";
    /// The session has expired.
    SessionExpired = -112, "session expired";
    /// A callback is not valid (client-side).
    InvalidCallback = -113, "invalid callback";
    /// An ACL is not valid.
    InvalidAcl = -114, "invalid ACL";
    /// Authentication failed.
    AuthFailed = -115, "authentication failed";
    /// The client is closing (C client only).
    Closing = -116, "client is closing";
    /// Nothing to process (C client only).
    Nothing = -117, "no server responses to process";
    /// The session is now on another server.
    SessionMoved = -118, "session moved to another server";
    /// The server is in read-only mode and this is a write.
    NotReadOnly = -119, "the server is read-only";
    /// A local session cannot have ephemeral nodes.
    EphemeralOnLocalSession = -120, "a local session cannot create ephemeral nodes";
    /// There is no such watch.
    NoWatcher = -121, "no such watch";
    /// No reply within the time allowed (client-side).
    RequestTimeout = -122, "request timed out";
    /// Reconfiguration is disabled on the server.
    ReconfigDisabled = -123, "reconfiguration is disabled on the server";
    /// The server requires authentication with SASL or another scheme.
    SessionClosedRequireSaslAuth = -124, "the server requires authentication and closed the session";
    /// The write would exceed a hard quota.
    QuotaExceeded = -125, "quota exceeded";
    /// The server is overloaded and did not execute the request; it may be sent again later.
    ThrottledOp = -127, "throttled by the server, not executed";
}

impl ErrorCode {
    /// Whether a request that was answered with this code was not executed, and never will be.
    ///
    /// These are the codes of the checks that Apache's server makes before a transaction, and of its
    /// administration. After any other code the request may have been executed: servers send them when
    /// the commit of a transaction failed or took too long (ClickHouse Keeper answers
    /// [`OperationTimeout`](Self::OperationTimeout) and [`ConnectionLoss`](Self::ConnectionLoss) then),
    /// or they belong to client libraries, or they are new.
    ///
    /// [`RuntimeInconsistency`](Self::RuntimeInconsistency) means this only for an operation in a
    /// multi of which another operation was refused.
    pub fn is_refusal(self) -> bool {
        match self {
            Self::MarshallingError
            | Self::Unimplemented
            | Self::BadArguments
            | Self::UnknownSession
            | Self::NewConfigNoQuorum
            | Self::ReconfigInProgress
            | Self::NoNode
            | Self::NoAuth
            | Self::BadVersion
            | Self::NoChildrenForEphemerals
            | Self::NodeExists
            | Self::NotEmpty
            | Self::SessionExpired
            | Self::InvalidAcl
            | Self::AuthFailed
            | Self::SessionMoved
            | Self::NotReadOnly
            | Self::EphemeralOnLocalSession
            | Self::NoWatcher
            | Self::ReconfigDisabled
            | Self::SessionClosedRequireSaslAuth
            | Self::QuotaExceeded
            | Self::ThrottledOp => true,
            Self::SystemError
            | Self::RuntimeInconsistency
            | Self::DataInconsistency
            | Self::ConnectionLoss
            | Self::OperationTimeout
            | Self::InvalidState
            | Self::SslConnectionError
            | Self::ApiError
            | Self::InvalidCallback
            | Self::Closing
            | Self::Nothing
            | Self::RequestTimeout
            | Self::Unknown(_) => false,
        }
    }

    /// Whether the server ran into a timeout or lost its connection to the ensemble, so that a retry may
    /// succeed. The request may have been executed ([`is_refusal`](Self::is_refusal) is false).
    pub fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::ConnectionLoss | Self::OperationTimeout | Self::RequestTimeout
        )
    }
}

/// The text and the code: `node does not exist (NoNode, -101)`.
impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(code) => write!(f, "{} ({code})", self.text()),
            known => write!(f, "{} ({known:?}, {})", known.text(), known.code()),
        }
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_known_or_not() {
        assert_eq!(ErrorCode::from_i32(0), None);
        for code in (-2000..2000)
            .chain([i32::MIN, i32::MAX])
            .filter(|&code| code != 0)
        {
            assert_eq!(ErrorCode::from_i32(code).unwrap().code(), code);
        }
        for &named in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_i32(named.code()), Some(named));
        }
        assert_eq!(ErrorCode::ALL.len(), 35);
    }

    /// Guards: M2.
    #[test]
    fn only_known_refusals_mean_not_executed() {
        for code in [-1, -2, -3, -4, -7, -9, -15, -100, -113, -116, -117, -122] {
            assert!(!ErrorCode::from_i32(code).unwrap().is_refusal(), "{code}");
        }
        for code in [
            -5, -6, -8, -101, -103, -110, -112, -114, -118, -119, -125, -127,
        ] {
            assert!(ErrorCode::from_i32(code).unwrap().is_refusal(), "{code}");
        }
        for code in [-126, -128, -999, 1, i32::MIN, i32::MAX] {
            assert!(!ErrorCode::from_i32(code).unwrap().is_refusal(), "{code}");
        }
        for code in ErrorCode::ALL {
            assert!(!(code.is_timeout() && code.is_refusal()), "{code:?}");
        }
    }

    #[test]
    fn the_gap_at_126_stays_a_gap() {
        assert_eq!(ErrorCode::from_i32(-126), Some(ErrorCode::Unknown(-126)));
        assert_eq!(ErrorCode::from_i32(-127), Some(ErrorCode::ThrottledOp));
    }

    #[test]
    fn texts_say_what_and_which() {
        assert_eq!(
            ErrorCode::NoNode.to_string(),
            "node does not exist (NoNode, -101)"
        );
        assert_eq!(ErrorCode::Unknown(-999).to_string(), "unknown error (-999)");
    }
}

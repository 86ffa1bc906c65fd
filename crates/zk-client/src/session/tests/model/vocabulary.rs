//! What both machines are compared in. Times are milliseconds since the start.

/// How long a handshake may take.
pub(super) const BUDGET: u64 = 1000;
/// The session timeout that is asked for.
pub(super) const REQUESTED: u64 = 6000;
pub(super) const CLOSE_TIMEOUT: u64 = 3000;

/// Where the client is. Dialling, which only the driver knows of, is `Never`, `Suspended` or
/// `Expired` here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum At {
    Never,
    Handshaking,
    Authenticating,
    Rearming,
    Connected,
    ReadOnly,
    Suspended,
    Expired,
    AuthFailed,
    Closed,
}

/// A state, as the client reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reported {
    Connecting,
    Connected { session: i64, epoch: u64 },
    ReadOnly { epoch: u64 },
    Suspended { until: u64 },
    Expired { epoch: u64 },
    AuthFailed,
    Closed,
}

impl Reported {
    pub(super) fn is_connected(self) -> bool {
        matches!(self, Reported::Connected { .. } | Reported::ReadOnly { .. })
    }
}

/// What was written to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Connect { session: i64 },
    Auth,
    Rearm,
    Watch,
    Get,
    Ping,
    Close,
}

/// How a handshake is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// The session asked for, or a new one.
    Served { read_only: bool },
    /// The session is not known.
    Expired,
    /// The session is not known, and here is another.
    Replaced,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Begin,
    Grant(Grant, u64),
    AcceptAuth,
    RefuseAuth,
    /// The oldest request is answered, or refused.
    Answer,
    Refuse,
    Pong,
    /// An unexpected message.
    Notify,
    Cut,
    Pass(u64),
    Get,
    Watch,
    AddAuth,
    Close,
}

//! What a member does with connections as a whole, whatever they carry.

use std::time::Duration;

/// A member's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Closed,
    Open,
    /// Somebody else has taken it.
    Lost,
}

/// Watched by every task of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gate {
    /// The process exists.
    pub(crate) running: bool,
    /// The process is stopped, as by SIGSTOP: the kernel still accepts, nobody reads.
    pub(crate) frozen: bool,
    /// The port is closed.
    pub(crate) refuse: bool,
    /// New connections are accepted and never answered.
    pub(crate) mute: bool,
    /// New connections are closed at once.
    pub(crate) slam: bool,
    /// Every frame waits this long before it is sent.
    pub(crate) delay: Duration,
    /// Bytes are sent one at a time, this far apart.
    pub(crate) dribble: Duration,
    /// Where the listener is with what the others ask of it.
    pub(crate) port: Port,
}

impl Gate {
    pub(crate) const OPEN: Self = Self {
        running: true,
        frozen: false,
        refuse: false,
        mute: false,
        slam: false,
        delay: Duration::ZERO,
        dribble: Duration::ZERO,
        port: Port::Closed,
    };

    pub(crate) fn listens(&self) -> bool {
        self.running && !self.refuse
    }
}

//! What became of a session in a file.

use std::fmt;

use zk_proto::SessionId;

/// What became of the session in a [`SessionStore`](crate::SessionStore) when a client started.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(tag = "restored", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Restored {
    /// The session continues, with its ephemeral znodes. Its watches have ended.
    Resumed,
    /// There was no file: the first start, or an earlier client has closed its session. The session is
    /// new.
    New,
    /// The session in the file has ended, and the client has a new one. The ephemeral znodes of the
    /// earlier session are gone or will be. Servers answer a wrong password in the same way.
    Expired {
        /// The session that has ended.
        session: SessionId,
    },
    /// The file is that of another ensemble or another chroot, which the connect string says, and the
    /// client has a new session. The earlier session was not shown to this ensemble and ends with its
    /// timeout.
    Foreign {
        /// The session in the file.
        session: SessionId,
        /// The connect string in the file.
        ensemble: String,
    },
}

impl Restored {
    /// Whether the session continues.
    pub fn is_resumed(&self) -> bool {
        *self == Restored::Resumed
    }
}

impl fmt::Display for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Restored::Resumed => f.write_str("the session continues"),
            Restored::New => f.write_str("there was no earlier session"),
            Restored::Expired { session } => {
                write!(f, "the earlier session {session} has ended")
            }
            Restored::Foreign { session, ensemble } => write!(
                f,
                "the earlier session {session} is of another ensemble or chroot, {ensemble}"
            ),
        }
    }
}

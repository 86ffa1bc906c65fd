//! What can go wrong before a test has even begun.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::missing::MissingZooKeeper;

/// The harness's result.
pub type Result<T> = std::result::Result<T, Error>;

/// A server could not be started, or did not execute a command.
///
/// `Debug` prints the same text as `Display`: tests `unwrap()`, and what they then print should
/// read as a message with a log, not as a struct with escaped newlines.
#[non_exhaustive]
pub enum Error {
    /// Java or ZooKeeper is not installed.
    Missing(MissingZooKeeper),
    /// The operating system refused something.
    Io {
        /// What was being done, to follow "could not".
        doing: String,
        /// The refusal.
        source: io::Error,
    },
    /// A command the harness depends on failed.
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        outcome: String,
    },
    /// A server is not in the state that was asked for.
    Server {
        /// What happened, beginning with the server's name.
        what: String,
        /// The server's log.
        log_path: PathBuf,
        /// The end of that log.
        log_tail: String,
    },
}

impl Error {
    pub(crate) fn io(doing: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            doing: doing.into(),
            source,
        }
    }

    /// Whether another process took the server's port between the choice and the bind.
    #[must_use]
    pub fn is_port_conflict(&self) -> bool {
        match self {
            Self::Server { log_tail, .. } => {
                log_tail.contains("BindException") || log_tail.contains("Address already in use")
            }
            _ => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(_) => f.write_str("there is no ZooKeeper to test against"),
            Self::Io { doing, .. } => write!(f, "could not {doing}"),
            Self::Command { command, outcome } => write!(f, "`{command}`: {outcome}"),
            Self::Server {
                what,
                log_path,
                log_tail,
            } => {
                write!(f, "{what}; the end of {}:\n{log_tail}", log_path.display())
            }
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        match std::error::Error::source(self) {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Missing(missing) => Some(missing),
            Self::Io { source, .. } => Some(source),
            Self::Command { .. } | Self::Server { .. } => None,
        }
    }
}

impl From<MissingZooKeeper> for Error {
    fn from(missing: MissingZooKeeper) -> Self {
        Self::Missing(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_a_message_with_its_cause() {
        let error = Error::io("read a file", io::Error::other("the disk is on fire"));
        assert_eq!(
            format!("{error:?}"),
            "could not read a file: the disk is on fire"
        );
        assert_eq!(error.to_string(), "could not read a file");
    }

    #[test]
    fn a_port_conflict_is_recognised_in_the_log() {
        let with_log = |log: &str| Error::Server {
            what: "server-1 exited".into(),
            log_path: "server.log".into(),
            log_tail: log.into(),
        };
        assert!(with_log("java.net.BindException: Address already in use").is_port_conflict());
        assert!(!with_log("java.lang.OutOfMemoryError").is_port_conflict());
    }
}

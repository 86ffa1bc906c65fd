//! Why a command failed, and the exit code that reports it to scripts.

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::explain::{explain, explain_recipe};
use super::terminal::message;
use crate::signals::Signal;

/// Why a command did not complete.
pub(crate) enum Failure {
    /// The command line or the environment is wrong.
    Usage(String),
    /// The command failed; the text says why.
    Failed(String),
    /// The command failed and has written why.
    Reported,
    /// The reader of standard output is gone, as after `| head`. Exits with 0.
    ReaderGone,
    /// A signal ended the command.
    Signalled(Signal),
}

impl Failure {
    pub(crate) fn io(what: &str, error: io::Error) -> Self {
        Failure::Failed(format!("cannot {what}: {error}"))
    }

    /// Writing to standard output failed.
    pub(crate) fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::ReaderGone
        } else {
            Failure::io("write to standard output", error)
        }
    }

    /// Ignores that the reader of standard output is gone, for commands whose effect or exit code
    /// matters without their output.
    pub(crate) fn unless_reader_gone(written: Result<(), Failure>) -> Result<(), Failure> {
        match written {
            Err(Failure::ReaderGone) => Ok(()),
            other => other,
        }
    }

    /// The failure with the place where it happened before its text, as in `line 3: `.
    pub(crate) fn at(self, place: &str) -> Self {
        match self {
            Failure::Usage(text) => Failure::Usage(format!("{place}{text}")),
            Failure::Failed(text) => Failure::Failed(format!("{place}{text}")),
            other => other,
        }
    }

    /// Writes the failure to standard error, unless that has been done, and returns the exit code.
    pub(crate) fn report(self, codes: Codes) -> ExitCode {
        let (text, code) = match self {
            Failure::Usage(text) => (text, codes.usage),
            Failure::Failed(text) => (text, codes.failed),
            Failure::Reported => return ExitCode::from(codes.failed),
            Failure::ReaderGone => return ExitCode::SUCCESS,
            Failure::Signalled(signal) => return signal.exit_code(),
        };
        // If standard error is closed, the exit code still reports the failure.
        let _ = writeln!(io::stderr(), "zkctl: {}", message(&text));
        ExitCode::from(code)
    }
}

/// The exit codes of a command's own failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Codes {
    pub(crate) failed: u8,
    pub(crate) usage: u8,
}

impl Codes {
    /// The codes of the subcommand with this name.
    pub(crate) fn of(command: Option<&str>) -> Self {
        let (failed, usage) = match command {
            // As for `env` and `timeout`: any other code may be that of the command they run.
            Some("lock" | "elect") => (125, 125),
            // As for `grep`, `test` and `diff`: 1 is an answer.
            Some("exists" | "diff") => (2, 2),
            // As for plugins of monitoring systems: 3 is unknown.
            Some("health") => (3, 3),
            _ => (1, 2),
        };
        Codes { failed, usage }
    }
}

impl From<zk_client::Error> for Failure {
    fn from(error: zk_client::Error) -> Self {
        Failure::Failed(explain(&error))
    }
}

impl From<zk_recipes::Error> for Failure {
    fn from(error: zk_recipes::Error) -> Self {
        Failure::Failed(explain_recipe(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards: P58.
    #[test]
    fn an_answer_is_not_the_code_of_a_failure() {
        let own = |command| Codes::of(Some(command));
        assert_eq!(
            own("ls"),
            Codes {
                failed: 1,
                usage: 2
            }
        );
        assert!(own("exists").failed != 1 && own("exists").usage != 1);
        for command in ["lock", "elect"] {
            assert_eq!(
                own(command),
                Codes {
                    failed: 125,
                    usage: 125
                }
            );
        }
    }
}

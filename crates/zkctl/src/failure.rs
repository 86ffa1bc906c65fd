//! What went wrong, for people, and the exit code that says so to programs.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use zk_client::ErrorKind;

use crate::output::shown;
use crate::signals::Signal;

/// Why a command did not do what it was asked to.
pub(crate) enum Failure {
    /// It was asked wrongly.
    Usage(String),
    /// It failed; the text says why.
    Failed(String),
    /// It failed and has said why.
    Reported,
    /// Nobody reads its output any more, as after `| head`: no failure at all.
    NobodyReads,
    /// It was sent a signal.
    Signalled(Signal),
}

impl Failure {
    pub(crate) fn io(what: &str, error: io::Error) -> Self {
        Failure::Failed(format!("cannot {what}: {error}"))
    }

    /// Standard output could not be written to.
    pub(crate) fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::NobodyReads
        } else {
            Failure::io("write to standard output", error)
        }
    }

    /// Says it, unless it has been said, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (text, code) = match self {
            Failure::Usage(text) => (text, 2),
            Failure::Failed(text) => (text, 1),
            Failure::Reported => return ExitCode::FAILURE,
            Failure::NobodyReads => return ExitCode::SUCCESS,
            Failure::Signalled(signal) => return signal.exit_code(),
        };
        // If standard error is gone, the exit code is all that is left to say it with.
        let _ = writeln!(io::stderr(), "zkctl: {}", shown(&text));
        ExitCode::from(code)
    }
}

impl From<zk_client::Error> for Failure {
    fn from(error: zk_client::Error) -> Self {
        Failure::Failed(explain(&error))
    }
}

impl From<zk_recipes::Error> for Failure {
    fn from(error: zk_recipes::Error) -> Self {
        match error {
            zk_recipes::Error::Client(error) => error.into(),
            other => Failure::Failed(with_causes(&other, other.source())),
        }
    }
}

/// The error with those of its causes that say something new.
pub(crate) fn explain(error: &zk_client::Error) -> String {
    // The server's code is the kind once more.
    let cause = match error.code() {
        Some(_) => None,
        None => error.source(),
    };
    let mut text = with_causes(error, cause);
    if error.kind() == ErrorKind::NoAuth {
        text.push_str("; credentials are given with ZK_AUTH or --auth");
    }
    text
}

/// The error, and its cause and the causes of that, if they say something new.
fn with_causes(error: &dyn StdError, mut cause: Option<&dyn StdError>) -> String {
    let mut text = error.to_string();
    while let Some(error) = cause {
        let told = error.to_string();
        if !text.contains(&told) {
            // Writing to a String does not fail.
            let _ = write!(text, ": {told}");
        }
        cause = error.source();
    }
    text
}

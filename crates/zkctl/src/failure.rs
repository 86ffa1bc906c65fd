//! What went wrong, for people, and the exit code that says so to programs.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use zk_client::{Disconnect, ErrorKind};

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
    /// The reader of its output is gone, as after `| head`: no failure at all.
    ReaderGone,
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
            Failure::ReaderGone
        } else {
            Failure::io("write to standard output", error)
        }
    }

    /// Lets a command go on although the reader of its output is gone: what it does, or the answer in
    /// its exit code, counts without the output.
    pub(crate) fn unless_reader_gone(written: Result<(), Failure>) -> Result<(), Failure> {
        match written {
            Err(Failure::ReaderGone) => Ok(()),
            other => other,
        }
    }

    /// Says it, unless it has been said, and gives the exit code.
    pub(crate) fn report(self, codes: Codes) -> ExitCode {
        let (text, code) = match self {
            Failure::Usage(text) => (text, codes.usage),
            Failure::Failed(text) => (text, codes.failed),
            Failure::Reported => return ExitCode::from(codes.failed),
            Failure::ReaderGone => return ExitCode::SUCCESS,
            Failure::Signalled(signal) => return signal.exit_code(),
        };
        // If standard error is gone, the exit code is all that is left to say it with.
        let _ = writeln!(io::stderr(), "zkctl: {}", shown(&text));
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
    /// Those of the command of this name.
    pub(crate) fn of(command: Option<&str>) -> Self {
        let (failed, usage) = match command {
            // As of `env` and `timeout`: any other may be the command's own.
            Some("lock" | "elect") => (125, 125),
            // As of `grep` and `test`: 1 is an answer.
            Some("exists") => (2, 2),
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

/// The error with those of its causes that say something new, and what to do in the words of the
/// command line.
pub(crate) fn explain(error: &zk_client::Error) -> String {
    let mut text = error.to_string();
    let library = error.advice().map(|advice| format!(" ({advice})"));
    if let Some(library) = &library {
        text.truncate(text.strip_suffix(library).map_or(text.len(), str::len));
    }
    add_causes(&mut text, error.source());
    match (advice(error), library) {
        (Some(advice), _) => {
            // Writing to a String does not fail.
            let _ = write!(text, " ({advice})");
        }
        (None, Some(library)) => {
            text.push_str(&library.replace("more time", "more time with --timeout"));
        }
        (None, None) => {}
    }
    text
}

pub(crate) fn explain_recipe(error: &zk_recipes::Error) -> String {
    if let zk_recipes::Error::Client(error) = error {
        return explain(error);
    }
    let mut text = error.to_string();
    add_causes(&mut text, error.source());
    text
}

fn add_causes(text: &mut String, mut cause: Option<&(dyn StdError + 'static)>) {
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
}

/// Whether the server misses credentials, as opposed to refusing those that it was given.
fn lacks_credentials(error: &zk_client::Error) -> bool {
    error.disconnect() == Some(&Disconnect::LoginRequired)
}

/// What to do, where the library names its own methods.
fn advice(error: &zk_client::Error) -> Option<&'static str> {
    Some(match error.kind() {
        ErrorKind::NoNode if error.op().is_some_and(|op| op.starts_with("create")) => {
            "create it first, or use -p"
        }
        ErrorKind::NotEmpty => "delete its children first, or use -r",
        ErrorKind::NoAuth => "give the credentials that it asks for with ZK_AUTH or --auth",
        ErrorKind::InvalidAcl => {
            "name a scheme that the servers know; the scheme auth needs credentials, given with \
             ZK_AUTH or --auth"
        }
        ErrorKind::AuthFailed if lacks_credentials(error) => {
            "give them with ZK_AUTH or --auth, ZK_SASL_USER or --sasl-user"
        }
        ErrorKind::AuthFailed => {
            "check the scheme and the credentials: ZK_AUTH or --auth, ZK_SASL_USER or --sasl-user"
        }
        ErrorKind::RequestTooLarge => {
            "raise --max-request-bytes to the servers' jute.maxbuffer, and that if need be"
        }
        ErrorKind::ReplyTooLarge => "raise --max-reply-bytes",
        ErrorKind::QueueFull => "do less at a time",
        ErrorKind::Closed => "run it again",
        _ => return None,
    })
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

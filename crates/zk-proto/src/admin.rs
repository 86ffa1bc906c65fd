//! The four-letter words: commands a server answers with text on its client port, on a connection
//! of their own.
//!
//! Servers answer `srvr` (and `isro` where read-only mode is on) unless told otherwise; the others
//! must be listed in their `4lw.commands.whitelist`.

mod connection;
mod status;

pub use connection::{ClientConnection, connections};
pub use status::{Latency, ServerMode, ServerStatus};

use nom::Parser;
use nom::bytes::complete::{tag, take_until};
use nom::combinator::rest;
use nom::sequence::terminated;

/// Why the reply to a four-letter word could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// The command is not in the server's `4lw.commands.whitelist`.
    #[error("the server does not allow this command; add it to its 4lw.commands.whitelist")]
    NotAllowed,
    /// The server has no quorum, or is starting or stopping.
    #[error("the server is not serving requests")]
    NotServing,
    /// The reply lacks a line.
    #[error("the reply has no {0:?} line")]
    Missing(&'static str),
    /// A line cannot be read.
    #[error("cannot read line {line} of the reply")]
    Malformed {
        /// The line, counted from 1.
        line: usize,
    },
    /// The reply is none that the command has.
    #[error("unexpected reply")]
    Unexpected,
}

/// Reads the reply to `ruok`: whether the server runs. It does not say that it has a quorum.
///
/// # Errors
/// [`AdminError`] if it is anything but `imok`.
pub fn ruok(reply: &str) -> Result<(), AdminError> {
    check(reply)?;
    if reply.trim() == "imok" {
        Ok(())
    } else {
        Err(AdminError::Unexpected)
    }
}

/// Reads the reply to `isro`: whether the server is read-only.
///
/// # Errors
/// [`AdminError`] if it is neither `ro` nor `rw`. A server without a quorum answers `null`, which
/// is [`AdminError::NotServing`].
pub fn isro(reply: &str) -> Result<bool, AdminError> {
    check(reply)?;
    match reply.trim() {
        "ro" => Ok(true),
        "rw" => Ok(false),
        "null" => Err(AdminError::NotServing),
        _ => Err(AdminError::Unexpected),
    }
}

/// Reads the reply to `mntr`: keys and values, in the server's order.
///
/// # Errors
/// [`AdminError`] if a line is not a key, a tab and a value.
pub fn mntr(reply: &str) -> Result<Vec<(String, String)>, AdminError> {
    check(reply)?;
    pairs(reply, "\t", 0)
}

/// Reads the reply to `conf` or `envi`: keys and values, in the server's order.
///
/// # Errors
/// [`AdminError`] if a line is not `key=value`.
pub fn properties(reply: &str) -> Result<Vec<(String, String)>, AdminError> {
    check(reply)?;
    // `envi` opens with a title.
    let title = usize::from(
        reply
            .lines()
            .next()
            .is_some_and(|line| line.trim() == "Environment:"),
    );
    pairs(reply, "=", title)
}

fn pairs(reply: &str, separator: &str, skip: usize) -> Result<Vec<(String, String)>, AdminError> {
    let lines = reply
        .lines()
        .enumerate()
        .skip(skip)
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| match pair(line, separator) {
            Ok((_, (key, value))) => Ok((key.to_owned(), value.to_owned())),
            Err(_) => Err(AdminError::Malformed { line: index + 1 }),
        })
        .collect()
}

fn pair<'a>(line: &'a str, separator: &str) -> nom::IResult<&'a str, (&'a str, &'a str)> {
    (terminated(take_until(separator), tag(separator)), rest).parse(line)
}

/// Refuses the replies every command can have.
fn check(reply: &str) -> Result<(), AdminError> {
    if reply.contains("is not executed because it is not in the whitelist") {
        return Err(AdminError::NotAllowed);
    }
    if reply.contains("This ZooKeeper instance is not currently serving requests") {
        return Err(AdminError::NotServing);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_answers() {
        assert_eq!(ruok("imok"), Ok(()));
        assert_eq!(ruok(""), Err(AdminError::Unexpected));
        assert_eq!((isro("ro"), isro("rw\n")), (Ok(true), Ok(false)));
        assert_eq!(isro("null"), Err(AdminError::NotServing));
        assert_eq!(isro("imok"), Err(AdminError::Unexpected));
        let refused = "ruok is not executed because it is not in the whitelist.\n";
        assert_eq!(ruok(refused), Err(AdminError::NotAllowed));
        assert_eq!(isro(refused), Err(AdminError::NotAllowed));
        let idle = "This ZooKeeper instance is not currently serving requests\n";
        assert_eq!(mntr(idle), Err(AdminError::NotServing));
    }

    #[test]
    fn keys_and_values() {
        let reply = "zk_version\t3.8.0-x, built on 2024\nzk_server_state\tstandalone\n";
        let expected = [
            ("zk_version", "3.8.0-x, built on 2024"),
            ("zk_server_state", "standalone"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(mntr(reply).unwrap(), expected);
        assert_eq!(
            mntr("zk_a\t1\nzk_b 2\n"),
            Err(AdminError::Malformed { line: 2 })
        );
        let reply = "Environment:\nhost.name=localhost\njava.opts=-Da=b\n";
        let expected = [("host.name", "localhost"), ("java.opts", "-Da=b")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(properties(reply).unwrap(), expected);
        assert_eq!(properties("clientPort=2181\n").unwrap().len(), 1);
        assert_eq!(
            properties("Environment:\nx\n"),
            Err(AdminError::Malformed { line: 2 })
        );
    }
}

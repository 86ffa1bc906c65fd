//! The four-letter words: commands a server answers with text on its client port, on a connection
//! of their own.
//!
//! Servers answer `srvr` by default, and `isro` if read-only mode is on; the others must be listed in
//! their `4lw.commands.whitelist`.

mod connection;
mod entries;
mod status;

pub use connection::{ClientConnection, connections};
pub use entries::Entries;
pub use status::{Latency, ServerMode, ServerStatus};

use nom::Parser;
use nom::bytes::complete::{tag, take_until};
use nom::combinator::rest;
use nom::sequence::terminated;

/// Number of characters of an unexpected reply that its error shows.
const MAX_SHOWN: usize = 80;

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
    /// The server closed the connection without a reply.
    #[error(
        "the reply is empty; the command may not be in the server's 4lw.commands.whitelist, or not \
         be known to the server"
    )]
    Empty,
    /// The reply is not one of this command. The text is its first line, or the beginning of it.
    #[error("unexpected reply: {0:?}")]
    Unexpected(String),
}

/// Reads the reply to `ruok`: whether the server runs, with or without a quorum.
///
/// # Errors
/// [`AdminError`] if it is anything but `imok`.
pub fn ruok(reply: &str) -> Result<(), AdminError> {
    check(reply)?;
    if reply.trim() == "imok" {
        Ok(())
    } else {
        Err(unexpected(reply))
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
        _ => Err(unexpected(reply)),
    }
}

/// Reads the reply to `mntr`: keys and values, in the server's order. Lines that are not a key, a
/// tab and a value are [unreadable](Entries::unreadable).
///
/// # Errors
/// [`AdminError`] if no line can be read.
pub fn mntr(reply: &str) -> Result<Entries<(String, String)>, AdminError> {
    check(reply)?;
    Entries::read(reply, "a key, a tab and a value", |line| pair(line, "\t"))
}

/// Reads the reply to `conf` or `envi`: keys and values, in the server's order. Headings such as
/// `membership:` are skipped; other lines that are not `key=value` are
/// [unreadable](Entries::unreadable).
///
/// # Errors
/// [`AdminError`] if no line can be read.
pub fn properties(reply: &str) -> Result<Entries<(String, String)>, AdminError> {
    check(reply)?;
    let is_heading = |line: &str| line.ends_with(':');
    let mut entries = Entries::read(reply, "key=value", |line| pair(line, "="))?;
    entries.unreadable.retain(|line| !is_heading(&line.text));
    Ok(entries)
}

fn pair(line: &str, separator: &str) -> Option<(String, String)> {
    let parsed: nom::IResult<_, _> =
        (terminated(take_until(separator), tag(separator)), rest).parse(line);
    let (_, (key, value)) = parsed.ok()?;
    Some((key.to_owned(), value.to_owned()))
}

/// Refuses the error replies that every command can have.
fn check(reply: &str) -> Result<(), AdminError> {
    if reply.is_empty() {
        return Err(AdminError::Empty);
    }
    let first = reply.trim_start().lines().next().unwrap_or_default();
    if first.contains("is not executed because it is not in the whitelist") {
        return Err(AdminError::NotAllowed);
    }
    if first.contains("instance is not currently serving requests") {
        return Err(AdminError::NotServing);
    }
    Ok(())
}

fn unexpected(reply: &str) -> AdminError {
    let first = reply.trim().lines().next();
    first.map_or(AdminError::Empty, |line| {
        AdminError::Unexpected(line.chars().take(MAX_SHOWN).collect())
    })
}

#[cfg(test)]
mod tests;

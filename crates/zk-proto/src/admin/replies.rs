//! The replies to `ruok`, `isro`, `mntr`, `conf` and `envi`.

use nom::Parser;
use nom::bytes::complete::{tag, take_until};
use nom::combinator::rest;
use nom::sequence::terminated;

use super::entries::Entries;
use super::error::{AdminError, check, unexpected};

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

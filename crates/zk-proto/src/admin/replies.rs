//! The replies that are one value, or a key and a value on each line.

use nom::Parser;
use nom::bytes::complete::{tag, take_until};
use nom::combinator::rest;
use nom::sequence::terminated;

use super::entries::Entries;
use super::error::{AdminError, check, unexpected};
use crate::ids::Zxid;

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

/// Reads the reply to `crst` or `srst`: the statistics have been reset.
///
/// # Errors
/// [`AdminError`] if the reply says anything else.
pub fn reset(reply: &str) -> Result<(), AdminError> {
    check(reply)?;
    match reply.trim() {
        "Connection stats reset." | "Server stats reset." => Ok(()),
        _ => Err(unexpected(reply)),
    }
}

/// Reads the reply to `gtmk` or `stmk`: the mask of the server's trace log.
///
/// # Errors
/// [`AdminError`] if the reply is no number.
pub fn trace_mask(reply: &str) -> Result<i64, AdminError> {
    check(reply)?;
    reply.trim().parse().map_err(|_| unexpected(reply))
}

/// Reads the reply to `apiv`: the number of ClickHouse Keeper's API.
///
/// # Errors
/// [`AdminError`] if the reply is no number.
pub fn apiv(reply: &str) -> Result<u32, AdminError> {
    check(reply)?;
    reply.trim().parse().map_err(|_| unexpected(reply))
}

/// The sizes of a server's files in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectorySizes {
    /// The directory of the snapshots.
    pub snapshots: u64,
    /// The directory of the logs of transactions. If both are one directory, Apache's server counts
    /// it twice.
    pub logs: u64,
}

/// Reads the reply to `dirs`.
///
/// # Errors
/// [`AdminError`] if one of the sizes is missing or no number.
pub fn dirs(reply: &str) -> Result<DirectorySizes, AdminError> {
    check(reply)?;
    let sizes = Entries::read(reply, "a name, a colon and a number", |line| {
        pair(line, ": ")
    })?;
    let size = |names: [&str; 2]| names.iter().find_map(|name| sizes.get(name)?.parse().ok());
    let snapshots = size(["datadir_size", "snapshot_dir_size"]);
    let logs = size(["logdir_size", "log_dir_size"]);
    match (snapshots, logs) {
        (Some(snapshots), Some(logs)) => Ok(DirectorySizes { snapshots, logs }),
        _ => Err(unexpected(reply)),
    }
}

/// The digest of a server's tree after a transaction. Two servers that differ after the same one have
/// different data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeDigest {
    /// The transaction.
    pub zxid: Zxid,
    /// The digest of the tree after it.
    pub digest: i64,
}

/// Reads the reply to `hash`: digests of the tree after some of the latest transactions, the oldest
/// first. None is no error: a server logs every 128th transaction only.
///
/// # Errors
/// [`AdminError`] if there are lines and none can be read.
pub fn hash(reply: &str) -> Result<Entries<TreeDigest>, AdminError> {
    if reply.trim().is_empty() {
        return Ok(Entries::default());
    }
    check(reply)?;
    Entries::read(reply, "a zxid, a colon and a digest", |line| {
        let (zxid, digest) = line.split_once(": ")?;
        let zxid = u64::from_str_radix(zxid.trim(), 16).ok()?.cast_signed();
        let digest = digest.trim().parse().ok()?;
        Some(TreeDigest {
            zxid: Zxid(zxid),
            digest,
        })
    })
}

//! The replies to `wchs`, `wchc` and `wchp`: the watches on a server.

use super::entries::Entries;
use super::error::{AdminError, check, unexpected};
use crate::ids::SessionId;
use crate::unreadable::UnreadableLine;

/// The number of watches on a server. Apache's server counts data watches only: those of `exists` and
/// `get`, and persistent ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchSummary {
    /// Connections that have a watch.
    pub connections: u64,
    /// Paths that are watched.
    pub paths: u64,
    /// Watches: one for each connection and path.
    pub watches: u64,
}

/// The paths of one session: those that it watches, or its ephemeral znodes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionPaths {
    /// The session.
    pub session: SessionId,
    /// The paths, without any chroot, in the server's order.
    pub paths: Vec<String>,
}

/// The sessions that watch one path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PathSessions {
    /// The path, without any chroot.
    pub path: String,
    /// The sessions, in the server's order.
    pub sessions: Vec<SessionId>,
}

/// Reads the reply to `wchs`: how many watches there are.
///
/// # Errors
/// [`AdminError`] if the reply has another form.
pub fn wchs(reply: &str) -> Result<WatchSummary, AdminError> {
    check(reply)?;
    summary(reply).ok_or_else(|| unexpected(reply))
}

/// `1 connections watching 3 paths`, and `Total watches:3` on the second line.
fn summary(reply: &str) -> Option<WatchSummary> {
    let mut lines = reply.trim().lines();
    let (connections, rest) = lines.next()?.split_once(" connections watching ")?;
    let total = lines.next()?.trim().strip_prefix("Total watches:")?;
    Some(WatchSummary {
        connections: connections.trim().parse().ok()?,
        paths: rest.strip_suffix(" paths")?.parse().ok()?,
        watches: total.trim().parse().ok()?,
    })
}

/// Reads the reply to `wchc`: what each session watches. A path with a line feed is cut off there, and
/// its rest is [unreadable](Entries::unreadable). The server walks through all its watches for this
/// word, which may take long.
///
/// # Errors
/// [`AdminError`] if there are lines and none can be read.
pub fn wchc(reply: &str) -> Result<Entries<SessionPaths>, AdminError> {
    grouped(
        reply,
        "a session, or a tab and a path of one",
        |line| {
            let session = session_id(line.trim_end_matches(':'))?;
            Some(SessionPaths {
                session,
                paths: Vec::new(),
            })
        },
        |entry, member| {
            entry.paths.push(path(member)?.to_owned());
            Some(())
        },
    )
}

/// Reads the reply to `wchp`: which sessions watch each path. A path with a line feed is cut off there,
/// and its rest is [unreadable](Entries::unreadable), as are its sessions. The server walks through all
/// its watches for this word, which may take long.
///
/// # Errors
/// [`AdminError`] if there are lines and none can be read.
pub fn wchp(reply: &str) -> Result<Entries<PathSessions>, AdminError> {
    grouped(
        reply,
        "a path, or a tab and a session that watches it",
        |line| {
            Some(PathSessions {
                path: path(line)?.to_owned(),
                sessions: Vec::new(),
            })
        },
        |entry, member| {
            entry.sessions.push(session_id(member)?);
            Some(())
        },
    )
}

/// Reads groups: a line that `begin` reads, and behind it lines with a tab that `add` reads. Lines of
/// no group are unreadable, and so are those behind a heading that is.
fn grouped<T>(
    reply: &str,
    expected: &'static str,
    begin: impl Fn(&str) -> Option<T>,
    add: impl Fn(&mut T, &str) -> Option<()>,
) -> Result<Entries<T>, AdminError> {
    check(reply)?;
    let mut groups = Entries::default();
    let mut group = None;
    for (index, line) in reply.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let read = match line.strip_prefix('\t') {
            Some(member) => group.as_mut().and_then(|group| add(group, member)),
            None => {
                groups.entries.extend(group.take());
                group = begin(line);
                group.as_ref().map(|_| ())
            }
        };
        if read.is_none() {
            let line = UnreadableLine::new(index, line, expected);
            groups.unreadable.push(line);
        }
    }
    groups.entries.extend(group);
    if groups.is_empty() && !groups.unreadable.is_empty() {
        return Err(unexpected(reply));
    }
    Ok(groups)
}

/// `0x1000017c3b20000`
pub(super) fn session_id(text: &str) -> Option<SessionId> {
    let digits = text.trim().strip_prefix("0x")?;
    let id = u64::from_str_radix(digits, 16).ok()?;
    Some(SessionId(id.cast_signed()))
}

pub(super) fn path(text: &str) -> Option<&str> {
    text.starts_with('/').then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a 3.9.5 server answers.
    const SUMMARY: &str = "1 connections watching 3 paths\nTotal watches:4\n";
    const BY_SESSION: &str = "0x100033daaee0000\n\t/a b\n\t/x\ny\n\t/zz\n\n";
    const BY_PATH: &str = "/a b\n\t0x100033daaee0000\n/x\ny\n\t0x1\n/zz\n\t0x1\n\t0x2\n\n";

    #[test]
    fn watches_are_counted() {
        let read = wchs(SUMMARY).unwrap();
        assert_eq!((read.connections, read.paths, read.watches), (1, 3, 4));
        for damaged in [
            SUMMARY.replace("1 c", "x c"),
            SUMMARY.replace("paths", "znodes"),
            SUMMARY.replace("Total", "All"),
            SUMMARY.lines().next().unwrap().to_owned(),
        ] {
            let first = damaged.lines().next().unwrap().to_owned();
            assert_eq!(wchs(&damaged), Err(AdminError::Unexpected(first)));
        }
    }

    /// Guards: P9.
    #[test]
    fn watches_by_session_and_by_path() {
        let read = wchc(BY_SESSION).unwrap();
        // Servers print a line feed in a path as it is.
        assert_eq!(read[0].session, SessionId(0x100_033d_aaee_0000));
        assert_eq!(read[0].paths, ["/a b", "/x"]);
        let lines: Vec<_> = read.unreadable().iter().map(|line| line.line).collect();
        assert_eq!(lines, [4, 5]);
        let read = wchp(BY_PATH).unwrap();
        let found: Vec<_> = read.iter().map(|p| (&*p.path, p.sessions.len())).collect();
        assert_eq!(found, [("/a b", 1), ("/x", 0), ("/zz", 2)]);
        let lines: Vec<_> = read.unreadable().iter().map(|line| line.line).collect();
        assert_eq!(lines, [4, 5]);
    }

    #[test]
    fn no_watch_is_no_error() {
        assert_eq!(wchc("\n").unwrap().len(), 0);
        assert_eq!(wchp("\n").unwrap().len(), 0);
        assert_eq!(wchc(""), Err(AdminError::Empty));
        let error = wchp("imok").unwrap_err();
        assert_eq!(error, AdminError::Unexpected("imok".to_owned()));
    }
}

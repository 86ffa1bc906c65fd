//! The reply to `dump`: sessions, ephemeral znodes and connections.

use std::str::FromStr;

use super::error::{AdminError, check, unexpected};
use super::watches::{SessionPaths, path, session_id};
use crate::ids::SessionId;
use crate::unreadable::UnreadableLine;

/// What a server says of its sessions. A leader and a standalone server list all sessions of the
/// ensemble; a follower of Apache before 3.5 lists none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionDump {
    /// The sessions, in the order in which they expire.
    pub sessions: Vec<DumpedSession>,
    /// The ephemeral znodes of each session that has some.
    pub ephemerals: Vec<SessionPaths>,
    /// The connections of this server; servers before 3.5 and ClickHouse Keeper do not list them.
    pub connections: Vec<DumpedConnection>,
    /// Lines that could not be read: among others the rest of a path with a line feed.
    pub unreadable: Vec<UnreadableLine>,
}

/// A session in the reply to `dump`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpedSession {
    /// The session.
    pub session: SessionId,
    /// When it expires, as the server writes it: a date in the server's time zone. `None` if the
    /// server does not say.
    pub expires: Option<String>,
    /// Its timeout as a follower writes it, such as `10000ms`.
    pub timeout: Option<String>,
}

/// A connection in the reply to `dump`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DumpedConnection {
    /// The client's address and port.
    pub address: String,
    /// Its session, once there is one.
    pub session: Option<SessionId>,
}

/// The part of the reply that a line belongs to.
#[derive(Clone, Copy)]
enum Part {
    Sessions,
    Ephemerals,
    Connections,
}

const HEADINGS: [(&str, Part); 8] = [
    ("SessionTracker dump:", Part::Sessions),
    ("Session Sets (", Part::Sessions),
    ("Sessions dump (", Part::Sessions),
    ("Global Sessions(", Part::Sessions),
    ("ephemeral nodes dump:", Part::Ephemerals),
    ("Sessions with Ephemerals (", Part::Ephemerals),
    ("Connections dump:", Part::Connections),
    ("Connections Sets (", Part::Connections),
];

impl FromStr for SessionDump {
    type Err = AdminError;

    /// Reads the reply to `dump`.
    fn from_str(reply: &str) -> Result<Self, AdminError> {
        check(reply)?;
        let mut dump = SessionDump::default();
        let mut part = None;
        let mut expires = None;
        for (index, line) in reply.lines().enumerate() {
            let heading = HEADINGS.iter().find(|(text, _)| line.starts_with(text));
            if let Some((_, begun)) = heading {
                part = Some(*begun);
                expires = None;
            } else if let Some(date) = date_of(line) {
                expires = Some(date);
            } else if !line.trim().is_empty() {
                let read = part.and_then(|part| dump.read_line(part, line, expires));
                if read.is_none() {
                    let line = UnreadableLine::new(index, line, "a line of the reply to dump");
                    dump.unreadable.push(line);
                }
            }
        }
        match part {
            Some(_) => Ok(dump),
            None => Err(unexpected(reply)),
        }
    }
}

/// `1 expire at Mon Nov 30 09:28:43 UTC 2026:`
fn date_of(line: &str) -> Option<&str> {
    let (count, date) = line.split_once(" expire at ")?;
    let is_count = count.bytes().all(|c| c.is_ascii_digit());
    is_count.then(|| date.trim_end_matches(':'))
}

impl SessionDump {
    fn read_line(&mut self, part: Part, line: &str, expires: Option<&str>) -> Option<()> {
        match part {
            Part::Sessions => {
                let text = line.trim();
                let (id, timeout) = match text.split_once('\t') {
                    Some((id, timeout)) => (id, Some(timeout.to_owned())),
                    None => (text, None),
                };
                self.sessions.push(DumpedSession {
                    session: session_id(id)?,
                    expires: expires.map(str::to_owned),
                    timeout,
                });
            }
            Part::Ephemerals => match line.strip_prefix('\t') {
                Some(znode) => {
                    let owner = self.ephemerals.last_mut()?;
                    owner.paths.push(path(znode)?.to_owned());
                }
                None => self.ephemerals.push(SessionPaths {
                    session: session_id(line.trim_end_matches(':'))?,
                    paths: Vec::new(),
                }),
            },
            Part::Connections => {
                let text = line.trim().strip_prefix("ip: ")?;
                let (address, id) = text.split_once(" sessionId: ")?;
                self.connections.push(DumpedConnection {
                    address: address.trim_start_matches('/').to_owned(),
                    session: Some(session_id(id)?).filter(|id| *id != SessionId::NONE),
                });
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a 3.9.5 server answers.
    const DUMP: &str = "SessionTracker dump:\n\
        Session Sets (2)/(2):\n\
        0 expire at Mon Nov 30 09:28:41 UTC 2026:\n\
        2 expire at Mon Nov 30 09:28:43 UTC 2026:\n\
        \t0x100033daaee0000\n\
        \t0x100033daaee0001\n\
        ephemeral nodes dump:\n\
        Sessions with Ephemerals (1):\n\
        0x100033daaee0000:\n\
        \t/a b\n\
        \t/c\n\
        Connections dump:\n\
        Connections Sets (1)/(2):\n\
        2 expire at Mon Nov 30 09:28:49 UTC 2026:\n\
        \tip: /127.0.0.1:33356 sessionId: 0x0\n\
        \tip: /127.0.0.1:33336 sessionId: 0x100033daaee0000\n";

    #[test]
    fn sessions_with_their_znodes() {
        let dump: SessionDump = DUMP.parse().unwrap();
        let first = SessionId(0x100_033d_aaee_0000);
        assert_eq!(dump.sessions.len(), 2);
        assert_eq!(dump.sessions[0].session, first);
        let expires = Some("Mon Nov 30 09:28:43 UTC 2026");
        assert_eq!(dump.sessions[1].expires.as_deref(), expires);
        assert_eq!(dump.ephemerals.len(), 1);
        assert_eq!(dump.ephemerals[0].session, first);
        assert_eq!(dump.ephemerals[0].paths, ["/a b", "/c"]);
        let connections: Vec<_> = dump
            .connections
            .iter()
            .map(|connection| (&*connection.address, connection.session))
            .collect();
        assert_eq!(
            connections,
            [("127.0.0.1:33356", None), ("127.0.0.1:33336", Some(first))]
        );
        assert_eq!(dump.unreadable, []);
    }

    #[test]
    fn the_forms_of_other_servers() {
        let keeper = "Sessions dump (2):\n0x0000000000000001\n0x0000000000000002\n\
            Sessions with Ephemerals (1):\n0x0000000000000001\n\t/a\n";
        let dump: SessionDump = keeper.parse().unwrap();
        let ids: Vec<_> = dump.sessions.iter().map(|s| s.session.0).collect();
        assert_eq!((ids, dump.ephemerals.len()), (vec![1, 2], 1));
        assert_eq!(dump.unreadable, []);
        let follower = "Global Sessions(1):\n0x2\t10000ms\nephemeral nodes dump:\n\
            Sessions with Ephemerals (0):\n";
        let dump: SessionDump = follower.parse().unwrap();
        assert_eq!(dump.sessions[0].timeout.as_deref(), Some("10000ms"));
        assert_eq!((dump.ephemerals.len(), dump.unreadable.len()), (0, 0));
    }

    /// Guards: P9.
    #[test]
    fn a_damaged_line_is_named() {
        for (whole, damaged, line) in [
            ("\t0x100033daaee0001\n", "\tx\n", 6),
            ("\t/c\n", "\tc\n", 11),
            ("sessionId: 0x0", "0x0", 15),
            ("0x100033daaee0000:\n", "owner:\n", 9),
        ] {
            let dump: SessionDump = DUMP.replace(whole, damaged).parse().unwrap();
            assert_eq!(dump.unreadable[0].line, line, "{damaged}");
            assert_eq!(dump.sessions[0].session.0, 0x100_033d_aaee_0000);
        }
        for reply in ["imok", "0x1\n", "\n"] {
            assert!(reply.parse::<SessionDump>().is_err(), "{reply:?}");
        }
    }
}

//! What a session file contains.

use zk_proto::{Chroot, ConnectTarget, HostPort};

use crate::session::token::SessionToken;

/// The version of the format, its first line.
const VERSION: &str = "zk-session 1";
/// What begins the line of the secret token.
const TOKEN: &str = "token ";
/// What begins the line of the connect string.
const ENSEMBLE: &str = "ensemble ";

/// A session, and the ensemble that has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) token: SessionToken,
    pub(super) target: ConnectTarget,
}

/// Why a text is no record. The text is not repeated, as it may be most of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidRecord {
    #[error(
        "its first line is not `{VERSION}`: it is another program's file, or a later version's"
    )]
    NotASessionFile,
    #[error("its last line is incomplete")]
    Cut,
    #[error("it has no line with a valid session token")]
    NoToken,
    #[error("it has no line with the ensemble's connect string")]
    NoEnsemble,
}

impl Record {
    pub(super) fn to_text(&self) -> String {
        let (token, target) = (self.token.expose(), &self.target);
        format!("{VERSION}\n{TOKEN}{token}\n{ENSEMBLE}{target}\n")
    }

    /// `None` for a file that has no contents, as after a crash of the machine.
    pub(super) fn parse(text: &str) -> Result<Option<Record>, InvalidRecord> {
        // A file system that has lost the data of a file may have its length.
        if text
            .trim_matches(|c: char| c.is_whitespace() || c == '\0')
            .is_empty()
        {
            return Ok(None);
        }
        let mut lines = text.lines();
        if lines.next() != Some(VERSION) {
            return Err(InvalidRecord::NotASessionFile);
        }
        if !text.ends_with('\n') {
            return Err(InvalidRecord::Cut);
        }
        let line = |name| lines.clone().find_map(|line| line.strip_prefix(name));
        let token = line(TOKEN).and_then(|token| token.parse().ok());
        let target = line(ENSEMBLE).and_then(|target| target.parse().ok());
        Ok(Some(Record {
            token: token.ok_or(InvalidRecord::NoToken)?,
            target: target.ok_or(InvalidRecord::NoEnsemble)?,
        }))
    }

    /// Whether the session may be shown to this ensemble, for this chroot. An ensemble is the same if
    /// the lists have a server in common, or are the same service.
    pub(super) fn is_for(&self, target: &ConnectTarget) -> bool {
        let (saved, wanted) = (Ensemble::of(&self.target), Ensemble::of(target));
        match (saved, wanted) {
            (Some(saved), Some(wanted)) => saved.is_same(&wanted),
            _ => self.target == *target,
        }
    }
}

/// The parts of a connect string.
struct Ensemble<'a> {
    hosts: &'a [HostPort],
    service: Option<&'a str>,
    chroot: &'a Chroot,
}

impl<'a> Ensemble<'a> {
    fn of(target: &'a ConnectTarget) -> Option<Self> {
        match target {
            ConnectTarget::Hosts(connect) => Some(Ensemble {
                hosts: &connect.hosts,
                service: None,
                chroot: &connect.chroot,
            }),
            ConnectTarget::DnsSrv { service, chroot } => Some(Ensemble {
                hosts: &[],
                service: Some(service),
                chroot,
            }),
            _ => None,
        }
    }

    fn is_same(&self, other: &Ensemble<'_>) -> bool {
        let meets = self.hosts.iter().any(|host| other.hosts.contains(host));
        let is_same_service = self.service.is_some() && self.service == other.service;
        self.chroot == other.chroot && (meets || is_same_service)
    }
}

#[cfg(test)]
mod tests {
    use zk_proto::SessionId;

    use super::*;

    fn record(target: &str) -> Record {
        Record {
            token: SessionToken::new(SessionId(7), [0xab; 16]),
            target: target.parse().unwrap(),
        }
    }

    #[test]
    fn a_record_is_read_from_its_text() {
        for target in ["zk1:2181,[::1]:7/app", "dns-srv://_zk._tcp.example.com/app"] {
            let text = record(target).to_text();
            assert_eq!(Record::parse(&text), Ok(Some(record(target))), "{text}");
            // A later version may have more lines.
            let longer = format!("{text}more 7\n");
            assert_eq!(Record::parse(&longer), Ok(Some(record(target))));
        }
    }

    #[test]
    fn a_file_that_was_cut_is_no_session() {
        let text = record("zk1:2181").to_text();
        for length in 0..text.len() {
            let parsed = Record::parse(&text[..length]);
            assert!(!matches!(parsed, Ok(Some(_))), "{length}");
        }
        assert_eq!(Record::parse("\0\0\0\n"), Ok(None));
        assert_eq!(Record::parse(""), Ok(None));
    }

    #[test]
    fn another_programs_file_is_refused() {
        for (text, error) in [
            ("tickTime=2000\n", InvalidRecord::NotASessionFile),
            ("zk-session 2\n", InvalidRecord::NotASessionFile),
            ("zk-session 1\ntoken zk1-5\n", InvalidRecord::NoToken),
            ("zk-session 1\ntoken zk1-5", InvalidRecord::Cut),
            (
                "zk-session 1\ntoken zk1-5-0-0-ab\nensemble \n",
                InvalidRecord::NoEnsemble,
            ),
        ] {
            assert_eq!(Record::parse(text), Err(error), "{text}");
            assert!(!error.to_string().contains("zk1-5"));
        }
    }

    #[test]
    fn an_ensemble_is_the_same_by_one_server() {
        let is_for = |saved: &str, wanted: &str| {
            record(saved).is_for(&wanted.parse::<ConnectTarget>().unwrap())
        };
        assert!(is_for("zk1,zk2/app", "zk2,zk3/app"));
        assert!(is_for("zk1:2181", "zk1"));
        assert!(!is_for("zk1,zk2/app", "zk1,zk2/other"));
        assert!(!is_for("zk1,zk2", "zk3:2181"));
        assert!(!is_for("zk1:2181", "zk1:2182"));
        assert!(is_for("dns-srv://_zk.a/x", "dns-srv://_zk.a/x"));
        assert!(!is_for("dns-srv://_zk.a", "dns-srv://_zk.b"));
        assert!(!is_for("dns-srv://_zk.a", "zk1"));
    }
}

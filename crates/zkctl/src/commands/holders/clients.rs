//! The clients behind sessions, from the servers' answers to four-letter words.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::time::Duration;

use zk_client::admin::{ClientConnection, SessionDump};
use zk_client::{Client, SessionId};

use crate::commands::servers;
use crate::output::explain::of_question;
use crate::output::notices::Notices;

/// What the servers have answered to a four-letter word, by server.
pub(super) struct Answers<T> {
    pub(super) read: Vec<(String, T)>,
    /// The servers without an answer that can be read.
    pub(super) failed: Vec<Failed>,
}

/// A server without an answer that can be read.
#[derive(Debug)]
pub(super) struct Failed {
    server: String,
    why: String,
    /// Whether it has answered something else, such as that it does not allow the word.
    answered: bool,
}

/// Sends a four-letter word to every server, and reads the answers.
pub(super) async fn send<T, E: Display>(
    client: &Client,
    word: &str,
    limit: Duration,
    read: impl Fn(&str) -> Result<T, E>,
) -> Answers<T> {
    let mut answers = Answers {
        read: Vec::new(),
        failed: Vec::new(),
    };
    for one in servers::ask_all(client, word, limit).await {
        let server = one.target.to_string();
        let (why, answered) = match one.answer.as_deref().map(&read) {
            Ok(Ok(answer)) => {
                answers.read.push((server, answer));
                continue;
            }
            Ok(Err(error)) => (error.to_string(), true),
            Err(error) => (of_question(error), false),
        };
        answers.failed.push(Failed {
            server,
            why,
            answered,
        });
    }
    answers
}

/// Says in one line what is missing because servers have not answered.
pub(super) fn report(notices: &Notices, missing: impl Display, word: &str, failed: &[Failed]) {
    if !failed.is_empty() {
        notices.say(format_args!("{missing}: {word} {}", reasons(failed)));
    }
}

/// Why servers have not answered: a server that is down does not hide that others do not allow the word.
pub(super) fn reasons(failed: &[Failed]) -> String {
    let reasons = [true, false].map(|answered| {
        let mut of_kind = failed.iter().filter(|failed| failed.answered == answered);
        let Failed { server, why, .. } = of_kind.next()?;
        let others = match of_kind.count() {
            0 => String::new(),
            1 => " (and another server)".to_owned(),
            others => format!(" (and {others} more servers)"),
        };
        Some(format!("to {server}{others}: {why}"))
    });
    let reasons: Vec<_> = reasons.into_iter().flatten().collect();
    reasons.join("; ")
}

/// The connection of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// The client's address and port.
    pub(super) address: String,
    pub(super) server: String,
}

/// The connections that `cons` lists, by session. Of several of one session, as after a move to another
/// server, the one that was answered last.
pub(super) fn peers(answers: &[(String, Vec<ClientConnection>)]) -> HashMap<SessionId, Peer> {
    let mut found: HashMap<SessionId, (u64, Peer)> = HashMap::new();
    for (server, connections) in answers {
        for connection in connections {
            let Some(session) = connection.session() else {
                continue;
            };
            let answered = number(connection, "lresp").unwrap_or_default();
            let known = found.get(&session).map(|(answered, _)| *answered);
            if known.is_none_or(|known| known < answered) {
                let peer = Peer {
                    address: connection.address.clone(),
                    server: server.clone(),
                };
                found.insert(session, (answered, peer));
            }
        }
    }
    let peers = found.into_iter();
    peers.map(|(session, (_, peer))| (session, peer)).collect()
}

fn number(connection: &ClientConnection, key: &str) -> Option<u64> {
    connection.get(key)?.parse().ok()
}

/// A session, as far as the servers describe it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) peer: Option<Peer>,
    pub(super) timeout_ms: Option<u64>,
    /// When it expires, as the server writes it.
    pub(super) expires: Option<String>,
    /// When the connection was opened, in milliseconds since 1970.
    pub(super) connected_ms: Option<u64>,
    /// The last operation, as the server abbreviates it.
    pub(super) last_operation: Option<String>,
    pub(super) received: Option<u64>,
    pub(super) sent: Option<u64>,
    pub(super) queued: Option<u64>,
    /// Its ephemeral znodes, without any chroot.
    pub(super) ephemerals: Vec<String>,
}

/// Joins the answers to `dump` and to `cons`: the sessions in the order of their ids.
pub(super) fn sessions(
    dumps: &[(String, SessionDump)],
    connections: &[(String, Vec<ClientConnection>)],
) -> Vec<(SessionId, Described)> {
    // By the unsigned id, which is how they are shown.
    let mut found: BTreeMap<u64, Described> = BTreeMap::new();
    let key = |session: SessionId| session.0.cast_unsigned();
    for (server, dump) in dumps {
        for dumped in &dump.sessions {
            let session = found.entry(key(dumped.session)).or_default();
            session.expires = session.expires.take().or_else(|| dumped.expires.clone());
            let timeout = dumped.timeout.as_deref();
            let timeout = timeout.and_then(|text| text.strip_suffix("ms")?.parse().ok());
            session.timeout_ms = session.timeout_ms.or(timeout);
        }
        for owned in &dump.ephemerals {
            let session = found.entry(key(owned.session)).or_default();
            // Each server lists all of them; one that is behind lists fewer.
            if session.ephemerals.len() < owned.paths.len() {
                session.ephemerals.clone_from(&owned.paths);
            }
        }
        for connection in &dump.connections {
            if let Some(id) = connection.session.filter(|id| !id.is_none()) {
                let session = found.entry(key(id)).or_default();
                session.peer.get_or_insert_with(|| Peer {
                    address: connection.address.clone(),
                    server: server.clone(),
                });
            }
        }
    }
    for (id, peer) in peers(connections) {
        found.entry(key(id)).or_default().peer = Some(peer);
    }
    for (server, connections) in connections {
        for connection in connections {
            let session = connection.session().and_then(|id| found.get_mut(&key(id)));
            let Some(session) = session else { continue };
            let is_peer =
                |peer: &Peer| peer.server == *server && peer.address == connection.address;
            if !session.peer.as_ref().is_some_and(is_peer) {
                continue;
            }
            session.timeout_ms = number(connection, "to").or(session.timeout_ms);
            session.connected_ms = number(connection, "est");
            session.last_operation = connection.get("lop").map(str::to_owned);
            session.received = connection.received();
            session.sent = connection.sent();
            session.queued = connection.queued();
        }
    }
    let id = |key: u64| SessionId(key.cast_signed());
    found
        .into_iter()
        .map(|(key, session)| (id(key), session))
        .collect()
}

#[cfg(test)]
mod tests {
    use zk_client::admin;

    use super::*;

    fn cons(text: &str) -> Vec<ClientConnection> {
        admin::connections(text).unwrap().into_vec()
    }

    fn line(address: &str, session: &str, answered: u64) -> String {
        format!(
            " /{address}[1](queued=2,recved=30,sent=31,sid={session},lop=PING,est=1700000000000,to=10000,\
             lcxid=0x1,lzxid=0x2,lresp={answered},llat=0,minlat=0,avglat=0,maxlat=0)\n"
        )
    }

    #[test]
    fn a_moved_session_is_at_its_new_server() {
        let old = cons(&line("10.0.0.1:5000", "0x10", 5));
        let new = cons(&(line("10.0.0.1:5001", "0x10", 9) + &line("10.0.0.2:5000", "0x11", 1)));
        for answers in [
            [("a".to_owned(), old.clone()), ("b".to_owned(), new.clone())],
            [("b".to_owned(), new.clone()), ("a".to_owned(), old.clone())],
        ] {
            let found = peers(&answers);
            assert_eq!(found.len(), 2);
            let moved = &found[&SessionId(0x10)];
            assert_eq!((&*moved.address, &*moved.server), ("10.0.0.1:5001", "b"));
        }
    }

    #[test]
    fn a_dead_server_hides_no_setting() {
        let failed = |server: &str, why: &str, answered| Failed {
            server: server.to_owned(),
            why: why.to_owned(),
            answered,
        };
        let all = [
            failed("a", "refused", false),
            failed("b", "not allowed", true),
            failed("c", "not allowed", true),
        ];
        assert_eq!(
            reasons(&all),
            "to b (and another server): not allowed; to a: refused"
        );
        assert_eq!(reasons(&all[..1]), "to a: refused");
    }

    #[test]
    fn a_connection_without_session_is_left_out() {
        let text = " /10.0.0.9:1[0](queued=0,recved=1,sent=0)\n";
        assert!(peers(&[("a".to_owned(), cons(text))]).is_empty());
    }

    #[test]
    fn dump_and_cons_are_joined_by_session() {
        let dump = "SessionTracker dump:\nSession Sets (1)/(2):\n\
                    2 expire at Mon Nov 30 09:28:43 UTC 2026:\n\t0x10\n\t0xffffffffffffff00\n\
                    ephemeral nodes dump:\nSessions with Ephemerals (1):\n0x10:\n\t/a\n\t/b c\n\
                    Connections dump:\nConnections Sets (1)/(1):\n\
                    \tip: /10.0.0.7:7000 sessionId: 0xffffffffffffff00\n";
        let dumps = [("a".to_owned(), dump.parse().unwrap())];
        let connections = [("b".to_owned(), cons(&line("10.0.0.1:5000", "0x10", 5)))];
        let found = sessions(&dumps, &connections);
        let ids: Vec<_> = found.iter().map(|(id, _)| id.to_string()).collect();
        assert_eq!(ids, ["0x10", "0xffffffffffffff00"]);
        let (first, second) = (&found[0].1, &found[1].1);
        assert_eq!(first.ephemerals, ["/a", "/b c"]);
        assert_eq!(first.timeout_ms, Some(10_000));
        assert_eq!(
            (first.queued, first.received, first.sent),
            (Some(2), Some(30), Some(31))
        );
        assert_eq!(first.last_operation.as_deref(), Some("PING"));
        assert!(first.expires.as_deref().unwrap().contains("09:28:43"));
        assert_eq!(first.peer.as_ref().unwrap().server, "b");
        assert_eq!(second.peer.as_ref().unwrap().address, "10.0.0.7:7000");
        assert_eq!(second.timeout_ms, None);
    }

    #[test]
    fn either_answer_alone_is_enough() {
        let connections = [("b".to_owned(), cons(&line("10.0.0.1:5000", "0x10", 5)))];
        assert_eq!(sessions(&[], &connections).len(), 1);
        assert!(sessions(&[], &[]).is_empty());
    }
}

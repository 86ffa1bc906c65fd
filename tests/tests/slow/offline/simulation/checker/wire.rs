//! I2, I9, I10, I13, I16, I22: what clients say to servers, as it is on the wire.

use std::collections::{BTreeMap, BTreeSet};

use zk_proto::{ErrorCode, OpCode, xid};

use super::Verdict;
use crate::offline::simulation::history::{Class, History, OnWire, Wire};

/// Timers run in milliseconds, and a frame may wait for the one before it.
const SLACK: u64 = 20;
/// In how many parts of a session's timeout an idle client divides it with pings.
const PINGS: u64 = 12;
/// A batch, and the two headers around it.
const BATCH: usize = 128 * 1024 + 64;
/// The clients that may watch a place in a line: the one behind it, its holder, and one that is about
/// to leave.
const HERD: usize = 3;

/// Up to where a watch is known to be guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guarded {
    /// It is.
    Now,
    UpTo(i64),
}

#[derive(Debug, Default)]
struct Connection {
    id: usize,
    interval: Option<u64>,
    last_sent: u64,
    pings: Vec<u64>,
    credentials: usize,
    rearmed: bool,
    /// Requests of users have been sent.
    open: bool,
    foreign: bool,
    /// Requests that set watches and have not been answered.
    arming: BTreeMap<i32, (bool, Vec<(Class, String)>)>,
    asked_again: BTreeSet<(Class, String)>,
}

#[derive(Debug, Default)]
struct Client {
    session: i64,
    /// The newest transaction that a reply has carried, in this session.
    last_zxid: i64,
    /// What it said it had seen, the last time.
    said: i64,
    guarded: BTreeMap<(Class, String), Guarded>,
    connection: Connection,
}

pub(super) fn check(history: &History, verdict: &mut Verdict) {
    let mut clients: BTreeMap<usize, Client> = BTreeMap::new();
    let mut herd: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    // Watches of the whole tree get every event, which is no herd.
    let receives_all = history.lasting.iter().filter(|watch| watch.path == "/");
    let receives_all: BTreeSet<usize> = receives_all.map(|watch| watch.client).collect();
    for on_wire in &history.wire {
        let credentials = history.credentials.get(on_wire.client).copied();
        let client = clients.entry(on_wire.client).or_default();
        client.step(on_wire, credentials.unwrap_or_default(), verdict);
        if let Wire::Event {
            path,
            deleted: true,
            ..
        } = &on_wire.what
            && path.contains("-lock-")
            && !receives_all.contains(&on_wire.client)
        {
            herd.entry(path).or_default().insert(on_wire.client);
        }
    }
    for (path, delivered) in herd {
        verdict.holds(
            "I22",
            delivered.len() <= HERD,
            format_args!("the end of {path} was sent to clients {delivered:?}"),
        );
    }
}

impl Client {
    fn step(&mut self, on_wire: &OnWire, credentials: usize, verdict: &mut Verdict) {
        let at = on_wire.at;
        let known = on_wire.connection == self.connection.id;
        match &on_wire.what {
            Wire::Connect { session, last_zxid } => {
                self.connect(*session, *last_zxid, on_wire, verdict);
            }
            // One connection at a time; what is left of another is of no account.
            _ if !known => {}
            Wire::Established {
                session,
                timeout_ms,
            } => {
                if *session != self.session {
                    self.session = *session;
                    self.guarded.clear();
                    (self.last_zxid, self.said) = (0, 0);
                }
                if *session != 0 {
                    self.connection.interval = Some(timeout_ms / PINGS);
                    self.connection.last_sent = at;
                }
            }
            Wire::Sent {
                op,
                xid,
                path,
                watch,
            } => {
                self.sent(at, on_wire, verdict);
                self.request(*op, *xid, path, *watch, credentials, on_wire, verdict);
            }
            Wire::Rearm {
                xid,
                relative,
                watches,
                bytes,
            } => {
                self.sent(at, on_wire, verdict);
                verdict.holds(
                    "I16",
                    !self.connection.open && self.connection.credentials == credentials,
                    format_args!("watches out of turn: {}", brief(on_wire)),
                );
                verdict.holds(
                    "I9",
                    *bytes <= BATCH || watches.len() == 1,
                    format_args!("a batch of {bytes} bytes"),
                );
                self.rearm(*relative, watches, on_wire, verdict);
                self.connection.rearmed = true;
                self.connection
                    .arming
                    .insert(*xid, (false, watches.clone()));
            }
            Wire::Reply { xid, zxid, err } => self.reply(*xid, *zxid, *err),
            Wire::Foreign { .. } => self.connection.foreign = true,
            Wire::Event {
                path,
                child,
                deleted,
            } => {
                if *child || *deleted {
                    self.guarded.remove(&(Class::Child, path.clone()));
                }
                if !*child {
                    self.guarded.remove(&(Class::Data, path.clone()));
                }
            }
            Wire::Closed => self.closed(at, on_wire, verdict),
        }
    }

    fn connect(&mut self, session: i64, last: i64, on_wire: &OnWire, verdict: &mut Verdict) {
        if session == self.session && session != 0 {
            let (said, newest) = (self.said, self.last_zxid);
            verdict.holds(
                "I10",
                said <= last && last <= newest,
                format_args!(
                    "says to have seen {last:#x}, after {said:#x}, and replies delivered of \
                     {newest:#x}: {}",
                    brief(on_wire)
                ),
            );
            self.said = last;
        } else {
            verdict.holds(
                "I10",
                session == 0 && last == 0,
                format_args!(
                    "neither its session {:#x} nor a new one: {}",
                    self.session,
                    brief(on_wire)
                ),
            );
            *self = Client::default();
        }
        self.connection = Connection {
            id: on_wire.connection,
            last_sent: on_wire.at,
            ..Connection::default()
        };
    }

    /// Something is sent: was the pause before it too long?
    fn sent(&mut self, at: u64, on_wire: &OnWire, verdict: &mut Verdict) {
        let connection = &mut self.connection;
        if let Some(interval) = connection.interval {
            let idle_time = at - connection.last_sent;
            verdict.holds(
                "I13",
                idle_time <= interval + SLACK,
                format_args!(
                    "nothing sent for {idle_time} ms, a twelfth of the timeout is {interval}: {}",
                    brief(on_wire)
                ),
            );
        }
        verdict.holds(
            "I2",
            !connection.foreign,
            format_args!("sends after a foreign xid: {}", brief(on_wire)),
        );
        connection.last_sent = at;
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of what was sent")]
    fn request(
        &mut self,
        op: OpCode,
        xid: i32,
        path: &str,
        watch: Option<Class>,
        credentials: usize,
        on_wire: &OnWire,
        verdict: &mut Verdict,
    ) {
        let connection = &mut self.connection;
        match op {
            OpCode::Auth => {
                connection.credentials += 1;
                let first = !connection.rearmed && !connection.open;
                verdict.holds(
                    "I16",
                    first,
                    format_args!("credentials out of turn: {}", brief(on_wire)),
                );
                return;
            }
            OpCode::Ping => {
                if let [.., before_last, _] = connection.pings[..]
                    && let Some(interval) = connection.interval
                {
                    let three = on_wire.at - before_last;
                    verdict.holds(
                        "I13",
                        three + SLACK >= interval,
                        format_args!("three pings in {three} ms: {}", brief(on_wire)),
                    );
                }
                connection.pings.push(on_wire.at);
                return;
            }
            _ => {}
        }
        verdict.holds(
            "I16",
            connection.credentials == credentials,
            format_args!("without all credentials: {}", brief(on_wire)),
        );
        if !connection.open {
            connection.open = true;
            // A watch that is not armed again has no subscriber any more.
            let again = &connection.asked_again;
            self.guarded
                .retain(|key, guarded| *guarded == Guarded::Now || again.contains(key));
        }
        if op == OpCode::RemoveWatches {
            self.guarded.retain(|(_, at), _| at != path);
        }
        if let Some(class) = watch {
            let absent_too = op == OpCode::Exists;
            let arming = (absent_too, vec![(class, path.to_owned())]);
            connection.arming.insert(xid, arming);
        }
    }

    fn rearm(
        &mut self,
        relative: i64,
        watches: &[(Class, String)],
        on_wire: &OnWire,
        verdict: &mut Verdict,
    ) {
        for key in watches {
            self.connection.asked_again.insert(key.clone());
            if key.0 == Class::Lasting {
                continue;
            }
            if let Some(Guarded::UpTo(zxid)) = self.guarded.get(key) {
                let path = crate::offline::simulation::world::shorten(&key.1);
                verdict.holds(
                    "I9",
                    relative <= *zxid,
                    format_args!(
                        "{:?} of {path} was guarded up to {zxid:#x}, and is asked for from \
                         {relative:#x}: {}",
                        key.0,
                        brief(on_wire)
                    ),
                );
            }
        }
    }

    fn reply(&mut self, xid: i32, zxid: i64, err: i32) {
        if matches!(xid, xid::PING | xid::AUTH) {
            return;
        }
        self.last_zxid = self.last_zxid.max(zxid);
        if let Some((absent_too, watches)) = self.connection.arming.remove(&xid) {
            let armed = err == 0 || (absent_too && err == ErrorCode::NoNode.code());
            for key in watches.into_iter().filter(|_| armed) {
                self.guarded.insert(key, Guarded::Now);
            }
        }
    }

    fn closed(&mut self, at: u64, on_wire: &OnWire, verdict: &mut Verdict) {
        if let Some(interval) = self.connection.interval {
            let idle_time = at - self.connection.last_sent;
            verdict.holds(
                "I13",
                idle_time <= interval + SLACK,
                format_args!(
                    "nothing sent for {idle_time} ms before the end: {}",
                    brief(on_wire)
                ),
            );
        }
        for guarded in self.guarded.values_mut() {
            if *guarded == Guarded::Now {
                *guarded = Guarded::UpTo(self.last_zxid);
            }
        }
        self.connection = Connection::default();
    }
}

fn brief(on_wire: &OnWire) -> String {
    let text = format!("{on_wire:?}");
    crate::offline::simulation::world::shorten(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::wrong;
    use super::*;

    /// A client's first connection, with a watch on `/a`, and its end.
    fn first() -> Vec<(u64, usize, Wire)> {
        vec![
            (0, 1, connect(0, 0)),
            (1, 1, established()),
            (2, 1, get(1, true)),
            (3, 1, reply(1, 10)),
            (4, 1, Wire::Closed),
        ]
    }

    fn connect(session: i64, last_zxid: i64) -> Wire {
        Wire::Connect { session, last_zxid }
    }

    fn established() -> Wire {
        Wire::Established {
            session: 7,
            timeout_ms: 12_000,
        }
    }

    fn sent(op: OpCode, xid: i32) -> Wire {
        Wire::Sent {
            op,
            xid,
            path: "/a".to_owned(),
            watch: None,
        }
    }

    fn get(xid: i32, watch: bool) -> Wire {
        Wire::Sent {
            op: OpCode::GetData,
            xid,
            path: "/a".to_owned(),
            watch: watch.then_some(Class::Data),
        }
    }

    fn reply(xid: i32, zxid: i64) -> Wire {
        Wire::Reply { xid, zxid, err: 0 }
    }

    fn rearm(xid: i32, relative: i64) -> Wire {
        Wire::Rearm {
            xid,
            relative,
            watches: vec![(Class::Data, "/a".to_owned())],
            bytes: 40,
        }
    }

    fn verdict(credentials: usize, wire: Vec<(u64, usize, Wire)>) -> Vec<String> {
        let wire = wire.into_iter().map(|(at, connection, what)| OnWire {
            at,
            client: 0,
            connection,
            what,
        });
        wrong(&History {
            wire: wire.collect(),
            credentials: vec![credentials],
            ..History::default()
        })
    }

    fn then(more: Vec<(u64, usize, Wire)>) -> Vec<String> {
        let mut wire = first();
        wire.extend(more);
        verdict(0, wire)
    }

    #[test]
    fn a_reconnect_as_it_should_be_is_right() {
        let more = vec![
            (5, 2, connect(7, 10)),
            (6, 2, established()),
            (7, 2, rearm(1, 10)),
            (7, 2, get(2, false)),
            (8, 2, reply(1, 12)),
            (1_000, 2, sent(OpCode::Ping, xid::PING)),
        ];
        assert!(then(more.clone()).is_empty(), "{:?}", then(more));
    }

    /// Guards: I2.
    #[test]
    fn continuing_after_foreign_xid_is_found() {
        let more = vec![
            (5, 2, connect(7, 10)),
            (6, 2, established()),
            (7, 2, Wire::Foreign { got: 99 }),
            (8, 2, get(3, false)),
        ];
        assert_eq!(then(more).len(), 1);
    }

    /// Guards: I9.
    #[test]
    fn watch_rearmed_too_late_is_found() {
        let more = vec![
            (5, 2, connect(7, 10)),
            (6, 2, established()),
            (7, 2, rearm(1, 11)),
        ];
        assert_eq!(then(more).len(), 1);
        // Finding 1: the reply to the first batch does not vouch for the second.
        let other = Wire::Rearm {
            xid: 1,
            relative: 10,
            watches: vec![(Class::Data, "/b".to_owned())],
            bytes: 40,
        };
        let more = vec![
            (5, 2, connect(7, 10)),
            (6, 2, established()),
            (7, 2, other),
            (7, 2, rearm(2, 10)),
            (8, 2, reply(1, 20)),
            (9, 2, Wire::Closed),
            (10, 3, connect(7, 20)),
            (11, 3, established()),
            (12, 3, rearm(1, 20)),
        ];
        assert_eq!(then(more).len(), 1);
    }

    /// Guards: I10.
    #[test]
    fn unseen_zxid_is_found() {
        assert_eq!(then(vec![(5, 2, connect(7, 11))]).len(), 1);
        let mut wire = first();
        wire.insert(4, (3, 1, reply(xid::PING, 30)));
        wire.push((5, 2, connect(7, 30)));
        assert_eq!(verdict(0, wire).len(), 1);
    }

    /// Guards: I10.
    #[test]
    fn decreasing_zxid_is_found() {
        let more = vec![
            (5, 2, connect(7, 10)),
            (6, 2, Wire::Closed),
            (7, 3, connect(7, 9)),
        ];
        assert_eq!(then(more).len(), 1);
        assert_eq!(then(vec![(5, 2, connect(0, 10))]).len(), 1);
    }

    /// Guards: I13.
    #[test]
    fn too_few_or_too_many_pings_are_found() {
        let ping = || sent(OpCode::Ping, xid::PING);
        let quiet = vec![
            (0, 1, connect(0, 0)),
            (1, 1, established()),
            (1_500, 1, ping()),
        ];
        assert_eq!(verdict(0, quiet).len(), 1);
        let closed = vec![
            (0, 1, connect(0, 0)),
            (1, 1, established()),
            (1_500, 1, Wire::Closed),
        ];
        assert_eq!(verdict(0, closed).len(), 1);
        let busy = vec![
            (0, 1, connect(0, 0)),
            (1, 1, established()),
            (100, 1, ping()),
            (200, 1, ping()),
            (300, 1, ping()),
        ];
        assert_eq!(verdict(0, busy).len(), 1);
    }

    /// Guards: I16.
    #[test]
    fn wrong_order_after_reconnect_is_found() {
        let auth = || sent(OpCode::Auth, xid::AUTH);
        let begin = || vec![(0, 1, connect(0, 0)), (1, 1, established())];
        let with = |more: Vec<Wire>| {
            let mut wire = begin();
            wire.extend(more.into_iter().map(|what| (2, 1, what)));
            verdict(1, wire)
        };
        assert!(with(vec![auth(), rearm(1, 0), get(2, false)]).is_empty());
        assert!(!with(vec![rearm(1, 0), auth(), get(2, false)]).is_empty());
        assert!(!with(vec![get(1, false)]).is_empty());
        assert!(!with(vec![auth(), get(1, false), rearm(2, 0)]).is_empty());
    }

    /// Guards: I22.
    #[test]
    fn herd_is_found() {
        let wire = (0..5).flat_map(|client| {
            let what = [
                connect(0, 0),
                Wire::Event {
                    path: "/l/x-lock-0000000001".to_owned(),
                    child: false,
                    deleted: true,
                },
            ];
            what.map(|what| OnWire {
                at: 0,
                client,
                connection: 1,
                what,
            })
        });
        let history = History {
            wire: wire.collect(),
            ..History::default()
        };
        assert_eq!(wrong(&history).len(), 1);
    }
}

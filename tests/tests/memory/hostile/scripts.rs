//! The form of the scripts, and those that are about an established session.

use std::time::Duration;

use zk_client::ErrorKind;
use zk_proto::records::{GetDataResponse, StatResponse};
use zk_proto::{EventType, KeeperState, Stat, WatcherEvent, xid};

use super::server::Act::{self, Dribble, Every, Hold, Receive, Repeat, Reply, Say};
use super::server::{encoded, framed, grant, reply};

/// The largest frame the clients accept.
pub const LIMIT: usize = 256 * 1024;

/// What the client requests once it is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Set,
    /// Twice at once; what became of the second is what counts.
    TwoSets,
    /// After a read whose future was dropped.
    SetAfterDropped,
    Create,
    Get,
    Children,
    Acl,
    /// A check, a creation and a deletion.
    Multi,
    /// Data and children.
    MultiRead,
    /// A persistent watch on `/w`, and then a set; no event may be delivered.
    Watched,
}

/// What is to become of it.
#[derive(Debug, Clone, Copy)]
pub enum Expect {
    /// No session, and the error says so.
    NotConnected(&'static str),
    /// The same, and without waiting, for it would last.
    Hopeless(&'static str),
    /// The connection is lost, and the error says why.
    Lost(&'static str),
    /// This request fails, and no other.
    Fails(ErrorKind, &'static str),
    /// Nothing: it is tolerated.
    Works,
}

#[derive(Debug, Clone)]
pub struct Script {
    pub name: &'static str,
    pub ask: Ask,
    pub acts: Vec<Act>,
    pub expect: Expect,
    /// In virtual time, until the client has said so.
    pub within: Duration,
    /// In virtual time, until the next server serves it.
    pub usable: Duration,
    /// Connections after the first are closed at once.
    pub once: bool,
}

fn script(name: &'static str, ask: Ask, acts: Vec<Act>, expect: Expect) -> Script {
    Script {
        name,
        ask,
        acts,
        expect,
        within: Duration::from_secs(1),
        usable: Duration::from_secs(2),
        once: false,
    }
}

pub fn not_connected(name: &'static str, acts: Vec<Act>, said: &'static str) -> Script {
    script(name, Ask::Set, acts, Expect::NotConnected(said))
}

/// A session is granted by `acts`, and the request that follows is answered as it should be.
pub fn works(name: &'static str, ask: Ask, mut acts: Vec<Act>) -> Script {
    acts.extend([Receive, ok(1)]);
    script(name, ask, acts, Expect::Works)
}

/// A good answer to a `set`.
pub fn ok(zxid: i64) -> Act {
    let stat = Stat::default();
    answer(zxid, 0, encoded(&StatResponse { stat }))
}

pub fn answer(zxid: i64, err: i32, body: Vec<u8>) -> Act {
    Reply { zxid, err, body }
}

/// A session and, once the client has asked for something, `acts`.
pub fn after(acts: impl IntoIterator<Item = Act>) -> Vec<Act> {
    let granted = [Receive, Say(framed(&encoded(&grant()))), Receive];
    granted.into_iter().chain(acts).collect()
}

fn lost(name: &'static str, said: &'static str, acts: Vec<Act>) -> Script {
    script(name, Ask::Set, after(acts), Expect::Lost(said))
}

fn fails(name: &'static str, ask: Ask, kind: ErrorKind, said: &'static str, act: Act) -> Script {
    script(name, ask, after([act]), Expect::Fails(kind, said))
}

pub fn malformed(name: &'static str, ask: Ask, body: Vec<u8>) -> Script {
    let kind = ErrorKind::MalformedReply;
    fails(name, ask, kind, "", answer(1, 0, body))
}

fn tolerated(name: &'static str, acts: Vec<Act>) -> Script {
    let then = acts.into_iter().chain([ok(1)]);
    script(name, Ask::Set, after(then), Expect::Works)
}

/// What comes when a persistent watch has been set on `/w`.
fn notified(name: &'static str, body: Vec<u8>) -> Script {
    let said = reply(xid::NOTIFICATION, -1, 0, &body);
    let acts = after([answer(1, 0, vec![0; 4]), Say(said), Receive, ok(2)]);
    script(name, Ask::Watched, acts, Expect::Works)
}

fn event(kind: EventType, state: KeeperState, path: &str) -> Vec<u8> {
    encoded(&WatcherEvent { kind, state, path })
}

/// What breaks the order of frames, or their form.
pub fn of_frames() -> Vec<Script> {
    let stat = encoded(&StatResponse {
        stat: Stat::default(),
    });
    let too_large = ErrorKind::ReplyTooLarge;
    let due = |xid: i32| Say(reply(xid, 1, 0, &stat));
    let mut scripts = vec![
        fails(
            "a reply of 2 GiB",
            Ask::Set,
            too_large,
            "the reply is 2147483647 bytes long",
            Say([i32::MAX.to_be_bytes(), 1i32.to_be_bytes()].concat()),
        ),
        fails(
            "a reply of one byte more than the limit",
            Ask::Set,
            too_large,
            "the reply is 262145 bytes long and the limit is 262144",
            Say([
                (i32::try_from(LIMIT).unwrap() + 1).to_be_bytes(),
                1i32.to_be_bytes(),
            ]
            .concat()),
        ),
        lost(
            "a notification of 2 GiB",
            "the server sent a frame of 2147483647 bytes",
            vec![Say([
                i32::MAX.to_be_bytes(),
                xid::NOTIFICATION.to_be_bytes(),
            ]
            .concat())],
        ),
        lost(
            "a reply of -5 bytes",
            "negative length -5",
            vec![Say((-5i32).to_be_bytes().to_vec())],
        ),
        lost("an empty reply", "malformed frame", vec![Say(vec![0; 4])]),
        lost(
            "half a header",
            "malformed frame",
            vec![Say(framed(&[0; 10]))],
        ),
        lost(
            "half a reply",
            "the server closed",
            vec![Say(reply(1, 1, 0, &stat)[..30].to_vec())],
        ),
        lost("closes on the request", "the server closed", vec![]),
        lost(
            "an unknown xid",
            "reply for xid 77 when 1 was due",
            vec![due(77)],
        ),
        lost("xid 0", "reply for xid 0 when 1 was due", vec![due(0)]),
        lost("xid -3", "reply for xid -3 when 1", vec![due(-3)]),
        lost(
            "the least xid",
            "xid -2147483648 when 1",
            vec![due(i32::MIN)],
        ),
        lost(
            "the C client's xid of watches",
            "xid -8 when 1",
            vec![due(xid::SET_WATCHES)],
        ),
        lost(
            "a second handshake",
            "xid 0 when 1 was due",
            vec![Say(framed(&encoded(&grant())))],
        ),
        lost(
            "a refusal of no credentials",
            "xid -4, but no",
            vec![Say(reply(xid::AUTH, 0, -115, &[]))],
        ),
        lost(
            "a token of SASL",
            "xid 2 when 1 was due",
            vec![Say(reply(2, 0, 0, &[0, 0, 0, 2, 1, 2]))],
        ),
        lost(
            "half a notification",
            "malformed frame",
            vec![Say(reply(xid::NOTIFICATION, 1, 0, &[0; 9]))],
        ),
        lost(
            "a notification of no path",
            "unexpected null",
            vec![Say(reply(
                xid::NOTIFICATION,
                1,
                0,
                &[&[0, 0, 0, 1, 0, 0, 0, 3][..], &[0xff; 4]].concat(),
            ))],
        ),
        lost(
            "a notification of no text",
            "not valid UTF-8",
            vec![Say(reply(
                xid::NOTIFICATION,
                1,
                0,
                &[0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2, 0xc3, 0x28],
            ))],
        ),
        script(
            "the xid of a completed request",
            Ask::TwoSets,
            after([Receive, due(1), due(1)]),
            Expect::Lost("reply for xid 1 when 2 was due"),
        ),
        script(
            "replies in another order",
            Ask::TwoSets,
            after([Receive, due(2), due(1)]),
            Expect::Lost("reply for xid 2 when 1 was due"),
        ),
        script(
            "a reply to a cancelled request",
            Ask::SetAfterDropped,
            after([due(1), Receive, ok(1)]),
            Expect::Works,
        ),
        script(
            "two replies to a cancelled request",
            Ask::SetAfterDropped,
            after([Receive, due(1), due(1)]),
            Expect::Lost("reply for xid 1 when 2 was due"),
        ),
    ];
    let mut quiet = lost(
        "no reply",
        "nothing was received from the server for 2000 ms",
        vec![Hold],
    );
    quiet.within = Duration::from_secs(2);
    quiet.usable = Duration::from_secs(3);
    scripts.push(quiet);
    scripts.extend(endless());
    scripts
}

/// What does not come to an end.
fn endless() -> Vec<Script> {
    let apart = Duration::from_millis(100);
    let pong = reply(xid::PING, 1, 0, &[]);
    let deadline = ErrorKind::DeadlineExceeded;
    let mut scripts = vec![
        fails(
            "a reply without end",
            Ask::Set,
            deadline,
            "",
            Dribble(
                [&framed(&vec![0; LIMIT])[..64], &[0; 200_000]].concat(),
                apart,
            ),
        ),
        fails(
            "pongs, and nothing else",
            Ask::Set,
            deadline,
            "",
            Every(apart, pong),
        ),
        fails(
            "notifications, and nothing else",
            Ask::Set,
            deadline,
            "",
            Every(
                apart,
                reply(
                    xid::NOTIFICATION,
                    1,
                    0,
                    &event(EventType::NodeCreated, KeeperState::SyncConnected, "/a"),
                ),
            ),
        ),
    ];
    for script in &mut scripts {
        script.within = Duration::from_millis(2500);
        // Once it has answered nothing for ten times the session's timeout.
        script.usable = Duration::from_secs(35);
    }
    scripts
}

/// What only looks bad.
pub fn tolerated_ones() -> Vec<Script> {
    let pong = reply(xid::PING, 1, 0, &[]);
    let (deleted, connected) = (EventType::NodeDeleted, KeeperState::SyncConnected);
    let mut deep = "/d".repeat(50_000);
    deep.push_str("/w");
    let mut scripts = vec![
        tolerated("pongs unasked", vec![Repeat(pong.clone(), 3)]),
        tolerated("a flood of pongs", vec![Repeat(pong.repeat(500), 400)]),
        tolerated(
            "credentials accepted unasked",
            vec![Say(reply(xid::AUTH, 0, 0, &[]))],
        ),
        tolerated(
            "a notification before any watch",
            vec![Say(reply(
                xid::NOTIFICATION,
                1,
                0,
                &event(deleted, connected, "/a"),
            ))],
        ),
        tolerated(
            "pongs with errors",
            vec![Say(reply(xid::PING, i64::MIN, -112, &[1, 2, 3]))],
        ),
        script(
            "a zxid that goes back",
            Ask::TwoSets,
            after([ok(100), Receive, ok(50)]),
            Expect::Works,
        ),
        script("zxid -1", Ask::Set, after([ok(-1)]), Expect::Works),
        script(
            "the least zxid",
            Ask::Set,
            after([ok(i64::MIN)]),
            Expect::Works,
        ),
        notified(
            "an event of an unknown path",
            event(deleted, connected, "/app/x"),
        ),
        notified(
            "an event outside the chroot",
            event(deleted, connected, "/w"),
        ),
        notified("an event of no path", event(deleted, connected, "")),
        notified(
            "an event of a path that is none",
            event(deleted, connected, "app/w//"),
        ),
        notified(
            "an event of an unknown type",
            event(EventType::Unknown(99), connected, "/app/w"),
        ),
        notified(
            "an event that only clients make",
            event(EventType::PersistentWatchRemoved, connected, "/app/w"),
        ),
        notified(
            "an event of the connection",
            event(EventType::None, KeeperState::Expired, ""),
        ),
        notified(
            "an event of a path without end",
            event(deleted, connected, &deep),
        ),
    ];
    // What is ahead of every server is believed, and no other server takes the session: until it
    // is given up here.
    let mut ahead = script(
        "the largest zxid",
        Ask::Set,
        after([ok(i64::MAX)]),
        Expect::Works,
    );
    ahead.usable = Duration::from_secs(10);
    ahead.once = true;
    scripts.push(ahead);
    let nulls = GetDataResponse {
        data: None,
        stat: Stat::default(),
    };
    scripts.push(script(
        "null for data",
        Ask::Get,
        after([answer(1, 0, encoded(&nulls))]),
        Expect::Works,
    ));
    scripts
}

/// What is said of an error that is none, or unknown.
pub fn of_codes() -> Vec<Script> {
    let stat = encoded(&StatResponse {
        stat: Stat::default(),
    });
    let server = ErrorKind::Server;
    let code = |name, code, said| fails(name, Ask::Set, server, said, answer(1, code, vec![]));
    vec![
        code("an unknown code", -9999, "(-9999)"),
        code("a positive code", 42, "(42)"),
        code("the least code", i32::MIN, "(-2147483648)"),
        code("a client's own code", -122, "(RequestTimeout, -122)"),
        fails(
            "an error with the body of a success",
            Ask::Set,
            ErrorKind::NoNode,
            "does not exist",
            answer(1, -101, stat.clone()),
        ),
        malformed(
            "a success with the body of an error",
            Ask::Set,
            (-101i32).to_be_bytes().to_vec(),
        ),
        malformed("a success without a body", Ask::Set, vec![]),
        malformed("a body too short", Ask::Set, stat[..60].to_vec()),
        script(
            "a field more than known",
            Ask::Set,
            after([answer(1, 0, [&stat[..], &[0; 4]].concat())]),
            Expect::Works,
        ),
    ]
}

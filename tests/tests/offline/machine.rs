//! Failures of other clients that need nothing but the session's machine to be seen: what it writes,
//! and what it makes of what it reads.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use zk_client::testkit::{Answer, Ask, Machine, Subscription, Ticket};
use zk_client::{ErrorKind, NodeEventKind, Outcome, SessionId, State, WatchEvent, Zxid};
use zk_proto::records::{ConnectRequest, ConnectResponse, ErrorResponse};
use zk_proto::{
    Encode, EventType, KeeperState, OpCode, ReplyHeader, RequestHeader, SessionPassword,
    WatcherEvent, decode_frame, xid,
};

const TIMEOUT: Duration = Duration::from_secs(6);
const BUDGET: Duration = Duration::from_secs(1);

struct Client {
    machine: Machine,
    now: Instant,
}

fn client() -> Client {
    let now = Instant::now();
    Client {
        machine: Machine::new(now, TIMEOUT, true, 128),
        now,
    }
}

/// One that has a session.
fn connected() -> Client {
    let mut client = client();
    client.connect();
    client
}

fn framed(records: &[&dyn Encode]) -> Vec<u8> {
    let mut body = BytesMut::new();
    for record in records {
        record.encode(&mut body);
    }
    let len = i32::try_from(body.len()).unwrap();
    [&len.to_be_bytes()[..], &body].concat()
}

fn grant(session: i64) -> ConnectResponse {
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: 6000,
        session_id: SessionId(session),
        password: SessionPassword::new(Bytes::from_static(&[7; 16])),
        read_only: false,
    }
}

/// A reply without a record.
fn reply(xid: i32, err: i32) -> Vec<u8> {
    let zxid = Zxid(i64::from(xid));
    framed(&[&ReplyHeader { xid, zxid, err }])
}

/// The reply of Apache ZooKeeper to `addWatch`: an error code once more.
fn watching(xid: i32) -> Vec<u8> {
    let zxid = Zxid(i64::from(xid));
    framed(&[
        &ReplyHeader { xid, zxid, err: 0 },
        &ErrorResponse { err: 0 },
    ])
}

fn event(kind: EventType, path: &str, zxid: i64) -> Vec<u8> {
    let header = ReplyHeader {
        xid: xid::NOTIFICATION,
        zxid: Zxid(zxid),
        err: 0,
    };
    let event = WatcherEvent {
        kind,
        state: KeeperState::SyncConnected,
        path,
    };
    framed(&[&header, &event])
}

/// Frames, without their lengths.
fn frames(mut stream: Bytes) -> Vec<Bytes> {
    let mut frames = Vec::new();
    while stream.has_remaining() {
        let len = usize::try_from(stream.get_i32()).unwrap();
        frames.push(stream.split_to(len));
    }
    frames
}

impl Client {
    fn begin(&mut self) -> Vec<Bytes> {
        assert!(self.machine.connect(self.now, BUDGET));
        frames(self.machine.output(usize::MAX))
    }

    fn connect(&mut self) {
        self.begin();
        self.receive(&framed(&[&grant(7)]));
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.machine.input(self.now, bytes).unwrap();
    }

    fn ask(&mut self, ask: Ask<'_>) -> Ticket {
        self.machine.submit(self.now, ask, None).unwrap()
    }

    fn written(&mut self) -> Vec<i32> {
        let headers = frames(self.machine.output(usize::MAX)).into_iter();
        headers
            .map(|frame| decode_frame::<RequestHeader>(&frame, 0).unwrap().op)
            .collect()
    }

    fn cut(&mut self) {
        let reason = zk_client::Disconnect::ClosedByServer;
        self.machine.disconnect(self.now, &reason);
    }

    fn answer(&mut self, ticket: Ticket) -> Result<Answer, zk_client::Error> {
        self.machine.poll(ticket).expect("an answer")
    }

    fn watch(&mut self, ask: Ask<'_>, xid: i32) -> Subscription {
        let answer = match ask {
            Ask::Watch(..) => watching(xid),
            _ => reply(xid, 0),
        };
        let ticket = self.ask(ask);
        self.receive(&answer);
        self.answer(ticket).unwrap().watch.expect("a watch")
    }
}

fn delivered(event: Option<WatchEvent>) -> Option<(NodeEventKind, String)> {
    match event {
        Some(WatchEvent::Node(event)) => Some((event.kind, event.path)),
        Some(other) => panic!("{other:?}"),
        None => None,
    }
}

/// ZOOKEEPER-1702: a server that has something against the session resets what comes too early, and
/// its reason is lost.
/// Guards: A11, B20.
#[test]
fn handshake_comes_alone() {
    let mut client = client();
    let before = client.ask(Ask::Get("/a", true));
    assert_eq!(client.begin().len(), 1);
    let after = client.ask(Ask::Set("/a", b"x"));
    client.machine.add_auth(b"a:b").unwrap();
    assert!(client.machine.output(usize::MAX).is_empty());
    client.receive(&framed(&[&grant(7)]));
    let ops = [OpCode::Auth, OpCode::GetData, OpCode::SetData];
    assert_eq!(client.written(), ops.map(OpCode::code));
    let _waiting = (before, after);
}

/// ZOOKEEPER-3426, ZOOKEEPER-4814: with and without its last byte, and what follows is the next
/// frame's.
/// Guards: A21, B4, B5.
#[test]
fn split_handshake_opens_one_session() {
    let mut short = BytesMut::new();
    grant(7).encode_without_read_only(&mut short);
    let len = i32::try_from(short.len()).unwrap();
    let short = [&len.to_be_bytes()[..], &short].concat();
    for greeting in [short, framed(&[&grant(7)])] {
        let pong = framed(&[&ReplyHeader {
            xid: xid::PING,
            zxid: Zxid(0),
            err: 0,
        }]);
        let stream = [greeting, pong, reply(1, 0)].concat();
        for at in 0..stream.len() {
            let mut client = client();
            let ticket = client.ask(Ask::Sync("/"));
            client.begin();
            client.receive(&stream[..at]);
            client.receive(&stream[at..]);
            assert_eq!(client.machine.session(), 7);
            assert!(client.answer(ticket).is_ok(), "{at}");
        }
    }
}

/// ZOOKEEPER-794, 1493, 2891, 2894.
/// Guards: A23, B38.
#[test]
fn close_answers_every_request() {
    let mut client = connected();
    let mut in_flight: Vec<_> = (0..50).map(|_| client.ask(Ask::Set("/a", b"x"))).collect();
    in_flight.push(client.ask(Ask::Get("/a", true)));
    client.written();
    client.machine.close(client.now);
    assert!(!client.machine.is_over(), "it waits for the server");
    client.now += TIMEOUT;
    // The server has said nothing all the while.
    let _ = client.machine.tick(client.now);
    assert!(client.machine.is_over());
    for ticket in in_flight {
        let error = client.answer(ticket).unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Closed, Outcome::Unknown)
        );
    }

    let mut client = connected();
    client.cut();
    let waiting = client.ask(Ask::Set("/a", b"x"));
    client.machine.close(client.now);
    client.now += TIMEOUT;
    client.machine.tick(client.now).unwrap();
    let error = client.answer(waiting).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
}

/// ZOOKEEPER-1105, and kazoo's call that is failed and kept.
/// Guards: A24, C22.
#[test]
fn requests_after_close_are_refused() {
    let mut client = connected();
    client.machine.close(client.now);
    let refused = client
        .machine
        .submit(client.now, Ask::Set("/a", b"x"), None)
        .unwrap_err();
    assert_eq!(
        (refused.kind(), refused.outcome()),
        (ErrorKind::Closed, Outcome::NotSent)
    );
    assert_eq!(client.written(), [OpCode::CloseSession.code()]);
    assert_eq!(client.machine.statistics(client.now).outstanding, 0);
}

/// ZOOKEEPER-1412: the event is in the same read as the reply that sets the watch.
/// Guards: A42.
#[test]
fn event_beside_the_reply_is_delivered() {
    let mut client = connected();
    let ticket = client.ask(Ask::Sync("/"));
    let watched = client.ask(Ask::Exists("/a", true));
    let created = event(EventType::NodeCreated, "/a", 9);
    let no_node = zk_proto::ErrorCode::NoNode.code();
    client.receive(&[reply(1, 0), reply(2, no_node), created].concat());
    client.answer(ticket).unwrap();
    let watch = client.answer(watched).unwrap().watch.unwrap();
    let event = delivered(client.machine.event(&watch));
    assert_eq!(event, Some((NodeEventKind::Created, "/a".to_owned())));
    assert_eq!(client.machine.statistics(client.now).watches, 0);
}

/// ZOOKEEPER-4475: an event of another watch below a tree is not delivered to the tree's watch.
/// Guards: A44, B65.
#[test]
fn recursive_watch_gets_no_child_events() {
    let mut client = connected();
    let tree = client.watch(Ask::Watch("/a", true), 1);
    let list = client.watch(Ask::Children("/a/b", true), 2);
    client.receive(&event(EventType::NodeCreated, "/a/b/c", 9));
    client.receive(&event(EventType::NodeChildrenChanged, "/a/b", 9));
    let created = (NodeEventKind::Created, "/a/b/c".to_owned());
    assert_eq!(delivered(client.machine.event(&tree)), Some(created));
    assert_eq!(client.machine.event(&tree), None);
    let changed = (NodeEventKind::ChildrenChanged, "/a/b".to_owned());
    assert_eq!(delivered(client.machine.event(&list)), Some(changed));
}

/// ZOOKEEPER-344: what a server says of the connection is no change of a znode.
/// Guards: A49.
#[test]
fn session_events_reach_no_watch() {
    let mut client = connected();
    let data = client.watch(Ask::Get("/a", true), 1);
    let tree = client.watch(Ask::Watch("/", true), 2);
    for path in ["", "/a"] {
        client.receive(&event(EventType::None, path, -1));
    }
    assert_eq!(client.machine.event(&data), None);
    assert_eq!(client.machine.event(&tree), None);
    client.receive(&event(EventType::NodeDataChanged, "/a", 9));
    let changed = (NodeEventKind::DataChanged, "/a".to_owned());
    assert_eq!(delivered(client.machine.event(&data)), Some(changed));
}

/// A session id is 64 bits, and the first of them is the server's.
/// Guards: B48.
#[test]
fn session_id_with_high_bit_is_ordinary() {
    let mut client = client();
    client.begin();
    client.receive(&framed(&[&grant(i64::MIN + 5)]));
    assert_eq!(client.machine.session(), i64::MIN + 5);
    let State::Connected { session, .. } = client.machine.state() else {
        panic!("not connected");
    };
    assert_eq!(session.to_string(), "0x8000000000000005");
    client.cut();
    let request: ConnectRequest = decode_frame(&client.begin()[0], 0).unwrap();
    assert_eq!(request.session_id, session);
}

/// The connection is cut between two events of one transaction. The zxid of a notification does not
/// prove that everything before it was seen, so the watches are armed again from the last reply's.
/// Guards: B55, B46.
#[test]
fn event_zxid_does_not_count_as_seen() {
    let mut client = connected();
    let watch = client.watch(Ask::Get("/a", true), 1);
    let read = client.ask(Ask::Sync("/"));
    client.receive(&reply(2, 0));
    client.answer(read).unwrap();
    client.receive(&event(EventType::NodeDataChanged, "/a", 900));
    assert!(client.machine.event(&watch).is_some());
    client.cut();
    let request: ConnectRequest = decode_frame(&client.begin()[0], 0).unwrap();
    assert_eq!(request.last_zxid_seen, Zxid(2));
}

/// A watch whose handle was dropped fires, and so does a path that was never watched.
/// Guards: B66.
#[test]
fn unwatched_event_is_ignored() {
    let mut client = connected();
    let watch = client.watch(Ask::Get("/a", true), 1);
    client.machine.unsubscribe(client.now, &watch);
    for kind in [
        EventType::NodeCreated,
        EventType::NodeDataChanged,
        EventType::NodeChildrenChanged,
        EventType::NodeDeleted,
    ] {
        for path in ["/a", "/b", "/", "", "no path"] {
            client.receive(&event(kind, path, 9));
        }
    }
    assert_eq!(client.machine.event(&watch), None);
    assert_eq!(client.machine.statistics(client.now).watches, 0);
}

/// ClickHouse Keeper reads 16 bytes whatever their length says.
/// Guards: D15.
#[test]
fn first_handshake_has_16_zero_bytes() {
    let request: ConnectRequest = decode_frame(&client().begin()[0], 0).unwrap();
    assert_eq!(request.password.as_bytes(), [0; 16]);
}

/// Guards: D15.
#[test]
fn bare_add_watch_reply_sets_the_watch() {
    let mut client = connected();
    let ticket = client.ask(Ask::Watch("/a", false));
    client.receive(&reply(1, 0));
    let watch = client.answer(ticket).unwrap().watch.expect("a watch");
    client.receive(&event(EventType::NodeCreated, "/a", 9));
    assert!(client.machine.event(&watch).is_some());
}

/// ZOOKEEPER-1751: however much there is to read, pings are sent in time.
/// Guards: A15, B25.
#[test]
fn pings_pass_a_flood_of_events() {
    let mut client = connected();
    let tree = client.watch(Ask::Watch("/", true), 1);
    client.written();
    let flood = event(EventType::NodeCreated, "/a", 9).repeat(100);
    let mut pings = 0;
    for _ in 0..300 {
        client.now += TIMEOUT / 30;
        client.receive(&flood);
        client.machine.tick(client.now).unwrap();
        for frame in frames(client.machine.output(usize::MAX)) {
            let header: RequestHeader = decode_frame(&frame, 0).unwrap();
            assert_eq!(header.xid, xid::PING);
            pings += 1;
            client.receive(&framed(&[&ReplyHeader {
                xid: xid::PING,
                zxid: Zxid(0),
                err: 0,
            }]));
        }
    }
    // Ten session times, ten pings in each: a twelfth is over at the third look of a thirtieth.
    assert!((98..=101).contains(&pings), "{pings}");
    assert!(client.machine.event(&tree).is_some());
}

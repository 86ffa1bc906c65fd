//! The core against a model server, byte by byte, on a clock of the tests' own.

mod property;
mod server;

use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use server::{Mode, Server};
use zk_proto::records::{
    AddWatchMode, AddWatchRequest, CreateRequest, ExistsRequest, GetChildren2Request,
    GetDataRequest, SetDataRequest,
};
use zk_proto::{Acl, Encode, ErrorCode, OpCode, Stat, decode_frame};
use zk_transport::{Disconnect, FrameReader};

use super::{Core, Limits, Request};
use crate::slots::{Failure, Reply, SlotKey, WatchIntent};
use crate::state::State;
use crate::watch::{SubId, Unread, WatchEvent, WatchKind};
use crate::{Outcome, SessionPolicy};

const TIMEOUT: Duration = Duration::from_secs(6);

/// A core, a server, and the wire between them.
struct World {
    core: Core,
    server: Server,
    frames: FrameReader,
    now: Instant,
    /// Output that was taken from the core and has not reached the server.
    wire: BytesMut,
    written: u64,
}

impl World {
    fn new() -> Self {
        Self::with_policy(SessionPolicy::Renew)
    }

    fn with_policy(policy: SessionPolicy) -> Self {
        let limits = Limits {
            outstanding: 64,
            request_bytes: 1024,
            watch_events: 4,
            close_timeout: Duration::from_secs(3),
        };
        let now = Instant::now();
        World {
            core: Core::new(now, TIMEOUT, policy, false, limits),
            server: Server::default(),
            frames: FrameReader::new(1 << 20),
            now,
            wire: BytesMut::new(),
            written: 0,
        }
    }

    fn connected() -> Self {
        let mut world = World::new();
        world.connect();
        world
    }

    fn begin(&mut self) {
        self.frames = FrameReader::new(1 << 20);
        self.wire.clear();
        self.written = 0;
        assert!(self.core.begin(self.now, Duration::from_secs(1)));
    }

    /// Connects, and lets everything settle.
    fn connect(&mut self) {
        self.begin();
        self.settle();
    }

    fn take_output(&mut self) {
        if self.wire.is_empty() {
            self.core.poll_output(&mut self.wire);
        }
    }

    /// The server receives up to `n` bytes.
    fn deliver(&mut self, n: usize) {
        self.take_output();
        let n = n.min(self.wire.len());
        let bytes = self.wire.split_to(n);
        self.written += n as u64;
        self.server.receive(&bytes);
    }

    /// The client receives up to `n` frames.
    fn answer(&mut self, n: usize) {
        for _ in 0..n {
            let Some(frame) = self.server.send() else {
                return;
            };
            self.frames.extend(&frame);
            if let Err(reason) = self.core.handle_input(self.now, &mut self.frames) {
                self.cut_for(&reason);
                return;
            }
        }
    }

    fn settle(&mut self) {
        loop {
            self.take_output();
            let idle = self.wire.is_empty() && self.server.unsent() == 0;
            if idle {
                return;
            }
            self.deliver(usize::MAX);
            self.answer(usize::MAX);
        }
    }

    fn cut(&mut self) {
        self.cut_for(&Disconnect::ClosedByServer);
    }

    fn cut_for(&mut self, reason: &Disconnect) {
        self.server.cut();
        let rest = std::mem::take(&mut self.wire);
        self.core
            .disconnected(self.now, reason, self.written, &rest);
    }

    fn submit(
        &mut self,
        op: OpCode,
        path: &str,
        record: &dyn Encode,
        replay: bool,
        watch: Option<WatchKind>,
    ) -> Result<SlotKey, Failure> {
        let watch = watch.map(|kind| WatchIntent {
            kind,
            path: path.into(),
            changed: false,
        });
        let request = Request {
            op,
            path,
            record,
            replay,
            watch,
            deadline: None,
        };
        self.core.submit(self.now, request)
    }

    fn get(&mut self, path: &str, watch: bool) -> SlotKey {
        let record = GetDataRequest {
            path: path.into(),
            watch,
        };
        let kind = watch.then_some(WatchKind::Data);
        self.submit(OpCode::GetData, path, &record, true, kind)
            .unwrap()
    }

    fn children(&mut self, path: &str) -> SlotKey {
        let record = GetChildren2Request {
            path: path.into(),
            watch: true,
        };
        let kind = Some(WatchKind::Child);
        self.submit(OpCode::GetChildren2, path, &record, true, kind)
            .unwrap()
    }

    fn exists(&mut self, path: &str) -> SlotKey {
        let record = ExistsRequest {
            path: path.into(),
            watch: true,
        };
        self.submit(OpCode::Exists, path, &record, true, Some(WatchKind::Data))
            .unwrap()
    }

    fn set(&mut self, path: &str, data: &str) -> SlotKey {
        let record = SetDataRequest {
            path: path.into(),
            data: Some(data.as_bytes()),
            version: -1,
        };
        self.submit(OpCode::SetData, path, &record, false, None)
            .unwrap()
    }

    fn create(&mut self, path: &str) -> SlotKey {
        let acl = Acl::open();
        let record = CreateRequest {
            path: path.into(),
            data: Some(b""),
            acl: (&acl[..]).into(),
            flags: 0,
        };
        self.submit(OpCode::Create2, path, &record, false, None)
            .unwrap()
    }

    fn add_watch(&mut self, path: &str, mode: AddWatchMode, kind: WatchKind) -> SlotKey {
        let record = AddWatchRequest {
            path: path.into(),
            mode,
        };
        self.submit(OpCode::AddWatch, path, &record, true, Some(kind))
            .unwrap()
    }

    fn poll(&mut self, key: SlotKey) -> Option<Result<Reply, Failure>> {
        self.core
            .poll_reply(key, Waker::noop())
            .map(|answer| answer.result)
    }

    /// The answer to a request that must have succeeded.
    fn ok(&mut self, key: SlotKey) -> (Bytes, Option<SubId>) {
        match self.poll(key) {
            Some(Ok(Reply {
                result: Ok(body),
                watch,
            })) => (body, watch),
            other => panic!("not a success: {other:?}"),
        }
    }

    fn watch(&mut self, key: SlotKey) -> SubId {
        match self.poll(key) {
            Some(Ok(Reply {
                watch: Some(sub), ..
            })) => sub,
            other => panic!("no watch: {other:?}"),
        }
    }

    fn event(&mut self, sub: SubId) -> Option<WatchEvent> {
        self.core
            .registry
            .poll(sub, Waker::noop())
            .map(|unread| match unread {
                Unread::Node { kind, path, zxid } => WatchEvent::Node(crate::NodeEvent {
                    kind,
                    path: path.to_string(),
                    zxid,
                }),
                Unread::Other(event) => event,
            })
    }

    fn outcome(&mut self, key: SlotKey) -> Option<Outcome> {
        match self.poll(key) {
            Some(Err(Failure::ConnectionLost(_, outcome))) => Some(outcome),
            Some(other) => panic!("not a lost connection: {other:?}"),
            None => None,
        }
    }
}

fn is_node(event: Option<&WatchEvent>) -> bool {
    matches!(event, Some(WatchEvent::Node(_)))
}

#[test]
fn g3_reads_are_sent_again_in_order_and_writes_in_flight_are_unknown() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let read = world.get("/a", false);
    let write = world.set("/a", "x");
    let later = world.get("/a", false);
    world.deliver(usize::MAX);
    world.cut();
    assert_eq!(world.outcome(write), Some(Outcome::Unknown));
    assert!(world.poll(read).is_none());
    world.connect();
    assert_eq!(world.server.arrived, [OpCode::GetData, OpCode::GetData]);
    world.ok(read);
    world.ok(later);
    assert_eq!(world.core.statistics().outstanding, 0);
}

#[test]
fn g3_an_unsent_write_is_sent_later_unless_it_could_skip_its_predecessor() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let alone = world.set("/a", "1");
    world.cut();
    assert!(world.poll(alone).is_none());
    world.connect();
    world.ok(alone);

    let sent = world.set("/a", "2");
    world.deliver(usize::MAX);
    let behind = world.set("/a", "3");
    let read = world.get("/a", false);
    world.cut();
    assert_eq!(world.outcome(sent), Some(Outcome::Unknown));
    assert_eq!(world.outcome(behind), Some(Outcome::NotSent));
    world.connect();
    world.ok(read);
    assert_eq!(world.server.log, ["1", "2"]);
}

/// Nobody waits for the first, and still the second must not skip it.
#[test]
fn g3_a_dropped_write_is_a_predecessor_too() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let dropped = world.set("/a", "1");
    world.deliver(9);
    world.core.abandon(world.now, dropped);
    let behind = world.set("/a", "2");
    world.cut();
    assert_eq!(world.outcome(behind), Some(Outcome::NotSent));
    world.connect();
    assert!(world.server.log.is_empty());
}

#[test]
fn g2_what_was_sent_before_the_credentials_were_refused_is_unknown() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let sent = world.set("/a", "1");
    world.deliver(usize::MAX);
    world.server.refuse_auth = true;
    let verdict = world
        .core
        .add_credential(world.now, "no".into(), Vec::new(), None)
        .unwrap();
    // The verdict overtakes the reply.
    world.server.drop_output();
    world.settle();
    assert!(matches!(
        world.poll(verdict),
        Some(Err(Failure::AuthFailed(_)))
    ));
    let answer = world.poll(sent);
    assert!(
        matches!(answer, Some(Err(Failure::AuthFailed(Outcome::Unknown)))),
        "{answer:?}"
    );
    assert_eq!(world.core.state(), State::AuthFailed);
}

#[test]
fn a_connection_that_came_too_late_is_not_used() {
    let mut world = World::new();
    world.core.close(world.now);
    assert!(!world.core.begin(world.now, Duration::from_secs(1)));
    assert!(world.core.is_over());
}

#[test]
fn g3_a_write_cut_in_the_middle_was_not_sent() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let write = world.set("/a", "1");
    world.deliver(9);
    world.cut();
    assert_eq!(world.outcome(write), Some(Outcome::NotSent));
    world.connect();
    assert!(world.server.log.is_empty());
}

#[test]
fn g4_a_write_of_one_session_is_not_executed_in_the_next_and_a_read_is() {
    let mut world = World::connected();
    world.server.change("/a", false);
    world.cut();
    let write = world.set("/a", "1");
    let read = world.get("/a", false);
    world.server.expire_next = true;
    world.connect();
    assert_eq!(world.core.state(), State::Expired { epoch: 1 });
    assert!(matches!(
        world.poll(write),
        Some(Err(Failure::SessionExpired(Outcome::NotSent)))
    ));
    world.connect();
    world.ok(read);
    assert!(matches!(
        world.core.state(),
        State::Connected { epoch: 2, .. }
    ));
    assert!(world.server.log.is_empty());
}

#[test]
fn g4_under_the_policy_close_an_expiry_is_the_end() {
    let mut world = World::with_policy(SessionPolicy::Close);
    world.connect();
    world.cut();
    let read = world.get("/a", false);
    world.server.expire_next = true;
    world.connect();
    assert!(matches!(
        world.poll(read),
        Some(Err(Failure::SessionExpired(Outcome::NotSent)))
    ));
    assert!(world.core.is_over());
    let record = GetDataRequest {
        path: "/a".into(),
        watch: false,
    };
    let refused = world.submit(OpCode::GetData, "/a", &record, true, None);
    assert!(matches!(
        refused,
        Err(Failure::SessionExpired(Outcome::NotSent))
    ));
}

/// ZOOKEEPER-4508.
#[test]
fn b28_a_session_nobody_serves_expires_here() {
    let mut world = World::connected();
    world.cut();
    let due = world.core.poll_timeout().unwrap();
    assert_eq!(due, world.now + TIMEOUT * 4 / 3);
    world.core.handle_timeout(due - Duration::from_millis(1));
    assert!(matches!(world.core.state(), State::Suspended { .. }));
    world.core.handle_timeout(due);
    assert_eq!(world.core.state(), State::Expired { epoch: 1 });
}

/// CURATOR-525: what was given up does not come back.
#[test]
fn b49_a_handshake_under_way_does_not_bring_an_expired_session_back() {
    let mut world = World::connected();
    world.cut();
    world.begin();
    world.deliver(usize::MAX);
    let due = world.core.poll_timeout().unwrap();
    world.core.handle_timeout(due);
    assert_eq!(world.core.state(), State::Expired { epoch: 1 });
    world.answer(usize::MAX);
    assert_eq!(world.core.state(), State::Expired { epoch: 1 });
    assert!(!world.core.is_connected());
}

#[test]
fn b58_credentials_then_watches_then_requests() {
    let mut world = World::new();
    world
        .core
        .preset_credential("digest".into(), b"u:p".to_vec());
    world.connect();
    world.server.change("/a", false);
    let watched = world.get("/a", true);
    world.settle();
    let _watch = world.watch(watched);
    world.cut();
    let read = world.get("/a", false);
    world.connect();
    assert_eq!(
        world.server.arrived,
        [OpCode::Auth, OpCode::SetWatches, OpCode::GetData]
    );
    world.ok(read);
}

/// B52: the Java client loses watches here. The reply to the first batch moves the last zxid on;
/// the second batch, never answered, must be re-armed from where it stood.
#[test]
fn b52_a_batch_that_was_not_answered_keeps_its_zxid() {
    let mut world = World::connected();
    let paths: Vec<String> = (0..20)
        .map(|n| format!("/{n:02}{}", "x".repeat(9_000)))
        .collect();
    let watches: Vec<SubId> = paths
        .iter()
        .map(|path| {
            world.server.change(path, false);
            let record = GetDataRequest {
                path: path.as_str().into(),
                watch: true,
            };
            let limits = world.core.limits.request_bytes;
            world.core.limits.request_bytes = usize::MAX;
            let key = world
                .submit(OpCode::GetData, path, &record, true, Some(WatchKind::Data))
                .unwrap();
            world.core.limits.request_bytes = limits;
            world.settle();
            world.watch(key)
        })
        .collect();
    let armed_at = world.server.zxid;
    world.cut();
    for path in &paths {
        world.server.change(path, false);
    }
    world.begin();
    world.deliver(usize::MAX);
    world.answer(1);
    world.deliver(140_000);
    let events = world.server.unsent();
    world.answer(events);
    assert_eq!(
        world.server.rearmed_from,
        [armed_at],
        "one batch has arrived"
    );
    world.cut();
    world.connect();
    assert!(
        world.server.rearmed_from[1..].contains(&armed_at),
        "{:?}",
        world.server.rearmed_from
    );
    for watch in watches {
        assert!(is_node(world.event(watch).as_ref()));
    }
}

#[test]
fn b54_persistent_watches_are_armed_again_and_say_that_something_was_missed() {
    let mut world = World::connected();
    let key = world.add_watch("/p", AddWatchMode::Persistent, WatchKind::Persistent);
    let recursive = world.add_watch("/", AddWatchMode::PersistentRecursive, WatchKind::Recursive);
    world.settle();
    let (persistent, recursive) = (world.watch(key), world.watch(recursive));
    for round in 1..3 {
        world.cut();
        world.server.change("/p", false);
        world.connect();
        for watch in [persistent, recursive] {
            assert!(
                matches!(world.event(watch), Some(WatchEvent::Gap { .. })),
                "round {round}"
            );
        }
        world.server.change("/p", false);
        world.settle();
        for watch in [persistent, recursive] {
            assert!(is_node(world.event(watch).as_ref()));
            assert_eq!(world.event(watch), None);
        }
    }
}

/// Failures 40: the one thing that no server tells.
#[test]
fn a40_a_znode_created_and_deleted_meanwhile_is_a_gap() {
    let mut world = World::connected();
    let (born, never) = (world.exists("/born"), world.exists("/never"));
    world.settle();
    let (born, never) = (world.watch(born), world.watch(never));
    world.cut();
    world.server.change("/born", false);
    world.connect();
    assert!(is_node(world.event(born).as_ref()));
    assert!(matches!(world.event(never), Some(WatchEvent::Gap { .. })));
    assert!(
        world.server.data_watches.is_empty(),
        "nobody is left to be told"
    );
    assert_eq!(world.core.statistics().watches, 0);
}

#[test]
fn a_slow_reader_of_events_is_told_how_many_it_missed() {
    let mut world = World::connected();
    let key = world.add_watch("/p", AddWatchMode::Persistent, WatchKind::Persistent);
    world.settle();
    let watch = world.watch(key);
    for _ in 0..10 {
        world.server.change("/p", false);
    }
    world.settle();
    for _ in 0..4 {
        assert!(is_node(world.event(watch).as_ref()));
    }
    assert_eq!(world.event(watch), Some(WatchEvent::Lagged { dropped: 6 }));
    world.server.change("/p", false);
    world.settle();
    assert!(is_node(world.event(watch).as_ref()));
}

/// ZOOKEEPER-4466: a server before 3.9 keeps one mode per path, the last.
#[test]
fn b65_a_one_shot_watch_does_not_end_a_lasting_one_on_the_same_path() {
    let mut world = World::connected();
    world.server.old = true;
    world.server.change("/p", false);
    let lasting = world.add_watch("/p", AddWatchMode::Persistent, WatchKind::Persistent);
    // While the lasting one is on its way, and after it has come.
    let early = world.get("/p", true);
    world.settle();
    let late = world.children("/p");
    world.settle();
    let (lasting, early, late) = (world.watch(lasting), world.watch(early), world.watch(late));
    world.server.change("/p", false);
    world.server.change("/p/child", false);
    world.settle();
    assert!(is_node(world.event(early).as_ref()));
    assert!(is_node(world.event(late).as_ref()));
    for _ in 0..2 {
        assert!(is_node(world.event(lasting).as_ref()));
    }
    world.server.change("/p", false);
    world.settle();
    assert!(is_node(world.event(lasting).as_ref()), "it lasts");
}

#[test]
fn b65_a_persistent_and_a_recursive_watch_on_one_path_are_told_what_is_theirs() {
    for (old, recursive_first) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut world = World::connected();
        world.server.old = old;
        world.server.change("/p", false);
        let mut keys = [WatchKind::Persistent, WatchKind::Recursive];
        if recursive_first {
            keys.reverse();
        }
        let mut subs = keys.map(|kind| {
            let mode = match kind {
                WatchKind::Recursive => AddWatchMode::PersistentRecursive,
                _ => AddWatchMode::Persistent,
            };
            let key = world.add_watch("/p", mode, kind);
            world.settle();
            world.watch(key)
        });
        if recursive_first {
            subs.reverse();
        }
        let [persistent, recursive] = subs;
        world.server.change("/p/x", false);
        world.settle();
        let told = |event: Option<WatchEvent>| match event {
            Some(WatchEvent::Node(event)) => (event.kind, event.path),
            other => panic!("{other:?}"),
        };
        let children = (crate::NodeEventKind::ChildrenChanged, "/p".to_owned());
        let created = (crate::NodeEventKind::Created, "/p/x".to_owned());
        assert_eq!(told(world.event(persistent)), children);
        assert_eq!(told(world.event(recursive)), created);
        assert_eq!(
            (world.event(persistent), world.event(recursive)),
            (None, None)
        );

        // The one that stays is told as before.
        world.core.unsubscribe(world.now, recursive);
        world.server.change("/p/y", false);
        world.settle();
        assert_eq!(told(world.event(persistent)), children);
        assert_eq!(world.event(persistent), None);
        world.core.unsubscribe(world.now, persistent);
        world.settle();
        assert!(world.server.data_watches.is_empty() && world.server.child_watches.is_empty());
    }
}

#[test]
fn watches_end_with_their_session() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let key = world.get("/a", true);
    world.settle();
    let watch = world.watch(key);
    world.cut();
    world.server.expire_next = true;
    world.connect();
    assert_eq!(world.event(watch), Some(WatchEvent::SessionEnded));
    world.connect();
    assert!(
        world.server.rearmed_from.is_empty(),
        "B50: not armed in another session"
    );
    world.core.unsubscribe(world.now, watch);
    assert_eq!(world.core.statistics().subscribers, 0);
}

#[test]
fn g7_a_dropped_request_leaves_nothing() {
    let mut world = World::connected();
    world.server.change("/a", false);
    // In flight: the reply is discarded, its watch removed.
    let key = world.get("/a", true);
    world.deliver(usize::MAX);
    world.core.abandon(world.now, key);
    world.settle();
    assert!(world.server.data_watches.is_empty());
    // Answered and never looked at.
    let key = world.get("/a", true);
    world.settle();
    world.core.abandon(world.now, key);
    world.settle();
    assert!(world.server.data_watches.is_empty());
    // Parked: never sent.
    world.cut();
    let key = world.set("/a", "x");
    world.core.abandon(world.now, key);
    world.connect();
    assert!(world.server.log.is_empty());
    let left = world.core.statistics();
    assert_eq!(
        (
            left.outstanding,
            left.parked,
            left.watches,
            left.subscribers
        ),
        (0, 0, 0, 0)
    );
}

/// A removal must not take with it a watch that is being set.
#[test]
fn b63_a_watch_being_set_is_not_removed_by_the_end_of_another() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let first = world.get("/a", true);
    world.settle();
    let first = world.watch(first);
    let second = world.get("/a", true);
    world.core.unsubscribe(world.now, first);
    world.settle();
    let second = world.watch(second);
    assert!(world.server.data_watches.has("/a", Mode::OneShot));
    world.core.unsubscribe(world.now, second);
    world.settle();
    assert!(world.server.data_watches.is_empty());
}

#[test]
fn deadlines_end_the_wait_and_keep_the_order_of_replies() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let due = world.now + Duration::from_secs(1);
    let record = SetDataRequest {
        path: "/a".into(),
        data: Some(b"late"),
        version: -1,
    };
    let request = |deadline| Request {
        op: OpCode::SetData,
        path: "/a",
        record: &record,
        replay: false,
        watch: None,
        deadline,
    };
    let late = world.core.submit(world.now, request(Some(due))).unwrap();
    let next = world.get("/a", false);
    world.deliver(usize::MAX);
    assert_eq!(world.core.poll_timeout(), Some(due));
    world.core.handle_timeout(due);
    assert!(matches!(
        world.poll(late),
        Some(Err(Failure::DeadlineExceeded(Outcome::Unknown)))
    ));
    world.settle();
    world.ok(next);

    world.cut();
    let parked = world.core.submit(world.now, request(Some(due))).unwrap();
    world.core.handle_timeout(due);
    assert!(matches!(
        world.poll(parked),
        Some(Err(Failure::DeadlineExceeded(Outcome::NotSent)))
    ));
    world.connect();
    assert_eq!(world.server.log, ["late"], "the parked one was not sent");
}

#[test]
fn g8_the_queue_is_bounded_and_the_size_of_a_request_too() {
    let mut world = World::new();
    let keys: Vec<SlotKey> = (0..64).map(|_| world.get("/a", false)).collect();
    let record = GetDataRequest {
        path: "/a".into(),
        watch: false,
    };
    let full = world.submit(OpCode::GetData, "/a", &record, true, None);
    assert!(matches!(full, Err(Failure::QueueFull)));
    // A caller that has gone makes room.
    world.core.abandon(world.now, keys[0]);
    let last = world.get("/a", false);
    world.connect();
    assert!(matches!(
        world.poll(last),
        Some(Ok(Reply {
            result: Err(ErrorCode::NoNode),
            ..
        }))
    ));
    let large = vec![0; 2000];
    let record = SetDataRequest {
        path: "/a".into(),
        data: Some(&large),
        version: -1,
    };
    let refused = world.submit(OpCode::SetData, "/a", &record, false, None);
    assert!(matches!(
        refused,
        Err(Failure::RequestTooLarge { limit: 1024, .. })
    ));
}

/// Failures 18: the request that cannot be answered fails, and is not asked again for ever.
#[test]
fn a18_a_reply_that_is_too_large_fails_its_request_and_no_other() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let (first, second) = (world.get("/a", false), world.get("/a", false));
    world.deliver(usize::MAX);
    world.cut_for(&Disconnect::FrameTooLarge {
        len: 9999,
        limit: 10,
    });
    assert!(matches!(
        world.poll(first),
        Some(Err(Failure::ReplyTooLarge { size: 9999, .. }))
    ));
    world.connect();
    world.ok(second);
}

/// The oldest request was nobody's any more: then nobody's fails.
#[test]
fn a18_the_reply_that_is_too_large_may_be_nobodys() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let (first, second) = (world.get("/a", false), world.get("/a", false));
    world.core.abandon(world.now, first);
    world.deliver(usize::MAX);
    world.cut_for(&Disconnect::FrameTooLarge {
        len: 9999,
        limit: 10,
    });
    assert!(world.poll(second).is_none());
    world.connect();
    world.ok(second);
}

#[test]
fn b41_closing_waits_for_what_was_submitted_even_through_a_reconnect() {
    let mut world = World::connected();
    let create = world.create("/a");
    world.core.close(world.now);
    world.cut();
    assert_eq!(world.core.poll_closed(Waker::noop()), None);
    world.connect();
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
    world.ok(create);
    assert_eq!(world.server.log.len(), 1);
    assert_eq!(world.core.state(), State::Closed);
}

#[test]
fn b31_closing_ends_at_its_deadline_if_no_server_is_there() {
    let mut world = World::connected();
    world.cut();
    let read = world.get("/a", false);
    world.core.close(world.now);
    let due = world.core.poll_timeout().unwrap();
    assert!(due <= world.now + Duration::from_secs(3));
    world.core.handle_timeout(due);
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(false));
    assert!(matches!(world.poll(read), Some(Err(Failure::Closed(_)))));
}

#[test]
fn d15_a_new_session_in_place_of_ours_is_an_expiry_and_a_renewal() {
    let mut world = World::connected();
    world.cut();
    // As ClickHouse Keeper does: the old session is not known, a new one is handed out.
    world.begin();
    world.deliver(usize::MAX);
    let mut frame = BytesMut::from(&world.server.send().unwrap()[..]);
    let mut response: zk_proto::records::ConnectResponse =
        decode_frame(&frame.clone().freeze(), 4).unwrap();
    response.session_id = zk_proto::SessionId(99);
    frame.truncate(4);
    response.encode(&mut frame);
    let id = world.core.readers.add(State::Connecting);
    world.frames.extend(&frame);
    world
        .core
        .handle_input(world.now, &mut world.frames)
        .unwrap();
    let mut seen = Vec::new();
    while let Some(state) = world.core.readers.poll(id, Waker::noop()) {
        seen.push(state);
    }
    assert!(seen.contains(&State::Expired { epoch: 1 }), "{seen:?}");
    assert!(
        matches!(seen.last(), Some(State::Connected { epoch: 2, .. })),
        "{seen:?}"
    );
}

#[test]
fn a_stat_is_what_the_server_said() {
    let mut world = World::connected();
    let create = world.create("/a");
    world.settle();
    let (mut body, _) = world.ok(create);
    body.advance(4 + "/a".len());
    let stat: Stat = decode_frame(&body, 0).unwrap();
    assert_eq!(stat, world.server.nodes["/a"].1);
}

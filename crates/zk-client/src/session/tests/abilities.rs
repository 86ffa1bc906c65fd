//! Servers that do not know every operation.

mod closes;
mod creates;
mod transactions;
mod watches;

use zk_proto::records::{Create2Response, MultiOp, MultiRequest};

use crate::session::abilities::server_history::{ServerHistory, ServerId};
use crate::session::failure::MAX_LOSSES;
use crate::session::tests::*;

const ALL: [Unknown; 4] = [
    Unknown::Refuse,
    Unknown::RefuseAndClose,
    Unknown::Close,
    Unknown::End,
];

impl World {
    /// One whose server does not know these operations.
    fn lacking(lacks: &[OpCode], unknown: Unknown) -> Self {
        let mut world = World::new();
        world.server.lacks = lacks.to_vec();
        world.server.unknown = Some(unknown);
        world.connect();
        world
    }

    /// Connects again until a connection stays.
    fn reconnect(&mut self) {
        for _ in 0..MAX_LOSSES + 2 {
            if self.core.is_connected() {
                return;
            }
            self.server.cut();
            self.connect();
        }
        panic!("no connection stays");
    }

    /// A transaction that creates a znode by each of these operations.
    fn multi(&mut self, creates: &[(OpCode, &str)]) -> SlotKey {
        let acl = Acl::open();
        let mut ops = Vec::new();
        for (op, path) in creates {
            let create = CreateRequest {
                path: (*path).into(),
                data: Some(path.as_bytes()),
                acl: (&acl[..]).into(),
                flags: 0,
            };
            ops.push(match op {
                OpCode::CreateContainer => MultiOp::CreateContainer(create),
                _ => MultiOp::Create2(create),
            });
        }
        let needs: Vec<_> = creates.iter().map(|(op, _)| *op).collect();
        let record = MultiRequest { ops };
        let request = Request {
            needs: OpSet::of_all(&needs),
            ..Request::once(OpCode::Multi, "/", &record)
        };
        self.core.submit(self.now, &request).unwrap()
    }

    fn asked(&self, op: OpCode) -> usize {
        self.server.asked.get(&op.code()).copied().unwrap_or(0)
    }

    fn lasting(&mut self) -> SlotKey {
        self.add_watch("/", AddWatchMode::PersistentRecursive, WatchKind::Recursive)
    }
}

/// How often a server may be asked before it counts as lacking the operation.
fn most(unknown: Unknown) -> usize {
    match unknown {
        Unknown::Close => 2,
        _ => 1,
    }
}

/// Guards: P3, failures 20.
#[test]
fn an_unsupported_read_is_not_repeated() {
    for unknown in ALL {
        let mut world = World::lacking(&[OpCode::AddWatch], unknown);
        let key = world.lasting();
        world.settle();
        world.reconnect();
        match world.poll(key) {
            Some(Ok(Reply {
                result: Err(ErrorCode::Unimplemented),
                ..
            })) => {}
            Some(Err(Failure::Unimplemented(Outcome::Rejected))) => {}
            other => panic!("{unknown:?}: {other:?}"),
        }
        assert_eq!(world.asked(OpCode::AddWatch), most(unknown), "{unknown:?}");
        assert!(world.core.lacks(OpCode::AddWatch));
        // What is known needs no request, in the same session or in the next.
        for _ in 0..2 {
            let mode = AddWatchMode::Persistent;
            let failed = world.try_add_watch("/", mode, WatchKind::Persistent);
            assert!(
                matches!(failed, Err(Failure::Unimplemented(Outcome::NotSent))),
                "{failed:?}"
            );
            world.server.expire_next = true;
            world.cut();
            world.connect();
            world.reconnect();
        }
        assert_eq!(world.asked(OpCode::AddWatch), most(unknown), "{unknown:?}");
        let left = world.core.statistics();
        assert_eq!((left.outstanding, left.watches), (0, 0));
        assert_eq!(
            left.reads.submitted,
            left.reads.rejected + left.reads.not_sent
        );
    }
}

/// The first server of an ensemble that is asked answers for the others.
#[test]
fn a_missing_op_is_assumed_of_others() {
    let server = |host: &str| ServerId::of(host.parse().ok().as_ref(), None);
    let (create, watch) = (OpSet::of(OpCode::Create2), OpSet::of(OpCode::AddWatch));
    let now = Instant::now();
    let mut abilities = ServerHistory::default();
    abilities.handle_connected(server("zk1:2181"));
    assert!(abilities.handle_refused(create).contains(OpCode::Create2));
    assert_eq!(abilities.handle_refused(create), OpSet::NONE, "no news");
    abilities.handle_connected(server("zk2:2181"));
    assert!(abilities.lacking().contains(OpCode::Create2));
    // One that has it shows that the ensemble is mixed.
    assert_eq!(abilities.having(), OpSet::NONE);
    abilities.handle_answered(create);
    assert_eq!(abilities.having(), create);
    assert!(!abilities.lacking().contains(OpCode::Create2));
    abilities.handle_connected(server("zk3:2181"));
    assert_eq!(abilities.having(), OpSet::NONE, "of this one");
    assert!(!abilities.lacking().contains(OpCode::Create2));
    abilities.handle_connected(server("zk1:2181"));
    assert!(abilities.lacking().contains(OpCode::Create2));
    // A lost connection proves nothing of an operation that a server of this client has.
    for _ in 0..4 {
        assert_eq!(
            abilities.handle_closed(now, TIMEOUT, create, create),
            OpSet::NONE
        );
        assert_eq!(abilities.handle_session_over(), OpSet::NONE);
    }
    // Two closes in a row, not two in all.
    assert_eq!(
        abilities.handle_closed(now, TIMEOUT, watch, watch),
        OpSet::NONE
    );
    abilities.acquit();
    assert_eq!(
        abilities.handle_closed(now, TIMEOUT, watch, watch),
        OpSet::NONE
    );
    assert_eq!(
        abilities.handle_closed(now, TIMEOUT, OpSet::NONE, watch),
        OpSet::NONE
    );
    assert_eq!(
        abilities.handle_closed(now, TIMEOUT, watch, watch),
        OpSet::NONE
    );
    assert!(
        abilities
            .handle_closed(now, TIMEOUT, watch, watch)
            .contains(OpCode::AddWatch)
    );
}

impl World {
    /// The server answers pings for `time`, and nothing else.
    fn hang_for(&mut self, time: Duration) {
        self.server.hangs = true;
        let end = self.now + time;
        while self.core.poll_link_timeout().unwrap() < end {
            self.tick();
            self.settle();
        }
        self.now = end;
    }

    /// The server that lost its leader closes the connection. The next one serves the session, unless
    /// that is over.
    fn find_leader(&mut self, is_over: bool) {
        self.cut();
        self.server.hangs = false;
        self.server.expire_next = is_over;
        self.connect();
        self.reconnect();
    }
}

const CUT_OFF: [OpCode; 2] = [OpCode::CreateContainer, OpCode::CreateTtl];

/// A server that has lost its leader answers pings until it closes the connection, while the leader
/// ends the session.
#[test]
fn a_leaderless_server_lacks_nothing() {
    let short = Duration::from_millis(100);
    for op in CUT_OFF {
        for (before, after) in [(short, TIMEOUT * 2), (TIMEOUT * 2, short)] {
            let mut world = World::connected();
            world.hang_for(before);
            let key = world.create_by(op, "/a", "");
            world.settle();
            world.hang_for(after);
            world.find_leader(true);
            assert!(!world.core.lacks(op), "{op} after {before:?}, {after:?}");
            let lost = world.poll(key).unwrap().unwrap_err();
            assert_eq!(lost.outcome(), Outcome::Unknown);
            assert_eq!(world.core.statistics().sessions, 2);
        }
    }
}

/// Two connections that were lost while the operation was on its way.
#[test]
fn unrelated_closes_prove_no_missing_op() {
    // The request waited, or the closes are far apart.
    for (waits, apart) in [(TIMEOUT / 5, TIMEOUT / 60), (TIMEOUT / 60, TIMEOUT * 2)] {
        for op in CUT_OFF {
            let mut world = World::connected();
            for _ in 0..3 {
                world.server.hangs = true;
                let key = world.create_by(op, "/a", "");
                world.settle();
                world.hang_for(waits);
                world.find_leader(false);
                assert!(world.poll(key).unwrap().is_err());
                assert!(!world.core.lacks(op), "{op}: {waits:?}, {apart:?}");
                world.now += apart;
                let read = world.get("/", false);
                world.settle();
                assert!(world.poll(read).is_some());
            }
        }
    }
}

/// An idle client has no proof that the session lived, and learns from the second close.
#[test]
fn an_idle_session_that_ends_is_one_close() {
    let mut world = World::lacking(&[OpCode::CreateContainer], Unknown::End);
    let idle = world.now + TIMEOUT * 2;
    while world.now < idle {
        world.tick();
        world.settle();
    }
    for n in 1..=2 {
        let key = world.create_by(OpCode::CreateContainer, "/a", "");
        world.settle();
        world.reconnect();
        assert!(world.poll(key).unwrap().is_err());
        assert_eq!(world.core.lacks(OpCode::CreateContainer), n == 2);
    }
    assert_eq!(world.core.statistics().sessions, 3);
}

#[test]
fn memory_of_servers_is_bounded() {
    let mut abilities = ServerHistory::default();
    for n in 0..1000 {
        let host = format!("zk{n}:2181").parse().ok();
        abilities.handle_connected(ServerId::of(host.as_ref(), None));
        abilities.handle_refused(OpSet::of(OpCode::WhoAmI));
    }
    assert!(abilities.servers() <= 64);
    let host = "zk0:2181".parse().ok();
    abilities.handle_connected(ServerId::of(host.as_ref(), None));
    assert!(abilities.lacking().contains(OpCode::WhoAmI));
}

/// Guards: P1. The flags are the first bits of the first byte.
#[test]
fn a_keeper_is_asked_what_it_has() {
    use crate::session::abilities::keeper_flags::features;
    assert_eq!(features(&[]), OpSet::NONE);
    let defaults = features(&[0xff, 0x60]);
    assert!(defaults.contains(OpCode::AddWatch) && defaults.contains(OpCode::RemoveWatches));
    assert!(!defaults.contains(OpCode::Create2));
    assert!(features(&[0, 0x80]).contains(OpCode::Create2));
    assert!(!features(&[0xfe, 0x7f]).contains(OpCode::AddWatch));
    let flags: [Option<&[u8]>; 2] = [None, Some(&[0xff, 0x60])];
    for flags in flags {
        let mut world = World::new();
        world.server.is_keeper = true;
        world.server.lacks = vec![OpCode::Create2, OpCode::CreateContainer];
        if flags.is_none() {
            world
                .server
                .lacks
                .extend([OpCode::AddWatch, OpCode::RemoveWatches]);
        }
        world.server.unknown = Some(Unknown::End);
        if let Some(flags) = flags {
            let flags = Bytes::copy_from_slice(flags);
            world.server.create("/keeper/feature_flags", flags);
        }
        // It waits for the answer.
        let key = world.create("/a");
        assert!(!world.core.has_nameless_events());
        world.connect();
        assert!(world.core.has_nameless_events());
        world.ok(key);
        let watched = world.get("/a", true);
        world.settle();
        let watch = world.watch(watched);
        world.core.unsubscribe(world.now, watch);
        let mode = AddWatchMode::Persistent;
        let lasting = world.try_add_watch("/a", mode, WatchKind::Persistent);
        assert_eq!(lasting.is_ok(), flags.is_some());
        world.settle();
        assert!(world.server.asked.is_empty(), "{:?}", world.server.asked);
        assert_eq!(world.core.statistics().sessions, 1);
        // It ends the session without a reply.
        world.core.close(world.now);
        world.settle();
        assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
    }
}

/// The stat of a znode whose creation is answered while the client closes is not read: a Keeper has closed
/// the connection by then, and a write that fails is not the answer to the end of the session.
///
/// Guards: B41.
#[test]
fn no_request_follows_the_end_of_a_session() {
    let mut world = World::new();
    world.server.is_keeper = true;
    world.server.lacks = vec![OpCode::Create2, OpCode::CreateContainer];
    world.connect();
    let creates = ["/a", "/b"].map(|path| world.create(path));
    world.core.close(world.now);
    world.deliver(usize::MAX);
    world.answer(1);
    world.take_output();
    assert!(world.wire.is_empty(), "{:?}", world.wire);
    world.settle();
    for key in creates {
        world.ok(key);
    }
    assert_eq!(world.server.nodes.len(), 2);
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
}

/// A Keeper that is killed, or a network that fails, has not ended the session.
#[test]
fn a_lost_connection_is_no_end_of_a_session() {
    let closing = |before: bool| {
        let mut world = World::new();
        world.server.is_keeper = true;
        world.server.create("/a", Bytes::new());
        world.connect();
        world.server.hangs = true;
        let write = before.then(|| world.set("/a", ""));
        world.core.close(world.now);
        world.deliver(usize::MAX);
        (world, write)
    };
    let reset = Disconnect::Reset("reset by peer".into());
    for (before, reason, ended) in [
        (false, &Disconnect::ClosedByServer, Some(true)),
        (false, &reset, None),
        (true, &Disconnect::ClosedByServer, None),
    ] {
        let (mut world, write) = closing(before);
        world.cut_for(reason);
        let closed = world.core.poll_closed(Waker::noop());
        assert_eq!(closed, ended, "{reason}, {before}");
        if let Some(write) = write {
            let lost = world.poll(write).unwrap().unwrap_err();
            assert_eq!(lost.outcome(), Outcome::Unknown);
        }
        // Its next handshake is granted another session.
        if ended.is_none() {
            world.server.hangs = false;
            world.connect();
            assert_eq!(world.core.poll_closed(Waker::noop()), Some(false));
        }
    }
}

/// It is said once for each operation, with the reason.
#[test]
fn what_was_learnt_is_said_once() {
    for unknown in ALL {
        let mut world = World::lacking(&[OpCode::RemoveWatches], unknown);
        world.server.change("/a", false);
        let mut said = Vec::new();
        for _ in 0..4 {
            let key = world.get("/a", true);
            world.settle();
            let watch = world.watch(key);
            world.core.unsubscribe(world.now, watch);
            world.settle();
            world.reconnect();
            said.extend(world.core.take_missing_ops());
        }
        assert_eq!(said.len(), 1, "{unknown:?}: {said:?}");
        assert!(said[0].contains("removeWatches"), "{said:?}");
    }
}

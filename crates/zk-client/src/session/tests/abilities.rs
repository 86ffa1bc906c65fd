//! Servers that do not know every operation.

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
        let request = Request {
            op: OpCode::Multi,
            needs: OpSet::of_all(&needs),
            path: "/",
            record: &MultiRequest { ops },
            replay: Replay::Never,
            watch: None,
            deadline: None,
            cleanup: false,
            only_in: None,
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

/// Guards: P2.
#[test]
fn watches_are_forgotten_without_a_request() {
    for unknown in ALL {
        let mut world = World::lacking(&[OpCode::RemoveWatches], unknown);
        world.server.change("/a", false);
        for round in 0..4 {
            let key = world.get("/a", true);
            world.settle();
            let watch = world.watch(key);
            world.core.unsubscribe(world.now, watch);
            world.settle();
            world.reconnect();
            let asked = world.asked(OpCode::RemoveWatches);
            assert!(
                asked <= most(unknown),
                "{unknown:?} in round {round}: {asked}"
            );
        }
        let sessions = world.core.statistics().sessions;
        assert_eq!(sessions, 1 + u64::from(unknown == Unknown::End));
        // The watch that the server has kept delivers no event, and ends no later watch.
        let old = world.get("/a", true);
        world.settle();
        let old = world.watch(old);
        world.core.unsubscribe(world.now, old);
        world.server.change("/a", false);
        let key = world.get("/a", true);
        world.settle();
        let watch = world.watch(key);
        assert_eq!(world.event(watch), None);
        world.server.change("/a", false);
        world.settle();
        assert!(is_node(world.event(watch).as_ref()));
    }
}

/// A persistent watch that the server keeps is in the way of a one-shot one on an old server.
#[test]
fn a_kept_persistent_watch_is_ridden_on() {
    for unknown in ALL {
        let mut world = World::lacking(&[OpCode::RemoveWatches], unknown);
        world.server.old = true;
        world.server.change("/a", false);
        for _ in 0..3 {
            let key = world.add_watch("/a", AddWatchMode::Persistent, WatchKind::Persistent);
            world.settle();
            let watch = world.watch(key);
            world.core.unsubscribe(world.now, watch);
            world.settle();
            world.reconnect();
        }
        for _ in 0..3 {
            let key = world.get("/a", true);
            world.settle();
            let watch = world.watch(key);
            world.server.change("/a", false);
            world.settle();
            assert!(is_node(world.event(watch).as_ref()), "{unknown:?}");
            world.core.unsubscribe(world.now, watch);
            world.settle();
        }
    }
}

/// Guards: failures 20. The server was replaced by one that is older.
#[test]
fn lasting_watches_end_with_a_gap() {
    for unknown in ALL {
        let mut world = World::connected();
        let key = world.lasting();
        world.settle();
        let watch = world.watch(key);
        world.cut();
        world.server.lacks = vec![OpCode::SetWatches2, OpCode::AddWatch];
        world.server.unknown = Some(unknown);
        world.connect();
        world.reconnect();
        if unknown == Unknown::End {
            assert!(matches!(world.event(watch), Some(WatchEvent::Gap { .. })));
            assert_eq!(world.event(watch), Some(WatchEvent::SessionEnded));
        } else {
            assert!(
                !world.core.is_abandoned(watch),
                "its end is not read before the gap"
            );
            assert!(
                matches!(world.event(watch), Some(WatchEvent::Gap { .. })),
                "{unknown:?}"
            );
            assert_eq!(world.event(watch), None);
            assert!(world.core.is_abandoned(watch));
        }
        // It was asked more often than for what no server has shown to have.
        let most = if unknown == Unknown::Close {
            MAX_LOSSES
        } else {
            1
        };
        assert_eq!(world.asked(OpCode::SetWatches2), most as usize);
        let read = world.get("/", false);
        world.settle();
        assert!(world.poll(read).is_some(), "requests go on");
        world.core.unsubscribe(world.now, watch);
        assert_eq!(world.core.statistics().subscribers, 0);
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
    abilities.handle_answered(create);
    assert!(!abilities.lacking().contains(OpCode::Create2));
    abilities.handle_connected(server("zk3:2181"));
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
    /// The server answers pings for so long, and nothing else.
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

fn created(world: &mut World, key: SlotKey) -> Create2Response {
    let (body, _) = world.ok(key);
    decode_frame(&body, 0).unwrap()
}

/// Guards: P1, P4, P6.
#[test]
fn an_older_operation_creates() {
    for op in [OpCode::Create2, OpCode::CreateContainer] {
        for unknown in ALL {
            let mut world = World::lacking(&[OpCode::Create2, OpCode::CreateContainer], unknown);
            let mut attempts = 0;
            let key = loop {
                attempts += 1;
                let key = world.create_by(op, "/a", "data");
                world.settle();
                world.reconnect();
                match world.poll(key) {
                    Some(Err(Failure::ClosedOn(_))) => {}
                    Some(Ok(reply)) => break reply,
                    other => panic!("{unknown:?}: {other:?}"),
                }
            };
            let refused = matches!(unknown, Unknown::Refuse | Unknown::RefuseAndClose);
            let expected = if refused { 1 } else { most(unknown) + 1 };
            assert_eq!(attempts, expected, "{op} {unknown:?}");
            let created: Create2Response = decode_frame(&key.result.unwrap(), 0).unwrap();
            assert_eq!(
                (&*created.path, created.stat),
                ("/a", world.server.nodes["/a"].1)
            );
            // From now on at once, in this session and the next.
            world.server.expire_next = true;
            world.cut();
            world.connect();
            world.reconnect();
            let key = world.create_by(op, "/b", "");
            world.settle();
            world.ok(key);
            assert_eq!(world.asked(op), most(unknown), "{op} {unknown:?}");
            let left = world.core.statistics();
            assert_eq!((left.outstanding, left.parked), (0, 0));
            assert_eq!(
                left.writes.submitted,
                left.writes.answered + left.writes.unknown
            );
        }
    }
}

/// A world whose client knows that there is no create2, and whose server has executed the `create` of
/// `/a` while the read of its stat is on its way.
fn reading_stat() -> (World, SlotKey, Stat) {
    let mut world = World::lacking(&[OpCode::Create2], Unknown::Refuse);
    let first = world.create("/first");
    world.settle();
    world.reconnect();
    world.ok(first);
    let key = world.create_by(OpCode::Create2, "/a", "data");
    world.deliver(usize::MAX);
    let stat = world.server.nodes["/a"].1;
    world.answer(1);
    world.deliver(usize::MAX);
    assert_eq!(world.server.arrived.last(), Some(&OpCode::Exists));
    (world, key, stat)
}

/// Guards: G3.
#[test]
fn the_stat_is_read_by_the_next_connection() {
    let (mut world, key, stat) = reading_stat();
    world.cut();
    assert!(world.poll(key).is_none());
    world.connect();
    assert_eq!(created(&mut world, key).stat, stat);
    assert_eq!(world.server.log.len(), 2);
}

/// A later version would let a conditional write overwrite data that the caller never saw.
#[test]
fn the_stat_is_that_of_the_creation() {
    let (mut world, key, stat) = reading_stat();
    world.cut();
    world.server.set("/a", Bytes::from_static(b"of another"));
    world.connect();
    assert_eq!(created(&mut world, key).stat, stat);
}

/// Guards: G2, G11.
#[test]
fn a_created_znode_is_never_said_not_to_be() {
    let known = |stat: Stat| (stat.czxid, stat.mzxid, stat.version, stat.data_length);
    let ends: [fn(&mut World); 5] = [
        |world| {
            world.server.change("/a", true);
            world.cut();
            world.connect();
        },
        // Another znode has taken its place.
        |world| {
            world.server.change("/a", true);
            world.server.change("/a", false);
            world.cut();
            world.connect();
        },
        |world| world.core.close(world.now),
        |world| world.core.handle_driver_gone(world.now),
        |world| {
            world.cut();
            world.now += TIMEOUT * 2;
            world.core.handle_timeout(world.now);
            world.core.close(world.now);
            world.core.handle_driver_gone(world.now);
        },
    ];
    for (n, end) in ends.iter().enumerate() {
        let (mut world, key, stat) = reading_stat();
        end(&mut world);
        world.settle();
        let created = created(&mut world, key);
        assert_eq!(created.path, "/a");
        let expected = (stat.czxid, stat.czxid, 0, 4);
        assert_eq!(known(created.stat), expected, "case {n}");
    }
}

/// A write that was submitted later has been sent: the creation must not follow it.
#[test]
fn a_refused_create_does_not_pass_a_write() {
    for unknown in [Unknown::Refuse, Unknown::RefuseAndClose] {
        let mut world = World::lacking(&[OpCode::Create2], unknown);
        world.server.change("/w", false);
        let create = world.create("/a");
        let read = world.get("/w", false);
        let write = world.set("/w", "1");
        world.settle();
        world.reconnect();
        let refused = world.poll(create);
        assert!(
            matches!(
                refused,
                Some(Ok(Reply {
                    result: Err(ErrorCode::Unimplemented),
                    ..
                }))
            ),
            "{refused:?}"
        );
        world.ok(read);
        assert!(world.poll(write).is_some());
        // Reads that followed it are made again after it.
        let mut world = World::lacking(&[OpCode::Create2], unknown);
        let create = world.create("/a");
        let exists = world.get("/a", false);
        world.settle();
        world.reconnect();
        world.ok(create);
        world.ok(exists);
    }
}

fn is_unimplemented(reply: &Option<Result<Reply, Failure>>) -> bool {
    let unknown = Err(ErrorCode::Unimplemented);
    matches!(reply, Some(Ok(Reply { result, .. })) if *result == unknown)
}

/// A server that answers at once does not decode a transaction, and may have a leader that executes it.
/// Guards: G2, G3.
#[test]
fn a_refused_create_does_not_pass_a_multi() {
    for unknown in [Unknown::Refuse, Unknown::RefuseAndClose] {
        let mut world = World::lacking(&[OpCode::Create2], unknown);
        world.server.refuses_at_once = true;
        let multi = world.multi(&[(OpCode::Create2, "/a")]);
        let create = world.create_by(OpCode::Create2, "/a/b", "/a/b");
        world.deliver(usize::MAX);
        assert_eq!(world.server.log, ["/a"]);
        // What the server sends next does not arrive.
        world.answer(1);
        world.cut();
        world.reconnect();
        let refused = world.poll(create);
        assert!(is_unimplemented(&refused), "{refused:?}");
        let lost = world.poll(multi).unwrap().unwrap_err();
        assert_eq!(lost.outcome(), Outcome::Unknown, "{lost:?}");
        assert_eq!(world.server.log, ["/a"], "it is executed once");
    }
}

/// Which of its operations a transaction was refused for is not known.
#[test]
fn a_refused_multi_does_not_resend_a_create() {
    let (one, other) = (OpCode::Create2, OpCode::CreateContainer);
    for ops in [&[(one, "/m")][..], &[(one, "/m"), (other, "/c")]] {
        for code in [ErrorCode::Unimplemented, ErrorCode::MarshallingError] {
            let mut world = World::connected();
            world.server.refuses_multi = Some(code);
            let multi = world.multi(ops);
            let create = world.create_by(OpCode::Create2, "/a", "/a");
            world.deliver(usize::MAX);
            world.answer(1);
            world.settle();
            world.reconnect();
            let refused = world.poll(multi);
            assert!(is_unimplemented(&refused), "{refused:?}");
            world.ok(create);
            assert_eq!(world.server.log, ["/a"], "it is executed once");
        }
    }
}

#[test]
fn a_multi_convicts_for_one_operation_only() {
    let server = |host: &str| ServerId::of(host.parse().ok().as_ref(), None);
    let both = OpSet::of_all(&[OpCode::Create2, OpCode::CreateContainer]);
    let mut abilities = ServerHistory::default();
    abilities.handle_connected(server("zk1:2181"));
    assert!(!abilities.handle_refused_multi(both).is_empty());
    assert!(abilities.lacking().contains(OpCode::Create2));
    abilities.handle_connected(server("zk2:2181"));
    assert!(
        !abilities.lacking().contains(OpCode::Create2),
        "of this one"
    );
    let one = OpSet::of(OpCode::Create2);
    assert!(!abilities.handle_refused_multi(one).is_empty());
    abilities.handle_connected(server("zk3:2181"));
    assert!(abilities.lacking().contains(OpCode::Create2));
}

/// Pipelined transactions are sent again together.
#[test]
fn refused_multis_are_all_made_in_order() {
    let mut world = World::connected();
    world.server.refuses_multi = Some(ErrorCode::MarshallingError);
    let keys = ["/1", "/2", "/3"].map(|path| world.multi(&[(OpCode::Create2, path)]));
    world.deliver(usize::MAX);
    world.server.refuses_multi = None;
    world.answer(1);
    world.reconnect();
    for key in keys {
        world.ok(key);
    }
    assert_eq!(world.server.log, ["/1", "/2", "/3"]);
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
        world.connect();
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

/// The others would be refused as well: none of them is unknown.
#[test]
fn refused_creates_are_all_made_in_order() {
    for unknown in [Unknown::Refuse, Unknown::RefuseAndClose] {
        let mut world = World::lacking(&[OpCode::Create2], unknown);
        let paths: Vec<_> = (0..9).map(|n| format!("/{n}")).collect();
        let keys: Vec<_> = paths
            .iter()
            .map(|path| world.create_by(OpCode::Create2, path, path))
            .collect();
        world.settle();
        world.reconnect();
        for key in keys {
            world.ok(key);
        }
        assert_eq!(world.server.log, paths);
    }
}

/// A server of version 3.4 lacks both, and closes the connection for each.
#[test]
fn without_create2_no_watch_is_removed() {
    let lacks = [OpCode::Create2, OpCode::RemoveWatches];
    let mut world = World::lacking(&lacks, Unknown::RefuseAndClose);
    let key = world.create("/a");
    world.settle();
    world.reconnect();
    world.ok(key);
    let lost = world.core.statistics().lost_connections;
    let key = world.get("/a", true);
    world.settle();
    let watch = world.watch(key);
    world.core.unsubscribe(world.now, watch);
    world.settle();
    assert_eq!(world.asked(OpCode::RemoveWatches), 0);
    assert_eq!(world.core.statistics().lost_connections, lost);
    // What a server has shown to have, it has.
    let mut abilities = ServerHistory::default();
    abilities.handle_connected(ServerId::of(None, None));
    abilities.handle_answered(OpSet::of(OpCode::RemoveWatches));
    abilities.handle_refused(OpSet::of(OpCode::Create2));
    assert!(!abilities.lacking().contains(OpCode::RemoveWatches));
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
            said.extend(world.core.take_learnt());
        }
        assert_eq!(said.len(), 1, "{unknown:?}: {said:?}");
        assert!(said[0].contains("removeWatches"), "{said:?}");
    }
}

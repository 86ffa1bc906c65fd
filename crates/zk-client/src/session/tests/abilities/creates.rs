//! Creations on servers that lack create2.

use super::*;

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

/// It was parked while the client knew nothing of the server.
#[test]
fn a_parked_create_waits_for_its_other_form() {
    for op in [OpCode::Create2, OpCode::CreateContainer] {
        let mut world = World::new();
        world.server.lacks = vec![OpCode::Create2, OpCode::CreateContainer];
        world.server.unknown = Some(Unknown::Refuse);
        let key = world.create_by(op, "/a", "data");
        world.connect();
        world.reconnect();
        assert_eq!(created(&mut world, key).path, "/a");
        assert_eq!(world.server.log, ["data"]);
    }
}

#[test]
fn a_create_waits_for_a_server_in_any_form() {
    let mut world = World::lacking(&[OpCode::Create2], Unknown::Refuse);
    let first = world.create("/first");
    world.settle();
    world.reconnect();
    world.ok(first);
    world.cut();
    let parked = world.create_by(OpCode::Create2, "/a", "data");
    world.connect();
    assert_eq!(created(&mut world, parked).path, "/a");
}

/// The server has refused one creation and executes the write that follows a second one.
#[test]
fn a_create_does_not_pass_a_sent_write() {
    for sent in [true, false] {
        let mut world = World::lacking(&[OpCode::Create2], Unknown::Refuse);
        world.server.change("/w", false);
        world.create_by(OpCode::Create2, "/a", "a");
        let second = world.create_by(OpCode::Create2, "/b", "b");
        if !sent {
            world.deliver(usize::MAX);
        }
        let write = world.set("/w", "1");
        if sent {
            world.deliver(usize::MAX);
        }
        world.answer(1);
        world.cut();
        world.reconnect();
        if sent {
            let refused = world.poll(second);
            assert!(
                matches!(
                    refused,
                    Some(Err(Failure::Unimplemented(Outcome::Rejected)))
                ),
                "{refused:?}"
            );
            assert_eq!(world.outcome(write), Some(Outcome::Unknown));
            assert_eq!(world.server.log, ["1"]);
        } else {
            world.ok(second);
            world.ok(write);
            assert_eq!(world.server.log, ["b", "1"]);
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

//! Requests, answered once, with what is known of them.

use crate::session::failure::MAX_LOSSES;
use crate::session::tests::*;

/// Guards: G3.
#[test]
fn reads_are_resent_and_writes_unknown() {
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

/// Guards: G3.
#[test]
fn an_unsent_write_skips_no_predecessor() {
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

/// The first write was dropped by its caller, and still the second must not skip it.
/// Guards: G3.
#[test]
fn a_dropped_write_is_a_predecessor_too() {
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

/// Guards: G2.
#[test]
fn requests_before_a_refusal_are_unknown() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let sent = world.set("/a", "1");
    world.deliver(usize::MAX);
    world.server.refuse_auth = true;
    let verdict = world
        .core
        .add_credential("no".into(), Vec::new(), None)
        .unwrap();
    // The verdict overtakes the reply.
    world.server.drop_output();
    world.settle();
    assert!(matches!(
        world.poll(verdict),
        Some(Err(Failure::AuthFailed(_, _)))
    ));
    let answer = world.poll(sent);
    assert!(
        matches!(answer, Some(Err(Failure::AuthFailed(_, Outcome::Unknown)))),
        "{answer:?}"
    );
    assert_eq!(world.core.state(), State::AuthFailed);
}

/// Guards: G3.
#[test]
fn a_write_cut_in_the_middle_was_not_sent() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let write = world.set("/a", "1");
    world.deliver(9);
    world.cut();
    assert_eq!(world.outcome(write), Some(Outcome::NotSent));
    world.connect();
    assert!(world.server.log.is_empty());
}

/// Guards: A38, G7.
#[test]
fn a_dropped_request_leaves_nothing() {
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

/// Guards: A37, B36.
#[test]
fn deadlines_keep_the_order_of_replies() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let due = world.now + Duration::from_secs(1);
    let record = SetDataRequest {
        path: "/a".into(),
        data: Some(b"late"),
        version: -1,
    };
    let request = |deadline| Request {
        deadline,
        ..Request::once(OpCode::SetData, "/a", &record)
    };
    let late = world.core.submit(world.now, &request(Some(due))).unwrap();
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
    let parked = world.core.submit(world.now, &request(Some(due))).unwrap();
    world.core.handle_timeout(due);
    assert!(matches!(
        world.poll(parked),
        Some(Err(Failure::DeadlineExceeded(Outcome::NotSent)))
    ));
    world.connect();
    assert_eq!(world.server.log, ["late"], "the parked one was not sent");
}

/// Guards: L9.
#[test]
fn the_bytes_of_requests_are_bounded() {
    let data = "x".repeat(100);
    let size = 4 + 2 + 4 + data.len() + 4;
    let record = SetDataRequest {
        path: "/a".into(),
        data: Some(data.as_bytes()),
        version: -1,
    };
    let fill = |world: &mut World| {
        world.core.requests.limits.outstanding_bytes = 10 * size;
        let keys: Vec<_> = (0..10).map(|_| world.set("/a", &data)).collect();
        let full = world.submit(OpCode::SetData, "/a", &record, false, None);
        assert!(matches!(full, Err(Failure::QueueBytes { bytes, .. }) if bytes == 10 * size));
        keys
    };
    let mut world = World::new();
    let keys = fill(&mut world);
    // One is given up, and makes room; the others are answered.
    world.core.abandon(world.now, keys[0]);
    let last = world.set("/a", &data);
    world.connect();
    for key in keys.into_iter().skip(1).chain([last]) {
        assert!(world.poll(key).is_some());
    }
    let keys = fill(&mut world);
    // Lost in flight.
    world.deliver(usize::MAX);
    world.cut();
    for key in keys {
        assert!(world.poll(key).is_some());
    }
    fill(&mut world);
}

/// Guards: D9, G8.
#[test]
fn the_queue_and_requests_are_bounded() {
    let mut world = World::new();
    let keys: Vec<SlotKey> = (0..64).map(|_| world.get("/a", false)).collect();
    let record = GetDataRequest {
        path: "/a".into(),
        watch: false,
    };
    let full = world.submit(OpCode::GetData, "/a", &record, true, None);
    assert!(matches!(full, Err(Failure::QueueFull)));
    // A dropped request makes room.
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
/// Guards: A18.
#[test]
fn an_oversize_reply_fails_its_request() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let (first, second) = (world.get("/a", false), world.get("/a", false));
    world.deliver(usize::MAX);
    world.cut_for(&Disconnect::ReplyTooLarge {
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

/// The oldest request was dropped by its caller: no other request fails in its place.
/// Guards: A18.
#[test]
fn an_oversize_reply_to_a_dropped_request() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let (first, second) = (world.get("/a", false), world.get("/a", false));
    world.core.abandon(world.now, first);
    world.deliver(usize::MAX);
    world.cut_for(&Disconnect::ReplyTooLarge {
        len: 9999,
        limit: 10,
    });
    assert!(world.poll(second).is_none());
    world.connect();
    world.ok(second);
}

/// What the client receives, and how the connection ends for it.
fn begun(world: &mut World, bytes: &[u8]) -> Option<Disconnect> {
    world.frames.extend(bytes);
    let reason = world.receive().err()?;
    world.cut_for(&reason);
    Some(reason)
}

/// Guards: L10.
#[test]
fn an_oversize_frame_fails_only_its_request() {
    let len = i32::MAX;
    let (size, limit) = (len as usize, 1 << 20);
    for xid in [-1, -2, -4, -8, 0, 2, 77, 1] {
        let mut world = World::connected();
        world.server.change("/a", false);
        let (first, second) = (world.get("/a", false), world.get("/a", false));
        world.deliver(usize::MAX);
        let mut frame = len.to_be_bytes().to_vec();
        frame.extend(i32::to_be_bytes(xid));
        // Until the xid is there, nothing says whose frame it is.
        assert_eq!(begun(&mut world, &frame[..7]), None);
        let reason = begun(&mut world, &frame[7..]);
        if xid == 1 {
            let expected = Disconnect::ReplyTooLarge { len: size, limit };
            assert_eq!(reason, Some(expected));
            let answer = world.poll(first);
            let expected = matches!(answer, Some(Err(Failure::ReplyTooLarge { .. })));
            assert!(expected, "{answer:?}");
        } else {
            let expected = Disconnect::FrameTooLarge { len: size, limit };
            assert_eq!(reason, Some(expected), "{xid}");
            assert!(world.poll(first).is_none(), "{xid}");
        }
        world.connect();
        if xid != 1 {
            world.ok(first);
        }
        world.ok(second);
    }
}

/// Guards: A52. However the connection ends, a read that ends it each time is not sent for ever; one
/// behind it is.
#[test]
fn a_read_that_ends_connections_fails() {
    for reason in [
        Disconnect::ClosedByServer,
        Disconnect::Reset("connection reset by peer".to_owned()),
        Disconnect::Io("no route to host".to_owned()),
        Disconnect::NegativeLength(-5),
        Disconnect::XidMismatch {
            got: 77,
            expected: 1,
        },
        Disconnect::Malformed(decode_frame::<Stat>(&Bytes::new(), 0).unwrap_err()),
    ] {
        let mut world = World::connected();
        world.server.change("/a", false);
        let (first, second) = (world.get("/a", false), world.get("/a", false));
        for _ in 1..MAX_LOSSES {
            world.deliver(usize::MAX);
            world.cut_for(&reason);
            assert!(world.poll(first).is_none(), "{reason}");
            world.begin();
            world.deliver(usize::MAX);
            world.answer(1);
        }
        world.deliver(usize::MAX);
        world.cut_for(&reason);
        let answer = world.poll(first);
        let failed = matches!(
            &answer,
            Some(Err(Failure::ConnectionLost(cause, Outcome::Unknown))) if *cause == reason
        );
        assert!(failed, "{reason}: {answer:?}");
        world.connect();
        world.ok(second);
    }
}

/// Guards: H2. The pump may have offered its output to the socket before it was dropped.
#[test]
fn what_a_lost_driver_had_taken_is_unknown() {
    for delivered in [0, usize::MAX] {
        let mut world = World::connected();
        world.server.change("/a", false);
        let taken = world.set("/a", "1");
        world.deliver(delivered);
        let waiting = world.set("/a", "2");
        world.core.handle_driver_gone(world.now);
        assert_eq!(world.outcome(taken), Some(Outcome::Unknown), "{delivered}");
        assert_eq!(world.outcome(waiting), Some(Outcome::NotSent));
    }
}

/// Guards: M2. The server may have set the watch, and the caller gets none.
#[test]
fn a_watch_in_doubt_is_removed() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let key = world.get("/a", true);
    world.deliver(usize::MAX);
    assert!(!world.server.data_watches.is_empty());
    world.server.misreport(ErrorCode::OperationTimeout);
    world.settle();
    assert!(matches!(
        world.poll(key),
        Some(Ok(Reply {
            watch: None,
            result: Err(ErrorCode::OperationTimeout),
            ..
        }))
    ));
    assert!(world.server.data_watches.is_empty());
    assert_eq!(world.core.statistics().reads.unknown, 1);
}

/// Guards: M2.
#[test]
fn credentials_in_doubt_are_sent_again() {
    let mut world = World::connected();
    let verdict = world
        .core
        .add_credential("digest".into(), b"a:b".to_vec(), None);
    let verdict = verdict.unwrap();
    world.deliver(usize::MAX);
    world.server.misreport(ErrorCode::OperationTimeout);
    world.answer(usize::MAX);
    assert!(!world.core.is_connected() && !world.core.is_over());
    assert!(world.poll(verdict).is_none());
    world.connect();
    world.ok(verdict);
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

fn auth(world: &mut World, secret: &str) -> Result<SlotKey, Failure> {
    let secret = secret.as_bytes().to_vec();
    let digest = "digest".to_owned();
    world.core.add_credential(digest, secret, None)
}

/// B73, B74.
/// Guards: B74.
#[test]
fn equal_credentials_are_sent_once() {
    let mut world = World::connected();
    world.server.arrived.clear();
    let keys = [(); 3].map(|()| auth(&mut world, "u:p").unwrap());
    world.settle();
    assert_eq!(world.server.arrived, [OpCode::Auth]);
    keys.into_iter().for_each(|key| drop(world.ok(key)));
    // Once they are accepted, the server is asked again, and they are kept once.
    let again = auth(&mut world, "u:p").unwrap();
    let other = auth(&mut world, "v:q").unwrap();
    world.settle();
    world.ok(again);
    world.ok(other);
    world.cut();
    world.connect();
    assert_eq!(world.server.arrived, [OpCode::Auth; 2]);
    assert_eq!(world.core.statistics().outstanding, 0);
}

/// G8.
#[test]
fn waiting_credentials_count_as_requests() {
    let mut world = World::new();
    let keys: Vec<_> = (0..64).map(|_| auth(&mut world, "u:p").unwrap()).collect();
    assert!(matches!(auth(&mut world, "u:p"), Err(Failure::QueueFull)));
    for key in keys {
        world.core.abandon(world.now, key);
    }
    let key = auth(&mut world, "u:p").unwrap();
    assert_eq!(world.core.statistics().outstanding, 1);
    world.connect();
    world.ok(key);
    // Different ones are kept for the next connection, but not without limit.
    for n in 1..64 {
        let key = auth(&mut world, &format!("u:{n}")).unwrap();
        world.settle();
        world.ok(key);
    }
    assert!(matches!(auth(&mut world, "u:64"), Err(Failure::QueueFull)));
    assert!(auth(&mut world, "u:63").is_ok());
}

/// Requests given up and made again, at the limit and without a connection.
#[test]
fn dropped_requests_hold_bounded_room() {
    let mut world = World::new();
    let mut keys: std::collections::VecDeque<_> = (0..64).map(|_| world.get("/a", false)).collect();
    for _ in 0..1_000 {
        let record = GetDataRequest {
            path: "/a".into(),
            watch: false,
        };
        let full = world.submit(OpCode::GetData, "/a", &record, true, None);
        assert!(matches!(full, Err(Failure::QueueFull)));
        let key = keys.pop_front().unwrap();
        world.core.abandon(world.now, key);
        keys.push_back(world.get("/a", false));
        assert!(world.core.statistics().outstanding <= 128);
    }
    world.server.change("/a", false);
    world.connect();
    assert_eq!(world.server.arrived, [OpCode::GetData; 64]);
    keys.into_iter().for_each(|key| drop(world.ok(key)));
    assert_eq!(world.core.statistics().outstanding, 0);
}

/// With many requests, a deadline passes a little late, and none is missed.
/// Guards: B36.
#[test]
fn many_deadlines_are_checked_together() {
    let mut world = World::new();
    world.core.requests.limits.outstanding = 10_000;
    let start = world.now;
    let keys: Vec<_> = (0..2_000u64)
        .map(|n| {
            let record = GetDataRequest {
                path: "/a".into(),
                watch: false,
            };
            let request = Request {
                op: OpCode::GetData,
                needs: OpSet::NONE,
                path: "/a",
                record: &record,
                replay: Replay::Always,
                watch: None,
                deadline: Some(start + Duration::from_millis(1_000 + n)),
                cleanup: false,
                only_in: None,
                room: None,
            };
            world.core.submit(world.now, &request).unwrap()
        })
        .collect();
    let mut looks = 0;
    while let Some(due) = world.core.poll_timeout() {
        world.core.handle_timeout(due);
        world.now = due;
        looks += 1;
    }
    // Those of the first half, and one for each of the others.
    assert!(looks <= 100 + 1_024, "{looks}");
    assert!(world.now <= start + Duration::from_millis(3_010));
    for key in keys {
        let failed = world.poll(key);
        assert!(matches!(
            failed,
            Some(Err(Failure::DeadlineExceeded(Outcome::NotSent)))
        ));
    }
}

/// What an expiry ends is not counted as given up any longer: it would make room for others.
/// Guards: G8.
#[test]
fn an_expiry_keeps_the_queue_bounded() {
    let mut world = World::connected();
    world.cut();
    let given_up: Vec<_> = (0..8).map(|_| world.set("/a", "1")).collect();
    for key in given_up {
        world.core.abandon(world.now, key);
    }
    world.server.expire_next = true;
    world.connect();
    assert_eq!(world.core.state(), State::Expired { epoch: 1 });
    for n in 0..world.core.requests.limits.outstanding {
        assert_eq!(world.core.snapshot(world.now).outstanding, n);
        world.get("/a", false);
    }
    let record = GetDataRequest {
        path: "/a".into(),
        watch: false,
    };
    let refused = world.submit(OpCode::GetData, "/a", &record, true, None);
    assert!(matches!(refused, Err(Failure::QueueFull)));
}

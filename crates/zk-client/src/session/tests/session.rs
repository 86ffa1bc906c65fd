//! Sessions that end, and the client's end.

use zk_transport::ping_interval;

use crate::ops::cleanup::Target;
use crate::session::tests::*;

#[test]
fn a_late_connection_is_not_used() {
    let mut world = World::new();
    world.core.close(world.now);
    assert!(!world.core.begin(world.now, Duration::from_secs(1)));
    assert!(world.core.is_over());
}

/// Guards: D8, G4.
#[test]
fn writes_stay_in_their_session() {
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

/// Guards: G4.
#[test]
fn policy_close_ends_at_the_expiry() {
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
/// Guards: A5, B28.
#[test]
fn an_unserved_session_expires_locally() {
    let mut world = World::connected();
    world.cut();
    let due = world.core.poll_timeout().unwrap();
    assert_eq!(due, world.now + TIMEOUT * 4 / 3);
    world.core.handle_timeout(due - Duration::from_millis(1));
    assert!(matches!(world.core.state(), State::Suspended { .. }));
    world.core.handle_timeout(due);
    assert_eq!(world.core.state(), State::Expired { epoch: 1 });
}

#[test]
fn only_a_servers_answer_proves_an_end() {
    for is_answered in [false, true] {
        let mut world = World::connected();
        assert!(!world.core.is_proven_over(1));
        world.cut();
        if is_answered {
            world.server.expire_next = true;
            world.connect();
        } else {
            world.now = world.core.session.expires_at();
            world.core.handle_timeout(world.now);
        }
        assert_eq!(world.core.state(), State::Expired { epoch: 1 });
        assert_eq!(world.core.is_proven_over(1), is_answered);
        assert!(!world.core.is_proven_over(2));
    }
}

/// What is not known of an earlier session is of no interest in the next one.
#[test]
fn an_end_is_proven_after_one_that_was_not() {
    let mut world = World::connected();
    world.cut();
    world.now = world.core.session.expires_at();
    world.core.handle_timeout(world.now);
    assert!(!world.core.is_proven_over(1));
    world.connect();
    world.cut();
    world.server.expire_next = true;
    world.connect();
    assert_eq!(world.core.state(), State::Expired { epoch: 2 });
    assert!(world.core.is_proven_over(2));
}

/// What was not sent has created nothing that is to be deleted.
#[test]
fn an_unsent_creation_leaves_nothing() {
    for knows in [true, false] {
        let mut world = World::connected();
        world.cut();
        let create = world.create("/a");
        let id = world.core.begin_cleanup("/a", Target::Persistent).unwrap();
        world.core.set_creation(id, knows.then_some(create));
        world.core.close(world.now);
        while let Some(due) = world.core.poll_timeout() {
            world.core.handle_timeout(due);
        }
        assert_eq!(world.core.poll_closed(Waker::noop()), Some(false));
        let left = if knows { "" } else { "/a" };
        assert_eq!(world.core.failed_cleanups(), left);
    }
}

/// The driver is dropped with its runtime, and sends what it can.
#[test]
fn the_last_output_ends_the_session() {
    for drains in [false, true] {
        let mut world = World::connected();
        if drains {
            world.core.begin_cleanup("/a", Target::Persistent).unwrap();
        }
        world.core.close(world.now);
        let sent = world.core.last_output(world.now, world.written);
        world.server.receive(&sent);
        assert_eq!(world.server.arrived, [OpCode::CloseSession]);
    }
    let mut world = World::connected();
    assert!(world.core.last_output(world.now, world.written).is_empty());
    // A part of a frame may be on its way.
    world.core.close(world.now);
    let sent = world.core.last_output(world.now, world.written - 1);
    assert!(sent.is_empty());
}

#[test]
fn an_idle_client_releases_its_room() {
    let mut world = World::connected();
    world.core.wakeups.wakers.reserve(1000);
    world.tick();
    assert!(world.core.wakeups.wakers.capacity() < 1000);
}

#[test]
fn the_states_have_names() {
    let session = zk_proto::SessionId(1);
    let until = Instant::now();
    let states = [
        (State::Connecting, "connecting"),
        (State::Connected { session, epoch: 1 }, "connected"),
        (State::ConnectedReadOnly { epoch: 1 }, "connected_read_only"),
        (State::Suspended { until }, "suspended"),
        (State::Expired { epoch: 1 }, "expired"),
        (State::AuthFailed, "auth_failed"),
        (State::Closed, "closed"),
    ];
    for (state, name) in states {
        assert_eq!(state.as_str(), name);
        let serves = name.starts_with("connected");
        assert_eq!(state.is_connected(), serves, "{name}");
    }
}

/// The rest of the time is for the end of the session.
#[test]
fn clean_ups_have_most_of_the_time() {
    let mut world = World::connected();
    world.core.begin_cleanup("/a", Target::Persistent).unwrap();
    world.core.close(world.now);
    let until = world.core.poll_timeout().unwrap();
    assert_eq!(until, world.now + Duration::from_secs(3) * 3 / 4);
    world.core.handle_timeout(until - Duration::from_millis(1));
    assert!(!world.core.has_output());
    world.core.handle_timeout(until);
    world.deliver(usize::MAX);
    assert_eq!(world.server.arrived, [OpCode::CloseSession]);
    world.settle();
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
    assert_eq!(world.core.failed_cleanups(), "/a");
}

/// The session is closed when the last has ended.
#[test]
fn clean_ups_end_one_by_one() {
    let mut world = World::connected();
    let begin = |path| world.core.begin_cleanup(path, Target::Persistent).unwrap();
    let ids = ["/a", "/b", "/c"].map(begin);
    world.core.close(world.now);
    for id in ids {
        world.settle();
        assert_eq!(world.core.poll_closed(Waker::noop()), None);
        world.core.end_cleanup(world.now, id, true);
    }
    world.settle();
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
    assert_eq!(world.core.failed_cleanups(), "");
}

/// The stream broke its framing before it was one of this protocol.
#[test]
fn another_program_is_recognized_at_once() {
    let said = |bytes: &[u8], is_open: bool| {
        let mut world = World::new();
        world.begin();
        if is_open {
            world.settle();
        }
        world.frames.extend(bytes);
        world.receive().unwrap_err()
    };
    let http = said(b"HTTP/1.1 400 Bad Request", false);
    assert!(matches!(http, Disconnect::NotZooKeeper(_)), "{http:?}");
    assert!(http.to_string().contains("HTTP/1.1 400"), "{http}");
    let alert = said(&[0x15, 0x03, 0x03, 0x00, 0x02], false);
    assert!(matches!(alert, Disconnect::ServerSpeaksTls), "{alert:?}");
    for is_open in [false, true] {
        let negative = said(&[0xff; 20], is_open);
        let of_stream = matches!(negative, Disconnect::NegativeLength(-1));
        assert_eq!(of_stream, is_open, "{negative:?}");
    }
}

#[test]
fn a_panic_of_the_driver_is_reported() {
    let mut world = World::connected();
    assert!(!world.core.has_panicked());
    world.core.handle_driver_panic("index out of bounds");
    assert!(world.core.has_panicked());
}

/// A reader that waits for the end of a lease compares its deadline with the clock again.
#[test]
fn a_suspension_wakes_the_readers() {
    let mut world = World::connected();
    let reader = world.core.add_reader();
    let state = world.core.poll_state(reader, Waker::noop());
    assert_eq!(state, Some(world.core.state()));
    assert_eq!(world.core.poll_state(reader, Waker::noop()), None);
    let before = world.core.wakeups.wakers.len();
    let suspended = Duration::from_secs(1);
    world.core.handle_suspension(world.now, suspended);
    assert_eq!(world.core.wakeups.wakers.len(), before + 1);
}

/// CURATOR-525: what was given up does not come back.
/// Guards: B49.
#[test]
fn a_handshake_revives_no_expired_session() {
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

/// Guards: B41.
#[test]
fn closing_waits_through_a_reconnect() {
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

/// Guards: B31.
#[test]
fn closing_without_a_server_times_out() {
    let mut world = World::connected();
    world.cut();
    let read = world.get("/a", false);
    world.core.close(world.now);
    let due = world.core.poll_timeout().unwrap();
    assert_eq!(due, world.now + Duration::from_secs(3));
    world.core.handle_timeout(due);
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(false));
    assert!(matches!(world.poll(read), Some(Err(Failure::Closed(_)))));
}

/// Whatever is due while a client closes is done, or is not due: otherwise the driver's timer is always
/// ready, and its task does not rest.
#[test]
fn an_outage_ends_no_closing_client() {
    let mut world = World::connected();
    let limit = TIMEOUT / 2;
    world.core.preset_outage(None, Some(limit));
    world.cut();
    let end_of_outage = world.now + limit;
    world.core.close(end_of_outage - Duration::from_millis(100));
    world.core.handle_timeout(end_of_outage);
    assert!(!world.core.is_over() && !world.core.has_given_up());
    let due = world.core.poll_timeout().unwrap();
    assert!(due > end_of_outage);
    world.core.handle_timeout(due);
    assert!(world.core.is_over());
}

/// The server's answer to a closeSession, with an error in it.
fn refuse_close(world: &mut World, code: ErrorCode) -> Result<(), Disconnect> {
    world.core.close(world.now);
    world.deliver(usize::MAX);
    let mut frame = BytesMut::from(&world.server.send().unwrap()[..]);
    frame[16..20].copy_from_slice(&code.code().to_be_bytes());
    world.frames.extend(&frame);
    world.core.handle_input(world.now, &mut world.frames)
}

#[test]
fn a_refused_close_is_not_acknowledged() {
    for (code, ended) in [
        (ErrorCode::NotReadOnly, false),
        (ErrorCode::SessionMoved, false),
        (ErrorCode::SessionExpired, true),
    ] {
        let mut world = World::connected();
        assert!(refuse_close(&mut world, code).is_err());
        assert_eq!(world.core.poll_closed(Waker::noop()), Some(ended), "{code}");
    }
}

#[test]
fn a_throttled_close_is_repeated() {
    let mut world = World::connected();
    refuse_close(&mut world, ErrorCode::ThrottledOp).unwrap();
    assert_eq!(world.core.poll_closed(Waker::noop()), None);
    let pause = ping_interval(world.core.session.timeout());
    assert_eq!(world.core.poll_link_timeout(), Some(world.now + pause));
    world.core.handle_link_timeout(world.now).unwrap();
    assert!(!world.core.has_output(), "repeated at once");
    world.tick();
    world.settle();
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
}

#[test]
fn a_local_expiry_acknowledges_no_close() {
    let mut world = World::connected();
    world.cut();
    let due = world.core.poll_timeout().unwrap();
    world.core.close(due - Duration::from_millis(1));
    world.core.handle_timeout(due);
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(false));
}

/// Guards: G11.
#[test]
fn close_after_a_local_expiry_is_unproven() {
    for policy in [SessionPolicy::Renew, SessionPolicy::Close] {
        for proven in [false, true] {
            let mut world = World::with_policy(policy);
            world.connect();
            world.cut();
            if proven {
                world.server.expire_next = true;
                world.connect();
            } else {
                let due = world.core.poll_timeout().unwrap();
                world.core.handle_timeout(due);
            }
            assert_eq!(world.core.state(), State::Expired { epoch: 1 });
            world.core.close(world.now);
            let closed = world.core.poll_closed(Waker::noop());
            assert_eq!(closed, Some(proven), "{policy:?}");
        }
    }
}

/// The end of the session deletes an ephemeral znode, where a server has said that it has ended.
/// Guards: G11, H5.
#[test]
fn an_ended_session_fails_no_ephemeral() {
    for (target, proven, left) in [
        (Target::Ephemeral, true, ""),
        (Target::Ephemeral, false, "/a"),
        (Target::InSession, true, "/a"),
    ] {
        let mut world = World::connected();
        world.cut();
        world.core.begin_cleanup("/a", target).unwrap();
        world.core.close(world.now);
        if proven {
            world.server.expire_next = true;
            world.connect();
        } else {
            let due = world.core.session.expires_at();
            world.core.handle_timeout(due);
        }
        let closed = world.core.poll_closed(Waker::noop());
        assert_eq!(closed, Some(proven), "{target:?}");
        assert_eq!(world.core.failed_cleanups(), left, "{target:?}");
    }
}

/// Nothing was sent, so nothing is left. Guards: G11, H5.
/// Guards: G11.
#[test]
fn without_a_session_nothing_is_left() {
    let mut world = World::new();
    world.core.begin_cleanup("/a", Target::Persistent).unwrap();
    world.core.close(world.now);
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
    assert_eq!(world.core.failed_cleanups(), "");
}

/// Guards: D15.
#[test]
fn a_replaced_session_expires_and_renews() {
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
    let id = world.core.add_reader();
    world.frames.extend(&frame);
    world
        .core
        .handle_input(world.now, &mut world.frames)
        .unwrap();
    let mut seen = Vec::new();
    while let Some(state) = world.core.poll_state(id, Waker::noop()) {
        seen.push(state);
    }
    assert!(seen.contains(&State::Expired { epoch: 1 }), "{seen:?}");
    assert!(
        matches!(seen.last(), Some(State::Connected { epoch: 2, .. })),
        "{seen:?}"
    );
    let statistics = world.core.statistics();
    assert_eq!((statistics.sessions, statistics.expiries), (2, 1));
}

#[test]
fn a_read_of_one_session_stays_in_it() {
    let mut world = World::connected();
    world.server.change("/a", false);
    let record = GetDataRequest {
        path: "/a".into(),
        watch: false,
    };
    let request = Request {
        op: OpCode::GetData,
        needs: OpSet::NONE,
        path: "/a",
        record: &record,
        replay: Replay::InSession,
        watch: None,
        deadline: None,
        cleanup: false,
        only_in: None,
        room: None,
    };
    let resumed = world.core.submit(world.now, &request).unwrap();
    world.cut();
    world.connect();
    world.ok(resumed);
    let request = Request {
        op: OpCode::GetData,
        needs: OpSet::NONE,
        path: "/a",
        record: &record,
        replay: Replay::InSession,
        watch: None,
        deadline: None,
        cleanup: false,
        only_in: None,
        room: None,
    };
    let lost = world.core.submit(world.now, &request).unwrap();
    world.cut();
    world.server.expire_next = true;
    world.connect();
    assert!(matches!(
        world.poll(lost),
        Some(Err(Failure::SessionExpired(Outcome::NotSent)))
    ));
}

#[test]
fn a_detached_session_is_resumed_elsewhere() {
    let mut world = World::connected();
    let create = world.create("/a");
    world.deliver(usize::MAX);
    let token = world.core.detach().unwrap();
    assert!(matches!(
        world.poll(create),
        Some(Err(Failure::Closed(Outcome::Unknown)))
    ));
    assert!(world.core.is_over());
    assert!(world.core.detach().is_none());
    world.cut();
    let session = token.session();
    let mut next = World::new();
    next.server = world.server;
    next.core.resume(next.now, token);
    next.connect();
    assert_eq!(next.core.state(), State::Connected { session, epoch: 1 });
}

#[test]
fn a_session_detached_too_long_has_expired() {
    let world = World::connected();
    let mut next = World::new();
    next.core
        .resume(next.now, world.core.session.token().unwrap());
    next.server.expire_next = true;
    next.connect();
    assert_eq!(next.core.state(), State::Expired { epoch: 1 });
    let mut alone = World::new();
    alone
        .core
        .resume(alone.now, world.core.session.token().unwrap());
    let due = alone.core.poll_timeout().unwrap();
    alone.core.handle_timeout(due);
    assert_eq!(alone.core.state(), State::Expired { epoch: 1 });
}

/// CURATOR-72: a session that was granted, and lost before the server had accepted the credentials.
/// Guards: B49.
#[test]
fn an_unannounced_session_reports_no_loss() {
    let mut world = World::new();
    world
        .core
        .preset_credential("digest".into(), b"u:p".to_vec());
    let id = world.core.add_reader();
    world.begin();
    world.deliver(usize::MAX);
    world.answer(1);
    assert!(world.core.is_connected() && world.core.session.exists());
    world.cut();
    assert_eq!(world.core.state(), State::Connecting);
    let due = world.core.poll_timeout().unwrap();
    world.core.handle_timeout(due);
    assert!(!world.core.session.exists());
    world.connect();
    assert_eq!(
        world.core.poll_state(id, Waker::noop()),
        Some(State::Connecting)
    );
    assert!(matches!(
        world.core.poll_state(id, Waker::noop()),
        Some(State::Connected { epoch: 2, .. })
    ));
}

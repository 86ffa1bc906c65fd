//! Sessions that end, and the client's end.

use super::*;

#[test]
fn a_connection_that_came_too_late_is_not_used() {
    let mut world = World::new();
    world.core.close(world.now);
    assert!(!world.core.begin(world.now, Duration::from_secs(1)));
    assert!(world.core.is_over());
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

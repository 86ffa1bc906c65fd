//! Features that meet: a deadline and a lost connection, a move and a request given up, a session
//! taken over and a read-only server.

use zk_transport::{BackoffPolicy, Hosts};

use crate::session::tests::hosts::list;
use crate::session::tests::*;

/// Connected to `a`, which it is to leave for `b` as soon as a write is answered.
fn leaving() -> (World, SlotKey) {
    let mut world = World::new();
    let hosts = Hosts::new(list(&["a"]), BackoffPolicy::default(), 7);
    world.core.preset_hosts(hosts);
    world.core.next_attempt().unwrap();
    world.connect();
    world.server.change("/n", false);
    let sent = world.set("/n", "1");
    world.core.update_hosts(world.now, list(&["b"])).unwrap();
    (world, sent)
}

/// A write that was reported as unknown counts as a predecessor, before and after its caller has read
/// that outcome.
/// Guards: G3.
#[test]
fn an_overdue_write_is_not_skipped() {
    for asks in [false, true] {
        let mut world = World::connected();
        world.server.change("/a", false);
        let record = SetDataRequest {
            path: "/a".into(),
            data: Some(b"1"),
            version: -1,
        };
        let due = world.now + Duration::from_millis(1);
        let request = Request {
            deadline: Some(due),
            ..Request::once(OpCode::SetData, "/a", &record)
        };
        let overdue = world.core.submit(world.now, &request).unwrap();
        world.core.handle_timeout(due);
        let unknown = |answer: &Option<Result<Reply, Failure>>| {
            matches!(
                answer,
                Some(Err(Failure::DeadlineExceeded(Outcome::Unknown)))
            )
        };
        if asks {
            assert!(unknown(&world.poll(overdue)));
        }
        let next = world.set("/a", "2");
        world.cut();
        assert_eq!(world.outcome(next), Some(Outcome::NotSent), "asks: {asks}");
        world.connect();
        assert!(world.server.log.is_empty());
        if !asks {
            assert!(unknown(&world.poll(overdue)));
        }
        assert_eq!(world.core.statistics().outstanding, 0);
    }
}

#[test]
fn requests_dropped_in_a_move_hold_no_room() {
    let (mut world, sent) = leaving();
    let held_back: Vec<_> = (1..64).map(|_| world.get("/n", false)).collect();
    for key in held_back {
        world.core.abandon(world.now, key);
    }
    let statistics = world.core.statistics();
    assert_eq!((statistics.outstanding, statistics.parked), (1, 0));
    let held_back: Vec<_> = (1..64).map(|_| world.get("/n", false)).collect();
    // One that is in flight does, until it is answered.
    world.core.abandon(world.now, sent);
    assert_eq!(world.core.statistics().outstanding, 64);
    world.settle();
    assert_eq!(world.core.statistics().outstanding, 63);
    world.core.next_attempt().unwrap();
    world.connect();
    assert_eq!(world.server.arrived, [OpCode::GetData; 63]);
    held_back.into_iter().for_each(|key| drop(world.ok(key)));
    assert_eq!(world.core.statistics().outstanding, 0);
}

#[test]
fn requests_dropped_at_expiry_count_once() {
    let mut world = World::connected();
    world.cut();
    for _ in 0..10 {
        let key = world.set("/a", "1");
        world.core.abandon(world.now, key);
    }
    world.server.expire_next = true;
    world.connect();
    assert_eq!(world.core.state(), State::Expired { epoch: 1 });
    for _ in 0..3 {
        let _ = world.get("/a", false);
    }
    let statistics = world.core.statistics();
    assert_eq!((statistics.outstanding, statistics.parked), (3, 3));
}

/// What it takes to be alive there is not what the ensemble has agreed to.
/// Guards: A30.
#[test]
fn a_read_only_timeout_extends_no_lease() {
    let mut world = World::connected();
    let until = world.core.session.lease_until();
    let agreed = world.core.session.timeout();
    world.cut();
    world
        .connect_read_only(|response| response.timeout_ms *= 5)
        .unwrap();
    assert_eq!(world.core.state(), State::ConnectedReadOnly { epoch: 1 });
    assert_eq!(world.core.session.lease_until(), until);
    assert_eq!(world.core.session.timeout(), agreed);
    world.cut();
    // Less time is what a local session gets there.
    world
        .connect_read_only(|response| response.timeout_ms /= 2)
        .unwrap();
    assert!(world.core.session.lease_until() < until);
}

/// The session may have been detached long ago, which a read-only server cannot know.
/// Guards: A30.
#[test]
fn a_resumed_session_has_no_lease_at_first() {
    let left = World::connected().core.session.token().unwrap();
    let mut world = World::new();
    world.server.session = left.session().0;
    world.core.resume(world.now, left);
    assert!(world.core.session.lease_until() <= world.now);
    assert!(world.core.session.quorum_lease_until() <= world.now);
    world.connect_read_only(|_| ()).unwrap();
    assert_eq!(world.core.state(), State::ConnectedReadOnly { epoch: 1 });
    assert!(world.core.session.lease_until() <= world.now);
    assert!(world.core.session.quorum_lease_until() <= world.now);
    world.cut();
    world.connect();
    assert!(world.core.session.lease_until() > world.now);
    // The handshake may have been a deposed leader's.
    assert!(world.core.session.quorum_lease_until() <= world.now);
    world.server.change("/a", false);
    let write = world.set("/a", "x");
    world.settle();
    world.ok(write);
    assert!(world.core.session.quorum_lease_until() > world.now);
}

/// The ticket is refused while the client is being closed.
#[test]
fn a_client_that_is_over_ends_no_other_way() {
    let mut world = World::with_login();
    let reader = world.core.add_reader();
    world.core.close(world.now);
    assert_eq!(world.core.state(), State::Closed);
    let refused = SaslError::Unusable("no such principal".to_owned());
    let _ = world.core.handle_login_failed(refused);
    assert_eq!(world.core.state(), State::Closed);
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
    let mut reported = Vec::new();
    while let Some(state) = world.core.poll_state(reader, Waker::noop()) {
        reported.push(state);
    }
    assert_eq!(reported, [State::Connecting, State::Closed]);
}

/// Guards: A80.
#[test]
fn a_throttled_config_read_is_repeated() {
    let mut world = World::new();
    world.core.preset_follow(false);
    let given = Hosts::new(list(&["a"]), BackoffPolicy::default(), 7);
    world.core.preset_hosts(given);
    let config = "server.1=a:1:2:participant;0.0.0.0:2181\n\
                  server.2=b:1:2:participant;0.0.0.0:2181\nversion=100";
    world
        .server
        .create("/zookeeper/config", Bytes::from_static(config.as_bytes()));
    world.core.next_attempt().unwrap();
    world.begin();
    world.deliver(usize::MAX);
    world.answer(1);
    world.deliver(usize::MAX);
    let reply = world.server.send().unwrap();
    // The server has not executed it: it keeps no watch.
    world.server.data_watches = server::Watches::default();
    world.frames.extend(&throttled(&reply));
    world.receive().unwrap();
    assert!(!world.core.has_output(), "repeated at once");
    world.tick();
    world.settle();
    assert_eq!(world.core.take_config_notice(), None);
    // With the next ping.
    world.timeout().unwrap();
    world.settle();
    assert_eq!(world.core.relocation.hosts.len(), 2);
    assert!(
        world
            .server
            .data_watches
            .has("/zookeeper/config", Mode::OneShot)
    );
}

#[test]
fn failures_of_removed_servers_are_dropped() {
    let mut world = World::new();
    let timeout = || Disconnect::ReadTimeout(TIMEOUT);
    for n in 0..100 {
        let hosts = list(&[&format!("zk{n}"), &format!("zk{}", n + 1)]);
        world.core.update_hosts(world.now, hosts.clone()).unwrap();
        for host in &hosts {
            world.core.note_failure(world.now, host, timeout());
        }
    }
    let said = world.core.failures();
    assert_eq!(said.matches("nothing was received").count(), 2, "{said}");
    // Nothing is wrong with a server that this side has turned away from.
    let host = "zk99".parse().unwrap();
    world.core.note_failure(world.now, &host, Disconnect::Local);
    assert_eq!(world.core.failures(), said);
}

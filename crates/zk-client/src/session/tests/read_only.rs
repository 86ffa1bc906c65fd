//! Read-only servers, as the core sees them.

use zk_proto::records::ConnectResponse;
use zk_proto::{ReplyHeader, SessionId, Zxid};
use zk_transport::{BackoffPolicy, HostOrder, Hosts};

use crate::session::tests::*;

impl World {
    /// Connects to a server that answers as `change` has it, and says it is read-only.
    pub(super) fn connect_read_only(
        &mut self,
        change: impl FnOnce(&mut ConnectResponse),
    ) -> Result<(), Disconnect> {
        self.core.connection.accepts_read_only = true;
        self.begin();
        self.deliver(usize::MAX);
        let answer = self.server.send().unwrap();
        let mut response: ConnectResponse = decode_frame(&answer, 4).unwrap();
        response.read_only = true;
        change(&mut response);
        let mut frame = BytesMut::from(&answer[..4]);
        response.encode(&mut frame);
        self.frames.extend(&frame);
        self.core.handle_input(self.now, &mut self.frames)
    }
}

fn expired(response: &mut ConnectResponse) {
    (response.timeout_ms, response.session_id) = (0, SessionId::NONE);
}

fn another(response: &mut ConnectResponse) {
    response.session_id = SessionId(99);
}

/// Guards: A30.
#[test]
fn read_only_servers_expire_no_session() {
    for answer in [expired, another] {
        let mut world = World::connected();
        world.cut();
        let refused = world.connect_read_only(answer).unwrap_err();
        assert_eq!(refused, Disconnect::WithoutQuorum);
        world.cut_for(&refused);
        assert!(matches!(world.core.state(), State::Suspended { .. }));
        world.connect();
        assert!(matches!(
            world.core.state(),
            State::Connected { epoch: 1, .. }
        ));
    }
}

/// Guards: A30, I17.
#[test]
fn read_only_session_ids_are_not_reused() {
    let mut world = World::new();
    world.connect_read_only(another).unwrap();
    assert_eq!(world.core.state(), State::ConnectedReadOnly { epoch: 0 });
    let read = world.get("/a", false);
    world.cut();
    assert_eq!(world.core.state(), State::Connecting);
    let request = world.core.session.connect_request(true);
    assert!(request.session_id.is_none());
    assert!(world.poll(read).is_none());
    world.connect();
    assert!(matches!(
        world.core.state(),
        State::Connected { epoch: 1, .. }
    ));
    assert!(world.poll(read).is_some());
}

/// Guards: A30.
#[test]
fn read_only_servers_extend_no_lease() {
    let mut world = World::connected();
    let until = world.core.session.lease_until();
    world.cut();
    world.now += Duration::from_secs(1);
    world.connect_read_only(|_| ()).unwrap();
    assert_eq!(world.core.state(), State::ConnectedReadOnly { epoch: 1 });
    let read = world.get("/a", false);
    world.settle();
    assert!(world.poll(read).is_some());
    assert_eq!(world.core.session.lease_until(), until);
    world.cut();
    assert_eq!(world.core.session.lease_until(), until);
    world.connect();
    assert!(world.core.session.lease_until() > until);
}

/// It refuses to end a session it cannot end; a server with a quorum is looked for.
/// Guards: A30.
#[test]
fn read_only_servers_close_no_session() {
    let mut world = World::connected();
    world.cut();
    world.connect_read_only(|_| ()).unwrap();
    world.core.close(world.now);
    let mut frame = BytesMut::from(&16_i32.to_be_bytes()[..]);
    ReplyHeader {
        xid: 1,
        zxid: Zxid(-1),
        err: ErrorCode::NotReadOnly.code(),
    }
    .encode(&mut frame);
    world.frames.extend(&frame);
    let refused = world.core.handle_input(world.now, &mut world.frames);
    assert_eq!(refused, Err(Disconnect::WithoutQuorum));
    world.cut_for(&Disconnect::WithoutQuorum);
    assert_eq!(world.core.poll_closed(Waker::noop()), None);
    world.connect();
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
}

/// Guards: A30.
#[test]
fn closing_without_a_session_is_immediate() {
    let mut world = World::new();
    world.connect_read_only(another).unwrap();
    world.core.close(world.now);
    assert_eq!(world.core.poll_closed(Waker::noop()), None);
    world.cut();
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
    assert_eq!(world.core.state(), State::Closed);
}

/// Guards: A30.
#[test]
fn the_quorum_search_ends() {
    let mut world = World::new();
    assert!(!world.core.wants_read_write());
    world.connect_read_only(another).unwrap();
    assert!(world.core.wants_read_write());
    world.core.move_to(world.now, "zk2".parse().unwrap(), None);
    assert!(!world.core.wants_read_write());
    assert!(world.core.is_moving());
    let mut closing = World::new();
    closing.connect_read_only(another).unwrap();
    closing.core.close(closing.now);
    assert!(!closing.core.wants_read_write());
}

/// A read-only server that does not answer is left for the one with a quorum.
/// Guards: A30, X17.
#[test]
fn a_quorum_move_loses_no_read() {
    let mut world = World::new();
    let hosts = vec!["zk1".parse().unwrap(), "zk2".parse().unwrap()];
    world.core.preset_hosts(Hosts::ordered(
        hosts,
        HostOrder::AsGiven,
        BackoffPolicy::default(),
        7,
    ));
    assert_eq!(world.core.next_attempt().unwrap().host.host, "zk1");
    world.server.change("/a", false);
    world.connect_read_only(another).unwrap();
    let read = world.get("/a", false);
    let started = world.now;
    world.core.move_to(world.now, "zk2".parse().unwrap(), None);
    let parked = world.set("/a", "1");
    while world.timeout().is_ok() {}
    assert!(world.now > started && world.now <= started + TIMEOUT / 3);
    world.cut_for(&Disconnect::Moving);
    assert_eq!(world.connect_next().host, "zk2");
    world.ok(read);
    world.ok(parked);
}

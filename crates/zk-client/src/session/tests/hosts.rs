//! Moving to another server.

use zk_proto::HostPort;
use zk_transport::{BackoffPolicy, HostOrder, Hosts};

use crate::session::tests::*;

pub(super) fn list(names: &[&str]) -> Vec<HostPort> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// Connected to `a`, the only server there is.
fn on_a() -> World {
    let mut world = World::new();
    let hosts = Hosts::new(list(&["a"]), BackoffPolicy::default(), 7);
    world.core.preset_hosts(hosts);
    world.connect_next();
    world.server.change("/n", false);
    world
}

impl World {
    /// Connects to the next server of the list; to this test all are one and the same.
    pub(super) fn connect_next(&mut self) -> HostPort {
        let attempt = self.core.next_attempt().unwrap();
        self.connect();
        self.core.relocation.hosts.handle_connected(self.now);
        attempt.host
    }

    /// As the driver does when the link wants it to.
    pub(super) fn timeout(&mut self) -> Result<(), Disconnect> {
        let due = self.core.poll_link_timeout().unwrap();
        self.now = self.now.max(due);
        self.core.handle_link_timeout(self.now)
    }
}

/// Guards: X17.
#[test]
fn an_idle_client_moves_at_once() {
    let mut world = on_a();
    let before = world.now;
    world.core.update_hosts(world.now, list(&["b"])).unwrap();
    assert_eq!(world.timeout(), Err(Disconnect::Moving));
    assert_eq!(world.now, before);
    world.cut_for(&Disconnect::Moving);
    assert!(matches!(world.core.state(), State::Suspended { .. }));
    assert_eq!(world.connect_next().host, "b");
    assert!(matches!(
        world.core.state(),
        State::Connected { epoch: 1, .. }
    ));
}

/// Guards: X17.
#[test]
fn a_kept_server_is_not_left() {
    let mut world = on_a();
    world.core.update_hosts(world.now, list(&["a"])).unwrap();
    assert!(!world.core.is_moving());
    assert!(world.core.poll_link_timeout().unwrap() > world.now);
}

/// Guards: X17.
#[test]
fn writes_are_answered_before_a_move() {
    let mut world = on_a();
    let sent = world.set("/n", "1");
    world.core.update_hosts(world.now, list(&["b"])).unwrap();
    let later = world.set("/n", "2");
    let read = world.get("/n", false);
    assert_eq!(world.core.statistics().parked, 2);
    assert!(world.core.poll_link_timeout().unwrap() > world.now);
    // The answer is what the client has been waiting for: it leaves.
    world.settle();
    assert!(!world.core.is_connected());
    world.ok(sent);
    assert!(world.poll(later).is_none());
    world.connect_next();
    world.ok(later);
    world.ok(read);
    assert_eq!(world.server.log, ["1", "2"]);
}

/// Guards: X17.
#[test]
fn a_move_skips_no_unknown_write() {
    let mut world = on_a();
    let sent = world.set("/n", "1");
    world.deliver(usize::MAX);
    let started = world.now;
    world.core.update_hosts(world.now, list(&["b"])).unwrap();
    let behind = world.set("/n", "2");
    let read = world.get("/n", false);
    while world.timeout().is_ok() {}
    assert_eq!(world.now, started + TIMEOUT / 3);
    world.cut_for(&Disconnect::Moving);
    assert_eq!(world.outcome(sent), Some(Outcome::Unknown));
    assert_eq!(world.outcome(behind), Some(Outcome::NotSent));
    world.connect_next();
    world.ok(read);
    assert_eq!(world.server.log, ["1"]);
}

/// Connected to `b`, to which `a` is preferred; a request is in flight.
fn returning_to_a() -> (World, SlotKey) {
    let mut world = World::new();
    let hosts = list(&["a", "b"]);
    let hosts = Hosts::ordered(
        hosts,
        HostOrder::FirstAvailable,
        BackoffPolicy::default(),
        7,
    );
    world.core.preset_hosts(hosts);
    world.core.next_attempt().unwrap();
    assert_eq!(world.connect_next().host, "b");
    world.server.change("/n", false);
    let sent = world.set("/n", "1");
    world.deliver(usize::MAX);
    assert_eq!(world.core.preferred_servers(world.now), list(&["a"]));
    let preferred = list(&["b", "a"]);
    let returns = |core: &mut Core, host| core.return_to(world.now, host, None);
    // To the server of the connection there is no return.
    assert!(!returns(&mut world.core, &preferred[0]));
    assert!(returns(&mut world.core, &preferred[1]));
    assert!(world.core.is_moving());
    (world, sent)
}

/// The client is to move, and the reply to the write that was sent does not come: after a third of the session
/// timeout it stays, and nothing is lost.
fn stay_without_replies(world: &mut World, sent: SlotKey) {
    let started = world.now;
    let behind = world.set("/n", "2");
    while world.core.is_moving() {
        world.timeout().unwrap();
    }
    assert_eq!(world.now, started + TIMEOUT / 3);
    world.settle();
    world.ok(sent);
    world.ok(behind);
    assert!(world.core.is_connected());
    assert_eq!(world.server.log, ["1", "2"]);
}

/// Guards: X17.
#[test]
fn a_preferred_server_costs_no_write() {
    let (mut world, sent) = returning_to_a();
    stay_without_replies(&mut world, sent);
    // The move is not continued after the next loss either.
    let now = world.now;
    world
        .core
        .relocation
        .hosts
        .handle_ended(now, &Disconnect::ClosedByServer);
    world.cut();
    assert!(!world.core.next_attempt().unwrap().delay.is_zero());
}

/// Guards: X17.
#[test]
fn a_removed_server_is_left_in_any_case() {
    for (listed, leaves) in [(&["a", "b"], false), (&["a", "c"], true)] {
        let (mut world, sent) = returning_to_a();
        world.core.update_hosts(world.now, list(listed)).unwrap();
        let mut ended = Ok(());
        while world.core.is_moving() && ended.is_ok() {
            ended = world.timeout();
        }
        assert_eq!(ended.is_err(), leaves, "{listed:?}");
        assert!(world.poll(sent).is_none());
    }
}

/// The client's server is in the new list, and the rule would have it move.
/// Guards: X17.
#[test]
fn rebalancing_costs_no_write() {
    let names: Vec<String> = (0..9).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["a"]).collect();
    let moving = |seed| {
        let mut world = World::new();
        let hosts = Hosts::new(list(&["a"]), BackoffPolicy::default(), seed);
        world.core.preset_hosts(hosts);
        world.connect_next();
        world.server.change("/n", false);
        let sent = world.set("/n", "1");
        world.deliver(usize::MAX);
        world.core.update_hosts(world.now, list(&names)).unwrap();
        world.core.is_moving().then_some((world, sent))
    };
    // Nine of ten clients move.
    let (mut world, sent) = (0..100).find_map(moving).unwrap();
    stay_without_replies(&mut world, sent);
    // Without requests in flight it moves at once.
    let (mut world, sent) = (0..100).find_map(moving).unwrap();
    world.settle();
    world.ok(sent);
    assert!(!world.core.is_connected());
    assert_ne!(world.connect_next().host, "a");
}

/// A caller's wish is not optional, also while a move that was optional is under way.
/// Guards: X17.
#[test]
fn a_server_is_left_although_it_is_silent() {
    for is_returning in [false, true] {
        let (mut world, sent) = returning_to_a();
        if !is_returning {
            world.settle();
            world.ok(sent);
            world.connect_next();
        }
        let (write, read) = match is_returning {
            true => (sent, None),
            false => (world.set("/n", "2"), Some(world.get("/n", false))),
        };
        world.deliver(usize::MAX);
        let started = world.now;
        assert!(world.core.leave_server(world.now).is_some());
        while world.timeout().is_ok() {}
        assert_eq!(world.now, started + TIMEOUT / 3, "{is_returning}");
        world.cut_for(&Disconnect::Moving);
        assert_eq!(world.outcome(write), Some(Outcome::Unknown));
        world.connect_next();
        if let Some(read) = read {
            world.ok(read);
        }
    }
}

/// Guards: X17.
#[test]
fn an_overdue_held_request_was_not_sent() {
    let mut world = on_a();
    let sent = world.set("/n", "1");
    world.core.update_hosts(world.now, list(&["b"])).unwrap();
    let record = SetDataRequest {
        path: "/n".into(),
        data: Some(b"2"),
        version: -1,
    };
    let request = Request {
        deadline: Some(world.now + Duration::from_millis(1)),
        ..Request::once(OpCode::SetData, "/n", &record)
    };
    let held_back = world.core.submit(world.now, &request).unwrap();
    world
        .core
        .handle_timeout(world.now + Duration::from_millis(1));
    assert!(matches!(
        world.poll(held_back),
        Some(Err(Failure::DeadlineExceeded(Outcome::NotSent)))
    ));
    world.settle();
    world.ok(sent);
    world.connect_next();
    assert_eq!(world.server.log, ["1"]);
}

/// Guards: X17.
#[test]
fn closing_in_a_move_waits_for_requests() {
    let mut world = on_a();
    world.set("/n", "1");
    world.core.update_hosts(world.now, list(&["b"])).unwrap();
    let held_back = world.set("/n", "2");
    world.core.close(world.now);
    world.settle();
    assert_eq!(world.core.poll_closed(Waker::noop()), None);
    world.connect_next();
    assert_eq!(world.core.poll_closed(Waker::noop()), Some(true));
    world.ok(held_back);
    assert_eq!(world.server.log, ["1", "2"]);
}

/// Guards: X17.
#[test]
fn a_handshake_with_a_removed_server_ends() {
    let mut world = on_a();
    world.cut();
    world.core.next_attempt().unwrap();
    world.begin();
    world.core.update_hosts(world.now, list(&["b"])).unwrap();
    assert_eq!(world.timeout(), Err(Disconnect::Moving));
    world.cut_for(&Disconnect::Moving);
    assert_eq!(world.connect_next().host, "b");
}

/// Guards: A28.
#[test]
fn an_empty_list_is_refused() {
    let mut world = on_a();
    assert!(world.core.update_hosts(world.now, Vec::new()).is_err());
    assert!(!world.core.is_moving());
}

const CONFIG: &str = "/zookeeper/config";

fn config(hosts: &[&str]) -> Bytes {
    let line =
        |(host, n): (&&str, u32)| format!("server.{n}={host}:1:2:participant;0.0.0.0:2181\n");
    let lines: String = hosts.iter().zip(1..).map(line).collect();
    Bytes::from(format!("{lines}version=100"))
}

/// Connected to `a`, of an ensemble that says it consists of `hosts`.
fn following(hosts: &[&str]) -> World {
    let mut world = World::new();
    world.core.preset_follow(false);
    let given = Hosts::new(list(&["a"]), BackoffPolicy::default(), 7);
    world.core.preset_hosts(given);
    world.server.create(CONFIG, config(hosts));
    world.connect_next();
    world
}

impl World {
    fn known(&self) -> Vec<String> {
        let mut hosts: Vec<_> = self
            .core
            .relocation
            .hosts
            .iter()
            .map(|h| h.host.clone())
            .collect();
        hosts.sort();
        hosts
    }
}

/// Guards: A80.
#[test]
fn the_first_configuration_moves_no_client() {
    let mut world = following(&["b", "c"]);
    // The server that was given is the last resort.
    assert_eq!(world.core.relocation.hosts.fallback(), list(&["a"]));
    assert_eq!(world.known(), ["a", "b", "c"]);
    assert!(!world.core.is_moving());
    assert!(world.core.is_connected());
    assert_eq!(world.core.take_config_notice(), None);
}

/// Guards: A80.
#[test]
fn an_empty_configuration_is_ignored() {
    let mut world = World::new();
    world.core.preset_follow(false);
    let given = Hosts::new(list(&["a"]), BackoffPolicy::default(), 7);
    world.core.preset_hosts(given);
    world.server.create(CONFIG, Bytes::new());
    world.connect_next();
    assert_eq!(world.known(), ["a"]);
    // It may become an ensemble.
    world.server.set(CONFIG, config(&["a", "b"]));
    world.settle();
    assert_eq!(world.known(), ["a", "b"]);
}

/// Guards: C8.
#[test]
fn the_client_leaves_a_removed_server() {
    let mut world = following(&["a", "b"]);
    assert!(!world.core.is_moving());
    world.server.set(CONFIG, config(&["b"]));
    world.settle();
    assert!(!world.core.is_connected(), "it stays");
    assert_eq!(world.connect_next().host, "b");
    assert!(matches!(
        world.core.state(),
        State::Connected { epoch: 1, .. }
    ));
}

/// Guards: A80.
#[test]
fn a_change_while_disconnected_is_followed() {
    let mut world = following(&["a", "b"]);
    for hosts in [&["a", "b", "c"][..], &["a", "c", "d"], &["a", "e", "f"]] {
        world.cut();
        world.server.set(CONFIG, config(hosts));
        // The client may have to move, and then reads the configuration there again.
        for _ in 0..2 {
            if !world.core.is_connected() {
                world.connect_next();
            }
        }
        assert_eq!(world.known(), hosts);
    }
}

/// Guards: A80.
#[test]
fn the_config_is_followed_through_an_expiry() {
    let mut world = following(&["a"]);
    world.cut();
    world.server.expire_next = true;
    world.connect_next();
    assert_eq!(world.core.state(), State::Expired { epoch: 1 });
    world.server.set(CONFIG, config(&["a", "b"]));
    world.connect_next();
    assert_eq!(world.known(), ["a", "b"]);
    while !world.core.is_connected() {
        world.connect_next();
    }
    world.server.set(CONFIG, config(&["a", "b", "c"]));
    world.settle();
    assert_eq!(world.known(), ["a", "b", "c"]);
}

/// Guards: A48.
#[test]
fn a_callers_config_watch_ends_alone() {
    let mut world = following(&["a"]);
    let key = world.get(CONFIG, true);
    world.settle();
    let watch = world.watch(key);
    world.core.unsubscribe(world.now, watch);
    world.settle();
    assert!(world.server.data_watches.has(CONFIG, Mode::OneShot));
    world.server.set(CONFIG, config(&["a", "b"]));
    world.settle();
    assert_eq!(world.known(), ["a", "b"]);
}

#[test]
fn an_unreadable_configuration_is_logged() {
    let mut world = following(&["a"]);
    world.server.set(CONFIG, Bytes::from_static(b"server.1=?"));
    world.settle();
    assert_eq!(world.known(), ["a"]);
    let notice = world.core.take_config_notice().unwrap();
    assert!(notice.contains("line 1"), "{notice}");
    // A later one can.
    world.server.set(CONFIG, config(&["a", "b"]));
    world.settle();
    assert_eq!(world.known(), ["a", "b"]);
}

#[test]
fn a_missing_configuration_is_read_once() {
    let mut world = World::new();
    world.core.preset_follow(false);
    let given = Hosts::new(list(&["a"]), BackoffPolicy::default(), 7);
    world.core.preset_hosts(given);
    world.connect_next();
    let key = world.exists("/other");
    world.settle();
    world.watch(key);
    let reads = |world: &World| {
        let arrived = world.server.arrived.iter();
        arrived.filter(|op| **op == OpCode::GetData).count()
    };
    assert_eq!(reads(&world), 1);
    assert!(world.core.take_config_notice().is_some());
}

/// A failure that every attempt will have again, of each server there is.
#[test]
fn no_session_is_possible_where_all_refuse() {
    let mut world = World::new();
    let hosts = Hosts::new(list(&["a"]), BackoffPolicy::default(), 7);
    world.core.preset_hosts(hosts);
    world.core.check_unreachable();
    assert!(world.core.poll_connect_verdict(Waker::noop()).is_none());
    world
        .core
        .note_failure(world.now, &list(&["a"])[0], Disconnect::ServerSpeaksTls);
    world.core.check_unreachable();
    let verdict = world.core.poll_connect_verdict(Waker::noop());
    assert!(verdict.is_some());
}

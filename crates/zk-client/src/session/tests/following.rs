//! Which servers a client that follows the ensemble's configuration dials.

use zk_proto::HostPort;
use zk_transport::{BackoffPolicy, HostOrder, Hosts};

use crate::session::tests::hosts::list;
use crate::session::tests::*;

const CONFIG: &str = "/zookeeper/config";

impl World {
    /// Connected to a server of the connect string `given`, of an ensemble with this configuration.
    fn following(given: &[&str], config: &str) -> World {
        let mut world = World::new();
        world.core.preset_follow(false);
        let given = Hosts::new(list(given), BackoffPolicy::default(), 7);
        world.core.preset_hosts(given);
        world.server.create(CONFIG, Bytes::from(config.to_owned()));
        world.connect_next();
        world
    }

    fn reconfigure(&mut self, config: &str) {
        self.server.set(CONFIG, Bytes::from(config.to_owned()));
        self.settle();
    }

    /// What the client dials while no server answers, in this order.
    fn dials(&mut self, count: usize) -> Vec<String> {
        let attempts = (0..count).map(|_| self.core.next_attempt().unwrap());
        attempts.map(|attempt| attempt.host.to_string()).collect()
    }

    /// What it dials in three rounds, each server once, sorted.
    fn dialled(&mut self) -> Vec<String> {
        let mut hosts = self.dials(3 * self.core.relocation.hosts.len());
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

/// Guards: P20.
#[test]
fn a_wildcard_address_is_never_dialled() {
    for wildcard in ["0.0.0.0", "[::]", "[0:0:0:0:0:0:0:0]", "[::ffff:0.0.0.0]"] {
        let config = format!(
            "server.1={wildcard}:2888:3888:participant;{wildcard}:2181\n\
             server.2=zk2:2888:3888:participant;0.0.0.0:2181\n\
             server.3=zk3:2888:3888:participant;0.0.0.0:2181\n\
             version=0"
        );
        let mut world = World::following(&["zk1", "zk2", "zk3"], &config);
        world.cut();
        assert_eq!(world.dialled(), ["zk1:2181", "zk2:2181", "zk3:2181"]);
    }
}

/// Guards: P21.
#[test]
fn servers_without_a_client_port_stay() {
    let config = "server.1=zk1:2888:3888:participant\n\
                  server.2=zk2:2888:3888:participant;0.0.0.0:2181\n\
                  server.3=zk3:2888:3888:participant\n\
                  version=0";
    let mut world = World::following(&["zk1", "zk2", "zk3"], config);
    world.cut();
    let mut first_round = world.dials(3);
    first_round.sort();
    assert_eq!(first_round, ["zk1:2181", "zk2:2181", "zk3:2181"]);
}

/// The configuration has the servers by their ids.
#[test]
fn a_configuration_keeps_the_callers_order() {
    let config = |ids: &[u8]| {
        let line = |id| format!("server.{id}=zk{id}:2888:3888:participant;0.0.0.0:2181\n");
        let lines: String = ids.iter().map(line).collect();
        lines + "version=0"
    };
    for order in [HostOrder::AsGiven, HostOrder::FirstAvailable] {
        let mut world = World::new();
        world.core.preset_follow(false);
        let given = list(&["zk3", "zk1", "zk2"]);
        let given = Hosts::ordered(given, order, BackoffPolicy::default(), 7);
        world.core.preset_hosts(given);
        world
            .server
            .create(CONFIG, Bytes::from(config(&[1, 2, 3, 4])));
        assert_eq!(world.connect_next().host, "zk3");
        assert!(world.core.preferred_servers(world.now).is_empty());
        world.reconfigure(&config(&[0, 1, 2, 3]));
        assert!(world.core.is_connected() && !world.core.is_moving());
        world.cut();
        assert_eq!(
            world.dials(4),
            ["zk3:2181", "zk1:2181", "zk2:2181", "zk0:2181"]
        );
    }
}

/// Guards: P22.
#[test]
fn the_given_string_is_the_last_resort() {
    let config = "server.1=zk-0.zk-headless:2888:3888:participant;0.0.0.0:2181\n\
                  server.2=10.244.1.7:2888:3888:participant;10.244.1.7:2181\n\
                  version=200000003";
    let mut world = World::following(&["gateway.example:2181"], config);
    world.cut();
    let mut dials = world.dials(6);
    assert_eq!(dials[2], "gateway.example:2181");
    assert_eq!(dials[5], "gateway.example:2181");
    dials.sort();
    dials.dedup();
    assert_eq!(dials.len(), 3, "{dials:?}");
}

/// Guards: P22.
#[test]
fn a_client_on_a_given_name_stays_there() {
    let line = |n: u32, host: &str| format!("server.{n}={host}:1:2:participant;2181\n");
    let mut world = World::following(&["gateway"], &line(1, "inner1"));
    world.reconfigure(&(line(1, "inner1") + &line(2, "inner2")));
    assert!(world.core.is_connected());
    assert!(!world.core.is_moving());
    world.cut();
    assert_eq!(world.dials(3)[2], "gateway:2181");
    assert_eq!(world.core.relocation.hosts.len(), 3);
}

/// Guards: P20. Servers with static configurations each write a wildcard for themselves.
#[test]
fn a_server_that_loses_its_address_stays() {
    let of = |own: usize| -> String {
        let host = |n| {
            if n == own {
                "0.0.0.0"
            } else {
                ["a", "b", "c"][n]
            }
        };
        let line = |n| format!("server.{n}={}:1:2;0.0.0.0:2181\n", host(n));
        (0..3).map(line).collect()
    };
    let mut world = World::following(&["a"], &of(0));
    for own in [1, 2, 0, 1] {
        world.reconfigure(&of(own));
        assert!(world.core.is_connected());
        let mut hosts: Vec<_> = world
            .core
            .relocation
            .hosts
            .iter()
            .map(|h| &*h.host)
            .collect();
        hosts.sort_unstable();
        assert_eq!(hosts, ["a", "b", "c"], "{own}");
    }
}

/// Guards: P19.
#[test]
fn a_server_whose_line_is_unreadable_stays() {
    let mut world = World::following(
        &["zk2"],
        "server.1=zk1:1:2;2181\nserver.2=zk2:1:2;2181\nserver.3=zk3:1:2;2181",
    );
    assert_eq!(world.core.take_config_notice(), None);
    world.reconfigure("server.1=zk1:1:2;2181\nserver.2=zk2:1:2;2181\nserver.3=zk3:1:2;?");
    let notice = world.core.take_config_notice().unwrap();
    assert!(notice.contains("line 3"), "{notice}");
    world.cut();
    assert_eq!(world.dialled(), ["zk1:2181", "zk2:2181", "zk3:2181"]);
}

#[test]
fn a_server_that_was_removed_is_not_dialled() {
    let both = "server.1=a:1:2;2181\nserver.2=b:1:2;2181";
    let mut world = World::following(&["a", "b"], both);
    world.reconfigure("server.2=b:1:2;2181");
    if world.core.is_connected() {
        world.cut();
    }
    assert_eq!(world.dialled(), ["b:2181"]);
}

/// Guards: P20.
#[test]
fn loopback_is_dialled_only_if_given() {
    let config = "server.1=127.0.0.1:1:2;2181\nserver.2=zk2:1:2;localhost:2181";
    let mut world = World::following(&["zk1", "zk2"], config);
    world.cut();
    assert_eq!(world.dialled(), ["zk1:2181", "zk2:2181"]);
    let mut world = World::following(&["[::1]"], config);
    world.cut();
    assert_eq!(
        world.dialled(),
        ["127.0.0.1:2181", "[::1]:2181", "localhost:2181"]
    );
}

/// Guards: P20.
#[test]
fn loopback_has_many_names() {
    for name in [
        "localhost.",
        "LOCALHOST.LOCALDOMAIN",
        "localhost4",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
        "zk.localhost",
    ] {
        let config = format!("server.1={name}:1:2;2181\nserver.2=zk2:1:2;2181");
        let mut world = World::following(&["zk1"], &config);
        world.cut();
        assert_eq!(world.dialled(), ["zk1:2181", "zk2:2181"], "{name}");
    }
}

/// The configuration's read was answered with this code.
fn read_in_vain(world: &mut World, code: ErrorCode) {
    world.deliver(usize::MAX);
    world.server.misreport(code);
    world.answer(usize::MAX);
}

fn reads(world: &World) -> usize {
    let arrived = world.server.arrived.iter();
    arrived.filter(|op| **op == OpCode::GetData).count()
}

/// Guards: P22, M2.
#[test]
fn a_read_that_timed_out_is_made_again() {
    for code in [
        ErrorCode::ConnectionLoss,
        ErrorCode::OperationTimeout,
        ErrorCode::SystemError,
        ErrorCode::ThrottledOp,
    ] {
        let mut world = World::new();
        world.core.preset_follow(false);
        let given = Hosts::new(list(&["a"]), BackoffPolicy::default(), 7);
        world.core.preset_hosts(given);
        let config = "server.1=a:1:2;2181\nserver.2=b:1:2;2181";
        world.server.create(CONFIG, Bytes::from(config));
        world.core.next_attempt();
        world.begin();
        world.deliver(usize::MAX);
        world.answer(1);
        for round in 1..=2 {
            read_in_vain(&mut world, code);
            // Throttling passes.
            let noted = round == 1 && code != ErrorCode::ThrottledOp;
            assert_eq!(world.core.take_config_notice().is_some(), noted, "{code}");
            // Not at once.
            world.settle();
            assert_eq!(reads(&world), round, "{code}");
            if round == 1 {
                world.timeout().unwrap();
                world.deliver(usize::MAX);
                world.answer(usize::MAX);
            }
        }
        world.timeout().unwrap();
        world.settle();
        assert_eq!(reads(&world), 3, "{code}");
        let hosts: Vec<_> = world
            .core
            .relocation
            .hosts
            .iter()
            .map(HostPort::to_string)
            .collect();
        assert_eq!(hosts.len(), 2, "{code}: {hosts:?}");
        world.reconfigure("server.1=a:1:2;2181\nserver.2=b:1:2;2181\nserver.3=c:1:2;2181");
        assert_eq!(world.core.relocation.hosts.len(), 3, "{code}");
    }
}

/// Guards: P18.
#[test]
fn clients_over_tls_follow_secure_ports() {
    let config = "server.1=zk1:1:2;2181;2281\nserver.2=zk2:1:2;;2282\nserver.3=zk3:1:2;2181";
    for (given, expected) in [
        (["zk3:2281"], ["zk1:2281", "zk2:2282", "zk3:2281"]),
        // This port takes both.
        (["zk3:2181"], ["zk1:2281", "zk2:2282", "zk3:2181"]),
    ] {
        let mut world = World::new();
        world.core.preset_follow(true);
        let given = Hosts::new(list(&given), BackoffPolicy::default(), 7);
        world.core.preset_hosts(given);
        world.server.create(CONFIG, Bytes::from(config));
        world.connect_next();
        world.cut();
        assert_eq!(world.dialled(), expected);
    }
}

/// Guards: P22.
#[test]
fn a_list_given_later_is_the_fallback() {
    let mut world = World::following(&["a"], "server.1=inner:1:2;2181");
    let later = list(&["b"]);
    world.core.update_hosts(world.now, later).unwrap();
    world.reconfigure("server.1=inner:1:2;2181\nserver.2=inner2:1:2;2181");
    while !world.core.is_connected() {
        world.connect_next();
    }
    world.cut();
    assert_eq!(world.dialled(), ["b:2181", "inner2:2181", "inner:2181"]);
}

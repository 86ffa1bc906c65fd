//! Where a client connects to, on a paused clock: each address of a name, the preferred server, another one
//! on request; and when it gives up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod attempts;
mod network;
mod stale_answers;

use std::time::Duration;

use zk_client::{Client, Dial, Dialing, ErrorKind, HostOrder, HostPort, Outcome, State};

use self::network::{At, Network, address};
use crate::common::members::Members;

const SECOND: Duration = Duration::from_secs(1);

/// Waits on the paused clock, which advances only when no task can run.
async fn until(what: &str, mut fact: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if fact() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("timed out before {what}");
}

/// One address of three accepts and never answers. Every other server that is lost is frozen, which the
/// client finds out only after two thirds of the session's timeout.
/// Guards: P29.
#[tokio::test(start_paused = true)]
async fn a_mute_address_costs_no_session() {
    for seed in 0..20 {
        let network = Network::start(3).await;
        network.set(4, At::Mute);
        network.name("zk", &[1, 2, 4]);
        let zk = network.client("zk").seed(seed).connect().await.unwrap();
        let session = zk.session();
        zk.create("/e", "").ephemeral().await.unwrap();
        for round in 0..10 {
            let left = network.member_of(&zk).unwrap();
            if round % 2 == 0 {
                network.server.member(left).freeze();
            } else {
                network.server.member(left).stop();
            }
            let elsewhere = || network.member_of(&zk).is_some_and(|at| at != left);
            until("the client is elsewhere", elsewhere).await;
            zk.set("/e", round.to_string()).await.unwrap();
            if round % 2 == 0 {
                network.server.member(left).thaw();
            } else {
                network.server.member(left).run();
            }
        }
        assert_eq!(zk.session(), session, "seed {seed}");
        assert_eq!(zk.statistics().expiries, 0);
        zk.close().await.unwrap();
    }
}

/// Guards: P29.
#[tokio::test(start_paused = true)]
async fn clients_spread_over_addresses() {
    let network = Network::start(3).await;
    network.name("zk", &[1, 2, 3]);
    let mut clients = Vec::new();
    for seed in 0..90 {
        clients.push(network.client("zk").seed(seed).connect().await.unwrap());
    }
    for n in 1..=3 {
        assert!(
            (18..=42).contains(&network.dialled(n)),
            "{n}: {}",
            network.dialled(n)
        );
    }
}

/// Guards: A29.
#[tokio::test(start_paused = true)]
async fn a_scaled_service_spreads_its_clients() {
    let network = Network::start(4).await;
    network.name("zk", &[1, 2]);
    let mut clients = Vec::new();
    for seed in 0..60 {
        let builder = network.client("zk").seed(seed).dns_refresh(30 * SECOND);
        clients.push(builder.connect().await.unwrap());
    }
    let load = |member| {
        let at = clients
            .iter()
            .filter(|zk| network.member_of(zk) == Some(member));
        at.count()
    };
    assert_eq!((load(2), load(3)), (0, 0));
    tokio::time::sleep(SECOND).await;
    network.name("zk", &[1, 2, 3, 4]);
    tokio::time::sleep(60 * SECOND).await;
    for member in 0..4 {
        assert!(
            (6..=24).contains(&load(member)),
            "{member}: {}",
            load(member)
        );
    }
    assert!(clients.iter().all(|zk| zk.statistics().sessions == 1));
    // An address that is gone is left, although it still serves.
    network.name("zk", &[2, 3, 4]);
    tokio::time::sleep(120 * SECOND).await;
    assert_eq!(load(0), 0);
    assert!((1..4).all(|member| load(member) >= 10));
    // An empty answer changes nothing.
    network.name("zk", &[]);
    tokio::time::sleep(60 * SECOND).await;
    assert!(clients.iter().all(|zk| zk.state().is_connected()));
}

/// A resolver returns two addresses of four, others each time.
#[tokio::test(start_paused = true)]
async fn a_partial_answer_moves_no_client() {
    let network = Network::start(4).await;
    network.name("zk", &[1, 2]);
    let mut clients = Vec::new();
    for seed in 0..10 {
        let builder = network.client("zk").seed(seed).dns_refresh(30 * SECOND);
        clients.push(builder.connect().await.unwrap());
    }
    let lost = || -> u64 {
        let lost = clients.iter().map(|zk| zk.statistics().lost_connections);
        lost.sum()
    };
    let turns = [[3, 4], [1, 2]];
    tokio::time::sleep(SECOND).await;
    for found in turns {
        network.name("zk", &found);
        tokio::time::sleep(30 * SECOND).await;
    }
    // Half of the clients move to the addresses that are new.
    let before = lost();
    assert!((1..10).contains(&before), "{before}");
    for found in turns.iter().cycle().take(20) {
        network.name("zk", found);
        tokio::time::sleep(30 * SECOND).await;
    }
    assert_eq!(lost(), before);
}

/// The writer has requests in flight all the time.
#[tokio::test(start_paused = true)]
async fn the_preferred_server_is_returned_to() {
    let members = Members::start(3).await;
    let rank = |host: &HostPort| u32::from(host.host != "zk2");
    let zk = members
        .client("zk1,zk2,zk3")
        .prefer(rank)
        .connect()
        .await
        .unwrap();
    let session = zk.session();
    let at = |zk: &Client| zk.server().map(|server| server.host);
    assert_eq!(at(&zk).as_deref(), Some("zk2"));
    zk.create("/n", "").await.unwrap();
    let writer = tokio::spawn({
        let zk = zk.clone();
        async move {
            let mut outcomes = Vec::new();
            loop {
                let batch: Vec<_> = (0..10).map(|_| zk.set("/n", "").submit()).collect();
                for set in batch {
                    match set.await {
                        Ok(_) => {}
                        Err(error) if error.kind() == ErrorKind::Closed => return outcomes,
                        Err(error) => outcomes.push(error),
                    }
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
    });
    let mut lost = 0;
    for _ in 0..5 {
        members.server.member(1).stop();
        until("the client is elsewhere", || {
            at(&zk).is_some_and(|at| at != "zk2")
        })
        .await;
        lost += 1;
        members.server.member(1).run();
        until("it is back", || at(&zk).as_deref() == Some("zk2")).await;
        assert_eq!(zk.session(), session);
    }
    let statistics = zk.statistics();
    zk.close().await.unwrap();
    // Requests are lost with a server that stops, and none with a move.
    let failed = writer.await.unwrap();
    assert_eq!(statistics.lost_connections, 2 * lost);
    let unknown = failed
        .iter()
        .filter(|error| error.outcome() == Outcome::Unknown);
    assert!(unknown.count() <= 10 * usize::try_from(lost).unwrap());
    let is_a_move = failed
        .iter()
        .any(|error| error.to_string().contains("moves to another"));
    assert!(!is_a_move, "{failed:?}");
}

/// A preferred server that answers no query costs the client nothing; one that answers, and then drops
/// clients, costs it a move at growing intervals.
#[tokio::test(start_paused = true)]
async fn a_preferred_server_that_fails_is_avoided() {
    for (at, most_moves) in [(At::Mute, 0), (At::Lure, 8)] {
        let network = Network::start(2).await;
        network.name("zk1", &[3]);
        network.name("zk2", &[2]);
        network.set(3, at);
        let zk = network.client("zk1,zk2").order(HostOrder::FirstAvailable);
        let zk = zk.connect().await.unwrap();
        let session = zk.session();
        assert_eq!(network.member_of(&zk), Some(1));
        tokio::time::sleep(600 * SECOND).await;
        let statistics = zk.statistics();
        assert!(statistics.lost_connections <= most_moves, "{statistics:?}");
        assert!(
            (5..=60).contains(&network.dialled(3)),
            "{}",
            network.dialled(3)
        );
        network.set(3, At::Member(0));
        let returned = || network.member_of(&zk) == Some(0);
        until("it is returned to", returned).await;
        assert_eq!(zk.session(), session);
    }
}

/// One address of the preferred server is down; the other answers queries and no handshake.
#[tokio::test(start_paused = true)]
async fn a_hung_preferred_address_is_avoided() {
    let network = Network::start(2).await;
    network.name("zk1", &[3, 4]);
    network.name("zk2", &[2]);
    network.set(3, At::Hung);
    let zk = network.client("zk1,zk2").order(HostOrder::FirstAvailable);
    let zk = zk.session_timeout(30 * SECOND).connect().await.unwrap();
    let session = zk.session();
    assert_eq!(network.member_of(&zk), Some(1));
    tokio::time::sleep(1200 * SECOND).await;
    let statistics = zk.statistics();
    assert!(statistics.lost_connections <= 8, "{statistics:?}");
    network.set(3, At::Member(0));
    let returned = || network.member_of(&zk) == Some(0);
    until("it is returned to", returned).await;
    assert_eq!(zk.session(), session);
}

#[tokio::test(start_paused = true)]
async fn a_given_order_is_kept() {
    let members = Members::start(3).await;
    for seed in 0..10 {
        let builder = members.client("zk3,zk1,zk2").seed(seed);
        let zk = builder.order(HostOrder::AsGiven).connect().await.unwrap();
        assert_eq!(zk.server().unwrap().host, "zk3");
        let listed: Vec<_> = zk.hosts().into_iter().map(|it| it.host.host).collect();
        assert_eq!(listed, ["zk3", "zk1", "zk2"]);
        members.server.member(2).stop();
        until("it is elsewhere", || {
            zk.server().is_some_and(|it| it.host == "zk1")
        })
        .await;
        members.server.member(2).run();
        tokio::time::sleep(300 * SECOND).await;
        // Without a preference there is no way back, until the connection is lost.
        assert_eq!(zk.server().unwrap().host, "zk1");
    }
}

/// A dial whose servers are this far away.
#[derive(Debug, Clone)]
struct Far(Members, [u64; 3]);

impl Dial for Far {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let number: usize = host.host[2..].parse().unwrap();
            tokio::time::sleep(Duration::from_millis(self.1[number - 1])).await;
            self.0.dial(host).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_nearest_server_is_moved_to() {
    let members = Members::start(3).await;
    let far = Far(members.clone(), [200, 30, 20]);
    for seed in 0..6 {
        let builder = members.client("zk1,zk2,zk3").seed(seed).dial(far.clone());
        let zk = builder.order(HostOrder::Nearest).connect().await.unwrap();
        let session = zk.session();
        tokio::time::sleep(200 * SECOND).await;
        // It leaves the far one; the others are equally near.
        assert_ne!(zk.server().unwrap().host, "zk1", "seed {seed}");
        assert_eq!(zk.session(), session);
        assert!(zk.statistics().lost_connections <= 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_is_left_on_request() {
    let members = Members::start(3).await;
    let zk = members.client("zk1,zk2,zk3").connect().await.unwrap();
    let session = zk.session();
    zk.create("/e", "").ephemeral().await.unwrap();
    for round in 0..6 {
        let before: Vec<_> = (0..50).map(|_| zk.set("/e", "").submit()).collect();
        let left = zk.leave_server().unwrap();
        let after: Vec<_> = (0..50).map(|_| zk.set("/e", "").submit()).collect();
        for (n, set) in before.into_iter().chain(after).enumerate() {
            let version = i32::try_from(100 * round + n + 1).unwrap();
            assert_eq!(set.await.unwrap().version, version);
        }
        assert_ne!(zk.server().unwrap(), left);
    }
    assert_eq!(zk.session(), session);
    (0..3).for_each(|member| members.server.member(member).stop());
    until("it is suspended", || !zk.state().is_connected()).await;
    assert_eq!(zk.leave_server(), None);
}

/// A name that is alone in the list is left for another of its addresses.
#[tokio::test(start_paused = true)]
async fn an_address_is_left_on_request() {
    let network = Network::start(3).await;
    network.name("zk", &[1, 2, 3]);
    for order in [
        HostOrder::Shuffled,
        HostOrder::AsGiven,
        HostOrder::FirstAvailable,
    ] {
        let zk = network.client("zk").order(order).connect().await.unwrap();
        for _ in 0..5 {
            let left = network.member_of(&zk).unwrap();
            zk.leave_server().unwrap();
            let elsewhere = || network.member_of(&zk).is_some_and(|at| at != left);
            until("the client is elsewhere", elsewhere).await;
            tokio::time::sleep(5 * SECOND).await;
            assert_ne!(network.member_of(&zk), Some(left));
        }
        assert_eq!(zk.statistics().sessions, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_say_what_is_wrong_with_each() {
    let network = Network::start(1).await;
    network.name("one", &[4]);
    network.name("two", &[5, 6]);
    network.set(5, At::Mute);
    network.set(6, At::Mute);
    let zk = network.client("one,two,three").seed(1).start().unwrap();
    assert!(
        zk.hosts()
            .iter()
            .all(|host| host.failure.is_none() && !host.connected)
    );
    tokio::time::sleep(30 * SECOND).await;
    let hosts = zk.hosts();
    let of = |name: &str| hosts.iter().find(|it| it.host.host == name).unwrap();
    let one = of("one").failure.as_ref().unwrap();
    assert!(
        one.count >= 3 && one.reason.to_string().contains("192.0.2.4"),
        "{one:?}"
    );
    assert!(one.ago <= 20 * SECOND);
    let three = of("three").failure.as_ref().unwrap();
    assert!(
        three.reason.to_string().contains("no addresses"),
        "{three:?}"
    );
    let two = of("two");
    assert_eq!((two.failure.as_ref(), two.addresses.len()), (None, 2));
    for at in &two.addresses {
        let failure = at.failure.as_ref().unwrap();
        assert!(failure.count >= 1 && failure.reason.to_string().contains("not answered"));
        assert!(at.put_back.is_some() && !at.connected);
    }
    assert_eq!(
        hosts.iter().filter(|it| it.next_attempt.is_some()).count(),
        1
    );
    // The one that serves has no failure any more; what is wrong with the others stays visible.
    network.set(5, At::Member(0));
    zk.connected().await.unwrap();
    let hosts = zk.hosts();
    let two = hosts.iter().find(|it| it.connected).unwrap();
    let good = two.addresses.iter().find(|at| at.connected).unwrap();
    assert_eq!(
        (good.address, good.failure.as_ref(), good.put_back),
        (address(5), None, None)
    );
    assert!(
        hosts
            .iter()
            .any(|it| it.host.host == "one" && it.failure.is_some())
    );
    assert!(hosts.iter().all(|it| it.next_attempt.is_none()));
}

#[tokio::test(start_paused = true)]
async fn an_eager_client_tries_each_address_once() {
    let network = Network::start(1).await;
    network.name("one", &[4]);
    network.name("two", &[5, 6, 7]);
    for n in 5..=7 {
        network.set(n, At::Mute);
    }
    let begun = tokio::time::Instant::now();
    let error = network
        .client("one,two")
        .fail_eagerly(true)
        .connect()
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unreachable, Outcome::NotSent)
    );
    for n in 4..=7 {
        assert_eq!(network.dialled(n), 1, "{n}: {error}");
        assert!(
            error.to_string().contains(&address(n).to_string()),
            "{error}"
        );
    }
    // Three budgets.
    assert!(begun.elapsed() <= 7 * SECOND);
    // One that serves is enough.
    network.set(7, At::Member(0));
    network
        .client("one,two")
        .fail_eagerly(true)
        .connect()
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_client_gives_up_after_its_limits() {
    let members = Members::start(1).await;
    for limit in ["attempts", "time"] {
        let builder = members.client("zk1");
        let builder = match limit {
            "attempts" => builder.max_connect_attempts(5),
            _ => builder.max_outage(4 * SECOND),
        };
        members.run_all();
        let zk = builder.connect().await.unwrap();
        zk.create(&format!("/{limit}"), "").await.unwrap();
        tokio::time::sleep(600 * SECOND).await;
        assert!(
            zk.state().is_connected(),
            "an earlier attempt counts no more"
        );
        members.server.member(0).stop();
        let lost = tokio::time::Instant::now();
        let request = zk.get("/").await.unwrap_err();
        assert_eq!(request.kind(), ErrorKind::Closed, "{request}");
        assert_eq!(zk.state(), State::Closed);
        let error = zk.connected().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        for part in ["given up after", "zk1:2181: "] {
            assert!(error.to_string().contains(part), "{error}");
        }
        if limit == "time" {
            let took = lost.elapsed();
            assert!(took >= 4 * SECOND && took <= 5 * SECOND, "{took:?}");
        }
        // From the start as well.
        let again = match limit {
            "attempts" => members.client("zk1").max_connect_attempts(5),
            _ => members.client("zk1").max_outage(4 * SECOND),
        };
        let error = again.connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    }
}

//! Answers that arrive after the client or a name has changed, on a paused clock: lookups, and the search for a
//! preferred server.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zk_client::admin::{ServerMode, ServerStatus};
use zk_client::{Client, Dial, Dialing, HostOrder, HostPort};

use super::network::{Network, address};
use super::{SECOND, until};
use crate::common::members::Members;

async fn mode(zk: &Client) -> ServerMode {
    let answer = zk.command("srvr").await.unwrap();
    let status: ServerStatus = answer.parse().unwrap();
    status.mode.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_sessions_server_answers_commands() {
    let network = Network::start(2).await;
    for n in [1, 2] {
        network.name("zk", &[n]);
        let zk = network.client("zk").connect().await.unwrap();
        let expected = mode(&zk).await;
        let dialled = network.dialled(3 - n);
        for found in [&[3 - n][..], &[3 - n, n], &[]] {
            network.name("zk", found);
            assert_eq!(mode(&zk).await, expected, "{found:?}");
        }
        assert_eq!(network.dialled(3 - n), dialled);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lookup_hides_no_connected_address() {
    let network = Network::start(2).await;
    let mut stayed = 0;
    for seed in 0..10 {
        network.name("zk", &[1]);
        let builder = network.client("zk").seed(seed).dns_refresh(30 * SECOND);
        let zk = builder.connect().await.unwrap();
        network.name("zk", &[1, 2]);
        tokio::time::sleep(60 * SECOND).await;
        let hosts = zk.hosts();
        let connected: Vec<_> = hosts
            .iter()
            .flat_map(|host| &host.addresses)
            .filter(|at| at.connected)
            .map(|at| at.address)
            .collect();
        // Some of the clients move.
        match zk.statistics().connections {
            1 => {
                stayed += 1;
                assert_eq!(connected, [address(1)]);
            }
            _ => assert_eq!(connected, [address(2)]),
        }
        zk.command("srvr").await.unwrap();
    }
    assert!((1..10).contains(&stayed), "{stayed} of 10 have stayed");
}

/// A dial whose next connection to `zk1` takes a second, once that is asked for.
#[derive(Debug, Clone)]
struct Slow(Members, Arc<AtomicBool>);

impl Dial for Slow {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            if host.host == "zk1" && self.1.swap(false, Ordering::Relaxed) {
                tokio::time::sleep(SECOND).await;
            }
            self.0.dial(host).await
        })
    }
}

/// While the preferred server is asked whether it serves, the client connects to it anyway.
#[tokio::test(start_paused = true)]
async fn a_late_answer_causes_no_move() {
    let members = Members::start(3).await;
    members.server.member(0).stop();
    let slow = Slow(members.clone(), Arc::default());
    let builder = members.client("zk1,zk2").dial(slow.clone());
    let builder = builder.order(HostOrder::FirstAvailable);
    let zk = builder.connect().await.unwrap();
    let at = |host: &str| zk.server().is_some_and(|server| server.host == host);
    assert!(at("zk2"));
    slow.1.store(true, Ordering::Relaxed);
    until("it is asked", || !slow.1.load(Ordering::Relaxed)).await;
    members.server.member(0).run();
    members.server.member(1).stop();
    until("the client is elsewhere", || at("zk1")).await;
    tokio::time::sleep(60 * SECOND).await;
    assert!(at("zk1"));
    let statistics = zk.statistics();
    assert_eq!(
        (statistics.lost_connections, statistics.connections),
        (1, 2)
    );
}

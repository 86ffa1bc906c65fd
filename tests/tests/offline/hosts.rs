//! The list of servers, on a paused clock: given anew, or looked up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::members::Members;
use zk_client::{
    Client, Dial, Dialing, ErrorCode, ErrorKind, HostPort, Outcome, Resolve, Resolving, Servers,
    State, TcpDial,
};

const MINUTE: Duration = Duration::from_secs(60);

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

fn is_at(zk: &Client, host: &str) -> bool {
    zk.server().is_some_and(|server| server.host == host)
}

/// Guards: X17.
#[tokio::test(start_paused = true)]
async fn new_host_list_loses_no_write() {
    let members = Members::start(3).await;
    let zk = members.client("zk1").connect().await.unwrap();
    let session = zk.session();
    zk.create("/e", "").ephemeral().await.unwrap();
    for (round, host) in ["zk2", "zk3", "zk1"].into_iter().enumerate() {
        let before: Vec<_> = (0..100)
            .map(|n| zk.set("/e", n.to_string()).submit())
            .collect();
        zk.update_hosts(host).unwrap();
        let after: Vec<_> = (0..100)
            .map(|n| zk.set("/e", n.to_string()).submit())
            .collect();
        let first = i32::try_from(round * 200).unwrap() + 1;
        for (pending, version) in before.into_iter().chain(after).zip(first..) {
            // In order, each of them once.
            assert_eq!(pending.await.unwrap().version, version);
        }
        assert!(is_at(&zk, host));
        assert_eq!(zk.session(), session);
    }
    assert_eq!(members.server.connection_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn reachable_server_needs_no_timer() {
    let members = Members::start(1).await;
    let started = tokio::time::Instant::now();
    let zk = members.client("zk1").connect().await.unwrap();
    zk.close().await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

/// Guards: A80.
#[tokio::test(start_paused = true)]
async fn new_host_list_keeps_the_chroot() {
    let members = Members::start(2).await;
    members
        .client("zk1")
        .connect()
        .await
        .unwrap()
        .create("/app", "")
        .await
        .unwrap();
    let zk = members.client("zk1/app").connect().await.unwrap();
    let team = zk.chroot("/team").unwrap();
    for refused in ["zk2/other", "zk2/app/team", "", "dns-srv://zk", "zk2:x"] {
        let error = team.update_hosts(refused).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert_eq!(error.outcome(), Outcome::NotSent);
    }
    for (hosts, host) in [("zk2/app", "zk2"), ("zk1", "zk1")] {
        team.update_hosts(hosts).unwrap();
        until("it has moved", || is_at(&zk, host)).await;
    }
    assert_eq!(zk.root().as_str(), "/app");
    zk.ensure_path("/team/x").await.unwrap();
    assert!(team.exists("/x").await.unwrap().is_some());
    let handle = zk.clone();
    zk.close().await.unwrap();
    assert_eq!(
        handle.update_hosts("zk2").unwrap_err().kind(),
        ErrorKind::Closed
    );
}

/// However long it has been backing off.
/// Guards: X17, A28.
#[tokio::test(start_paused = true)]
async fn new_host_is_tried_at_once() {
    let members = Members::start(1).await;
    let zk = members.client("zk8,zk9").start().unwrap();
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(zk.state(), State::Connecting);
    let asked = tokio::time::Instant::now();
    zk.update_hosts("zk1").unwrap();
    zk.connected().await.unwrap();
    assert!(asked.elapsed() < Duration::from_millis(100));
}

/// NXDOMAIN, by the name that there is no member for.
/// Guards: A27, B33, X16.
#[tokio::test(start_paused = true)]
async fn bad_name_does_not_hide_other_hosts() {
    let members = Members::start(2).await;
    let zk = members.client("zk9,zk1,zk2").connect().await.unwrap();
    let session = zk.session();
    for _ in 0..5 {
        let at = zk.server().unwrap();
        let member = if at.host == "zk1" { 0 } else { 1 };
        let mut states = zk.states();
        members.server.member(member).disconnect_all();
        while !matches!(states.next().await.unwrap(), State::Suspended { .. }) {}
        zk.connected().await.unwrap();
        assert_eq!(zk.session(), session);
    }
}

/// A name server that never answers, for one of the names.
#[derive(Debug)]
struct Mute(Members, TcpDial);

impl Resolve for Mute {
    fn resolve<'a>(&'a self, _: &'a HostPort) -> Resolving<'a> {
        Box::pin(std::future::pending())
    }
}

impl Dial for Mute {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        match &*host.host {
            "mute" => self.1.dial(host),
            _ => self.0.dial(host),
        }
    }
}

/// Guards: A27, X16.
#[tokio::test(start_paused = true)]
async fn lookup_takes_no_longer_than_a_server() {
    let members = Members::start(1).await;
    let never = Mute(members.clone(), TcpDial::default());
    let dial = TcpDial::default().resolver(never);
    for seed in 0..8 {
        let started = tokio::time::Instant::now();
        let dial = Mute(members.clone(), dial.clone());
        let builder = members.client("mute,zk1").dial(dial).seed(seed);
        let zk = builder.connect().await.unwrap();
        assert!(is_at(&zk, "zk1"));
        // A third of the session's 6 s.
        assert!(started.elapsed() <= Duration::from_millis(2_100));
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_allow_it_says_so() {
    let members = Members::start(3).await;
    let zk = members.client("zk1/app").connect().await.unwrap();
    let error = zk.reconfig().leaving(1).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::ReconfigDisabled));
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert!(error.to_string().contains("disabled"), "{error}");
    assert_eq!(zk.config().await.unwrap().0.servers.len(), 3);
}

/// A service, and how often it was asked for.
#[derive(Debug, Clone, Default)]
struct Dns {
    answer: Arc<Mutex<Option<Vec<HostPort>>>>,
    asked: Arc<Mutex<usize>>,
}

impl Dns {
    fn says(&self, hosts: &[&str]) {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        *self.answer.lock().unwrap() = Some(hosts);
    }

    fn fails(&self) {
        *self.answer.lock().unwrap() = None;
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}

impl Resolve for Dns {
    fn resolve<'a>(&'a self, _: &'a HostPort) -> Resolving<'a> {
        Box::pin(async { Err(io::Error::other("not asked for")) })
    }

    fn servers<'a>(&'a self, service: &'a str) -> Servers<'a> {
        assert_eq!(service, "_zk._tcp.test");
        Box::pin(async {
            *self.asked.lock().unwrap() += 1;
            let answer = self.answer.lock().unwrap().clone();
            answer.ok_or_else(|| io::Error::other("SERVFAIL"))
        })
    }
}

/// Guards: A27, X16.
#[tokio::test(start_paused = true)]
async fn service_is_looked_up_every_minute() {
    let members = Members::start(3).await;
    let dns = Dns::default();
    let builder = members
        .client("dns-srv://_zk._tcp.test/app")
        .resolver(dns.clone());
    let refused = builder
        .clone()
        .connect_timeout(MINUTE)
        .connect()
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectTimeout);
    assert!(refused.to_string().contains("SERVFAIL"), "{refused}");
    // From 0.1 s to 5 s apart.
    assert!((10..=60).contains(&dns.asked()), "{}", dns.asked());

    dns.says(&["zk1:2181"]);
    let zk = builder.connect().await.unwrap();
    assert_eq!(zk.root().as_str(), "/app");
    let session = zk.session();
    zk.ensure_path("/").await.unwrap();
    zk.create("/e", "").ephemeral().await.unwrap();

    // What is no answer changes nothing, and neither does the same one.
    for _ in 0..3 {
        dns.fails();
        tokio::time::sleep(2 * MINUTE).await;
        dns.says(&[]);
        tokio::time::sleep(2 * MINUTE).await;
        dns.says(&["zk1:2181"]);
        tokio::time::sleep(2 * MINUTE).await;
    }
    assert_eq!(members.dialled("zk1"), 1);

    dns.says(&["zk2:2181", "zk3:2181"]);
    let changed = tokio::time::Instant::now();
    until("it has moved", || is_at(&zk, "zk2") || is_at(&zk, "zk3")).await;
    assert!(changed.elapsed() <= MINUTE + Duration::from_secs(1));
    assert_eq!(zk.session(), session);
    assert!(zk.exists("/e").await.unwrap().is_some());

    let asked = dns.asked();
    tokio::time::sleep(10 * MINUTE).await;
    assert!((9..=11).contains(&(dns.asked() - asked)));
    zk.close().await.unwrap();
    let asked = dns.asked();
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(dns.asked(), asked, "the lookups outlive the client");
}

/// Names in the DNS and names that an operator or the ensemble gives need not be the same.
#[tokio::test(start_paused = true)]
async fn unchanged_lookup_keeps_a_newer_list() {
    let members = Members::start(2).await;
    let dns = Dns::default();
    dns.says(&["zk1:2181"]);
    let builder = members.client("dns-srv://_zk._tcp.test");
    let zk = builder.resolver(dns.clone()).connect().await.unwrap();
    zk.update_hosts("zk2").unwrap();
    until("it has moved", || is_at(&zk, "zk2")).await;
    let asked = dns.asked();
    tokio::time::sleep(10 * MINUTE).await;
    assert!(dns.asked() > asked + 5);
    assert!(is_at(&zk, "zk2"));
    assert_eq!((members.dialled("zk1"), members.dialled("zk2")), (1, 1));
    // The next change there is one.
    dns.says(&["zk1:2181", "zk1:2181"]);
    tokio::time::sleep(2 * MINUTE).await;
    assert!(is_at(&zk, "zk2"), "that is the same list");
    dns.says(&[]);
    tokio::time::sleep(2 * MINUTE).await;
    dns.says(&["zk2:2181"]);
    tokio::time::sleep(2 * MINUTE).await;
    dns.says(&["zk1:2181"]);
    until("it has moved", || is_at(&zk, "zk1")).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_can_be_looked_up_for_once_only() {
    let members = Members::start(1).await;
    let dns = Dns::default();
    dns.says(&["zk1:2181"]);
    let builder = members
        .client("dns-srv://_zk._tcp.test")
        .resolver(dns.clone());
    let zk = builder.srv_refresh(Duration::ZERO).connect().await.unwrap();
    tokio::time::sleep(10 * MINUTE).await;
    assert_eq!(dns.asked(), 1);
    assert!(zk.state().is_connected());
}

/// All clients are given the same list, and come out even: the rule at work, end to end.
/// Guards: A29.
#[tokio::test(start_paused = true)]
async fn clients_spread_over_added_servers() {
    const CLIENTS: u64 = 120;
    let members = Members::start(4).await;
    let mut clients = Vec::new();
    for seed in 0..CLIENTS {
        clients.push(
            members
                .client("zk1,zk2")
                .seed(seed)
                .connect()
                .await
                .unwrap(),
        );
    }
    for zk in &clients {
        zk.update_hosts("zk1,zk2,zk3,zk4").unwrap();
    }
    let all = || {
        clients
            .iter()
            .filter_map(Client::server)
            .collect::<Vec<_>>()
    };
    // Those that move answer this from where they have moved to.
    for zk in &clients {
        zk.exists("/").await.unwrap();
    }
    let servers: BTreeSet<_> = all().into_iter().map(|server| server.host).collect();
    assert_eq!(servers.len(), 4);
    for server in servers {
        let load = all().iter().filter(|at| at.host == server).count();
        // 30 each, and the lots are drawn with the seeds above.
        assert!((15..=45).contains(&load), "{server}: {load}");
    }
}

/// Guards: P20, P22. The configuration has addresses that mean something to its servers only.
#[tokio::test(start_paused = true)]
async fn following_loses_no_given_server() {
    let members = Members::start(3).await;
    let zk = members.client("zk1,zk2,zk3").follow_config(true);
    let zk = zk.connect().await.unwrap();
    let session = zk.session();
    for round in 0..6 {
        let left = zk.server().unwrap().host;
        let number: usize = left.strip_prefix("zk").unwrap().parse().unwrap();
        members.server.member(number - 1).stop();
        until("the client is elsewhere", || {
            zk.server().is_some_and(|at| at.host != left)
        })
        .await;
        members.run_all();
        zk.create(&format!("/{round}"), "").await.unwrap();
    }
    assert_eq!(zk.session(), session);
}

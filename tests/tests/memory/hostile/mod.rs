//! Whatever a server sends: the client names it, in bounded time and memory, and continues with the
//! next server. Nothing panics.
//!
//! Time is virtual, so what is said here of seconds does not depend on the machine. Memory is what
//! the allocator gave out: this binary has one of its own, which counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    unreachable_pub,
    reason = "a failed expectation is a failed test"
)]

mod handshakes;
mod records;
mod scripts;
mod server;

use std::sync::Arc;
use std::time::Duration;

use crate::PEAK;
use crate::common::counting::{alone, virtually};
use scripts::{Ask, Expect, LIMIT, Script};
use server::{HOSTILE, Network};
use tokio::time::{Instant, timeout};
use zk_client::{Acl, Client, ClientBuilder, Error, ErrorKind, WatchEvent, WatchMode};
use zk_embedded::Server;
use zk_proto::HostPort;
use zk_transport::{BackoffPolicy, Hosts};

/// What a client may hold beside one frame of the limit, and the servers here with it.
const ALLOWANCE: usize = 1024 * 1024;
const SESSION: Duration = Duration::from_secs(3);
/// Longer than anything takes, in virtual time.
const NO_LIMIT: Duration = Duration::from_secs(120);

/// What was held at most during `run` beyond what was held before.
fn peak<T>(run: impl FnOnce() -> T) -> (T, usize) {
    PEAK.reset_peak_usage();
    let before = PEAK.current_usage();
    let result = run();
    (result, PEAK.peak_usage().saturating_sub(before))
}

async fn good() -> Arc<Server> {
    let server = Server::builder().in_memory().tick(Duration::from_secs(1));
    let server = server.start().await.unwrap();
    // Ahead of what the hostile one claims to be at.
    server.change_leader();
    Arc::new(server)
}

/// A seed with which the hostile server is tried first.
fn seed(hosts: &[&str]) -> u64 {
    let hosts: Vec<_> = hosts
        .iter()
        .map(|host| HostPort {
            host: (*host).to_owned(),
            port: 2181,
        })
        .collect();
    (0..)
        .find(|&seed| {
            let hosts = Hosts::new(hosts.clone(), BackoffPolicy::default(), seed);
            hosts.iter().next().unwrap().host == HOSTILE
        })
        .unwrap()
}

fn builder(hosts: &[&str], network: &Network) -> ClientBuilder {
    Client::builder(format!("{}/app", hosts.join(",")))
        .session_timeout(SESSION)
        .deadline(Duration::from_millis(2500))
        .max_reply_bytes(LIMIT)
        .seed(seed(hosts))
        .dial(network.clone())
}

/// Asks for it, and says what came of it.
async fn ask(zk: &Client, ask: Ask) -> Result<(), Error> {
    match ask {
        Ask::Set => zk.set("/a", "1").await.map(drop),
        Ask::TwoSets => {
            let first = zk.set("/a", "1").submit();
            let second = zk.set("/a", "2").submit();
            let _ = first.await;
            second.await.map(drop)
        }
        Ask::SetAfterDropped => {
            zk.connected().await?;
            drop(zk.get("/a").submit());
            zk.set("/a", "1").await.map(drop)
        }
        Ask::Create => zk.create("/a", "").await.map(drop),
        Ask::Get => zk.get("/a").await.map(drop),
        Ask::Children => zk.children("/a").await.map(drop),
        Ask::Acl => zk.acl("/a").await.map(drop),
        Ask::Multi => {
            let multi = zk.multi().check("/a", 1).create("/b", "").delete("/c");
            multi.commit().await.map(drop)
        }
        Ask::MultiRead => {
            let reads = zk.multi_read().get("/a").children("/a");
            reads.await.map(drop)
        }
        Ask::Watched => {
            let mut events = zk.watch("/w", WatchMode::Persistent).await?;
            zk.set("/a", "1").await?;
            let delivered = timeout(Duration::ZERO, events.next()).await;
            let made_up = matches!(delivered, Ok(Some(WatchEvent::Node(_))));
            assert!(!made_up, "{delivered:?}");
            Ok(())
        }
    }
}

/// With the hostile server alone.
async fn no_session(network: &Network, said: &str, hopeless: bool) {
    let time_limit = Duration::from_secs(5);
    let connecting = builder(&[HOSTILE], network).connect_timeout(time_limit);
    let started = Instant::now();
    let error = connecting.connect().await.unwrap_err();
    let (kind, took) = if hopeless {
        (ErrorKind::Untrusted, Duration::ZERO)
    } else {
        (ErrorKind::ConnectTimeout, time_limit)
    };
    assert_eq!((error.kind(), started.elapsed()), (kind, took), "{error}");
    assert!(error.to_string().contains(said), "{error}");
    assert!((1..20).contains(&network.attempts()), "{network:?}");
}

fn expected(script: &Script, result: Result<(), Error>) {
    match (script.expect, result) {
        (Expect::NotConnected(_) | Expect::Hopeless(_), _) | (Expect::Works, Ok(())) => {}
        (Expect::Lost(said), Err(error)) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionLost, "{error}");
            let reason = error.disconnect();
            let reason = reason.expect("a reason").to_string();
            assert!(reason.contains(said), "{reason}");
        }
        (Expect::Fails(kind, said), Err(error)) => {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(said), "{error}");
        }
        (expected, got) => panic!("{expected:?}, and it was {got:?}"),
    }
}

/// The next server serves it.
async fn usable(zk: &Client, server: &Server) {
    while server.node("/app/usable").is_none() {
        if let Err(error) = zk.ensure_path("/usable").await {
            // What was in flight when the hostile server's session ended.
            let passing = error.is_retryable()
                || matches!(
                    error.kind(),
                    ErrorKind::SessionExpired
                        | ErrorKind::ConnectionLost
                        | ErrorKind::DeadlineExceeded
                );
            assert!(passing, "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    zk.set("/usable", "yes").await.unwrap();
    assert_eq!(zk.get("/usable").await.unwrap().0, "yes");
}

async fn run(script: &Script) {
    let hopeless = matches!(script.expect, Expect::Hopeless(_));
    if let Expect::NotConnected(said) | Expect::Hopeless(said) = script.expect {
        let network = Network::new(script.acts.clone(), good().await);
        no_session(&network, said, hopeless).await;
    }
    let server = good().await;
    let network = Network::new(script.acts.clone(), server.clone()).once(script.once);
    let zk = builder(&[HOSTILE, "good"], &network).start().unwrap();
    let started = Instant::now();
    if !matches!(script.expect, Expect::NotConnected(_) | Expect::Hopeless(_)) {
        let result = timeout(NO_LIMIT, ask(&zk, script.ask)).await;
        expected(script, result.expect("it hangs"));
        let took = started.elapsed();
        assert!(took <= script.within, "it took {took:?} to say so");
    }
    timeout(NO_LIMIT, usable(&zk, &server))
        .await
        .expect("usable");
    let took = started.elapsed();
    assert!(took <= script.usable, "it was usable after {took:?}");
    assert!(network.attempts() <= 20, "{} attempts", network.attempts());
    let left = zk.statistics();
    assert_eq!(
        (left.outstanding, left.watches, left.subscribers),
        (0, 0, 0)
    );
    timeout(NO_LIMIT, zk.close())
        .await
        .expect("closed")
        .unwrap();
    assert!(server.sessions().is_empty());
}

fn all() -> Vec<Script> {
    let mut all = handshakes::scripts();
    all.extend(scripts::of_frames());
    all.extend(scripts::tolerated_ones());
    all.extend(scripts::of_codes());
    all.extend(records::scripts());
    all
}

#[test]
fn every_script_is_survived() {
    let _alone = alone();
    let scripts = all();
    assert!(scripts.len() >= 60, "{}", scripts.len());
    let mut failed = Vec::new();
    for script in &scripts {
        let (result, peak) = peak(|| {
            let run = std::panic::AssertUnwindSafe(|| virtually(run(script)));
            std::panic::catch_unwind(run)
        });
        if let Err(panic) = result {
            let said = panic.downcast_ref::<String>().cloned();
            failed.push(format!("{}: {}", script.name, said.unwrap_or_default()));
            continue;
        }
        // Its text is what it was sent by the script, and not what the client makes of it.
        let own: usize = 2 * size_of_val(script) + script_bytes(script);
        if peak > ALLOWANCE + LIMIT + own {
            failed.push(format!("{}: it took {peak} bytes", script.name));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {}: {failed:#?}",
        failed.len(),
        scripts.len()
    );
}

/// What the copies of the script that each run makes take.
fn script_bytes(script: &Script) -> usize {
    let bytes = script.acts.iter().map(|act| match act {
        server::Act::Say(bytes)
        | server::Act::Repeat(bytes, _)
        | server::Act::Dribble(bytes, _)
        | server::Act::Every(_, bytes)
        | server::Act::Reply { body: bytes, .. } => bytes.len(),
        server::Act::Receive | server::Act::Hold => 0,
    });
    2 * bytes.sum::<usize>()
}

/// A reply of the limit, which is the default, costs an eighth more than itself while it comes.
#[test]
fn largest_reply_costs_little_more() {
    let _alone = alone();
    const DEFAULT: usize = 8 * 1024 * 1024;
    let chunk = vec![7; 16 * 1024];
    let data = DEFAULT - 16 - 4 - 68;
    let mut head = u32::try_from(DEFAULT).unwrap().to_be_bytes().to_vec();
    head.extend_from_slice(&server::reply(1, 1, 0, &[])[4..]);
    head.extend_from_slice(&u32::try_from(data).unwrap().to_be_bytes());
    let acts = scripts::after([
        server::Act::Say(head),
        server::Act::Repeat(chunk.clone(), data / chunk.len()),
        server::Act::Say(vec![0; data % chunk.len() + 68]),
        server::Act::Hold,
    ]);
    let (got, peak) = peak(|| {
        virtually(async {
            let network = Network::new(acts, good().await);
            let zk = builder(&[HOSTILE], &network).max_reply_bytes(DEFAULT);
            let zk = zk.start().unwrap();
            zk.get("/a").await.unwrap().0.len()
        })
    });
    assert_eq!(got, data);
    assert!(peak <= DEFAULT + DEFAULT / 8 + ALLOWANCE / 2, "{peak}");
}

/// 10,000 connections that are closed at once are spread over as many delays.
/// Guards: B44.
#[test]
fn closing_server_is_tried_once_a_backoff() {
    let _alone = alone();
    const TIMES: usize = 10_000;
    let policy = BackoffPolicy::default();
    let ((), peak) = peak(|| {
        virtually(async {
            let network = Network::new(Vec::new(), good().await);
            let zk = builder(&[HOSTILE], &network).backoff(policy);
            let zk = zk.start().unwrap();
            let started = Instant::now();
            while network.attempts() < TIMES {
                tokio::time::sleep(Duration::from_secs(60)).await;
                let rounds = started.elapsed().as_secs_f64() / (policy.max / 2).as_secs_f64();
                let most = 8.0 + rounds;
                let attempts = u32::try_from(network.attempts()).unwrap();
                assert!(f64::from(attempts) <= most, "{attempts} of {most}");
            }
            zk.close().await.unwrap();
        });
    });
    assert!(peak <= ALLOWANCE, "{peak}");
}

/// The same with a session that is granted.
/// Guards: B44.
#[test]
fn closing_server_costs_an_eighth() {
    let _alone = alone();
    virtually(async {
        let granted = server::framed(&server::encoded(&server::grant()));
        let network = Network::new(
            vec![server::Act::Receive, server::Act::Say(granted)],
            good().await,
        );
        let zk = builder(&[HOSTILE], &network).start().unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        // A session that may live is not slept away: an eighth of its time at most.
        let most = 3600.0 / (SESSION / 8 / 2).as_secs_f64();
        let attempts = u32::try_from(network.attempts()).unwrap();
        assert!(f64::from(attempts) <= most, "{attempts} of {most}");
        drop(zk);
    });
}

/// Credentials refused are the end: no storm, and every request says so.
/// Guards: B72.
#[test]
fn refused_credentials_are_final() {
    let _alone = alone();
    virtually(async {
        for code in [-115, -9999, 1] {
            let verdict = server::reply(zk_proto::xid::AUTH, 0, code, &[]);
            let acts = scripts::after([server::Act::Say(verdict)]);
            let network = Network::new(acts, good().await);
            let zk = builder(&[HOSTILE, "good"], &network)
                .auth("digest", "me:secret")
                .default_acl(Acl::open());
            let error = zk.connect().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AuthFailed, "{error}");
            tokio::time::sleep(Duration::from_secs(600)).await;
            assert_eq!(network.attempts(), 1);
        }
    });
}

//! Sixteen clients, an ensemble of three, and everything that goes wrong with servers and networks.
//! What took effect is judged by what the servers have logged.
//!
//! One minute, half of it on a release that is not the newest, or as long as
//! `cargo xtask chaos --minutes N [--seed S]` says. The seed decides the faults and the operations, not
//! when they meet. [`partitions`] has the same work, and locks, in a network that is cut.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod faults;
mod load;
mod outages;
mod partitions;
mod tree;
mod verdict;
mod watching;
mod workload;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::common::{NO_LIMIT, blocking, rounds};
use faults::Faults;
use load::Load;
use outages::Fault;
use zk_client::{Client, ClientBuilder};
use zk_tests::{Ensemble, Proxy, ServerOptions};

const SERVERS: usize = 3;
/// Each of them knows one server only.
const PINNED: usize = 8;
/// These know all servers.
const ROAMING: usize = 8;
const SESSION: Duration = Duration::from_secs(4);
/// Of an operation, so that one that waits too long ends in doubt or unsent.
const DEADLINE: Duration = Duration::from_secs(5);
/// A run with fewer operations before the first fault proves nothing.
const LEAST_BEFORE: u64 = 1_000;
/// What everything is created under.
const ROOT: &str = "/chaos";

/// What all parts of the run see.
#[derive(Debug, Default)]
struct Run {
    /// The work is to end.
    over: AtomicBool,
    /// Operations that succeeded.
    done: AtomicU64,
    events: AtomicU64,
    gaps: AtomicU64,
    violations: Mutex<Vec<String>>,
    /// Violations, unless the servers turn out to have lost what they had acknowledged.
    suspicions: Mutex<Vec<Suspicion>>,
}

/// What must not happen, unless a server has lost what it had acknowledged.
#[derive(Clone, Debug)]
struct Suspicion {
    what: String,
    /// The transactions that it is about, and those that changed the same znodes before; none if they
    /// are not known.
    zxids: Vec<i64>,
}

impl Run {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Notes what must not happen.
    fn violation(&self, what: impl fmt::Display) {
        let mut violations = self
            .violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        violations.push(what.to_string());
    }

    /// Notes what must not happen as long as no server loses anything, as some releases do
    /// ([`zk_tests::Srvr::keeps_transactions`]), about this transaction if it is about one.
    fn suspicion(&self, zxids: Vec<i64>, what: impl fmt::Display) {
        let mut suspicions = self
            .suspicions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let what = what.to_string();
        suspicions.push(Suspicion { what, zxids });
    }

    fn take_suspicions(&self) -> Vec<Suspicion> {
        let mut suspicions = self
            .suspicions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *suspicions)
    }

    fn violations(&self) -> Vec<String> {
        let violations = self
            .violations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        violations.clone()
    }
}

/// Two ensembles on two cores are slow enough to be taken for dead.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// How long, which is `seconds` unless `ZK_CHAOS_SECONDS` says otherwise (of `kind` "CHAOS"), and with
/// which seed.
fn plan(kind: &str, seconds: usize) -> (Duration, u64) {
    let number = |name: &str| {
        let number = std::env::var(format!("ZK_{kind}_{name}")).ok();
        number.map(|n| n.parse::<u64>().unwrap())
    };
    let seconds = number("SECONDS").unwrap_or(seconds as u64);
    let seed = number("SEED").unwrap_or_else(|| fastrand::u64(..));
    (Duration::from_secs(seconds), seed)
}

async fn client(hosts: &str, seed: u64) -> Client {
    builder(hosts, seed).connect().await.unwrap()
}

fn builder(hosts: &str, seed: u64) -> ClientBuilder {
    Client::builder(format!("{hosts}{ROOT}"))
        .session_timeout(SESSION)
        .connect_timeout(NO_LIMIT)
        .deadline(DEADLINE)
        .backoff(crate::common::impatient())
        .max_watch_events(1 << 20)
        .seed(seed)
}

/// A client that is not bothered by any proxy.
async fn unrooted(hosts: &str) -> Client {
    let builder = crate::common::builder(hosts);
    builder.connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn acknowledged_writes_and_sessions_last() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let (length, seed) = plan("CHAOS", rounds(60, 30));
    let mut rng = fastrand::Rng::with_seed(seed);
    let ensemble = blocking(|| Ensemble::start(SERVERS, ServerOptions::default()).unwrap());
    let version = blocking(|| ensemble.leader().unwrap().srvr().unwrap().version);
    let seconds = length.as_secs();
    println!("chaos on Apache ZooKeeper {version} for {seconds} s, seed {seed}");
    let servers = ensemble.servers().iter();
    let proxies: Vec<_> = servers
        .map(|server| Proxy::start(server.address()).unwrap())
        .collect();
    let hosts: Vec<_> = proxies.iter().map(Proxy::connect_string).collect();
    let all = hosts.join(",");
    workload::prepare(&ensemble.connect_string(), PINNED + ROAMING).await;

    let run = Arc::new(Run::default());
    let mut watchers = Vec::new();
    for hosts in [&hosts[0], &all] {
        watchers.push(client(hosts, rng.u64(..)).await);
    }
    let mut clients = Vec::new();
    for n in 0..PINNED + ROAMING {
        let hosts = if n < PINNED {
            &hosts[n % SERVERS]
        } else {
            &all
        };
        clients.push(client(hosts, rng.u64(..)).await);
    }
    let mut load = Load::start(watchers, clients, &mut rng, &run).await;

    let mut faults = Faults::new(&ensemble, &proxies, rng.fork());
    let started = Instant::now();
    while started.elapsed() < length || !faults.has_done_all() {
        load.check();
        faults.next().await;
    }
    let seconds = started.elapsed().as_secs();
    let windows: Vec<_> = faults.windows().iter().copied().map(Fault::from).collect();
    // Some releases come to have a leader that commits nothing, so that no session can begin.
    let restarted = partitions::repair::ensure_commits(&ensemble, std::iter::empty()).await;
    let outcome = load.end(&ensemble, &windows).await;

    println!(
        "{seconds} s, faults: {:?}; leaders restarted that committed nothing: {restarted}",
        faults.done()
    );
    println!("{outcome}");
    let violations = run.violations();
    println!("violations: {}", violations.len());
    assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
}

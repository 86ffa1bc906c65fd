//! Sixteen clients, an ensemble of three, and everything that goes wrong with servers and networks.
//! What took effect is judged by what the servers have logged.
//!
//! One minute, or as long as `cargo xtask chaos --minutes N [--seed S]` says. The seed decides the
//! faults and the operations, not when they meet.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod outages;
mod tree;
mod verdict;
mod watching;
mod workload;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::{PATIENCE, blocking, soon};
use faults::Faults;
use outages::Outages;
use tokio::task::JoinSet;
use verdict::Verdict;
use watching::Watching;
use workload::{Attempt, Worker};
use zk_client::Client;
use zk_tests::starvation::Observer;
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
    suspicions: Mutex<Vec<String>>,
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
    /// ([`zk_tests::Srvr::keeps_transactions`]).
    fn suspicion(&self, what: impl fmt::Display) {
        let mut suspicions = self
            .suspicions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        suspicions.push(what.to_string());
    }

    fn take_suspicions(&self) -> Vec<String> {
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

/// How long, and which.
fn plan() -> (Duration, u64) {
    let number = |name| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    let seconds = number("ZK_CHAOS_SECONDS").unwrap_or(60);
    let seed = number("ZK_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    (Duration::from_secs(seconds), seed)
}

async fn client(hosts: &str, seed: u64) -> Client {
    Client::builder(format!("{hosts}{ROOT}"))
        .session_timeout(SESSION)
        .connect_timeout(PATIENCE)
        .deadline(DEADLINE)
        .backoff(common::impatient())
        .max_watch_events(1 << 20)
        .seed(seed)
        .connect()
        .await
        .unwrap()
}

/// A client that is not bothered by any proxy.
async fn unrooted(hosts: &str) -> Client {
    let builder = common::builder(hosts);
    builder.connect().await.unwrap()
}

/// Waits until there was work enough, and returns its rate.
async fn warm_up(run: &Run) -> u64 {
    let started = Instant::now();
    common::until("the work is under way", || async {
        run.done.load(Ordering::Relaxed) >= LEAST_BEFORE
    })
    .await;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap();
    run.done.load(Ordering::Relaxed) * 1000 / milliseconds.max(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_acknowledged_write_is_there_once_and_no_session_is_lost_early() {
    let (length, seed) = plan();
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
    let observer = Observer::start();
    let mut outages = Outages::default();
    let mut watching = Vec::new();
    for hosts in [&hosts[0], &all] {
        let zk = client(hosts, rng.u64(..)).await;
        outages.follow(&zk);
        watching.push(Watching::start(zk, run.clone()).await);
    }
    let mut clients = Vec::new();
    for n in 0..PINNED + ROAMING {
        let hosts = if n < PINNED {
            &hosts[n % SERVERS]
        } else {
            &all
        };
        let zk = client(hosts, rng.u64(..)).await;
        outages.follow(&zk);
        clients.push(zk);
    }
    let mut workers = JoinSet::new();
    let mut one_shots = JoinSet::new();
    for (n, zk) in clients.iter().enumerate() {
        workers.spawn(Worker::new(n, zk.clone(), rng.u64(..), run.clone()).work());
        let other = (n + 1) % clients.len();
        one_shots.spawn(watching::one_shots(zk.clone(), other, run.clone()));
    }

    let rate = warm_up(&run).await;
    let mut faults = Faults::new(&ensemble, &proxies, rng.fork());
    let started = Instant::now();
    while started.elapsed() < length || !faults.has_done_all() {
        // A worker that is over has failed.
        if let Some(failed) = workers.try_join_next() {
            failed.unwrap();
            panic!("a worker ended");
        }
        faults.next().await;
    }
    let seconds = started.elapsed().as_secs();
    for zk in &clients {
        soon("every client to be connected", zk.connected())
            .await
            .unwrap();
    }

    run.over.store(true, Ordering::Relaxed);
    let mut attempts: Vec<Attempt> = Vec::new();
    while let Some(worker) = workers.join_next().await {
        attempts.extend(worker.unwrap());
    }
    while let Some(watcher) = one_shots.join_next().await {
        watcher.unwrap();
    }
    let admin = unrooted(&ensemble.connect_string()).await;
    let seen = watching::finish(watching, &admin, &run).await;
    admin.close().await.unwrap();
    let lags = observer.stop().lags;
    let recovery = outages.judge(&run, faults.windows(), &lags).await;
    for zk in clients {
        soon("the end of a session", zk.close()).await.unwrap();
    }
    let verdict = Verdict::reach(&ensemble, &attempts, &seen, &run).await;

    let mut fates = BTreeMap::new();
    for attempt in &attempts {
        *fates.entry(attempt.fate.to_string()).or_insert(0) += 1;
    }
    println!(
        "{seconds} s, {rate}/s before the first fault, {} operations succeeded",
        run.done.load(Ordering::Relaxed)
    );
    println!("writes: {fates:?}");
    println!("faults: {:?}", faults.done());
    println!("{recovery}");
    println!(
        "watches: {} events, {} gaps",
        run.events.load(Ordering::Relaxed),
        run.gaps.load(Ordering::Relaxed)
    );
    println!("{verdict}");
    let violations = run.violations();
    println!("violations: {}", violations.len());
    assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
}

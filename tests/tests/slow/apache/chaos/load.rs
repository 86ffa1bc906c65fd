//! The work of all clients, and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use zk_client::Client;
use zk_tests::Ensemble;
use zk_tests::starvation::Observer;

use crate::apache::chaos::outages::{Fault, Outages, Recovery};
use crate::apache::chaos::verdict::Verdict;
use crate::apache::chaos::watching::{self, Watching};
use crate::apache::chaos::workload::{Attempt, Worker};
use crate::apache::chaos::{LEAST_BEFORE, Run, SESSION, unrooted};
use crate::common::{soon, until};

pub struct Load {
    run: Arc<Run>,
    observer: Observer,
    outages: Outages,
    watching: Vec<Watching>,
    clients: Vec<Client>,
    workers: JoinSet<Vec<Attempt>>,
    one_shots: JoinSet<()>,
    /// Operations that succeeded in a second before the first fault.
    rate: u64,
}

impl Load {
    /// Begins, with a client of its own for each lasting watch and each worker, and returns when the
    /// work is under way.
    pub async fn start(
        watchers: Vec<Client>,
        clients: Vec<Client>,
        rng: &mut fastrand::Rng,
        run: &Arc<Run>,
    ) -> Self {
        let observer = Observer::start();
        let mut outages = Outages::default();
        for zk in watchers.iter().chain(&clients) {
            outages.follow(zk, SESSION);
        }
        let mut watching = Vec::new();
        for zk in watchers {
            watching.push(Watching::start(zk, run.clone()).await);
        }
        let mut workers = JoinSet::new();
        let mut one_shots = JoinSet::new();
        for (n, zk) in clients.iter().enumerate() {
            workers.spawn(Worker::new(n, zk.clone(), rng.u64(..), run.clone()).work());
            let other = (n + 1) % clients.len();
            one_shots.spawn(watching::one_shots(zk.clone(), other, run.clone()));
        }
        let rate = warm_up(run).await;
        Load {
            run: run.clone(),
            observer,
            outages,
            watching,
            clients,
            workers,
            one_shots,
            rate,
        }
    }

    /// Judges the sessions of this client as well, which come after those of the watchers and workers.
    pub fn follow(&mut self, zk: &Client, session: Duration) {
        self.outages.follow(zk, session);
    }

    /// Fails if a worker has: none is over yet.
    pub fn check(&mut self) {
        if let Some(failed) = self.workers.try_join_next() {
            failed.unwrap();
            panic!("a worker ended");
        }
    }

    /// Ends the work, when nothing is broken any more, and judges it.
    pub async fn end(mut self, ensemble: &Ensemble, faults: &[Fault]) -> Outcome {
        for zk in &self.clients {
            soon("every client to be connected", zk.connected())
                .await
                .unwrap();
        }
        self.run.over.store(true, Ordering::Relaxed);
        let mut attempts = Vec::new();
        while let Some(worker) = self.workers.join_next().await {
            attempts.extend(worker.unwrap());
        }
        while let Some(watcher) = self.one_shots.join_next().await {
            watcher.unwrap();
        }
        let admin = unrooted(&ensemble.connect_string()).await;
        let seen = watching::finish(self.watching, &admin, &self.run).await;
        admin.close().await.unwrap();
        let lags = self.observer.stop().lags;
        let recovery = self.outages.judge(&self.run, faults, &lags);
        let workers = self.clients.len();
        for zk in self.clients {
            soon("the end of a session", zk.close()).await.unwrap();
        }
        let verdict = Verdict::reach(ensemble, workers, &attempts, &seen, &self.run).await;
        let mut fates = BTreeMap::new();
        for attempt in &attempts {
            *fates.entry(attempt.fate.to_string()).or_insert(0) += 1;
        }
        Outcome {
            rate: self.rate,
            done: self.run.done.load(Ordering::Relaxed),
            fates,
            recovery,
            events: self.run.events.load(Ordering::Relaxed),
            gaps: self.run.gaps.load(Ordering::Relaxed),
            verdict,
        }
    }
}

/// Waits until there was work enough, and returns its rate.
async fn warm_up(run: &Run) -> u64 {
    let started = Instant::now();
    until("the work is under way", || async {
        run.done.load(Ordering::Relaxed) >= LEAST_BEFORE
    })
    .await;
    let milliseconds = u64::try_from(started.elapsed().as_millis()).unwrap();
    run.done.load(Ordering::Relaxed) * 1000 / milliseconds.max(1)
}

/// What became of the work.
pub struct Outcome {
    rate: u64,
    done: u64,
    fates: BTreeMap<String, usize>,
    recovery: Recovery,
    events: u64,
    gaps: u64,
    verdict: Verdict,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}/s before the first fault, {} operations succeeded",
            self.rate, self.done
        )?;
        writeln!(f, "writes: {:?}", self.fates)?;
        writeln!(f, "{}", self.recovery)?;
        writeln!(f, "watches: {} events, {} gaps", self.events, self.gaps)?;
        write!(f, "{}", self.verdict)
    }
}

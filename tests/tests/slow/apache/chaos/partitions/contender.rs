//! Clients that want the same lock, leadership or lease of a semaphore.

use std::sync::Arc;
use std::time::{Duration, Instant};

use zk_client::Client;
use zk_tests::txn_log::{Change, Txn};

use super::HOLDING;
use super::witness::Resource;
use crate::apache::chaos::{ROOT, Run};
use crate::common::contest::{Contest, Held};

/// How often a holder writes with its token.
const WRITES: Duration = Duration::from_millis(500);

pub const LOCK: &str = "lock";
pub const ELECTION: &str = "election";
pub const SEMAPHORE: &str = "semaphore";

/// Makes what contenders work on.
pub async fn prepare(hosts: &str) {
    let zk = crate::apache::chaos::unrooted(hosts).await;
    for name in [LOCK, ELECTION, SEMAPHORE] {
        let path = format!("{ROOT}{}", fence(name));
        zk.ensure_path(&path).await.unwrap();
    }
    zk.close().await.unwrap();
}

/// Where contenders wait, without [`ROOT`].
pub fn queues() -> [String; 4] {
    let names = [LOCK, ELECTION, "semaphore/leases", "semaphore/locks"];
    names.map(|name| format!("/contest/{name}"))
}

/// What is written under it.
fn fence(name: &str) -> String {
    format!("/fence/{name}")
}

pub struct Contender {
    host: u8,
    rng: fastrand::Rng,
    resource: Arc<Resource>,
    contest: Contest,
    run: Arc<Run>,
}

impl Contender {
    pub fn new(host: u8, zk: &Client, resource: &Arc<Resource>, seed: u64, run: &Arc<Run>) -> Self {
        let (name, path) = (resource.name, format!("/contest/{}", resource.name));
        let identifier = format!("host {host}");
        let contest = match name {
            LOCK => Contest::lock(zk, &path, &identifier),
            ELECTION => Contest::election(zk, &path, &identifier),
            _ => Contest::semaphore(zk, &path, resource.capacity, &identifier),
        };
        Contender {
            host,
            rng: fastrand::Rng::with_seed(seed),
            resource: resource.clone(),
            contest,
            run: run.clone(),
        }
    }

    /// Takes it, uses it and lets it go, again and again. One that waits when the work is over waits
    /// until it has it.
    pub async fn contend(mut self) {
        let fence = fence(self.resource.name);
        while !self.run.is_over() {
            let held = match self.contest.acquire().await {
                Ok(held) => Arc::new(held),
                Err(error) => {
                    let name = self.resource.name;
                    let host = self.host;
                    let what = format!("{name} cannot be acquired on host {host}: {error:?}");
                    return self.run.violation(what);
                }
            };
            if self.resource.enter(self.host, &held) {
                self.hold(&held, &fence).await;
                self.resource.leave(&held);
            }
            let held = Arc::into_inner(held).unwrap();
            // Fails in a session that is over, and with it the guard.
            match self.rng.bool() {
                true => drop(held),
                false => drop(held.release().await),
            }
            self.pause(10, 300).await;
        }
    }

    /// Uses it for a while, or until it is lost.
    async fn hold(&mut self, held: &Held, fence: &str) {
        let until = Instant::now() + HOLDING.mul_f64(self.rng.f64() * 3.0);
        let mut written = Instant::now();
        let resource = self.resource.clone();
        let keeps = || Instant::now() < until || resource.is_kept();
        while keeps() && !self.run.is_over() {
            if !resource.work(held) {
                return;
            }
            if written.elapsed() > WRITES {
                written = Instant::now();
                let data = held.token().get().to_string();
                let write = held.fenced().set(fence, data).commit();
                // Sections continue while a server answers nothing.
                let write = tokio::time::timeout(WRITES, write).await;
                if matches!(write, Ok(Ok(_))) {
                    resource.wrote();
                }
            }
            self.pause(2, 20).await;
        }
    }

    async fn pause(&mut self, from: u64, to: u64) {
        tokio::time::sleep(Duration::from_millis(self.rng.u64(from..to))).await;
    }
}

/// What was written under a resource that has one holder: by one after the other, in the order of
/// their tokens.
pub fn judge_fence<'a>(name: &str, txns: impl Iterator<Item = &'a Txn>, run: &Run) {
    let fence = format!("{ROOT}{}", fence(name));
    let mut last = (0, 0);
    for txn in txns {
        for change in &txn.changes {
            let Change::Set { path, data, .. } = change else {
                continue;
            };
            if *path != fence {
                continue;
            }
            let token: i64 = std::str::from_utf8(data).unwrap().parse().unwrap();
            if token < last.0 {
                run.violation(format!(
                    "{name}: the holder of token {token} has written at {:x}, after that of {} at {:x}",
                    txn.zxid, last.0, last.1
                ));
            }
            last = (token, txn.zxid);
        }
    }
}

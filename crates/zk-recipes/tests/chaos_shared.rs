//! Readers and writers, semaphores and elections while the members of an ensemble go and come, and
//! lag, and lose their leader, until sessions expire, and callers go away: nobody is where another is,
//! and nobody waits for ever.

// What the lints let tests do they do not let their helpers do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has failed, which is what it is for"
)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Memory, memory, until};
use tokio::task::JoinSet;
use zk_client::Client;
use zk_recipes::{
    Election, Guard, Layout, ReadLock, Result, Semaphore, SemaphoreLease, Term, Token, WriteLock,
};

const WORKERS: usize = 6;
const SECTIONS: usize = 25;
const PERMITS: usize = 2;

/// Who is where, as those who check their guards see it.
#[derive(Debug, Default)]
struct Place {
    readers: usize,
    writers: usize,
    /// The last who was alone.
    token: Option<Token>,
    sections: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ReadWrite,
    Semaphore,
    Election,
}

/// A guard of any kind.
enum Held {
    Reader(zk_recipes::LockGuard),
    Writer(zk_recipes::WriteGuard),
    Lease(SemaphoreLease),
    Term(Term),
}

impl Held {
    fn guard(&self) -> &Guard {
        match self {
            Held::Reader(guard) => guard,
            Held::Writer(guard) => guard,
            Held::Lease(guard) => guard,
            Held::Term(guard) => guard,
        }
    }
}

struct Worker {
    zk: Client,
    kind: Kind,
    layout: Layout,
    place: Arc<Mutex<Place>>,
    rng: fastrand::Rng,
}

impl Worker {
    async fn acquire(&mut self) -> Result<Held> {
        let (zk, layout) = (&self.zk, self.layout);
        Ok(match self.kind {
            Kind::ReadWrite if self.rng.u8(..) < 100 => {
                let lock = WriteLock::new(zk, "/shared").layout(layout);
                Held::Writer(lock.acquire().await?)
            }
            Kind::ReadWrite => {
                let lock = ReadLock::new(zk, "/shared").layout(layout);
                Held::Reader(lock.acquire().await?)
            }
            Kind::Semaphore => {
                let semaphore = Semaphore::new(zk, "/shared", PERMITS).layout(layout);
                Held::Lease(semaphore.acquire().await?)
            }
            Kind::Election => {
                let election = Election::new(zk, "/shared").layout(layout);
                Held::Term(election.campaign().await?)
            }
        })
    }

    /// Enters and leaves, as far as the guard allows it. What is done between two checks without
    /// waiting is done at one time, for time is virtual.
    /// Whether it has been inside.
    async fn section(&mut self) -> bool {
        let patience = Duration::from_millis(self.rng.u64(1..400));
        // Sometimes its caller goes away.
        let held = match tokio::time::timeout(patience, self.acquire()).await {
            Ok(held) => held.unwrap(),
            Err(_) => return false,
        };
        let alone = !matches!(held, Held::Reader(_) | Held::Lease(_));
        if held.guard().check().is_err() {
            return false;
        }
        self.enter(alone, held.guard());
        let work = Duration::from_millis(self.rng.u64(0..30));
        let lost = held.guard().run(tokio::time::sleep(work)).await;
        self.leave(alone);
        if lost.is_err() {
            return true;
        }
        if let (Held::Writer(writer), true) =
            (held, self.rng.bool() && self.layout != Layout::Kazoo)
        {
            let Ok(reader) = writer.downgrade().await else {
                return true;
            };
            if reader.check().is_ok() {
                self.enter(false, &reader);
                let lost = reader.run(tokio::time::sleep(work)).await;
                self.leave(false);
                if lost.is_ok() {
                    reader.release().await.unwrap();
                }
            }
        }
        true
    }

    fn enter(&self, alone: bool, guard: &Guard) {
        let mut place = self.place.lock().unwrap();
        let permits = if self.kind == Kind::Semaphore {
            PERMITS
        } else {
            usize::MAX
        };
        assert!(place.writers == 0 && place.readers < permits, "{place:?}");
        if alone {
            assert!(place.readers == 0, "{place:?}");
            assert!(place.token < Some(guard.token()), "{place:?}, {guard:?}");
            place.token = Some(guard.token());
            place.writers += 1;
        } else {
            place.readers += 1;
        }
        place.sections += 1;
    }

    fn leave(&self, alone: bool) {
        let mut place = self.place.lock().unwrap();
        let count = if alone {
            &mut place.writers
        } else {
            &mut place.readers
        };
        *count -= 1;
    }
}

async fn havoc(memory: &Memory, rng: &mut fastrand::Rng) {
    let server = &memory.server;
    let member = rng.usize(0..3);
    let pause = |rng: &mut fastrand::Rng, most| Duration::from_millis(rng.u64(0..most));
    match rng.u8(0..4) {
        0 => server.set_lag((member + 1) % 3, rng.bool()),
        1 => {
            server.set_astray(member, true);
            tokio::time::sleep(pause(rng, 6_000)).await;
            server.set_astray(member, false);
        }
        2 => server.change_leader(),
        _ => {
            server.member(member).stop();
            tokio::time::sleep(pause(rng, 15)).await;
            server.member(member).run();
        }
    }
    tokio::time::sleep(pause(rng, 100)).await;
}

async fn run(kind: Kind, layout: Layout, seed: u64) {
    let memory = memory(3).await;
    let place = Arc::new(Mutex::new(Place::default()));
    let mut workers = JoinSet::new();
    for n in 0..WORKERS {
        let mut worker = Worker {
            zk: memory
                .client(&[0, 1, 2], |options| {
                    options
                        .session_timeout(Duration::from_secs(4))
                        .seed(seed * 100 + n as u64)
                })
                .await,
            kind,
            layout,
            place: place.clone(),
            rng: fastrand::Rng::with_seed(seed * 1000 + n as u64),
        };
        workers.spawn(async move {
            let mut done = 0;
            while done < SECTIONS {
                done += usize::from(worker.section().await);
            }
            worker.zk
        });
    }
    let over = AtomicBool::new(false);
    let clients = AtomicUsize::new(0);
    let work = async {
        let mut done = Vec::new();
        while let Some(worker) = workers.join_next().await {
            done.push(worker.unwrap());
            clients.fetch_add(1, Ordering::Relaxed);
        }
        over.store(true, Ordering::Relaxed);
        done
    };
    let disturb = async {
        let mut rng = fastrand::Rng::with_seed(seed);
        while !over.load(Ordering::Relaxed) {
            havoc(&memory, &mut rng).await;
        }
        memory.server.faults().run();
        for member in 0..3 {
            memory.server.set_lag(member, false);
            memory.server.set_astray(member, false);
        }
    };
    let both = async { tokio::join!(work, disturb) };
    let Ok((done, ())) = tokio::time::timeout(Duration::from_secs(600), both).await else {
        panic!(
            "{kind:?} {layout:?}, seed {seed}: stalled with {} through; {:?}",
            clients.load(Ordering::Relaxed),
            memory.server.paths()
        );
    };
    let sections = place.lock().unwrap().sections;
    assert!(
        sections >= SECTIONS,
        "seed {seed}: only {sections} sections"
    );
    // Those of sessions that are no more go with these, the others are being deleted.
    let parents = [
        "/shared",
        "/shared-__lock__",
        "/shared/locks",
        "/shared/leases",
    ];
    until(
        &format!("{kind:?} {layout:?}, seed {seed}: nothing is left"),
        || {
            let left = parents.map(|parent| memory.names(parent)).concat();
            left.iter()
                .all(|name| matches!(&**name, "locks" | "leases"))
        },
    )
    .await;
    until("no watch stays", || {
        let watches = memory.server.watch_counts();
        watches.child + watches.data == 0
    })
    .await;
    drop(done);
}

/// `ZK_CHAOS_SEEDS=n` runs more than the few that are run each time.
async fn seeds(kind: Kind) {
    let seeds = std::env::var("ZK_CHAOS_SEEDS").ok();
    let seeds = seeds.and_then(|n| n.parse().ok()).unwrap_or(12);
    for seed in 0..seeds {
        let layout = match seed % 3 {
            0 => Layout::Default,
            1 => Layout::Kazoo,
            _ => Layout::Curator,
        };
        run(kind, layout, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a70_b93_no_writer_is_with_anybody_and_nobody_waits_for_ever() {
    seeds(Kind::ReadWrite).await;
}

#[tokio::test(start_paused = true)]
async fn a71_b98_no_more_than_may_be_are_in_a_semaphore_and_nobody_waits_for_ever() {
    seeds(Kind::Semaphore).await;
}

#[tokio::test(start_paused = true)]
async fn a66_d6_no_two_lead_at_a_time_and_always_one_in_the_end() {
    seeds(Kind::Election).await;
}

//! Locks, readers and writers, semaphores and elections while the members of an ensemble go and come,
//! and lag, and lose their leader, until sessions expire, and callers go away: nobody is where another
//! is, nobody waits for ever, and nothing is left.

// What the lints let tests do they do not let their helpers do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that panics has failed, which is what it is for"
)]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use common::{Memory, memory, until};
use tokio::task::JoinSet;
use zk_client::Client;
use zk_recipes::{
    Election, Guard, Layout, Lock, LockGuard, ReadLock, Result, Semaphore, SemaphoreLease, Term,
    Token, WriteGuard, WriteLock,
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

/// What happened in all seeds. Without enough of everything they prove little.
#[derive(Debug, Default)]
struct Tally {
    sections: AtomicU64,
    /// Guards that were lost while they were held.
    lost: AtomicU64,
    /// Waits that took too long.
    timed_out: AtomicU64,
    /// Waits that were dropped after so many polls.
    dropped: AtomicU64,
    downgraded: AtomicU64,
    /// Members that lagged, that were cut off from the leader, leaders that changed, members that
    /// were stopped, that stood still, and ensembles that did.
    havoc: [AtomicU64; 7],
}

impl Tally {
    fn count(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn assert_enough(&self, kind: Kind) {
        let common = [&self.sections, &self.lost, &self.timed_out, &self.dropped];
        let downgrades = (kind == Kind::ReadWrite).then_some(&self.downgraded);
        for count in common.into_iter().chain(downgrades).chain(&self.havoc) {
            assert!(count.load(Ordering::Relaxed) > 0, "{kind:?}: {self:?}");
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lock,
    ReadWrite,
    Semaphore,
    Election,
}

/// A guard of any kind.
enum Held {
    Lock(LockGuard),
    Reader(LockGuard),
    Writer(WriteGuard),
    Lease(SemaphoreLease),
    Term(Term),
}

impl Held {
    fn guard(&self) -> &Guard {
        match self {
            Held::Lock(guard) | Held::Reader(guard) => guard,
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
    tally: Arc<Tally>,
    rng: fastrand::Rng,
}

/// Polls a future so often, and then drops it, at whichever await that is.
async fn polled<T>(future: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        polled += 1;
        if polled < polls {
            Poll::Pending
        } else {
            Poll::Ready(None)
        }
    })
    .await
}

impl Worker {
    async fn acquire(&self, writes: bool) -> Result<Held> {
        let (zk, layout) = (&self.zk, self.layout);
        Ok(match self.kind {
            Kind::Lock => {
                let lock = Lock::new(zk, "/shared").layout(layout);
                Held::Lock(lock.acquire().await?)
            }
            Kind::ReadWrite if writes => {
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

    /// What is acquired, unless the caller goes away first: after a while, or at any await.
    async fn try_acquire(&mut self) -> Option<Held> {
        let writes = self.rng.u8(..) < 100;
        if self.rng.u8(0..8) == 0 {
            let polls = self.rng.u32(1..12);
            let held = polled(self.acquire(writes), polls).await;
            if held.is_none() {
                Tally::count(&self.tally.dropped);
            }
            return held.map(|held| held.unwrap());
        }
        // The last is for ever.
        let patience = self
            .rng
            .choice([400, 400, 400, 9_000, 100_000_000])
            .unwrap();
        let patience = Duration::from_millis(self.rng.u64(1..patience));
        match tokio::time::timeout(patience, self.acquire(writes)).await {
            Ok(held) => Some(held.unwrap()),
            Err(_elapsed) => {
                Tally::count(&self.tally.timed_out);
                None
            }
        }
    }

    /// Enters and leaves, as far as the guard allows it. What is done between two checks without
    /// waiting is done at one time, for time is virtual.
    /// Whether it has been inside.
    async fn section(&mut self) -> bool {
        let Some(held) = self.try_acquire().await else {
            return false;
        };
        let alone = !matches!(held, Held::Reader(_) | Held::Lease(_));
        if held.guard().check().is_err() {
            return false;
        }
        self.enter(alone, held.guard());
        // Some stay for as long as a session lasts, so that there is something to be lost.
        let longest = if self.rng.u8(0..20) == 0 { 5_000 } else { 30 };
        let work = Duration::from_millis(self.rng.u64(0..longest));
        let lost = held.guard().run(tokio::time::sleep(work)).await;
        self.leave(alone);
        if lost.is_err() {
            Tally::count(&self.tally.lost);
            return true;
        }
        if let (Held::Writer(writer), true) =
            (held, self.rng.bool() && self.layout != Layout::Kazoo)
        {
            let Ok(reader) = writer.downgrade().await else {
                return true;
            };
            if reader.check().is_ok() {
                Tally::count(&self.tally.downgraded);
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
        Tally::count(&self.tally.sections);
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

async fn havoc(memory: &Memory, rng: &mut fastrand::Rng, tally: &Tally) {
    let server = &memory.server;
    let member = rng.usize(0..3);
    let pause = |rng: &mut fastrand::Rng, most| Duration::from_millis(rng.u64(0..most));
    let kind = rng.usize(0..7);
    tally.havoc.get(kind).into_iter().for_each(Tally::count);
    match kind {
        0 => server.set_lag((member + 1) % 3, rng.bool()),
        1 => {
            server.isolate_from_leader(member);
            tokio::time::sleep(pause(rng, 6_000)).await;
            server.rejoin_leader(member);
        }
        2 => server.change_leader(),
        3 => {
            server.member(member).stop();
            tokio::time::sleep(pause(rng, 15)).await;
            server.member(member).run();
        }
        4 => {
            server.member(member).freeze();
            tokio::time::sleep(pause(rng, 3_000)).await;
            server.member(member).thaw();
        }
        5 => {
            let deposed = server.leader();
            assert!(server.depose_leader(&[]), "a majority follows the next one");
            if rng.bool() {
                server.member(deposed).freeze();
                tokio::time::sleep(pause(rng, 3_000)).await;
                server.member(deposed).thaw();
            }
            tokio::time::sleep(pause(rng, 6_000)).await;
            server.heal();
        }
        // So long that sessions expire.
        _ => {
            server.faults().freeze();
            tokio::time::sleep(pause(rng, 7_000)).await;
            server.faults().thaw();
        }
    }
    tokio::time::sleep(pause(rng, 100)).await;
}

async fn run(kind: Kind, layout: Layout, seed: u64, tally: &Arc<Tally>) {
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
            tally: tally.clone(),
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
            havoc(&memory, &mut rng, tally).await;
        }
        memory.server.faults().run();
        for member in 0..3 {
            memory.server.set_lag(member, false);
            memory.server.rejoin_leader(member);
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

/// `ZK_CHAOS_SEEDS=k` runs more than the few that are run each time, and `ZK_CHAOS_SEED=n` begins
/// with this one. Each has a runtime of its own, so that it does the same when it is alone.
fn seeds(kind: Kind) {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let first = number("ZK_CHAOS_SEED").unwrap_or(0);
    let count = number("ZK_CHAOS_SEEDS").unwrap_or(12);
    let tally = Arc::new(Tally::default());
    for seed in first..first + count {
        let layout = match seed % 3 {
            0 => Layout::Default,
            1 => Layout::Kazoo,
            _ => Layout::Curator,
        };
        // What the recipes draw their pauses from.
        fastrand::seed(seed);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        let run = || runtime.block_on(run(kind, layout, seed, &tally));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            println!("seed {seed}: ZK_CHAOS_SEED={seed} ZK_CHAOS_SEEDS=1");
            resume_unwind(panic);
        }
    }
    println!("{kind:?}, {count} seeds: {tally:?}");
    if count >= 12 {
        tally.assert_enough(kind);
    }
}

#[test]
fn i19_no_two_hold_a_lock_at_a_time_and_nobody_waits_for_ever() {
    seeds(Kind::Lock);
}

#[test]
fn a70_b93_no_writer_is_with_anybody_and_nobody_waits_for_ever() {
    seeds(Kind::ReadWrite);
}

#[test]
fn a71_b98_no_more_than_may_be_are_in_a_semaphore_and_nobody_waits_for_ever() {
    seeds(Kind::Semaphore);
}

#[test]
fn a66_d6_no_two_lead_at_a_time_and_always_one_in_the_end() {
    seeds(Kind::Election);
}

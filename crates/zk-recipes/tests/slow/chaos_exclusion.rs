//! On the embedded ensemble: locks, readers and writers, semaphores and elections while members stop,
//! restart, lag and lose their leader, sessions expire, and callers drop their waits. Holders exclude
//! each other, every wait ends, and no znode or watch is left.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use super::common::{Memory, memory, until};
use tokio::task::JoinSet;
use zk_client::Client;
use zk_recipes::{
    Election, Guard, Layout, Lock, LockGuard, ReadLock, Result, Semaphore, SemaphoreLease, Term,
    Token, WriteGuard, WriteLock,
};

const WORKERS: usize = 6;
const SECTIONS: usize = 25;
const LEASES: usize = 2;

/// The workers inside a section, counted by workers with a valid guard.
#[derive(Debug, Default)]
struct Place {
    readers: usize,
    writers: usize,
    /// The token of the last exclusive holder.
    token: Option<Token>,
    sections: usize,
}

/// Counts over all seeds. A run without some of these events proves little.
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
    /// Lagging members, members cut off from the leader, changed leaders, stopped members, frozen
    /// members, deposed leaders, and frozen ensembles.
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
            Held::Lock(guard) | Held::Reader(guard) => guard.as_ref(),
            Held::Writer(guard) => guard.as_ref(),
            Held::Lease(guard) => guard.as_ref(),
            Held::Term(guard) => guard.as_ref(),
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

/// Polls a future this many times, and then drops it, at whichever await that is.
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
                let semaphore = Semaphore::new(zk, "/shared", LEASES).layout(layout);
                Held::Lease(semaphore.acquire().await?)
            }
            Kind::Election => {
                let election = Election::new(zk, "/shared").layout(layout);
                Held::Term(election.campaign().await?)
            }
        })
    }

    /// Acquires, unless the wait is dropped first: after a while, or at any await.
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
        // The last one is practically without a limit.
        let limit = self
            .rng
            .choice([400, 400, 400, 9_000, 100_000_000])
            .unwrap();
        let limit = Duration::from_millis(self.rng.u64(1..limit));
        match tokio::time::timeout(limit, self.acquire(writes)).await {
            Ok(held) => Some(held.unwrap()),
            Err(_elapsed) => {
                Tally::count(&self.tally.timed_out);
                None
            }
        }
    }

    /// Enters and leaves a section if the guard allows it; returns whether it entered. Steps between two
    /// checks without an await happen at the same time, since time is virtual.
    async fn section(&mut self) -> bool {
        let Some(held) = self.try_acquire().await else {
            return false;
        };
        let alone = !matches!(held, Held::Reader(_) | Held::Lease(_));
        if held.guard().check().is_err() {
            return false;
        }
        self.enter(alone, held.guard());
        // Some stay for the length of a session, so that guards are lost.
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
                self.enter(false, reader.as_ref());
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
        let limit = if self.kind == Kind::Semaphore {
            LEASES
        } else {
            usize::MAX
        };
        assert!(place.writers == 0 && place.readers < limit, "{place:?}");
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
        // Long enough for sessions to expire.
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
    // The znodes of ended sessions are deleted with these, the others by their clients.
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

/// `ZK_CHAOS_SEEDS=k` runs more seeds than the default, and `ZK_CHAOS_SEED=n` begins with this one.
/// Each seed has a runtime of its own, so that it does the same when it runs alone.
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
        // The recipes draw their delays from this generator.
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

/// Guards: A63, I19.
#[test]
fn locks_exclude_and_every_wait_ends() {
    seeds(Kind::Lock);
}

/// Guards: A70, B93.
#[test]
fn writers_exclude_and_every_wait_ends() {
    seeds(Kind::ReadWrite);
}

/// Guards: A71, B98.
#[test]
fn semaphores_limit_and_every_wait_ends() {
    seeds(Kind::Semaphore);
}

/// Guards: A66, D6.
#[test]
fn elections_have_one_leader_at_a_time() {
    seeds(Kind::Election);
}

//! Locks, semaphores, elections and znodes on an ensemble that loses connections, sessions and
//! leaders: what was seen of them has an explanation, by the checker's account.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed expectation is a failed test"
)]

mod ensemble;
mod holding;
mod written;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ensemble::{Workers, client, clients, ensemble, line_becomes_empty, under_havoc};
use fastrand::Rng;
use holding::{Held, Record, Tally, rounds};
use tokio::runtime::Builder;
use written::{UNKNOWN_MAX, Written};
use zk_client::{Client, ErrorKind, Outcome};
use zk_recipes::{Election, Lock, LockGuard, ReadLock, Semaphore, WriteLock};
use zk_tests::lincheck::models::{
    Hold, Mutex, Register, RegisterInput, RegisterOutput, RwHold, RwLock, Semaphore as Permits,
};
use zk_tests::lincheck::{Operation, assert_linearizable};

/// The operation in a model that does not distinguish holders.
const HOLD: (Hold, fn(i64) -> Hold) = (Hold::Acquire, Hold::Release);
const PERMITS: usize = 2;

/// `ZK_CHAOS_SEEDS=k` runs so many, and `ZK_CHAOS_SEED=n` begins with this one.
fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse().ok());
    let first = number("ZK_CHAOS_SEED").unwrap_or(0);
    first..first + number("ZK_CHAOS_SEEDS").unwrap_or(100)
}

/// Runs every seed, each on a runtime of its own, so that it does the same when it is alone.
fn each_seed(run: impl AsyncFn(u64)) {
    for seed in seeds() {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| one_seed(seed, &run))) {
            println!("seed {seed}: ZK_CHAOS_SEED={seed} ZK_CHAOS_SEEDS=1");
            resume_unwind(panic);
        }
    }
}

fn one_seed(seed: u64, run: impl AsyncFn(u64)) {
    // What the recipes draw their pauses from.
    fastrand::seed(seed);
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run(seed));
}

/// Every worker does this under havoc, with a client and a random source of its own.
async fn all<W: Future<Output = ()> + 'static>(
    what: &str,
    seed: u64,
    work: impl Fn(Client, Rng) -> W,
    lines: &[&str],
) {
    let server = ensemble().await;
    let admin = client(&server, seed).await.client;
    admin.create("/written", "0").await.unwrap();
    let clients = clients(&server, seed).await;
    let mut workers = Workers::default();
    for (n, zk) in (0..).zip(&clients) {
        workers.spawn(work(zk.client.clone(), Rng::with_seed(seed * 100 + n)));
    }
    under_havoc(what, &server, seed, clients, workers).await;
    for line in lines {
        line_becomes_empty(&server, line).await;
    }
}

/// One holder at a time with ever greater tokens, and what holders write is read in
/// that order.
/// Guards: I19, L1, L4.
#[test]
fn locks_have_one_holder_at_a_time() {
    let tally = Arc::new(Tally::default());
    each_seed(async |seed| drop(locks(seed, &tally).await));
    tally.assert_enough("locks");
}

async fn locks(seed: u64, tally: &Arc<Tally>) -> Vec<Operation<Hold, i64>> {
    let (record, written) = (Record::new(tally), Written::default());
    let work = |zk: Client, mut rng: Rng| {
        let (record, written) = (record.clone(), written.clone());
        async move {
            let lock = Lock::new(&zk, "/lock");
            let work = async |held: &LockGuard| {
                written.write(held.as_ref()).await;
                written.read(&zk).await;
            };
            let acquire = async || lock.acquire().await;
            record.take_turns(&mut rng, HOLD, acquire, work).await;
        }
    };
    all("lock", seed, work, &["/lock"]).await;
    record.assert_is(&Mutex, &format!("lock, seed {seed}"));
    let history = written.recorder.history();
    let what = format!("what holders wrote, seed {seed}");
    assert_linearizable(&Register, &history, &what);
    record.recorder.history()
}

/// A seed that fails can be looked at.
#[test]
fn a_seed_replays() {
    let tally = Arc::new(Tally::default());
    for seed in 0..5 {
        let mut histories = Vec::new();
        for _ in 0..2 {
            let history = std::cell::Cell::new(Vec::new());
            one_seed(seed, async |seed| history.set(locks(seed, &tally).await));
            histories.push(history.into_inner());
        }
        assert_eq!(histories[0], histories[1], "seed {seed}");
    }
}

/// Terms do not overlap.
/// Guards: I20, L5.
#[test]
fn terms_do_not_overlap() {
    let tally = Arc::new(Tally::default());
    each_seed(async |seed| {
        let record = Record::new(&tally);
        let work = |zk: Client, mut rng: Rng| {
            let record = record.clone();
            async move {
                let election = Election::new(&zk, "/election");
                let campaign = async || election.campaign().await;
                record.take_turns(&mut rng, HOLD, campaign, lead).await;
            }
        };
        all("election", seed, work, &["/election"]).await;
        record.assert_is(&Mutex, &format!("election, seed {seed}"));
    });
    tally.assert_enough("terms");
}

async fn lead(_: &impl Held) {
    tokio::task::yield_now().await;
}

/// Guards: L7.
#[test]
fn semaphore_holders_stay_within_the_limit() {
    let tally = Arc::new(Tally::default());
    each_seed(async |seed| {
        let record = Record::new(&tally);
        let work = |zk: Client, mut rng: Rng| {
            let record = record.clone();
            async move {
                let semaphore = Semaphore::new(&zk, "/semaphore", PERMITS);
                let acquire = async || semaphore.acquire().await;
                record.take_turns(&mut rng, HOLD, acquire, lead).await;
            }
        };
        let lines = ["/semaphore/locks", "/semaphore/leases"];
        all("semaphore", seed, work, &lines).await;
        record.assert_is(&Permits(PERMITS), &format!("semaphore, seed {seed}"));
    });
    tally.assert_enough("semaphores");
}

/// Many readers or one writer, and a writer becomes a reader with no other writer in between.
/// Guards: B93, L8.
#[test]
fn readers_writers_and_downgrades() {
    let tally = Arc::new(Tally::default());
    let downgrades = std::cell::Cell::new(0);
    each_seed(async |seed| {
        let record = Record::new(&tally);
        let work = |zk: Client, mut rng: Rng| {
            let record = record.clone();
            async move { read_and_write(&zk, &mut rng, &record).await }
        };
        all("readers and writers", seed, work, &["/rw"]).await;
        record.assert_is(&RwLock, &format!("readers and writers, seed {seed}"));
        let history = record.recorder.history();
        let downgraded = history
            .iter()
            .filter(|op| matches!(op.input, RwHold::Downgrade(_)) && op.returned.is_some());
        downgrades.set(downgrades.get() + downgraded.count());
    });
    tally.assert_enough("readers and writers");
    println!("{} downgrades", downgrades.get());
    assert!(downgrades.get() > 0, "no writer became a reader");
}

async fn read_and_write(zk: &Client, rng: &mut Rng, record: &Record<RwHold>) {
    const READ: (RwHold, fn(i64) -> RwHold) = (RwHold::Read, RwHold::Release);
    const WRITE: (RwHold, fn(i64) -> RwHold) = (RwHold::Write, RwHold::Release);
    let (readers, writers) = (ReadLock::new(zk, "/rw"), WriteLock::new(zk, "/rw"));
    for _ in rounds() {
        if rng.bool() {
            if let Some((reader, open)) = record.take(rng, READ, readers.acquire()).await {
                let release = RwHold::Release(reader.token().get());
                let open = record.hold(rng, &reader, release, open, lead).await;
                record.let_go(rng, reader, open).await;
            }
            continue;
        }
        let Some((writer, open)) = record.take(rng, WRITE, writers.acquire()).await else {
            continue;
        };
        let token = writer.token().get();
        let release = RwHold::Release(token);
        let open = record.hold(rng, &writer, release, open, lead).await;
        if rng.bool() {
            record.let_go(rng, writer, open).await;
            continue;
        }
        let called = record.recorder.call(RwHold::Downgrade(token));
        match writer.downgrade().await {
            Ok(reader) => {
                called.returned(reader.token().get());
                let open = record.hold(rng, &reader, release, open, lead).await;
                record.let_go(rng, reader, open).await;
            }
            // It has been a reader for a while, or not, and is released in the background.
            Err(_lost) => called.is_unknown(),
        }
    }
}

/// Versioned writes and linearizable reads of a znode by every worker.
/// Guards: L1.
#[test]
fn versioned_znode_is_a_register() {
    each_seed(async |seed| {
        let server = ensemble().await;
        let admin = client(&server, seed).await.client;
        admin.create("/written", "0").await.unwrap();
        let written = Written::default();
        let mut workers = Workers::default();
        let clients = clients(&server, seed).await;
        for zk in &clients {
            let zk = zk.client.clone();
            let written = written.clone();
            workers.spawn(async move {
                for _ in 0..15 {
                    let Some(version) = written.read(&zk).await else {
                        continue;
                    };
                    if written.unknown.load(Ordering::Relaxed) >= UNKNOWN_MAX {
                        continue;
                    }
                    let value = written.next.fetch_add(1, Ordering::Relaxed) + 1;
                    let input = RegisterInput::Write(value, Some(version));
                    let called = written.recorder.call(input);
                    let set = zk.set("/written", value.to_string());
                    match set.version(version).await {
                        Ok(stat) => called.returned(RegisterOutput::Written(stat.version)),
                        Err(error) if error.kind() == ErrorKind::BadVersion => {
                            called.returned(RegisterOutput::BadVersion);
                        }
                        Err(error) if error.outcome() == Outcome::Unknown => {
                            written.unknown.fetch_add(1, Ordering::Relaxed);
                            called.is_unknown();
                        }
                        Err(_without_effect) => called.is_void(),
                    }
                }
            });
        }
        under_havoc("register", &server, seed, clients, workers).await;
        let history = written.recorder.history();
        let wrote = |output: &RegisterOutput| matches!(output, RegisterOutput::Written(_));
        let answers = history
            .iter()
            .filter_map(|operation| operation.returned.as_ref());
        let writes = answers.filter(|(_, output)| wrote(output)).count();
        assert!(writes > 5, "seed {seed}: {writes} writes");
        assert_linearizable(&Register, &history, &format!("register, seed {seed}"));
    });
}

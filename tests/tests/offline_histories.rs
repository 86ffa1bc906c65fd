//! Locks, elections and znodes on an ensemble that loses connections, sessions and leaders: what
//! was seen of them has an explanation, by the checker's account.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};
use zk_client::{
    BackoffPolicy, Client, Dial, DialError, Dialing, ErrorKind, HostPort, Outcome, Stream,
};
use zk_embedded::Server;
use zk_recipes::{Election, Error, Guard, Lock, LockGuard, Term};
use zk_tests::lincheck::models::{Hold, Mutex, Register, RegisterInput, RegisterOutput};
use zk_tests::lincheck::{Model, Recorder, assert_linearizable};

const WORKERS: u64 = 6;
const ROUNDS: usize = 10;
const SESSION: Duration = Duration::from_secs(4);
/// By a clock that passes over the time in which nothing happens.
const PATIENCE: Duration = Duration::from_secs(3600);

async fn ensemble() -> Arc<Server> {
    let builder = Server::builder().members(3).in_memory();
    Arc::new(builder.start().await.unwrap())
}

/// Connects inside the process, unless it is cut off; the port is the member's number, from 1.
#[derive(Debug)]
struct InMemory(Arc<Server>, Arc<AtomicBool>);

impl Dial for InMemory {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        let member = usize::from(host.port) - 1;
        let stream = match self.1.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => self.0.connect_in_memory_to(member),
        };
        Box::pin(async move { Ok(Box::new(stream.map_err(DialError::Other)?) as Box<dyn Stream>) })
    }
}

/// A client, and whether it is cut off from the ensemble.
#[derive(Clone)]
struct Cut {
    client: Client,
    off: Arc<AtomicBool>,
}

async fn client(server: &Arc<Server>, seed: u64) -> Cut {
    let impatient = BackoffPolicy {
        initial: Duration::from_millis(20),
        max: Duration::from_millis(200),
    };
    let off = Arc::new(AtomicBool::new(false));
    let client = Client::builder("member:1,member:2,member:3")
        .dial(InMemory(server.clone(), off.clone()))
        .connect_timeout(PATIENCE)
        .session_timeout(SESSION)
        .backoff(impatient)
        .seed(seed)
        .connect()
        .await
        .unwrap();
    Cut { client, off }
}

/// A client for each worker.
async fn clients(server: &Arc<Server>, seed: u64) -> Vec<Cut> {
    let mut clients = Vec::new();
    for n in 0..WORKERS {
        clients.push(client(server, seed * 100 + n).await);
    }
    clients
}

/// Breaks this and that until the workers are done.
async fn havoc(server: &Server, clients: &[Cut], rng: &mut Rng, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let member = rng.usize(0..3);
        match rng.u8(0..13) {
            0 | 1 => {
                // So long that leases may run out.
                server.faults().freeze();
                sleep(Duration::from_millis(rng.u64(2000..7000))).await;
                server.faults().thaw();
            }
            2 => server.change_leader(),
            3 | 4 => {
                server.member(member).stop();
                sleep(Duration::from_millis(rng.u64(0..300))).await;
                server.member(member).run();
            }
            5 | 6 => {
                server.member(member).freeze();
                sleep(Duration::from_millis(rng.u64(0..3000))).await;
                server.member(member).thaw();
            }
            7 | 8 => server.set_lag(member, rng.bool()),
            9 | 10 => {
                let session = rng.choice(clients).unwrap().client.session();
                server.faults().disconnect(session.id);
            }
            _ => {
                // Its time runs out while the others go on. A session that was ended before its
                // time would be no lease, and prove nothing.
                let Cut { client, off } = rng.choice(clients).unwrap().clone();
                if !off.swap(true, Ordering::Relaxed) {
                    server.faults().half_open(client.session().id);
                    let time = Duration::from_millis(rng.u64(0..9000));
                    tokio::spawn(async move {
                        sleep(time).await;
                        off.store(false, Ordering::Relaxed);
                    });
                }
            }
        }
        sleep(Duration::from_millis(rng.u64(0..400))).await;
    }
    for member in 0..3 {
        server.set_lag(member, false);
    }
}

/// Those who are at it, all on one thread; their clients are not.
#[derive(Default)]
struct Workers {
    local: LocalSet,
    set: JoinSet<()>,
}

impl Workers {
    fn spawn(&mut self, worker: impl Future<Output = ()> + 'static) {
        self.set.spawn_local_on(worker, &self.local);
    }
}

/// Runs workers while there is havoc.
async fn under_havoc(what: &str, server: &Server, seed: u64, clients: Vec<Cut>, workers: Workers) {
    let Workers {
        local,
        set: mut workers,
    } = workers;
    let over = AtomicBool::new(false);
    let work = async {
        while let Some(worker) = workers.join_next().await {
            worker.unwrap();
        }
        over.store(true, Ordering::Relaxed);
    };
    let mut rng = Rng::with_seed(seed);
    let both = async { tokio::join!(work, havoc(server, &clients, &mut rng, &over)) };
    if timeout(PATIENCE, local.run_until(both)).await.is_err() {
        panic!("{what}, seed {seed}: stalled: {:?}", server.paths());
    }
}

/// Something that is held with a token until it is lost.
trait Held {
    fn token(&self) -> i64;
    fn is_held(&self) -> bool;
    async fn release(self) -> zk_recipes::Result<()>;
}

impl Held for LockGuard {
    fn token(&self) -> i64 {
        Guard::token(self).get()
    }

    fn is_held(&self) -> bool {
        self.check().is_ok()
    }

    async fn release(self) -> zk_recipes::Result<()> {
        LockGuard::release(self).await
    }
}

impl Held for Term {
    fn token(&self) -> i64 {
        Guard::token(self).get()
    }

    fn is_held(&self) -> bool {
        self.check().is_ok()
    }

    async fn release(self) -> zk_recipes::Result<()> {
        self.resign().await
    }
}

/// Who held what when, and how often somebody lost it.
struct Record<I> {
    recorder: Recorder<I, i64>,
    losses: Arc<AtomicU64>,
}

impl<I> Default for Record<I> {
    fn default() -> Self {
        Record {
            recorder: Recorder::default(),
            losses: Arc::default(),
        }
    }
}

impl<I> Clone for Record<I> {
    fn clone(&self) -> Self {
        Record {
            recorder: self.recorder.clone(),
            losses: self.losses.clone(),
        }
    }
}

impl<I: Copy + PartialEq + std::fmt::Debug> Record<I> {
    /// Asserts that the history is one of the model, and says how often something was lost.
    fn assert_is<M: Model<Input = I, Output = i64>>(&self, model: &M, what: &str) -> u64 {
        let history = self.recorder.history();
        let returned = history
            .iter()
            .filter(|operation| operation.returned.is_some());
        let count = returned.count();
        assert!(count > 30, "{what}: {count} operations returned");
        assert_linearizable(model, &history, what);
        self.losses.load(Ordering::Relaxed)
    }
}

/// Takes and gives back, over and over, and records it. `take` and `release` are what that is to the
/// model.
///
/// When something is lost is not known, only when it was still held: so giving it back is recorded
/// as called right before a check that says so, and each later check moves that forward.
async fn take_turns<H: Held, I: Copy + PartialEq + std::fmt::Debug>(
    rng: &mut Rng,
    record: &Record<I>,
    (take, release): (I, fn(i64) -> I),
    acquire: impl AsyncFn() -> zk_recipes::Result<H>,
    work: impl AsyncFn(&H),
) {
    for _ in 0..ROUNDS {
        let Record { recorder, losses } = record;
        let called = recorder.call(take);
        // Some give up, at any point of their way.
        let patience = match rng.u8(0..4) {
            0 => Duration::from_millis(rng.u64(1..2000)),
            _ => PATIENCE,
        };
        let held = match timeout(patience, acquire()).await {
            Ok(held) => held.unwrap(),
            Err(_given_up) => {
                called.is_void();
                continue;
            }
        };
        let release = release(held.token());
        let mut lost = recorder.call(release);
        called.returned(held.token());
        // Some hold it for as long as a lease, so that there is something to be lost.
        let (checks, pause) = match rng.u8(0..8) {
            0 => (30, Duration::from_millis(300)),
            _ => (rng.u8(1..4), Duration::ZERO),
        };
        for check in 0..checks {
            let later = recorder.call(release);
            if !held.is_held() {
                later.is_void();
                losses.fetch_add(1, Ordering::Relaxed);
                break;
            }
            std::mem::replace(&mut lost, later).is_void();
            // Once: a longer history is a much longer search.
            if check == 0 {
                work(&held).await;
            }
            sleep(pause).await;
        }
        match rng.u8(0..4) {
            // Lets go in the background, at a time that nobody tells.
            0 => drop(held),
            _ => {
                let was_held = held.is_held();
                held.release().await.unwrap();
                if was_held {
                    lost.returned(0);
                }
            }
        }
    }
}

/// What it is to a model of holders who are all alike.
const HOLD: (Hold, fn(i64) -> Hold) = (Hold::Acquire, Hold::Release);

fn seeds() -> std::ops::Range<u64> {
    let seeds = std::env::var("ZK_CHAOS_SEEDS").ok();
    0..seeds.and_then(|n| n.parse().ok()).unwrap_or(100)
}

/// What holders write with their guard's transaction, and what others read.
#[derive(Clone, Default)]
struct Written {
    recorder: Recorder<RegisterInput, RegisterOutput>,
    next: Arc<AtomicU64>,
    unknown: Arc<AtomicU64>,
}

/// Each write of unknown outcome doubles the search.
const UNKNOWN_MAX: u64 = 4;

impl Written {
    async fn write(&self, guard: &Guard) {
        if self.unknown.load(Ordering::Relaxed) >= UNKNOWN_MAX {
            return;
        }
        let value = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let called = self.recorder.call(RegisterInput::Write(value, None));
        let write = guard.fenced().set("/written", value.to_string());
        match write.commit().await {
            Ok(results) => {
                let Some(zk_client::OpResult::Set(stat)) = results.first() else {
                    panic!("{results:?}");
                };
                called.returned(RegisterOutput::Written(stat.version));
            }
            Err(Error::Client(error)) if error.outcome() == Outcome::Unknown => {
                self.unknown.fetch_add(1, Ordering::Relaxed);
                called.is_unknown();
            }
            Err(_without_effect) => called.is_void(),
        }
    }

    /// The version, if it could be read.
    async fn read(&self, zk: &Client) -> Option<i32> {
        let called = self.recorder.call(RegisterInput::Read);
        match zk.get("/written").linearizable().await {
            Ok((data, stat)) => {
                let value = std::str::from_utf8(&data).unwrap().parse().unwrap();
                called.returned(RegisterOutput::Value(value, stat.version));
                Some(stat.version)
            }
            Err(error) => {
                let passes = error.outcome() != Outcome::Rejected
                    || matches!(error.kind(), ErrorKind::SessionExpired);
                assert!(passes, "{error}");
                called.is_void();
                None
            }
        }
    }
}

/// I19, L1, L4: one holder at a time with ever greater tokens, and what holders write is read in
/// that order.
#[tokio::test(start_paused = true)]
async fn locks_have_one_holder_at_a_time_and_what_they_write_is_read() {
    let mut losses = 0;
    for seed in seeds() {
        let server = ensemble().await;
        let admin = client(&server, seed).await.client;
        admin.create("/written", "0").await.unwrap();
        let (record, written) = (Record::default(), Written::default());
        let mut workers = Workers::default();
        let clients = clients(&server, seed).await;
        for (n, zk) in (0..).zip(&clients) {
            let zk = zk.client.clone();
            let (record, written) = (record.clone(), written.clone());
            workers.spawn(async move {
                let mut rng = Rng::with_seed(seed * 100 + n);
                let lock = Lock::new(&zk, "/lock");
                let work = async |held: &LockGuard| {
                    written.write(held).await;
                    written.read(&zk).await;
                };
                take_turns(&mut rng, &record, HOLD, async || lock.acquire().await, work).await;
            });
        }
        under_havoc("lock", &server, seed, clients, workers).await;
        losses += record.assert_is(&Mutex, &format!("lock, seed {seed}"));
        let history = written.recorder.history();
        assert_linearizable(
            &Register,
            &history,
            &format!("what holders wrote, seed {seed}"),
        );
        line_becomes_empty(&server, "/lock").await;
    }
    assert!(losses > 0, "nobody lost anything: it proves little");
}

/// I20, L5: terms do not overlap.
#[tokio::test(start_paused = true)]
async fn terms_do_not_overlap() {
    let mut losses = 0;
    for seed in seeds() {
        let server = ensemble().await;
        let record = Record::default();
        let mut workers = Workers::default();
        let clients = clients(&server, seed).await;
        for (n, zk) in (0..).zip(&clients) {
            let zk = zk.client.clone();
            let record = record.clone();
            workers.spawn(async move {
                let mut rng = Rng::with_seed(seed * 100 + n);
                let election = Election::new(&zk, "/election");
                let lead = async |_: &Term| tokio::task::yield_now().await;
                take_turns(
                    &mut rng,
                    &record,
                    HOLD,
                    async || election.campaign().await,
                    lead,
                )
                .await;
            });
        }
        under_havoc("election", &server, seed, clients, workers).await;
        losses += record.assert_is(&Mutex, &format!("election, seed {seed}"));
        line_becomes_empty(&server, "/election").await;
    }
    assert!(losses > 0, "nobody lost anything: it proves little");
}

/// L1: versioned writes and linearizable reads of a znode by anybody.
#[tokio::test(start_paused = true)]
async fn a_znode_with_versioned_writes_is_a_register() {
    for seed in seeds() {
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
    }
}

/// Nothing is left of anybody who let go, gave up or lost a session.
async fn line_becomes_empty(server: &Server, path: &str) {
    let below = format!("{path}/");
    let empties = async {
        while server.paths().iter().any(|path| path.starts_with(&below)) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(PATIENCE, empties).await.is_err() {
        panic!("orphans: {:?}", server.paths());
    }
}

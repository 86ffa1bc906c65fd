//! Locks and leaderships: which client gets them, and what is written under them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use zk_recipes::{Election, Error, Lock};

use super::history::{Grant, Kept, Kind, Outcome};
use super::workload::{cancelled, failed};
use super::world::{Held, Holders, Incarnation, World};

/// A lock of each seat's own.
const OWN: [&str; 6] = [
    "/locks/own0",
    "/locks/own1",
    "/locks/own2",
    "/locks/own3",
    "/locks/own4",
    "/locks/own5",
];

/// How a contender spends its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habits {
    /// Gives up, cancels, and holds for a short while, in which it writes.
    Busy,
    /// Waits for a guard as long as it takes, and holds it idly for long, or until it is lost.
    Patient,
    /// As `Patient`, and no guard is to be lost, by this invariant.
    Faithful(&'static str),
}

/// The locks, and what is written under each.
const LOCKS: [(&str, &str); 2] = [("/locks/a", "/fence-a"), ("/election", "/fence-e")];

/// A contender for locks.
pub(crate) struct Contender {
    pub(crate) world: Arc<World>,
    pub(crate) seat: usize,
    pub(crate) rng: fastrand::Rng,
    pub(crate) habits: Habits,
}

impl Contender {
    /// Takes a lock, uses it and lets it go, until `end`.
    pub(crate) async fn run(mut self, end: Instant) {
        while Instant::now() < end {
            if self.habits != Habits::Busy {
                self.be_patient(end).await;
                continue;
            }
            let incarnation = self.world.client(self.seat);
            let (lock, fence) = LOCKS[self.rng.usize(0..LOCKS.len())];
            if let Some((token, held)) = self.acquire(&incarnation, lock).await {
                self.hold(&incarnation, &held, token, fence).await;
                self.let_go(token, held).await;
            }
            sleep(Duration::from_millis(self.rng.u64(0..1_000))).await;
        }
    }

    /// Does nothing for a while, takes a lock, does nothing for a while, and lets it go.
    async fn be_patient(&mut self, end: Instant) {
        let timeout = self.world.settings.session_timeout;
        sleep(timeout.mul_f64(self.rng.f64() * 1.3)).await;
        let incarnation = self.world.client(self.seat);
        let own = OWN[self.seat % OWN.len()];
        let (shared, _) = LOCKS[self.rng.usize(0..LOCKS.len())];
        let alone = self.habits != Habits::Patient && self.rng.bool();
        let lock = if alone { own } else { shared };
        let Some((token, held)) = self.acquire(&incarnation, lock).await else {
            return;
        };
        let most = if self.habits == Habits::Patient {
            4.0
        } else {
            2.5
        };
        let lasts = timeout.mul_f64(self.rng.f64() * most);
        let until = (Instant::now() + lasts).min(end + timeout);
        let mut lost = None;
        while Instant::now() < until && lost.is_none() {
            sleep(timeout / 50).await;
            lost = held.guard().check().err();
        }
        if let Habits::Faithful(invariant) = self.habits {
            self.world.recorder.fault("X30 idle holder");
            let kept = Kept {
                invariant,
                client: incarnation.id,
                at: self.world.recorder.now(),
                lost: lost.map(|lost| format!("the guard of {lock}: {lost:?}")),
            };
            self.world.recorder.with(|history| history.kept.push(kept));
        }
        self.let_go(token, held).await;
    }

    async fn acquire(
        &mut self,
        incarnation: &Arc<Incarnation>,
        path: &'static str,
    ) -> Option<(i64, Arc<Held>)> {
        let world = self.world.clone();
        let client = incarnation.client.clone();
        let kind = if path == "/election" {
            Kind::Lead
        } else {
            Kind::Lock
        };
        let id = world.begin(incarnation, kind, path);
        let patient = self.habits != Habits::Busy;
        let only_try = kind == Kind::Lock && !patient && self.rng.u32(0..5) == 0;
        let identifier = format!("client {}", incarnation.id);
        let wanted = async move {
            if kind == Kind::Lead {
                let election = Election::new(&client, path).identifier(identifier);
                return election.campaign().await.map(|term| Some(Held::Term(term)));
            }
            let lock = Lock::new(&client, path).identifier(identifier);
            if only_try {
                let guard = lock.try_acquire().await?;
                return Ok(guard.map(Held::Lock));
            }
            lock.acquire().await.map(|guard| Some(Held::Lock(guard)))
        };
        type Wanted = Pin<Box<dyn Future<Output = Result<Option<Held>, Error>> + Send>>;
        let wanted: Wanted = Box::pin(wanted);
        let answer = match self.rng.u32(0..6) {
            _ if patient => Some(wanted.await),
            0 => cancelled(wanted, self.rng.u32(1..8)).await,
            1..4 => {
                let time_limit = Duration::from_millis(self.rng.u64(0..10_000));
                tokio::time::timeout(time_limit, wanted).await.ok()
            }
            _ => Some(wanted.await),
        };
        let (outcome, error, held) = match answer {
            None => {
                world.recorder.fault("X19 cancelled");
                (Outcome::Cancelled, String::new(), None)
            }
            Some(Ok(None)) => (Outcome::NotSent, "taken".to_owned(), None),
            Some(Ok(Some(held))) => (Outcome::Done, String::new(), Some(held)),
            Some(Err(Error::Client(error))) => {
                let (outcome, error) = failed(&error);
                (outcome, error, None)
            }
            Some(Err(error)) => (Outcome::Unknown, error.to_string(), None),
        };
        let granted = held.map(|held| self.granted(incarnation, path, held));
        world.end(incarnation, id, outcome, error);
        granted
    }

    /// Notes a guard, and which others are valid at this moment.
    fn granted(
        &self,
        incarnation: &Incarnation,
        lock: &'static str,
        held: Held,
    ) -> (i64, Arc<Held>) {
        let token = held.guard().token().get();
        let trusted = held.guard().check().is_ok();
        let held = Arc::new(held);
        let mut holders = self.world.holders.lock().unwrap();
        let others = holders
            .iter()
            .filter(|(name, _, other)| *name == lock && other.guard().check().is_ok())
            .map(|(_, token, _)| *token)
            .collect();
        holders.push((lock, token, held.clone()));
        let at = self.world.recorder.now();
        let grant = Grant {
            at,
            lock,
            client: incarnation.id,
            token,
            trusted,
            others,
        };
        self.world.recorder.note(format_args!("{grant:?}"));
        self.world
            .recorder
            .with(|history| history.grants.push(grant));
        (token, held)
    }

    async fn hold(&mut self, incarnation: &Incarnation, held: &Held, token: i64, fence: &str) {
        let world = self.world.clone();
        let guard = held.guard();
        for _ in 0..self.rng.usize(0..4) {
            sleep(Duration::from_millis(self.rng.u64(0..800))).await;
            let id = world.begin(incarnation, Kind::Fenced, fence);
            let write = guard.fenced().set(fence, format!("{id}:{token}")).commit();
            let (outcome, error) = match write.await {
                Ok(results) => {
                    let zxid = results.iter().find_map(|result| match result {
                        zk_client::OpResult::Set(stat) => Some(stat.mzxid.0),
                        _ => None,
                    });
                    (Outcome::Written { zxid, path: None }, String::new())
                }
                Err(Error::Client(error)) => failed(&error),
                // Nothing has been written then.
                Err(error) => (Outcome::NotSent, error.to_string()),
            };
            world.end(incarnation, id, outcome, error);
        }
        if self.rng.u32(0..4) == 0 {
            let time_limit = Duration::from_millis(self.rng.u64(0..3_000));
            drop(tokio::time::timeout(time_limit, guard.lost()).await);
        }
    }

    /// Releases it or drops it.
    async fn let_go(&mut self, token: i64, held: Arc<Held>) {
        let forget = |holders: &mut Holders| holders.retain(|(_, other, _)| *other != token);
        forget(&mut self.world.holders.lock().unwrap());
        let Ok(held) = Arc::try_unwrap(held) else {
            panic!("a guard is held twice");
        };
        if self.rng.u32(0..3) == 0 {
            return drop(held);
        }
        let released = match held {
            Held::Lock(guard) => guard.release().await,
            Held::Term(term) => term.resign().await,
        };
        self.world
            .recorder
            .note(format_args!("released {token} {}", released.is_ok()));
    }
}

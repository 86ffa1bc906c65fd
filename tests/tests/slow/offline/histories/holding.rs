//! Taking something and giving it back, over and over, on record.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{sleep, timeout};
use zk_recipes::{LockGuard, SemaphoreLease, Term, WriteGuard};
use zk_tests::lincheck::{Called, Model, Recorder, assert_linearizable};

use crate::offline::histories::ensemble::NO_LIMIT;

const ROUNDS: usize = 10;

/// Something that is held with a token until it is lost.
pub(crate) trait Held {
    fn token(&self) -> i64;
    fn is_held(&self) -> bool;
    async fn release(self) -> zk_recipes::Result<()>;
}

macro_rules! held {
    ($($name:ident by $release:ident),*) => {$(
        impl Held for $name {
            fn token(&self) -> i64 {
                $name::token(self).get()
            }

            fn is_held(&self) -> bool {
                self.check().is_ok()
            }

            async fn release(self) -> zk_recipes::Result<()> {
                $name::$release(self).await
            }
        }
    )*};
}

held!(LockGuard by release, WriteGuard by release, SemaphoreLease by release, Term by resign);

/// What happened apart from what is in the histories: a run without it proves little.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    operations: AtomicU64,
    losses: AtomicU64,
    given_up: AtomicU64,
}

impl Tally {
    /// Asserts that things were lost, and waits given up.
    pub(crate) fn assert_enough(&self, what: &str) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        println!("{what}: {self:?}");
        assert!(of(&self.losses) > 0, "{what}: no guard was lost");
        assert!(
            of(&self.given_up) > 0,
            "{what}: no acquisition was given up"
        );
    }
}

/// Which client held what, and when.
#[derive(Debug)]
pub(crate) struct Record<I> {
    pub(crate) recorder: Recorder<I, i64>,
    tally: Arc<Tally>,
}

impl<I> Clone for Record<I> {
    fn clone(&self) -> Self {
        Record {
            recorder: self.recorder.clone(),
            tally: self.tally.clone(),
        }
    }
}

/// A giving back that may have happened already: that something is lost is not known before it is
/// looked at.
type Open<I> = Called<I, i64>;

impl<I: Copy + PartialEq + Debug> Record<I> {
    pub(crate) fn new(tally: &Arc<Tally>) -> Self {
        Record {
            recorder: Recorder::default(),
            tally: tally.clone(),
        }
    }

    /// Asserts that the history is one of the model.
    pub(crate) fn assert_is<M: Model<Input = I, Output = i64>>(&self, model: &M, what: &str) {
        let history = self.recorder.history();
        let returned = history.iter().filter(|op| op.returned.is_some()).count();
        assert!(returned > 30, "{what}: {returned} operations returned");
        let returned = u64::try_from(returned).unwrap();
        self.tally.operations.fetch_add(returned, Ordering::Relaxed);
        assert_linearizable(model, &history, what);
    }

    /// Takes it, unless it takes too long. What is open then is its release, which `release` is to
    /// the model as `take` is the other.
    pub(crate) async fn take<H: Held>(
        &self,
        rng: &mut Rng,
        (take, release): (I, fn(i64) -> I),
        acquire: impl Future<Output = zk_recipes::Result<H>>,
    ) -> Option<(H, Open<I>)> {
        let called = self.recorder.call(take);
        // Some give up, at any point of their way.
        let time_limit = match rng.u8(0..4) {
            0 => Duration::from_millis(rng.u64(1..2000)),
            _ => NO_LIMIT,
        };
        match timeout(time_limit, acquire).await {
            Ok(held) => {
                let held = held.unwrap();
                let open = self.recorder.call(release(held.token()));
                called.returned(held.token());
                Some((held, open))
            }
            Err(_given_up) => {
                called.is_void();
                self.tally.given_up.fetch_add(1, Ordering::Relaxed);
                None
            }
        }
    }

    /// Holds it for a while and works. Each check that says that it is held moves the open release
    /// forward.
    pub(crate) async fn hold<H: Held>(
        &self,
        rng: &mut Rng,
        held: &H,
        release: I,
        mut open: Open<I>,
        work: impl AsyncFn(&H),
    ) -> Open<I> {
        // Some hold it for as long as a lease, so that there is something to be lost.
        let (checks, pause) = match rng.u8(0..8) {
            0 => (30, Duration::from_millis(300)),
            _ => (rng.u8(1..4), Duration::ZERO),
        };
        for check in 0..checks {
            let later = self.recorder.call(release);
            if !held.is_held() {
                later.is_void();
                self.tally.losses.fetch_add(1, Ordering::Relaxed);
                break;
            }
            std::mem::replace(&mut open, later).is_void();
            // Once: a longer history is a much longer search.
            if check == 0 {
                work(held).await;
            }
            sleep(pause).await;
        }
        open
    }

    /// Gives it back, or drops it, which gives it back in the background at an unknown time.
    pub(crate) async fn let_go<H: Held>(&self, rng: &mut Rng, held: H, open: Open<I>) {
        if rng.u8(0..4) == 0 {
            return drop(held);
        }
        let was_held = held.is_held();
        held.release().await.unwrap();
        if was_held {
            open.returned(0);
        }
    }

    /// Takes and gives back, over and over.
    pub(crate) async fn take_turns<H: Held>(
        &self,
        rng: &mut Rng,
        operations: (I, fn(i64) -> I),
        acquire: impl AsyncFn() -> zk_recipes::Result<H>,
        work: impl AsyncFn(&H),
    ) {
        for _ in 0..ROUNDS {
            let Some((held, open)) = self.take(rng, operations, acquire()).await else {
                continue;
            };
            let release = operations.1(held.token());
            let open = self.hold(rng, &held, release, open, &work).await;
            self.let_go(rng, held, open).await;
        }
    }
}

/// How often each contender has a turn.
pub(crate) fn rounds() -> std::ops::Range<usize> {
    0..ROUNDS
}

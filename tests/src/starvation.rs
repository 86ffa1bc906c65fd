//! Scenes that depend on real time, repeated where the machine did not let them run.
//!
//! A session of two seconds is lost when its client or its server does not run for two seconds, and a
//! test that expects the session to live then fails although the program is right. Such a scene is
//! run by [`unless_starved`]: when it fails, and the machine starved it meanwhile, that run is void.
//! It is repeated with sessions twice as long, up to [`LONGEST_SESSION`]. A void run is written to
//! standard error, where `cargo xtask test` counts it for its summary; a failure of a run that was
//! not starved, or that had the longest session, is a failure.
//!
//! Starvation excuses a lost session and a missed deadline. It does not excuse two holders of a lock,
//! a late write, a disclosed secret or wrong data: such facts are asserted with [`always`], whose
//! failure counts in every run. A fact that depends on another process being scheduled in time is
//! asserted with [`unless_held_up`].

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::watchdog::{Demand, Sampler, write};

/// How a void run begins in the output of a test.
pub const VOID: &str = "void run: ";

/// How a test says that it passed without all that it is for.
pub const UNPROVEN: &str = "unproven: ";

/// The longest session that the servers of tests grant.
pub const LONGEST_SESSION: Duration = Duration::from_secs(120);

const TICK: Duration = Duration::from_millis(10);
const LEAST_LAG: Duration = Duration::from_millis(50);
const TICKS_PER_LOOK: u32 = 50;

/// The marks of [`always`] and [`unless_held_up`] in the text of a failure. A mark is searched for
/// anywhere in the text, because unwrapping the error of a failed task puts that text into another.
const NO_EXCUSE: &str = "violation, whatever the load: ";
const HELD_UP_ONLY: &str = "violation, unless this process was held up: ";

/// A span of time.
pub type Window = (Instant, Instant);

/// Notes when this machine did not let this process run, until it is dropped.
#[derive(Debug)]
pub struct Observer {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Starvation>>,
}

/// What an [`Observer`] found.
#[derive(Clone, Debug, Default)]
pub struct Starvation {
    /// When this process did not run although it should have.
    pub lags: Vec<Window>,
    /// What it and its descendants used and asked for.
    pub demand: Demand,
}

impl Observer {
    /// Begins to observe.
    #[must_use]
    pub fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let over = over.clone();
            move || observe(&over)
        });
        Observer {
            over,
            thread: Some(thread),
        }
    }

    /// What was found since the start.
    #[must_use]
    pub fn stop(mut self) -> Starvation {
        self.over.store(true, Ordering::Relaxed);
        let found = self.thread.take().and_then(|thread| thread.join().ok());
        found.unwrap_or_default()
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn observe(over: &AtomicBool) -> Starvation {
    let mut found = Starvation::default();
    let mut sampler = Sampler::of(process::id());
    let mut last = Instant::now();
    let mut ticks = 0;
    while !over.load(Ordering::Relaxed) {
        if ticks % TICKS_PER_LOOK == 0
            && let Some(demand) = sampler.look()
        {
            found.demand.used += demand.used;
            found.demand.waited += demand.waited;
        }
        ticks += 1;
        thread::sleep(TICK);
        let now = Instant::now();
        if now - last > LEAST_LAG {
            found.lags.push((last, now));
        }
        last = now;
    }
    found
}

/// Asserts a fact that holds however the machine schedules its processes: one holder at a time, no
/// write by an earlier holder, no secret in a log, data as written.
///
/// # Panics
///
/// If it does not hold, with a text that no run of a scene is excused for.
#[track_caller]
pub fn always(holds: bool, what: impl Display) {
    assert!(holds, "{NO_EXCUSE}{what}");
}

/// Asserts a fact that holds if another process is scheduled in time: a process cannot be ended by one
/// that does not run.
///
/// # Panics
///
/// If it does not hold, with a text that excuses a run only if this process was held up itself.
#[track_caller]
pub fn unless_held_up(holds: bool, what: impl Display) {
    assert!(holds, "{HELD_UP_ONLY}{what}");
}

/// Which starvation excuses a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Excused {
    Never,
    IfHeldUp,
    IfStarved,
}

impl Excused {
    fn of(failure: &(dyn Any + Send)) -> Self {
        let text = failure.downcast_ref::<String>().map(String::as_str);
        let text = text.or(failure.downcast_ref::<&str>().copied());
        match text {
            Some(text) if text.contains(NO_EXCUSE) => Self::Never,
            Some(text) if text.contains(HELD_UP_ONLY) => Self::IfHeldUp,
            _ => Self::IfStarved,
        }
    }
}

impl Starvation {
    /// Why a failed scene with sessions of this length proves nothing, if it does not.
    fn excuse(&self, session: Duration, excused: Excused) -> Option<String> {
        let longest = self.lags.iter().map(|(from, to)| *to - *from).max();
        let longest = longest.unwrap_or_default();
        let Demand { used, waited, .. } = self.demand;
        let is_void = match excused {
            Excused::Never => false,
            // zkctl ends a command a tenth of the session before the session can expire.
            Excused::IfHeldUp => longest >= session / 16,
            // A client has a third of the session for a ping and its answer.
            Excused::IfStarved => longest >= session / 8 || waited > used,
        };
        is_void.then(|| {
            format!(
                "the test did not run for {longest:?} at a time, and it and its servers ran for \
                 {used:.1?} and waited for a processor for {waited:.1?}, with sessions of \
                 {session:?}"
            )
        })
    }
}

/// Of one scene: run after run, each with the length of its sessions.
#[derive(Debug)]
pub struct Runs {
    session: Duration,
    observer: Observer,
}

impl Runs {
    /// Begins with sessions of this length.
    #[must_use]
    pub fn with_sessions_of(session: Duration) -> Self {
        Runs {
            session,
            observer: Observer::start(),
        }
    }

    /// The length of the sessions of this run.
    #[must_use]
    pub fn session(&self) -> Duration {
        self.session
    }

    /// The next run, after this one failed and if it was void.
    ///
    /// # Panics
    ///
    /// As the scene did, if the run counts or the failure has no excuse.
    #[must_use]
    pub fn again(self, failure: Box<dyn Any + Send>) -> Self {
        let excused = Excused::of(&*failure);
        match after(self.session, &self.observer.stop(), excused) {
            Some((next, excuse)) => {
                void(&excuse);
                Runs::with_sessions_of(next)
            }
            None => resume_unwind(failure),
        }
    }
}

/// Writes that the run of the current test is void, where the summary of `cargo xtask test` counts it.
pub fn void(why: &str) {
    write_about_test(VOID, why);
}

/// Writes that the current test passes without what it is for having happened, where the summary of
/// `cargo xtask test` says so.
pub fn unproven(why: &str) {
    write_about_test(UNPROVEN, why);
}

fn write_about_test(kind: &str, why: &str) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("a test");
    write(&format!("\n{kind}{name}: {why}\n"));
}

/// The sessions of the next run, and why this one was void; `None` if it counts.
fn after(session: Duration, found: &Starvation, excused: Excused) -> Option<(Duration, String)> {
    let next = session * 2;
    let excuse = found.excuse(session, excused)?;
    (next <= LONGEST_SESSION).then_some((next, excuse))
}

/// Runs a scene, and runs it again where it fails and was starved; see the [module](self).
///
/// # Panics
///
/// As the scene does.
pub fn unless_starved(session: Duration, scene: impl Fn(Duration)) {
    let mut runs = Runs::with_sessions_of(session);
    while let Err(failure) = catch_unwind(AssertUnwindSafe(|| scene(runs.session()))) {
        runs = runs.again(failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starvation(lag: u64, used: u64, waited: u64) -> Starvation {
        let (now, milliseconds) = (Instant::now(), Duration::from_millis);
        let demand = Demand {
            used: milliseconds(used),
            waited: milliseconds(waited),
            disk: false,
        };
        Starvation {
            lags: vec![(now, now + milliseconds(lag))],
            demand,
        }
    }

    #[test]
    fn only_a_starved_run_has_an_excuse() {
        let session = Duration::from_secs(2);
        let is_void = |found: Starvation, session| {
            let excuse = found.excuse(session, Excused::IfStarved);
            excuse.is_some()
        };
        assert!(!is_void(starvation(100, 900, 300), session));
        assert!(is_void(starvation(300, 900, 300), session));
        assert!(!is_void(starvation(300, 900, 300), session * 4));
        assert!(is_void(starvation(100, 900, 901), session));
    }

    /// The sessions of the run after one of two seconds that failed so and was starved so.
    fn next(found: &Starvation, scene: fn()) -> Option<Duration> {
        let failure = catch_unwind(scene).unwrap_err();
        let next = after(Duration::from_secs(2), found, Excused::of(&*failure));
        next.map(|(session, _)| session)
    }

    #[test]
    fn a_violation_fails_a_starved_run() {
        let starved = starvation(60_000, 9, 60_000);
        let lost = next(&starved, || panic!("the session was lost"));
        assert_eq!(lost, Some(Duration::from_secs(4)));
        assert_eq!(next(&starved, || always(false, "two hold it")), None);
        let in_a_task = || {
            let task = thread::spawn(|| always(false, "two hold it"));
            let failure = task.join().unwrap_err();
            let text = failure.downcast::<String>().unwrap();
            panic!("a task has failed: {text:?}");
        };
        assert_eq!(next(&starved, in_a_task), None);
    }

    #[test]
    fn load_does_not_excuse_a_late_command() {
        let late = || unless_held_up(false, "two commands run");
        assert_eq!(next(&starvation(100, 9, 60_000), late), None);
        assert!(next(&starvation(125, 9, 3), late).is_some());
    }

    #[test]
    fn failure_of_a_sound_run_is_passed_on() {
        let mut runs = 0;
        let scene = AssertUnwindSafe(|| {
            let observer = Observer::start();
            let starved = Runs {
                session: LONGEST_SESSION,
                observer,
            };
            runs += 1;
            let _ = starved.again(Box::new("the scene failed"));
        });
        let failure = catch_unwind(scene).unwrap_err();
        assert_eq!(failure.downcast_ref::<&str>(), Some(&"the scene failed"));
        assert_eq!(runs, 1);
    }

    #[test]
    fn void_runs_repeat_with_longer_sessions() {
        let session = Duration::from_secs(2);
        let next =
            |session, found| after(session, &found, Excused::IfStarved).map(|(next, _)| next);
        assert_eq!(next(session, starvation(300, 9, 3)), Some(session * 2));
        assert_eq!(next(session, starvation(100, 9, 3)), None);
        assert_eq!(next(LONGEST_SESSION, starvation(60_000, 9, 3)), None);
    }
}

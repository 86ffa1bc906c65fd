//! Ends waits during which nothing happens any more, and no others.
//!
//! # The rule
//!
//! A test has no limit by the clock: a machine that is slow, busy or suspended fails no test. What a
//! test waits for it waits for with a [`Wait`], which fails in two cases:
//!
//! - **Nothing happens.** Since the wait began there were [`QUIET_LIMIT`] *quiet* seconds. A second
//!   is quiet if the watchdog thread was woken on time (so the machine neither slept nor starved
//!   this process), and if this process and all its descendants, servers included, together used
//!   *and asked for* less than [`IDLE_DEMAND`] of one processor. Time spent runnable while other
//!   programs had the processors counts as asked for, and so does a thread that waits for a disk.
//! - **Work without end.** Since the wait began these processes have used [`WORK_LIMIT`] of
//!   processor time. A slow machine does not use more processor time, it uses it later.
//!
//! A test that does not fail although its wait was given up, because it blocks or computes without
//! asking the [`Wait`], has 30 more quiet seconds or [`WORK_GRACE`] more of processor time; then the
//! process is ended with code 101.
//!
//! A process that has no wait pending and whose every second is quiet for [`PROCESS_LIMIT`] is ended
//! with code 101: a test in it waits for something outside of any [`Wait`].
//!
//! Timers on tokio's paused clock are not of that kind: virtual time passes only while nothing is
//! left to do, so that a limit in it is as good as an order of events.
//!
//! Where the system does not say what processes ask for (no `/proc`), only seconds in which the
//! watchdog was woken late are left out, and the limits are [`BLIND_FACTOR`] times as long.

mod demand;
mod second;

use std::collections::BTreeMap;
use std::io::Write;
use std::pin::pin;
use std::process;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

pub use demand::Sampler;
pub use second::{BLIND_FACTOR, Demand, IDLE_DEMAND, Second};

/// How the watchdog begins to say what it has given up.
pub const GIVEN_UP: &str = "watchdog: nothing happens any more";

/// Quiet seconds after which a wait is given up.
pub const QUIET_LIMIT: u32 = 180;
/// Quiet seconds in a row after which a process without a pending wait is ended.
pub const PROCESS_LIMIT: u32 = 600;
/// Processor time after which a wait is given up although its processes work.
pub const WORK_LIMIT: Duration = Duration::from_secs(2 * 60 * 60);
/// Processor time that a wait has to fail by itself after it was given up.
pub const WORK_GRACE: Duration = Duration::from_secs(5 * 60);
const PERIOD: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Quiet seconds that a wait has to fail by itself after it was given up.
const GRACE: u32 = 30;

/// Something that a test waits for, for as long as this lives.
#[derive(Debug)]
pub struct Wait {
    id: u64,
}

#[derive(Debug)]
struct Pending {
    what: String,
    thread: String,
    began: Instant,
    judge: Judge,
    /// Why it was given up.
    verdict: Option<String>,
    waker: Option<Waker>,
}

/// Judges one wait, second by second.
#[derive(Debug, Default)]
struct Judge {
    quiet: u32,
    work: Duration,
}

#[derive(Debug)]
struct State {
    next: u64,
    pending: BTreeMap<u64, Pending>,
    runs: bool,
    /// Quiet seconds in a row without a change of `next` and without a pending wait.
    idle: u32,
    idle_since: u64,
}

static STATE: Mutex<State> = Mutex::new(State {
    next: 0,
    pending: BTreeMap::new(),
    runs: false,
    idle: 0,
    idle_since: 0,
});

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Judge {
    /// Counts a second in, and says why the wait is given up, if it is.
    fn count(&mut self, second: &Second) -> Option<String> {
        self.quiet += u32::from(second.is_quiet());
        self.work += second.demand.map_or(Duration::ZERO, |demand| demand.used);
        if self.quiet >= second.scaled(QUIET_LIMIT) {
            return Some(format!(
                "for {} seconds the machine was free and neither this process nor its children \
                 had anything to do",
                self.quiet
            ));
        }
        (self.work >= WORK_LIMIT).then(|| {
            let minutes = self.work.as_secs() / 60;
            format!("{minutes} minutes of processor time have led to nothing")
        })
    }

    /// Whether a wait that was given up should have failed by now.
    fn is_stuck(&self, second: &Second) -> bool {
        self.quiet >= second.scaled(QUIET_LIMIT) + GRACE || self.work >= WORK_LIMIT + WORK_GRACE
    }
}

impl Wait {
    /// Begins to wait for `what`, which completes "the wait for … was given up".
    ///
    /// # Panics
    ///
    /// If the system has no thread left for the watchdog.
    #[must_use]
    #[expect(clippy::expect_used, reason = "no test can run without threads")]
    pub fn begin(what: impl Into<String>) -> Self {
        let mut state = state();
        state.next += 1;
        let id = state.next;
        let thread = thread::current();
        let pending = Pending {
            what: what.into(),
            thread: thread
                .name()
                .unwrap_or("a thread without a name")
                .to_owned(),
            began: Instant::now(),
            judge: Judge::default(),
            verdict: None,
            waker: None,
        };
        state.pending.insert(id, pending);
        if !state.runs {
            state.runs = true;
            thread::Builder::new()
                .name("watchdog".to_owned())
                .spawn(watch)
                .expect("a thread for the watchdog");
        }
        Wait { id }
    }

    /// Why it was given up, if it was: for a caller that fails with a message of its own.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        let state = state();
        let pending = state.pending.get(&self.id)?;
        let verdict = pending.verdict.as_ref()?;
        Some(format!(
            "the wait for {} was given up: {verdict}",
            pending.what
        ))
    }

    /// Fails if it was given up.
    ///
    /// # Panics
    ///
    /// With what was waited for.
    #[track_caller]
    #[expect(clippy::panic, reason = "the test fails here")]
    pub fn check(&self) {
        if let Some(verdict) = self.verdict() {
            panic!("{verdict}");
        }
    }

    /// Waits for a future, without a limit, and fails when the wait is given up.
    ///
    /// # Panics
    ///
    /// With what was waited for.
    pub async fn on<T>(self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            if let Some(pending) = state().pending.get_mut(&self.id)
                && !(pending.waker.as_ref()).is_some_and(|waker| waker.will_wake(cx.waker()))
            {
                pending.waker = Some(cx.waker().clone());
            }
            self.check();
            future.as_mut().poll(cx)
        })
        .await
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        state().pending.remove(&self.id);
    }
}

/// Asks `question` again and again until it has an answer.
///
/// # Panics
///
/// When the wait for `what` is given up.
#[track_caller]
#[expect(clippy::panic, reason = "the test fails here")]
pub fn poll<T>(what: &str, question: impl FnMut() -> Option<T>) -> T {
    match try_poll(what, question) {
        Ok(answer) => answer,
        Err(verdict) => panic!("{verdict}"),
    }
}

/// As [`poll`], for a caller that fails with more to say.
///
/// # Errors
///
/// [`Wait::verdict`], when the wait for `what` is given up.
pub fn try_poll<T>(what: &str, mut question: impl FnMut() -> Option<T>) -> Result<T, String> {
    let wait = Wait::begin(what);
    loop {
        if let Some(answer) = question() {
            return Ok(answer);
        }
        if let Some(verdict) = wait.verdict() {
            return Err(verdict);
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// The next message; `None` when no sender is left.
///
/// # Panics
///
/// When the wait for `what` is given up.
#[track_caller]
pub fn receive<T>(what: &str, messages: &Receiver<T>) -> Option<T> {
    let wait = Wait::begin(what);
    loop {
        match messages.recv_timeout(PERIOD) {
            Ok(message) => return Some(message),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => wait.check(),
        }
    }
}

/// The watchdog thread: judges every second until the process ends.
fn watch() {
    let mut sampler = Sampler::of(process::id());
    loop {
        let second = sampler.second(PERIOD);
        let mut state = state();
        let mut given_up = false;
        let mut stuck = false;
        for pending in state.pending.values_mut() {
            let verdict = pending.judge.count(&second);
            if pending.verdict.is_some() {
                stuck |= pending.judge.is_stuck(&second);
            } else if verdict.is_some() {
                pending.verdict = verdict;
                given_up = true;
                if let Some(waker) = pending.waker.take() {
                    waker.wake();
                }
            }
        }
        if second.is_quiet() && state.pending.is_empty() && state.idle_since == state.next {
            state.idle += 1;
        } else {
            state.idle = 0;
            state.idle_since = state.next;
        }
        let over = state.idle >= second.scaled(PROCESS_LIMIT);
        if given_up || stuck || over {
            report(&state);
        }
        if stuck || over {
            // A test that does not poll what it waits for cannot be failed from here.
            process::exit(101);
        }
    }
}

/// Writes what is waited for to standard error itself: what the test harness captures is lost with
/// the process.
fn report(state: &State) {
    let mut text = format!("\n{GIVEN_UP} in this process. It waits for\n");
    for pending in state.pending.values() {
        text += &format!(
            "  {}: {}, {} s, of which quiet: {}, of processor time: {}\n",
            pending.thread,
            pending.what,
            pending.began.elapsed().as_secs(),
            pending.judge.quiet,
            pending.judge.work.as_secs()
        );
    }
    if state.pending.is_empty() {
        text += "  something that no test has named\n";
    }
    write(&text);
}

/// To standard error itself.
pub(crate) fn write(text: &str) {
    // There is no other place to say it.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests;

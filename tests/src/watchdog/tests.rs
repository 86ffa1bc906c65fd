use std::process::{Command, Stdio};
use std::sync::mpsc;

use super::*;

fn second(late: u64, used: u64, waited: u64) -> Second {
    let milliseconds = Duration::from_millis;
    Second {
        late: milliseconds(late),
        demand: Some(Demand {
            used: milliseconds(used),
            waited: milliseconds(waited),
            disk: false,
        }),
    }
}

/// How many such seconds a wait is given.
fn seconds_until_given_up(second: &Second, most: u32) -> Option<u32> {
    let mut judge = Judge::default();
    (1..=most).find(|_| judge.count(second).is_some())
}

#[test]
fn idle_wait_is_given_up() {
    let idle = second(1, 30, 10);
    assert_eq!(seconds_until_given_up(&idle, 10_000), Some(QUIET_LIMIT));
}

#[test]
fn starvation_or_suspend_fails_no_wait() {
    let day = 24 * 60 * 60;
    // Runnable all the time, and hardly ever running.
    assert_eq!(seconds_until_given_up(&second(1, 5, 900), day), None);
    assert_eq!(seconds_until_given_up(&second(600, 5, 5), day), None);
    let mut slow_disk = second(1, 5, 5);
    slow_disk.demand.as_mut().unwrap().disk = true;
    assert_eq!(seconds_until_given_up(&slow_disk, day), None);
}

#[test]
fn endless_work_ends_by_processor_time() {
    let used = |milliseconds| seconds_until_given_up(&second(1, milliseconds, 0), u32::MAX);
    let limit = u32::try_from(WORK_LIMIT.as_secs()).unwrap();
    assert_eq!((used(1_000), used(500)), (Some(limit), Some(2 * limit)));
}

/// How many such seconds a wait that does not fail by itself is given until its process is ended.
fn seconds_until_stuck(second: &Second, most: u32) -> Option<u32> {
    let mut judge = Judge::default();
    (1..=most).find(|_| judge.count(second).is_some() && judge.is_stuck(second))
}

#[test]
fn a_test_that_ignores_its_verdict_is_ended() {
    let idle = second(1, 30, 10);
    let quiet = QUIET_LIMIT + GRACE;
    assert_eq!(seconds_until_stuck(&idle, 10_000), Some(quiet));
    let busy = u32::try_from((WORK_LIMIT + WORK_GRACE).as_secs()).unwrap();
    assert_eq!(
        seconds_until_stuck(&second(1, 1_000, 0), 100_000),
        Some(busy)
    );
    let starved = second(1, 5, 900);
    assert_eq!(seconds_until_stuck(&starved, 100_000), None);
}

#[test]
fn without_figures_the_limit_is_longer() {
    let blind = Second::default();
    let given_up = seconds_until_given_up(&blind, 1_000_000);
    assert_eq!(given_up, Some(QUIET_LIMIT * BLIND_FACTOR));
}

/// What one second of a process is judged as, for processes of both kinds.
#[cfg(target_os = "linux")]
#[test]
fn busy_child_counts_as_progress() {
    let judged = |script: &str| {
        let mut command = Command::new("sh");
        let mut child = command
            .args(["-c", script])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut sampler = Sampler::of(child.id());
        let second = sampler.second(PERIOD);
        // Its standard input ends, and with it the child.
        child.wait().unwrap();
        second.demand.unwrap()
    };
    // A child of the child does the work, or waits for a processor.
    let busy = judged("(while :; do :; done) & read line; kill $!");
    assert!(busy.used + busy.waited > IDLE_DEMAND, "{busy:?}");
    let idle = judged("read line");
    assert!(idle.used < IDLE_DEMAND / 10, "{idle:?}");
}

#[test]
fn given_up_wait_panics_at_its_place() {
    let give_up = |wait: &Wait| {
        let mut state = state();
        let pending = state.pending.get_mut(&wait.id).unwrap();
        pending.verdict = Some("because of a test".to_owned());
        pending.waker.take()
    };
    let wait = Wait::begin("a fact");
    assert_eq!(wait.verdict(), None);
    wait.check();
    give_up(&wait);
    let said = "the wait for a fact was given up: because of a test";
    assert_eq!(wait.verdict().as_deref(), Some(said));
    drop(wait);

    // A future is polled by its waker, and then fails.
    let wait = Wait::begin("a future");
    let id = wait.id;
    let waiting = thread::spawn(move || {
        let mut future = pin!(wait.on(std::future::pending::<()>()));
        struct Unpark(thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
        let mut cx = std::task::Context::from_waker(&waker);
        while future.as_mut().poll(&mut cx).is_pending() {
            thread::park();
        }
    });
    let waker = poll("the future to be polled", || {
        let mut state = state();
        let pending = state.pending.get_mut(&id)?;
        let waker = pending.waker.take()?;
        pending.verdict = Some("because of a test".to_owned());
        Some(waker)
    });
    waker.wake();
    let panic = waiting.join().unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(
        text.contains("the wait for a future was given up"),
        "{text}"
    );
    assert!(!state().pending.contains_key(&id));
}

#[test]
fn receive_waits_while_a_sender_is_left() {
    let (send, messages) = mpsc::channel();
    send.send(7).unwrap();
    drop(send);
    assert_eq!(receive("a number", &messages), Some(7));
    assert_eq!(receive("a number", &messages), None);
}

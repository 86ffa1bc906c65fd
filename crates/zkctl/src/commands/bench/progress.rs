//! How far it has come.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::output::Notices;

const EVERY: Duration = Duration::from_millis(100);
const WIDTH: u64 = 30;
const BACK: &str = "\r\x1b[K";

pub(super) struct Progress {
    total: u64,
    taken: AtomicU64,
    done: AtomicU64,
    terminal: bool,
}

impl Progress {
    pub(super) fn new(total: u64) -> Self {
        Progress {
            total,
            taken: AtomicU64::new(0),
            done: AtomicU64::new(0),
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Whether there is one more to do; it is then the caller's to do.
    pub(super) fn take(&self) -> bool {
        self.taken.fetch_add(1, Ordering::Relaxed) < self.total
    }

    pub(super) fn done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows it to somebody at a terminal, for as long as this is polled.
    pub(super) async fn show(&self, name: &str, notices: &Notices) -> Infallible {
        if !self.terminal {
            return std::future::pending().await;
        }
        let started = Instant::now();
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let done = self.done.load(Ordering::Relaxed);
            let rate = done as f64 / started.elapsed().as_secs_f64();
            notices.print(format!("{BACK}{}", line(name, done, self.total, rate)));
        }
    }

    /// Leaves the line as it was before.
    pub(super) fn hide(&self, notices: &Notices) {
        if self.terminal {
            notices.print(BACK.to_owned());
        }
    }
}

fn line(name: &str, done: u64, total: u64, rate: f64) -> String {
    let share =
        |of: u64| u64::try_from(u128::from(done) * u128::from(of) / u128::from(total.max(1)));
    let cells = share(WIDTH).unwrap_or(WIDTH).min(WIDTH);
    let bar: String = (0..WIDTH)
        .map(|cell| if cell < cells { '█' } else { '░' })
        .collect();
    let percent = share(100).unwrap_or(100);
    format!("{name} {bar} {percent:>3} %, {rate:.0} a second")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_much_is_done() {
        let half = line("get", 50, 100, 1234.5);
        assert_eq!(half.matches('█').count(), 15);
        assert_eq!(half.matches('░').count(), 15);
        assert!(half.contains(" 50 %"), "{half}");
        assert_eq!(
            line("get", u64::MAX, u64::MAX, 0.0).matches('█').count(),
            30
        );
    }

    #[test]
    fn what_is_taken_by_one_is_not_taken_by_another() {
        let progress = Progress::new(2);
        assert!(progress.take() && progress.take() && !progress.take());
    }
}

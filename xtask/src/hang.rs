//! Ends a test binary in which nothing happens any more, or that works without end and prints nothing,
//! by the rule of [`zk_tests::watchdog`].
//!
//! Tests that wait with the helpers of `zk-tests` fail by themselves before that. This is for all
//! others, and for a build that hangs.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use zk_tests::signal::{self, Signal};
use zk_tests::watchdog::{PROCESS_LIMIT, Sampler, Second, WORK_LIMIT};

const SECOND: Duration = Duration::from_secs(1);
/// Quiet seconds without output. The watchdog of a test binary goes first, and knows more.
const LIMIT: u32 = PROCESS_LIMIT * 3 / 2;
/// Processor time without output, longer than the watchdog of a test binary allows for one wait.
const LIMIT_OF_WORK: Duration = WORK_LIMIT.saturating_mul(2);

/// Watches one program, or one run of cargo, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// How often something was written.
    output: AtomicU64,
    over: AtomicBool,
}

impl Watch {
    /// Over a program of tests.
    pub(crate) fn over(program: u32) -> Self {
        Self::begin(program, |program| vec![(program, threads(program))])
    }

    /// Over what cargo runs, which is ended so that cargo continues with the next.
    pub(crate) fn over_cargo(cargo: u32) -> Self {
        Self::begin(cargo, children)
    }

    /// Watches a process and those it starts; `victims` are the processes that are ended.
    fn begin(process: u32, victims: fn(u32) -> Vec<(u32, Vec<String>)>) -> Self {
        let shared = Arc::new(Shared::default());
        thread::spawn({
            let shared = shared.clone();
            move || watch(process, victims, &shared)
        });
        Watch(shared)
    }

    /// Something was written.
    pub(crate) fn progress(&self) {
        self.0.output.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Counts seconds in which nothing happens, and the work since the last output.
#[derive(Debug, Default)]
struct Count {
    quiet: u32,
    work: Duration,
    output: u64,
}

impl Count {
    /// Why what runs is to be ended, if it is.
    fn add(&mut self, second: &Second, output: u64) -> Option<String> {
        if output != self.output {
            self.output = output;
            self.work = Duration::ZERO;
            self.quiet = 0;
        } else if second.is_quiet() {
            self.quiet += 1;
        } else {
            self.quiet = 0;
        }
        self.work += second.demand.map_or(Duration::ZERO, |demand| demand.used);
        let limit = second.scaled(LIMIT);
        if self.quiet >= limit {
            return Some(format!("nothing has happened for {limit} s"));
        }
        (self.work >= LIMIT_OF_WORK).then(|| {
            let minutes = self.work.as_secs() / 60;
            format!("nothing was printed during {minutes} minutes of processor time")
        })
    }
}

fn watch(process: u32, victims: fn(u32) -> Vec<(u32, Vec<String>)>, shared: &Shared) {
    let mut sampler = Sampler::of(process);
    let mut count = Count::default();
    while !shared.over.load(Ordering::Relaxed) {
        let second = sampler.second(SECOND);
        if let Some(why) = count.add(&second, shared.output.load(Ordering::Relaxed)) {
            end(victims(process), &why);
            count = Count::default();
        }
    }
}

/// Ends these processes, which have these threads; the report counts each as a failure.
fn end(victims: Vec<(u32, Vec<String>)>, why: &str) {
    for (process, threads) in victims {
        // Not `println!`: the runner holds the lock of standard output.
        eprintln!(
            "\nxtask: {why}, and process {process} is killed; its threads: {}",
            threads.join(", ")
        );
        if let Err(error) = signal::send(process, Signal::Kill) {
            eprintln!("xtask: {error}");
        }
    }
}

/// The processes that this one has started, with their threads.
fn children(parent: u32) -> Vec<(u32, Vec<String>)> {
    let ids = tasks(parent).map(|task| read(format!("{task}/children")));
    let ids = ids.collect::<Vec<_>>().join(" ");
    let ids = ids.split_whitespace().filter_map(|id| id.parse().ok());
    ids.map(|id| (id, threads(id))).collect()
}

/// The names of the threads of a process: a test has a thread of its name.
fn threads(process: u32) -> Vec<String> {
    let names = tasks(process).map(|task| read(format!("{task}/comm")).trim().to_owned());
    names.collect()
}

fn tasks(process: u32) -> impl Iterator<Item = String> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter();
    let tasks = tasks.flatten().flatten();
    tasks.map(|task| task.path().display().to_string())
}

fn read(path: String) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use zk_tests::watchdog::Demand;

    use super::*;

    #[test]
    fn output_or_a_late_second_resets_the_count() {
        let quiet = Second {
            late: Duration::ZERO,
            demand: Some(Demand::default()),
        };
        let late = Second {
            late: SECOND,
            ..quiet
        };
        let mut count = Count::default();
        for (second, output) in [(quiet, 1), (late, 1), (quiet, 2)] {
            for _ in 1..LIMIT {
                assert_eq!(count.add(&quiet, count.output), None);
            }
            assert_eq!(count.add(&second, output), None);
        }
        for _ in 1..LIMIT {
            assert_eq!(count.add(&quiet, 2), None);
        }
        assert!(count.add(&quiet, 2).unwrap().contains("900 s"));
    }

    #[test]
    fn work_without_output_has_a_limit() {
        let busy = Second {
            late: Duration::ZERO,
            demand: Some(Demand {
                used: SECOND,
                ..Demand::default()
            }),
        };
        let limit = LIMIT_OF_WORK.as_secs();
        let mut count = Count::default();
        for output in [0, 1] {
            // The first of these comes with output, and is counted.
            for _ in 1..limit {
                assert_eq!(count.add(&busy, output), None);
            }
        }
        assert!(count.add(&busy, 1).unwrap().contains("240 minutes"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_is_found_with_its_threads() {
        let mut command = std::process::Command::new("sleep");
        let mut child = command.arg("1000").spawn().unwrap();
        let id = child.id();
        let found = children(std::process::id());
        let found = found.into_iter().find(|(process, _)| *process == id);
        signal::send(id, Signal::Kill).unwrap();
        assert!(!child.wait().unwrap().success());
        assert_eq!(found.unwrap().1.len(), 1);
    }
}

//! What a process and its descendants ask of the machine, second by second, by `/proc`.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use super::second::{Demand, Second};

/// Looks at a process and its descendants again and again.
#[derive(Debug)]
pub struct Sampler {
    root: u32,
    last: HashMap<u32, Counters>,
    looked: bool,
}

/// Of one thread, or of the ended children of one process.
#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    used: Duration,
    waited: Duration,
}

impl Sampler {
    /// Of this process and its descendants.
    #[must_use]
    pub fn of(root: u32) -> Self {
        Self {
            root,
            last: HashMap::new(),
            looked: false,
        }
    }

    /// Sleeps for `period` and says what it was like.
    pub fn second(&mut self, period: Duration) -> Second {
        if !self.looked {
            self.look();
        }
        let began = Instant::now();
        thread::sleep(period);
        Second {
            late: began.elapsed().saturating_sub(period),
            demand: self.look(),
        }
    }

    /// What was asked for since the last look; `None` where the system does not say.
    pub(crate) fn look(&mut self) -> Option<Demand> {
        self.looked = true;
        let mut now = HashMap::new();
        let mut demand = Demand::default();
        let mut processes = vec![self.root];
        while let Some(process) = processes.pop() {
            // One that has ended meanwhile is found in its parent's figures.
            let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
                continue;
            };
            for thread in threads.flatten() {
                let read = |file| fs::read_to_string(thread.path().join(file)).ok();
                let Some(id) = thread.file_name().to_str().and_then(|id| id.parse().ok()) else {
                    continue;
                };
                if let Some(counters) = read("schedstat").and_then(|text| counters(&text)) {
                    let before = self.last.get(&id).copied().unwrap_or_default();
                    demand.used += counters.used.saturating_sub(before.used);
                    demand.waited += counters.waited.saturating_sub(before.waited);
                    now.insert(id, counters);
                }
                demand.disk |= read("stat").is_some_and(|stat| waits_for_a_disk(&stat));
                let children = read("children").unwrap_or_default();
                processes.extend(
                    children
                        .split_whitespace()
                        .filter_map(|id| id.parse::<u32>().ok()),
                );
            }
        }
        if now.is_empty() {
            return None;
        }
        // The threads that are new are counted from their beginning, except at the first look.
        if self.last.is_empty() {
            demand = Demand::default();
        }
        self.last = now;
        Some(demand)
    }
}

/// `/proc/…/schedstat`: nanoseconds on a processor, nanoseconds in the queue for one, and a count.
fn counters(schedstat: &str) -> Option<Counters> {
    let mut fields = schedstat.split_whitespace();
    let mut next = || Some(Duration::from_nanos(fields.next()?.parse().ok()?));
    Some(Counters {
        used: next()?,
        waited: next()?,
    })
}

fn waits_for_a_disk(stat: &str) -> bool {
    // The name before may contain any character.
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim_start().chars().next());
    state == Some('D')
}

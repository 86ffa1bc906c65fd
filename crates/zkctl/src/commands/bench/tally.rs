//! The counts that all tasks of a benchmark share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hdrhistogram::CreationError;

use super::latencies::Latencies;

/// What the tasks have still to do, and what they did.
pub(super) struct Tally {
    total: u64,
    taken: AtomicU64,
    done: AtomicU64,
    results: Mutex<Results>,
}

/// What the tasks did.
#[derive(Clone)]
pub(super) struct Results {
    pub(super) latencies: Latencies,
    pub(super) errors: u64,
    pub(super) first_error: Option<String>,
}

impl Tally {
    pub(super) fn new(total: u64) -> Result<Self, CreationError> {
        Ok(Tally {
            total,
            taken: AtomicU64::new(0),
            done: AtomicU64::new(0),
            results: Mutex::new(Results {
                latencies: Latencies::new()?,
                errors: 0,
                first_error: None,
            }),
        })
    }

    /// How many operations are done.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Takes one operation for the caller to do. False if none is left.
    pub(super) fn take(&self) -> bool {
        self.taken.fetch_add(1, Ordering::Relaxed) < self.total
    }

    /// Records the end of an operation.
    pub(super) fn record(&self, outcome: Result<Duration, String>) {
        self.with_results(|results| match outcome {
            Ok(latency) => results.latencies.record(latency),
            Err(error) => {
                results.errors += 1;
                results.first_error.get_or_insert(error);
            }
        });
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn results(&self) -> Results {
        self.with_results(|results| results.clone())
    }

    fn with_results<T>(&self, task: impl FnOnce(&mut Results) -> T) -> T {
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        task(&mut results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operation_is_taken_twice() {
        let tally = Tally::new(2).unwrap();
        assert!(tally.take() && tally.take() && !tally.take());
    }
}

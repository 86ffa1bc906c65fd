//! The recipes on every server that the embedded one imitates: `ZK_TESTS_SERVER` chooses it.

// The lints allow this in tests, but not in the helpers of tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]

#[path = "../common/mod.rs"]
mod common;

mod after_crash;
mod after_crash_held;
mod barrier;
mod chroots;
mod contention;
mod counters;
#[cfg(feature = "discovery")]
mod discovery;
mod double_barrier;
mod election;
mod fenced;
mod held_elsewhere;
mod leases;
mod lock;
mod membership;
mod multi_lock;
mod partition;
mod paths;
mod persistent_node;
mod queue_faults;
mod queue_sessions;
mod queues;
mod renewal;
mod rw_lock;
mod semaphore;
mod typed;
mod typed_caches;
mod waits;
mod watches;

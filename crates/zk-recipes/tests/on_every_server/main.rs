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

mod barrier;
mod chroots;
mod contention;
mod election;
mod lock;
mod paths;
mod renewal;
mod rw_lock;
mod semaphore;
mod waits;
mod watches;

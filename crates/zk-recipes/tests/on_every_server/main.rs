//! The recipes on every server that the embedded one imitates: `ZK_TESTS_SERVER` chooses it.

#[path = "../common/mod.rs"]
mod common;

mod barrier;
mod chroots;
mod contention;
mod election;
mod lock;
mod paths;
mod rw_lock;
mod semaphore;
mod upkeep;
mod waiting;
mod watches;

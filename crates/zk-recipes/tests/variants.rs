//! The tests of recipes again in two variants: each of them through a chroot, and each that ends a
//! session on an ensemble that is restored from a backup at that moment.
//!
//! The files are those of the other test binaries. `common` distinguishes the variants by the name of
//! the module.

// Every file is a module once in each variant. The other lints allow this in tests, but not in the
// helpers of tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::duplicate_mod,
    reason = "a panic is a failed test"
)]

#[path = "."]
mod chrooted {
    #[path = "common/mod.rs"]
    mod common;

    #[path = "on_every_server/barrier.rs"]
    mod barrier;
    #[path = "on_every_server/contention.rs"]
    mod contention;
    #[path = "on_every_server/election.rs"]
    mod election;
    #[path = "default_server/isolated_server.rs"]
    mod isolated_server;
    #[path = "on_every_server/lock.rs"]
    mod lock;
    #[path = "default_server/round_trips.rs"]
    mod round_trips;
    #[path = "on_every_server/rw_lock.rs"]
    mod rw_lock;
    #[path = "on_every_server/semaphore.rs"]
    mod semaphore;
    #[path = "on_every_server/waits.rs"]
    mod waits;
    #[path = "on_every_server/watches.rs"]
    mod watches;
}

#[path = "."]
mod restored {
    #[path = "common/mod.rs"]
    mod common;

    #[path = "on_every_server/barrier.rs"]
    mod barrier;
    #[path = "on_every_server/contention.rs"]
    mod contention;
    #[path = "on_every_server/election.rs"]
    mod election;
    #[path = "on_every_server/lock.rs"]
    mod lock;
    #[path = "on_every_server/rw_lock.rs"]
    mod rw_lock;
    #[path = "on_every_server/semaphore.rs"]
    mod semaphore;
    #[path = "on_every_server/waits.rs"]
    mod waits;
    #[path = "on_every_server/watches.rs"]
    mod watches;
}

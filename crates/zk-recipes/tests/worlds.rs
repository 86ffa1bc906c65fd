//! The tests of recipes again in two variants: each of them through a chroot, and each that ends a
//! session on an ensemble that is restored from a backup at that moment.
//!
//! The files are those of the other test binaries. `common` distinguishes the variants by the name of
//! the module.

#![allow(
    clippy::duplicate_mod,
    reason = "every file is a module once in each variant"
)]

#[path = "."]
mod chrooted {
    #[path = "astray.rs"]
    mod astray;
    #[path = "barrier.rs"]
    mod barrier;
    #[path = "contention.rs"]
    mod contention;
    #[path = "election.rs"]
    mod election;
    #[path = "lock.rs"]
    mod lock;
    #[path = "round_trips.rs"]
    mod round_trips;
    #[path = "rw_lock.rs"]
    mod rw_lock;
    #[path = "semaphore.rs"]
    mod semaphore;
    #[path = "waiting.rs"]
    mod waiting;
    #[path = "watches.rs"]
    mod watches;
}

#[path = "."]
mod restored {
    #[path = "barrier.rs"]
    mod barrier;
    #[path = "contention.rs"]
    mod contention;
    #[path = "election.rs"]
    mod election;
    #[path = "lock.rs"]
    mod lock;
    #[path = "rw_lock.rs"]
    mod rw_lock;
    #[path = "semaphore.rs"]
    mod semaphore;
    #[path = "waiting.rs"]
    mod waiting;
    #[path = "watches.rs"]
    mod watches;
}

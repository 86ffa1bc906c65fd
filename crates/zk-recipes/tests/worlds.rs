//! The tests of recipes again, in other worlds: each of them through a chroot, and each that loses a
//! session on an ensemble that was restored from a backup at that moment.
//!
//! The files are those of the other test binaries. `common` looks at the name of the module to tell
//! the worlds apart.

#![allow(
    clippy::duplicate_mod,
    reason = "every file is a module once in each world"
)]

#[path = "."]
mod chrooted {
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

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

    #[path = "on_every_server/after_crash.rs"]
    mod after_crash;
    #[path = "on_every_server/after_crash_held.rs"]
    mod after_crash_held;
    #[path = "on_every_server/barrier.rs"]
    mod barrier;
    #[path = "default_server/confirmation.rs"]
    mod confirmation;
    #[path = "on_every_server/contention.rs"]
    mod contention;
    #[path = "on_every_server/counters.rs"]
    mod counters;
    #[cfg(feature = "discovery")]
    #[path = "on_every_server/discovery.rs"]
    mod discovery;
    #[path = "on_every_server/double_barrier.rs"]
    mod double_barrier;
    #[path = "on_every_server/election.rs"]
    mod election;
    #[path = "on_every_server/fenced.rs"]
    mod fenced;
    #[path = "on_every_server/held_elsewhere.rs"]
    mod held_elsewhere;
    #[path = "default_server/isolated_server.rs"]
    mod isolated_server;
    #[path = "on_every_server/leases.rs"]
    mod leases;
    #[path = "on_every_server/lock.rs"]
    mod lock;
    #[path = "on_every_server/membership.rs"]
    mod membership;
    #[path = "on_every_server/multi_lock.rs"]
    mod multi_lock;
    #[path = "on_every_server/partition.rs"]
    mod partition;
    #[path = "on_every_server/persistent_node.rs"]
    mod persistent_node;
    #[path = "on_every_server/queue_faults.rs"]
    mod queue_faults;
    #[path = "on_every_server/queue_sessions.rs"]
    mod queue_sessions;
    #[path = "on_every_server/queues.rs"]
    mod queues;
    #[path = "default_server/round_trips.rs"]
    mod round_trips;
    #[path = "on_every_server/rw_lock.rs"]
    mod rw_lock;
    #[path = "on_every_server/semaphore.rs"]
    mod semaphore;
    #[path = "on_every_server/typed.rs"]
    mod typed;
    #[path = "on_every_server/typed_caches.rs"]
    mod typed_caches;
    #[path = "on_every_server/waits.rs"]
    mod waits;
    #[path = "on_every_server/watches.rs"]
    mod watches;
}

#[path = "."]
mod restored {
    #[path = "common/mod.rs"]
    mod common;

    #[path = "on_every_server/after_crash.rs"]
    mod after_crash;
    #[path = "on_every_server/barrier.rs"]
    mod barrier;
    #[path = "on_every_server/contention.rs"]
    mod contention;
    #[path = "on_every_server/counters.rs"]
    mod counters;
    #[cfg(feature = "discovery")]
    #[path = "on_every_server/discovery.rs"]
    mod discovery;
    #[path = "on_every_server/double_barrier.rs"]
    mod double_barrier;
    #[path = "on_every_server/election.rs"]
    mod election;
    #[path = "on_every_server/fenced.rs"]
    mod fenced;
    #[path = "on_every_server/held_elsewhere.rs"]
    mod held_elsewhere;
    #[path = "on_every_server/leases.rs"]
    mod leases;
    #[path = "on_every_server/lock.rs"]
    mod lock;
    #[path = "on_every_server/membership.rs"]
    mod membership;
    #[path = "on_every_server/multi_lock.rs"]
    mod multi_lock;
    #[path = "on_every_server/partition.rs"]
    mod partition;
    #[path = "on_every_server/persistent_node.rs"]
    mod persistent_node;
    #[path = "on_every_server/queue_faults.rs"]
    mod queue_faults;
    #[path = "on_every_server/queue_sessions.rs"]
    mod queue_sessions;
    #[path = "on_every_server/queues.rs"]
    mod queues;
    #[path = "on_every_server/rw_lock.rs"]
    mod rw_lock;
    #[path = "on_every_server/semaphore.rs"]
    mod semaphore;
    #[path = "on_every_server/typed.rs"]
    mod typed;
    #[path = "on_every_server/typed_caches.rs"]
    mod typed_caches;
    #[path = "on_every_server/waits.rs"]
    mod waits;
    #[path = "on_every_server/watches.rs"]
    mod watches;
}

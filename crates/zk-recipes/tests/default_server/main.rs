//! Tests that choose their servers themselves, or measure the cost on the default one.

// The lints allow this in tests, but not in the helpers of tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is a failed test"
)]

#[path = "../common/cache_reader.rs"]
mod cache_reader;
#[path = "../common/closing.rs"]
mod closing;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/trees.rs"]
mod trees;

mod confirmation;
mod counters;
mod crash_trips;
#[cfg(feature = "tower")]
mod discovery_trips;
mod documentation;
mod guide;
mod isolated_server;
mod lease_trips;
mod little_room;
mod load_trips;
mod membership_trips;
mod other_servers;
mod queue_trips;
mod refusals;
mod restore;
mod round_trips;
mod tree_cache;
mod typed;

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

mod documentation;
mod isolated_server;
mod load_trips;
mod other_servers;
mod restore;
mod round_trips;
mod tree_cache;

//! Tests that take minutes: chaos over many seeds, and large trees.

// The lints allow this in tests, but not in the helpers of tests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a panic is a failed test"
)]

#[path = "../common/cache_reader.rs"]
mod cache_reader;
#[path = "../common/mod.rs"]
mod common;
#[path = "../common/trees.rs"]
mod trees;

mod chaos_exclusion;
mod chaos_updates;
mod tree_cache_at_size;
mod tree_cache_changes;

//! Tests that take minutes: chaos over many seeds, and large trees.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/trees.rs"]
mod trees;

mod chaos;
mod chaos_shared;
mod tree_cache_at_size;

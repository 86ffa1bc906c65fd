//! `zkctl shell`, from a script and in a terminal; completions and manual pages.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

#[path = "../common/mod.rs"]
mod common;
mod failing_servers;
mod generated;
mod scripts;
mod terminals;

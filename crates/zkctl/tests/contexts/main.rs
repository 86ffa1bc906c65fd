//! Contexts: which value applies, what the file may hold, and that secrets stay where they are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod applied;
#[path = "../common/mod.rs"]
mod common;
mod config;
mod file;
mod secrets;

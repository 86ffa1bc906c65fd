//! The examples of all crates, against the embedded server. Where an example is about processes that
//! fail, or prints what it does, it runs in a process of its own, and the test reads what it prints.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a failed expectation is a failed test"
)]

#[path = "../common/mod.rs"]
mod common;

mod embedded;
mod index;
mod printing;
mod program;
mod recipes;
mod wire;

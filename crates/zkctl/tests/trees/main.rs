//! The commands on trees: export, import, copy, diff, du, find, delete -r.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test"
)]

mod between;
#[path = "../common/mod.rs"]
mod common;
mod imports;
mod losses;
mod resumed;
mod support;
mod walks;

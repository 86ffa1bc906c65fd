//! An in-process, in-memory ZooKeeper server for development and tests.

pub mod core;
mod options;

pub use options::{Compat, Options, WallClock};

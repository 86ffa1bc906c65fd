//! Tests against servers that other processes could use as well. The module of a test says on which:
//!
//! | module | embedded server | as older servers | Apache ZooKeeper |
//! |---|---|---|---|
//! | `any_server` | yes | yes | each release |
//! | `current_server` | yes | | each release |
//! | `one_server` | yes | | one release |
//! | `apache` | | | each release |
//!
//! `cargo xtask test --full` starts this program once per server and leaves out the modules that do not
//! run there. The variable `ZK_TESTS_SERVER` selects the server; without it, that is Apache ZooKeeper.

#[path = "../common/mod.rs"]
mod common;

mod any_server;
mod apache;
mod current_server;
mod one_server;

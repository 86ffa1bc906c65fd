//! Tests against servers that other processes could use as well. The module of a test says on which:
//!
//! | module | embedded server | as older servers | Apache ZooKeeper |
//! |---|---|---|---|
//! | `any_server` | yes | yes | each release |
//! | `current_server` | yes | | each release |
//! | `one_server` | yes | | one release |
//! | `apache` | | | each release |
//!
//! `cargo xtask test` starts this program once per server, with the filter of these modules; without it,
//! the variable `ZK_TESTS_SERVER` says which server the tests start.

#[path = "../common/mod.rs"]
mod common;

mod any_server;
mod apache;
mod current_server;
mod one_server;

//! Tests that take most of a minute or more each. The module of a test says what it needs: nothing in
//! `offline`; in `current_server`, the embedded server or Apache ZooKeeper; in `apache`, the latter,
//! each release of it; in `one_apache`, one release. `mixed_fleets` and `guide_page` are
//! what two of them share.

#[path = "../common/mod.rs"]
mod common;

mod apache;
mod current_server;
mod guide_page;
mod mixed_fleets;
mod offline;
mod one_apache;

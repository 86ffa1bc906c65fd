//! Logins with a real KDC (MIT's), and real servers with JAAS.
//!
//! The library of Kerberos reads the environment of its process, so each test is run by a process of its
//! own (`scene`). Debian's `krb5-kdc`, `krb5-admin-server` and `krb5-user` must be installed, and `faketime`;
//! `cargo xtask test --full` installs them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod command_line;
mod failures;
mod kdc;
mod lifetimes;
mod logins;
mod scene;

//! What another release of Apache ZooKeeper cannot change.

mod error_messages;
mod zkctl_bench;
mod zkctl_lock;

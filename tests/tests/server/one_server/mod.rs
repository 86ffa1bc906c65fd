//! What another release of Apache ZooKeeper cannot change.

mod error_messages;
mod request_spans;
mod zkctl_bench;
mod zkctl_lock;
mod zkctl_place;

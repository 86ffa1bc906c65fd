//! Long runs that one release of Apache ZooKeeper is enough for.

mod java_pages;
mod throughput;
mod zkcli;
mod zkctl_health;

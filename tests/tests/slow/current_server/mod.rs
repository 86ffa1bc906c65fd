//! Long runs against the embedded server or Apache ZooKeeper.

mod crash;
mod kazoo_counters;
mod kazoo_double_barrier;
mod kazoo_fleets;
mod kazoo_leases;
mod kazoo_page;
mod kazoo_parties;
mod kazoo_partition;
mod kazoo_queues;
mod kazoo_session;
mod large_trees;
mod lock_under_chaos;
mod mute_address;
mod zkctl_holders;

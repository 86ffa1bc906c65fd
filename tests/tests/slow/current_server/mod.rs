//! Long runs against the embedded server or Apache ZooKeeper.

mod kazoo_fleets;
mod lock_under_chaos;

//! Long runs against the embedded server or Apache ZooKeeper.

mod lock_under_chaos;
mod mixed_fleets;

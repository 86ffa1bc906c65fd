//! Long runs against Apache ZooKeeper.

mod chaos;
mod curator_fleets;
mod differential;

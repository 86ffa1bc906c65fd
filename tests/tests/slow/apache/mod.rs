//! Long runs against Apache ZooKeeper.

mod chaos;
mod differential;

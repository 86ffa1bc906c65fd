//! Long runs against Apache ZooKeeper.

mod chaos;
mod curator_counters;
mod curator_double_barrier;
mod curator_fleets;
mod curator_members;
mod curator_queues;
mod curator_ttl;
mod curator_typed;
mod differential;
mod discovery_fleet;
mod exported_trees;
mod zookeeper_recipes;

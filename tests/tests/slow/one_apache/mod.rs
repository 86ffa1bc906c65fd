//! Long runs that one release of Apache ZooKeeper is enough for.

mod throughput;

//! Locks, leader election and watches that survive reconnects and session expiry, for ZooKeeper.

//! An in-process, in-memory ZooKeeper server for development and tests.

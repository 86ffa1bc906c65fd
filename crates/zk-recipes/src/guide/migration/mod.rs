//! From another client to this one, name by name.
//!
//! | page | from |
//! |---|---|
//! | [`kazoo`] | kazoo, for Python |
//! | [`curator`] | Apache Curator, for Java |
//! | [`zookeeper`] | the Java client of Apache ZooKeeper, and the crate `zookeeper` |
//! | [`tokio_zookeeper`] | the crate `tokio-zookeeper` |
//! | [`zookeeper_async`] | the crate `zookeeper-async` |
//! | [`zookeeper_client`] | the crate `zookeeper-client` |
//! | [`mixed_fleets`] | one program after the other, while both clients run |

// What the pages link to, so that a link is no longer than its name.
#[allow(unused_imports, reason = "documentation uses them")]
use crate::*;
#[allow(unused_imports, reason = "documentation uses them")]
use zk_client::*;

#[doc = include_str!("curator.md")]
pub mod curator {}
#[doc = include_str!("kazoo.md")]
pub mod kazoo {}
#[doc = include_str!("mixed_fleets.md")]
pub mod mixed_fleets {}
#[doc = include_str!("tokio_zookeeper.md")]
pub mod tokio_zookeeper {}
#[doc = include_str!("zookeeper.md")]
pub mod zookeeper {}
#[doc = include_str!("zookeeper_async.md")]
pub mod zookeeper_async {}
#[doc = include_str!("zookeeper_client.md")]
pub mod zookeeper_client {}

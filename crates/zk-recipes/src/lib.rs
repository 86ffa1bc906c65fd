//! Locks, leader election and watches that stay, on top of [`zk_client`].
//!
//! Everything here uses only what `zk_client` offers to everybody. The layer above is yours.
//!
//! ```no_run
//! # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
//! use zk_recipes::Lock;
//!
//! let lock = Lock::new(&zk, "/locks/ledger").identifier("worker-7");
//! let guard = lock.acquire().await?;
//! guard.fenced().set("/ledger", "42").commit().await?;
//! guard.release().await?;
//! # Ok(()) }
//! ```
//!
//! # Locks are leases
//!
//! No lock service can stop a process that was paused while it held a lock and has not noticed that
//! the lock is somebody else's now. So a lock here is not a boolean but a [`Guard`], which knows
//! until when it can be trusted. The page [`fencing`] says how to live with that.
//!
//! # Modules
//! - [`Lock`]: one holder at a time, first come, first served. [`ReadLock`], [`WriteLock`]: many
//!   readers or one writer. [`Semaphore`]: so many at a time. [`MultiLock`]: several locks, all or
//!   none.
//! - [`Election`]: one leader at a time, and who it is. [`LeaderLatch`]: the same in Curator's names.
//! - [`Guard`]: what they give, and how it is lost. [`Trust`]: what it rests on. [`revoke`]: asking a
//!   holder to let go.
//! - [`Layout`]: names that kazoo and Curator understand.
//! - [`DataWatch`], [`ChildrenWatch`]: the latest state of a znode, for ever.
//! - [`PatientChildrenWatch`]: children that have come to rest.
//! - [`Barrier`]: holds everybody back until it is opened.
//! - [`TreeCache`]: a copy of a subtree, kept up to date.
//! - [`fencing`]: a page on locks that are lost.
//! - `line`, `names`: the queue of znodes that locks and elections are made of, and its order.
//!   `options`: what all who stand in it can be told. `permits`: how many a semaphore lets in.
//! - `fate`, `renewal`, `fenced`: parts of the guard. `leaders`: following an election.
//! - `follow`, `latest`: how watches keep up. `pause`: between attempts. `paths`: which paths recipes
//!   accept.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `serde` | no | [`DataWatch`] of types that are JSON in ZooKeeper |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod barrier;
mod children_watch;
mod connections;
mod data_watch;
mod election;
mod error;
mod fate;
mod fenced;
pub mod fencing;
mod follow;
mod guard;
mod latch;
mod latest;
mod layout;
mod leaders;
mod line;
mod lock;
mod multi_lock;
mod names;
mod options;
mod paths;
mod patient;
mod pause;
mod permits;
mod renewal;
mod revoke;
mod rw_lock;
mod semaphore;
mod tree_cache;

pub use barrier::Barrier;
pub use children_watch::{ChildrenState, ChildrenWatch};
pub use data_watch::{DataState, DataWatch};
pub use election::{Election, Term};
pub use error::{Error, Lost, Result};
pub use fenced::Fenced;
pub use guard::{Guard, Token};
pub use latch::LeaderLatch;
pub use layout::Layout;
pub use leaders::Leaders;
pub use line::Contender;
pub use lock::{Lock, LockGuard};
pub use multi_lock::{MultiGuard, MultiLock};
pub use patient::PatientChildrenWatch;
pub use renewal::Trust;
pub use revoke::revoke;
pub use rw_lock::{ReadLock, WriteGuard, WriteLock};
pub use semaphore::{Semaphore, SemaphoreLease};
pub use tree_cache::{
    CacheError, CacheEvent, CacheEvents, Cached, Snapshot, TreeCache, TreeCacheBuilder,
};

// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

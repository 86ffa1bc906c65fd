//! Locks, leader election and watches that survive reconnects and session expiry, on top of
//! [`zk_client`].
//!
//! The recipes use the public API of `zk_client` and a few items of it that are hidden from its
//! documentation. The layer above is your program.
//!
//! ```no_run
//! # #[cfg(feature = "locks")]
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
//! No lock service can stop a process that was suspended while it held a lock and has not noticed
//! that the lock has another holder now. So a lock here is not a boolean but a `Guard` with a
//! deadline and a fencing token. The page [`fencing`] says how to use them.
//!
//! # Modules
//!
//! The modules are private except [`fencing`]; their types are exported here. This list is the map
//! of the code.
//!
//! | module | types | what it holds |
//! |---|---|---|
//! | `locks` | `Lock`, `ReadLock`, `WriteLock`, `MultiLock`, `Semaphore` | one holder at a time; readers and writers; several locks, all or none; a limited number of leases |
//! | `election` | `Election`, `LeaderLatch`, `LeaderStream` | one leader at a time; the same with Curator's znodes; a stream of the leaders |
//! | `queue` | `Contender`, `Layout` | the queue of sequential znodes behind locks and elections, its order, its names, and the options that its users share |
//! | `guard` | `Guard`, `Token`, `FencedMulti`, `LeaseBasis`, `revoke` | what a lock or an election returns: its deadline, its renewal, its loss, fenced writes, revocation |
//! | `watch` | `DataWatch`, `ChildrenWatch`, `PatientChildrenWatch` | streams of the latest state of a znode |
//! | `tree_cache` | `TreeCache`, `Snapshot`, `Cached`, `CacheEvent`, `CacheEvents` | a copy of a subtree, kept up to date |
//! | `barrier` | `Barrier` | blocks its waiters until it is opened |
//! | `error` | [`Error`], `GuardLost`, `CacheError` | what can go wrong |
//! | [`fencing`] | | a page on locks that are lost |
//! | `retry`, `connections`, `latest`, `paths` | | backoff between attempts, notice of reconnects, a slot for the latest value, checks of paths |
//!
//! # Features
//!
//! Each family of recipes has a feature, so that a program compiles only what it uses. The families
//! do not depend on each other. `Guard`, `Layout` and `Contender` come with `locks` and with
//! `election`.
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `locks` | yes | `Lock`, `ReadLock`, `WriteLock`, `MultiLock`, `Semaphore` |
//! | `election` | yes | `Election`, `LeaderLatch`, `LeaderStream` |
//! | `barrier` | yes | `Barrier` |
//! | `watches` | yes | `DataWatch`, `ChildrenWatch`, `PatientChildrenWatch` |
//! | `tree-cache` | yes | `TreeCache` |
//! | `serde` | no | `DataWatch::json` for znodes that contain JSON; `Token` can be serialized, as a number |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "barrier")]
mod barrier;
#[cfg(any(
    feature = "locks",
    feature = "election",
    feature = "watches",
    feature = "tree-cache"
))]
mod connections;
#[cfg(feature = "election")]
mod election;
mod error;
pub mod fencing;
#[cfg(any(feature = "locks", feature = "election"))]
mod guard;
#[cfg(any(feature = "election", feature = "watches"))]
mod latest;
#[cfg(feature = "locks")]
mod locks;
#[cfg(any(
    feature = "locks",
    feature = "election",
    feature = "barrier",
    feature = "watches",
    feature = "tree-cache"
))]
mod paths;
#[cfg(any(feature = "locks", feature = "election"))]
mod queue;
#[cfg(any(
    feature = "locks",
    feature = "election",
    feature = "barrier",
    feature = "watches",
    feature = "tree-cache"
))]
mod retry;
#[cfg(feature = "tree-cache")]
mod tree_cache;
#[cfg(feature = "watches")]
mod watch;

#[cfg(feature = "barrier")]
pub use barrier::Barrier;
#[cfg(feature = "election")]
pub use election::{Election, LeaderStream, Term, leader_latch::LeaderLatch};
#[cfg(feature = "tree-cache")]
pub use error::CacheError;
pub use error::{Error, GuardLost, Result};
#[cfg(any(feature = "locks", feature = "election"))]
pub use guard::{Guard, LeaseBasis, Token, fenced::FencedMulti, revoke::revoke};
#[cfg(feature = "locks")]
pub use locks::{
    Lock, LockGuard, MultiGuard, MultiLock, ReadLock, Semaphore, SemaphoreLease, WriteGuard,
    WriteLock,
};
#[cfg(any(feature = "locks", feature = "election"))]
pub use queue::{Contender, Layout};
#[cfg(feature = "tree-cache")]
pub use tree_cache::{CacheEvent, CacheEvents, Cached, Snapshot, TreeCache, TreeCacheBuilder};
#[cfg(feature = "watches")]
pub use watch::{ChildrenState, ChildrenWatch, DataState, DataWatch, PatientChildrenWatch};

// Compiles the examples of the README.
#[cfg(all(doctest, feature = "locks"))]
#[doc = include_str!("../README.md")]
struct Readme;

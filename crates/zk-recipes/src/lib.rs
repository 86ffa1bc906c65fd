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
//! the lock is somebody else's now. So a lock here is not a boolean but a [`Guard`]:
//!
//! - [`Guard::check`] asks the clock, not the network, whether the lock could have been given away;
//!   it fails before the ensemble can have done so. [`zk_client::Lease`] says what that rests on.
//! - [`Guard::lost`] tells when; [`Guard::run`] cancels a future then.
//! - [`Guard::fenced`] writes to ZooKeeper only if the lock's znode still exists, in one
//!   transaction.
//! - [`Guard::token`] is a number that grows from holder to holder. Hand it to whatever you write
//!   to outside ZooKeeper, and have that refuse a smaller one than it has seen.
//!
//! # Modules
//! - [`Lock`]: one holder at a time, first come, first served.
//! - [`Election`]: one leader at a time, and who it is.
//! - [`Guard`]: what both give, and how it is lost.
//! - [`DataWatch`], [`ChildrenWatch`]: the latest state of a znode, for ever.
//! - `follow`, `latest`: how the two keep up. `pause`: between attempts.
//! - `line`: the queue of znodes that locks and elections are made of.

mod children_watch;
mod data_watch;
mod election;
mod error;
mod follow;
mod guard;
mod latest;
mod line;
mod lock;
mod pause;

pub use children_watch::{ChildrenState, ChildrenWatch};
pub use data_watch::{DataState, DataWatch};
pub use election::{Candidate, Election, Term};
pub use error::{Error, Lost, Result};
pub use guard::{Fenced, Guard, Token};
pub use lock::{Lock, LockGuard};

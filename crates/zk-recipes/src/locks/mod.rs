//! Locks and semaphores: what a limited number of contenders holds at a time.

mod lease_count;
mod lock;
mod multi_lock;
mod multi_lock_member;
mod rw_lock;
mod semaphore;

pub use lock::{Lock, LockGuard};
pub use multi_lock::{MultiGuard, MultiLock};
pub use multi_lock_member::MultiLockMember;
pub use rw_lock::{ReadLock, WriteGuard, WriteLock};
pub use semaphore::{Semaphore, SemaphoreLease};

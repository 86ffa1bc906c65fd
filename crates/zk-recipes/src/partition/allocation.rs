//! The states of a partition.

use super::share::Share;

/// What a member has of the items at one time.
#[doc(alias = "PartitionState")]
#[derive(Debug)]
#[non_exhaustive]
pub enum Allocation {
    /// The member has joined, or is about to, and waits for members that do not change, and for the
    /// locks of its items.
    Allocating,
    /// These items are the member's until it gives them back.
    Acquired(Share),
    /// The share that was acquired last is to be given back, for another allocation. Nothing is allocated
    /// before that.
    Releasing,
}

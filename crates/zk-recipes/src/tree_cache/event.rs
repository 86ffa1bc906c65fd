//! What a cache tells of.

use std::sync::Arc;

use zk_client::ErrorCode;

use super::snapshot::Cached;

/// What has changed in a [`TreeCache`](super::TreeCache).
///
/// These are differences between what the cache knew and what it knows; what came and went faster
/// than it could be read is not told. A node is told as added after its parent, and as removed
/// before it.
#[derive(Debug, Clone, PartialEq)]
pub enum CacheEvent {
    /// A node that was not known.
    Added {
        /// Its path.
        path: String,
        /// What it is.
        node: Cached,
    },
    /// A node's data were set.
    Changed {
        /// Its path.
        path: String,
        /// What it was known as.
        before: Cached,
        /// What it is.
        node: Cached,
    },
    /// A node was deleted. One that was deleted and created again is told as removed, with all that
    /// was below it, and as added.
    Removed {
        /// Its path.
        path: String,
        /// What it was known as last.
        before: Cached,
    },
    /// The server refuses to let a node be read. It is left out, with all below it, until
    /// something happens to it or everything is read again.
    Refused {
        /// Its path.
        path: String,
        /// Why.
        code: ErrorCode,
    },
    /// Changes may have been missed: everything is read again, in this generation.
    Gap {
        /// The generation that begins.
        generation: u64,
    },
    /// Everything has been read in this generation.
    Initialized {
        /// The generation.
        generation: u64,
    },
    /// This reader did not keep up, and this many events were dropped. What they would have told
    /// is in the snapshot of [`CacheEvents::resume`](super::CacheEvents::resume).
    Lagged {
        /// How many.
        dropped: u64,
    },
}

impl CacheEvent {
    /// What it takes in memory, with the data that it holds.
    pub(super) fn bytes(&self) -> usize {
        let held = match self {
            CacheEvent::Added { path, node } => path.len() + node.data.len(),
            CacheEvent::Removed { path, before } => path.len() + before.data.len(),
            CacheEvent::Changed { path, before, node } => {
                path.len() + before.data.len() + node.data.len()
            }
            CacheEvent::Refused { path, .. } => path.len(),
            CacheEvent::Gap { .. } | CacheEvent::Initialized { .. } | CacheEvent::Lagged { .. } => {
                0
            }
        };
        size_of::<CacheEvent>() + held
    }
}

/// Why a [`TreeCache`](super::TreeCache) has ended. What it knew is gone with it, for nobody would
/// keep it up to date.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// There are more nodes than the cache may hold.
    #[error("the tree has more than the {limit} nodes that the cache may hold")]
    TooManyNodes {
        /// How many it may hold.
        limit: usize,
    },
    /// The nodes, or their names before they are read, take more memory than the cache may.
    #[error("the tree takes more than the {limit} bytes that the cache may hold")]
    TooManyBytes {
        /// How much it may take, in bytes.
        limit: usize,
    },
    /// The tree is deeper than any cache can hold. Set a
    /// [maximum depth](super::TreeCacheBuilder::max_depth).
    #[error("the tree is deeper than {limit} levels")]
    TooDeep {
        /// How deep it can be.
        limit: usize,
    },
    /// The server refuses to let the root be read.
    #[error("the server refuses to let the root be read: {code}")]
    Refused {
        /// Why.
        code: ErrorCode,
    },
    /// A read failed for a reason that does not pass, or the path of the cache is invalid.
    #[error(transparent)]
    Client(Arc<zk_client::Error>),
    /// The client was closed, or the cache was dropped.
    #[error("the client was closed, or the cache was dropped")]
    Closed,
}

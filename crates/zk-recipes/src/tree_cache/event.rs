//! The events of a cache.

use zk_client::ErrorCode;

use super::cached::Cached;

/// A change in a [`TreeCache`](super::TreeCache).
///
/// Events are the differences between two states of the cache: a change that was undone before it
/// could be read has no event. A node is reported as added after its parent, and as removed before
/// its parent.
#[doc(alias = "TreeEvent")]
#[doc(alias = "TreeCacheEvent")]
#[doc(alias = "CuratorCacheListener")]
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CacheEvent {
    /// A node was added.
    Added {
        /// Its path.
        path: String,
        /// The node.
        node: Cached,
    },
    /// A node's data were set.
    Changed {
        /// Its path.
        path: String,
        /// The node before.
        before: Cached,
        /// The node.
        node: Cached,
    },
    /// A node was deleted. A node that was deleted and created again is reported as removed, with
    /// everything below it, and then as added.
    Removed {
        /// Its path.
        path: String,
        /// The node when it was last read.
        before: Cached,
    },
    /// The server refuses the read of a node. The node is left out, with everything below it, until
    /// it changes or everything is read again.
    Refused {
        /// Its path.
        path: String,
        /// The server's error code.
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
    /// The subscriber read too slowly, and events were dropped. The changes are in the snapshot of
    /// [`CacheEvents::resume`](super::CacheEvents::resume).
    Lagged {
        /// The number of dropped events.
        dropped: u64,
    },
}

impl CacheEvent {
    /// Its memory in bytes, with the data that it holds.
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

//! The kinds of watches, and the ids of subscriptions.

use std::sync::Arc;

/// The kinds of watches a server distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum WatchKind {
    /// One-shot, on the data of a znode that exists.
    Data,
    /// One-shot, on the creation of a znode that does not.
    Exist,
    /// One-shot, on the children.
    Child,
    /// On data and children, until removed.
    Persistent,
    /// On the whole subtree, until removed.
    Recursive,
}

impl WatchKind {
    pub(crate) const ALL: [WatchKind; 5] = [
        WatchKind::Data,
        WatchKind::Exist,
        WatchKind::Child,
        WatchKind::Persistent,
        WatchKind::Recursive,
    ];

    pub(crate) fn is_persistent(self) -> bool {
        matches!(self, WatchKind::Persistent | WatchKind::Recursive)
    }
}

/// The id of a subscription, until it is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SubId(u32);

impl SubId {
    pub(super) fn new(index: usize) -> Self {
        // Memory runs out before u32 does.
        SubId(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// The watch that a request sets if it succeeds.
#[derive(Debug, Clone)]
pub(crate) struct WatchIntent {
    pub(crate) kind: WatchKind,
    /// The full path, chroot included.
    pub(crate) path: Arc<str>,
    /// Whether the request was changed by [`Registry::precaution`](super::Registry::precaution), so that
    /// it does not set exactly this watch.
    pub(crate) changed: bool,
}

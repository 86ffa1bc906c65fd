//! Requests that set watches, and watches that are to be removed.

use std::sync::Arc;

use zk_proto::records::WatcherType;

use super::kind::{WatchIntent, WatchKind};

/// A watch that the server should forget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unwatch {
    pub(crate) path: Arc<str>,
    pub(crate) kind: WatcherType,
    /// The lasting watches that this removes.
    pub(crate) lasting: Left,
}

/// Requests under way that will set a watch on a path, should they succeed.
#[derive(Debug, Default)]
pub(super) struct Arming {
    pub(super) requests: u32,
    pub(super) persistent: u32,
    pub(super) recursive: u32,
}

impl Arming {
    /// Counts a request up or down by `by`.
    pub(super) fn count(&mut self, intent: &WatchIntent, by: i32) {
        let add = |count: &mut u32| *count = count.saturating_add_signed(by);
        add(&mut self.requests);
        match intent.kind {
            WatchKind::Persistent => {
                add(&mut self.persistent);
                if intent.changed {
                    add(&mut self.recursive);
                }
            }
            WatchKind::Recursive => add(&mut self.recursive),
            _ => {}
        }
    }
}

/// Lasting watches that the server still guards although no subscriber is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Left {
    pub(super) persistent: bool,
    pub(super) recursive: bool,
}

impl Left {
    pub(super) fn add(&mut self, other: Left) {
        self.persistent |= other.persistent;
        self.recursive |= other.recursive;
    }

    pub(super) fn of(kind: WatchKind) -> Self {
        Left {
            persistent: kind == WatchKind::Persistent,
            recursive: kind == WatchKind::Recursive,
        }
    }
}

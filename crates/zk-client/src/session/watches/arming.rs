//! Requests that set watches, and watches that are to be removed.

use std::sync::Arc;

use zk_proto::records::WatcherType;

use super::kind::{WatchIntent, WatchKind};

/// A watch to be removed on the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unwatch {
    pub(crate) path: Arc<str>,
    pub(crate) kind: WatcherType,
    /// The persistent and recursive watches that this removes.
    pub(crate) lasting: Left,
}

/// The number of requests in flight that set a watch on one path.
#[derive(Debug, Default)]
pub(super) struct Arming {
    pub(super) requests: u32,
    pub(super) persistent: u32,
    pub(super) recursive: u32,
}

impl Arming {
    /// Adds `by` to the counters of the request's kind.
    pub(super) fn count(&mut self, intent: &WatchIntent, by: i32) {
        let add = |count: &mut u32| *count = count.saturating_add_signed(by);
        add(&mut self.requests);
        match intent.kind {
            WatchKind::Persistent => {
                add(&mut self.persistent);
                if intent.overridden {
                    add(&mut self.recursive);
                }
            }
            WatchKind::Recursive => add(&mut self.recursive),
            _ => {}
        }
    }
}

/// Persistent and recursive watches that are armed on the server and have no subscriber left.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_adds_up() {
        let kinds = [WatchKind::Data, WatchKind::Persistent, WatchKind::Recursive];
        for one in kinds {
            for other in kinds {
                let mut left = Left::of(one);
                left.add(Left::of(other));
                let has = |kind| one == kind || other == kind;
                assert_eq!(left.persistent, has(WatchKind::Persistent));
                assert_eq!(left.recursive, has(WatchKind::Recursive));
            }
        }
    }
}

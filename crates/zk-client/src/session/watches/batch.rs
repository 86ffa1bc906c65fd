//! Watches that are to be armed again, in batches of one request each.

use std::collections::VecDeque;
use std::sync::Arc;

use zk_proto::Zxid;

use super::kind::WatchKind;

/// Watches to be re-armed by one request, all last guarded up to the same zxid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) since: Zxid,
    pub(crate) watches: Vec<(WatchKind, Arc<str>)>,
}

impl Batch {
    pub(crate) fn paths(&self, kind: WatchKind) -> impl Iterator<Item = &str> + Clone {
        self.watches
            .iter()
            .filter(move |(k, _)| *k == kind)
            .map(|(_, path)| &**path)
    }

    /// Whether its watches last. They are never in one batch with those that do not.
    pub(crate) fn is_lasting(&self) -> bool {
        self.watches
            .last()
            .is_some_and(|(kind, _)| kind.is_persistent())
    }
}

/// What the current connection's server has not been asked to guard yet, in order.
#[derive(Debug, Default)]
pub(super) struct Rearming(pub(super) VecDeque<Group>);

/// Watches of one kind, last guarded up to the same zxid.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) since: Zxid,
    pub(super) kind: WatchKind,
    pub(super) paths: VecDeque<Arc<str>>,
}

//! Batches of watches to be armed again, one request each. `rearm` fills them;
//! `connection/rearm.rs` encodes and sends them.

use std::collections::VecDeque;
use std::sync::Arc;

use zk_proto::Zxid;

use super::kind::WatchKind;

/// Watches to be armed again by one request, all last armed up to the same zxid.
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

    /// Whether its watches are persistent or recursive. No batch has one-shot watches beside those.
    pub(crate) fn is_lasting(&self) -> bool {
        self.watches
            .last()
            .is_some_and(|(kind, _)| kind.is_persistent())
    }
}

/// The watches that are not sent to the current server yet, in order.
#[derive(Debug, Default)]
pub(super) struct Rearming(pub(super) VecDeque<Group>);

/// Watches of one kind, last armed up to the same zxid.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) since: Zxid,
    pub(super) kind: WatchKind,
    pub(super) paths: VecDeque<Arc<str>>,
}

//! Clean-ups under way: requests in the background that remove what a dropped future or guard has
//! left on the ensemble. The end of the client waits for them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::ops::cleanup::Target;
use crate::session::requests::SlotKey;
use crate::session::{Closing, Core};

/// So many paths are named in the result of a `close()`.
const NAMED: usize = 8;

/// The clean-ups of a client.
#[derive(Debug, Default)]
pub(super) struct Cleanups {
    running: BTreeMap<u64, Running>,
    next_id: u64,
    /// The paths of those that failed since the end was asked for.
    failed: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Running {
    path: String,
    target: Target,
    /// The only request that can create what is to be deleted.
    creation: Option<SlotKey>,
}

impl Running {
    /// Whether there is nothing to delete although the clean-up is not done. `ended` if the end of
    /// the session is proven; `unsent` are requests that will not be sent.
    pub(super) fn is_void(&self, ended: bool, unsent: &VecDeque<SlotKey>) -> bool {
        (ended && self.target == Target::Ephemeral)
            || self.creation.is_some_and(|key| unsent.contains(&key))
    }
}

impl Cleanups {
    pub(super) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether one of them has work to do in the next session.
    pub(super) fn outlive_session(&self) -> bool {
        self.running
            .values()
            .any(|it| it.target == Target::Persistent)
    }

    /// Nothing more will be done. Those under way have failed, except those that `is_void` says have
    /// nothing to delete.
    pub(super) fn give_up(&mut self, is_void: impl Fn(&Running) -> bool) {
        let running = std::mem::take(&mut self.running);
        let left = running.into_values().filter(|it| !is_void(it));
        self.failed.extend(left.map(|it| it.path));
    }

    /// The paths of those that failed since the end was asked for, as a text; empty if none did.
    fn failures(&self) -> String {
        let named = self.failed.iter().take(NAMED);
        let mut text = named.map(String::as_str).collect::<Vec<_>>().join(", ");
        if self.failed.len() > NAMED {
            text.push_str(&format!(" and {} more", self.failed.len() - NAMED));
        }
        text
    }
}

impl Core {
    /// The paths of the clean-ups that failed since the end was asked for; empty if none did.
    pub(crate) fn failed_cleanups(&self) -> String {
        self.cleanups.failures()
    }

    /// A clean-up of `path` begins; its requests are accepted until the session is being closed.
    /// `None` if it comes too late for that.
    pub(crate) fn begin_cleanup(&mut self, path: &str, target: Target) -> Option<u64> {
        if !matches!(self.closing, Closing::No | Closing::Draining { .. }) {
            return None;
        }
        let id = self.cleanups.next_id;
        self.cleanups.next_id += 1;
        let path = path.to_owned();
        let running = Running {
            path,
            target,
            creation: None,
        };
        self.cleanups.running.insert(id, running);
        Some(id)
    }

    /// What a clean-up is to delete can have been created by this request only, or by others too.
    pub(crate) fn set_creation(&mut self, id: u64, creation: Option<SlotKey>) {
        if let Some(running) = self.cleanups.running.get_mut(&id) {
            running.creation = creation;
        }
    }

    /// A clean-up has ended, well or not.
    pub(crate) fn end_cleanup(&mut self, now: Instant, id: u64, done: bool) {
        let Some(ended) = self.cleanups.running.remove(&id) else {
            return;
        };
        if !done && self.closing != Closing::No {
            self.cleanups.failed.push(ended.path);
        }
        if let Closing::Draining { deadline, .. } = self.closing
            && self.cleanups.is_empty()
        {
            self.close_session(now, deadline);
        }
    }
}

//! Clean-ups under way: requests in the background that remove what a dropped future or guard has
//! left on the ensemble. The end of the client waits for them.

use std::collections::BTreeMap;
use std::time::Instant;

use super::{Closing, Core};
use crate::cleanup::Target;

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
struct Running {
    path: String,
    target: Target,
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

    /// Nothing more will be done. Those under way have failed, unless there is nothing left to
    /// delete: the session is known to have `ended`, which deletes what is ephemeral, or the client
    /// is `unused`, having had no session.
    pub(super) fn give_up(&mut self, ended: bool, unused: bool) {
        let running = std::mem::take(&mut self.running);
        let left = running
            .into_values()
            .filter(|it| !unused && !(ended && it.target == Target::Ephemeral));
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
        let running = Running { path, target };
        self.cleanups.running.insert(id, running);
        Some(id)
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

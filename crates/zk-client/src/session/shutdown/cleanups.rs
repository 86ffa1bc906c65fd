//! Clean-ups under way: requests in the background that remove what a dropped future or guard has
//! left on the ensemble. The end of the client waits for them.

use std::collections::{BTreeMap, VecDeque};

use zk_proto::path;

use crate::session::requests::SlotKey;

/// The result of a `close()` names at most so many paths.
const NAMED: usize = 8;

/// Which znode a clean-up deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// An ephemeral znode of the session to which requests submitted now belong.
    Ephemeral,
    /// A znode, ephemeral or not, that is deleted in that session only.
    InSession,
    /// A znode that outlives sessions, with a name that no other znode has.
    Persistent,
}

/// The clean-ups of a client.
#[derive(Debug, Default)]
pub(crate) struct Cleanups {
    running: BTreeMap<u64, Running>,
    next_id: u64,
    /// The paths of those that failed since the client began to close.
    failed: Vec<String>,
}

#[derive(Debug)]
struct Running {
    path: String,
    target: Target,
    /// The only request that can create what is to be deleted.
    creation: Option<SlotKey>,
}

impl Running {
    /// Whether there is nothing to delete although the clean-up is not done. `ended` if the end of
    /// the session is proven; the requests `unsent` will not be sent.
    fn is_void(&self, ended: bool, unsent: &VecDeque<SlotKey>) -> bool {
        (ended && self.target == Target::Ephemeral)
            || self.creation.is_some_and(|key| unsent.contains(&key))
    }
}

impl Cleanups {
    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Whether one of them deletes a znode with this name, which may be known without its number.
    pub(crate) fn include(&self, name: &str) -> bool {
        self.running.values().any(|it| {
            let deleted = path::name(&it.path);
            deleted == name || path::sequence_after(name, deleted).is_some()
        })
    }

    /// Whether one of them has work to do in the next session.
    pub(crate) fn outlive_session(&self) -> bool {
        self.running
            .values()
            .any(|it| it.target == Target::Persistent)
    }

    /// A clean-up of `path` begins. Returns its id.
    pub(crate) fn begin(&mut self, path: &str, target: Target) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        let running = Running {
            path: path.to_owned(),
            target,
            creation: None,
        };
        self.running.insert(id, running);
        id
    }

    /// Only the request `creation` can have created what the clean-up deletes; `None` if others can.
    pub(crate) fn set_creation(&mut self, id: u64, creation: Option<SlotKey>) {
        if let Some(running) = self.running.get_mut(&id) {
            running.creation = creation;
        }
    }

    /// A clean-up has ended. If it has failed, its path is kept. False if it is not under way.
    pub(crate) fn end(&mut self, id: u64, failed: bool) -> bool {
        let Some(ended) = self.running.remove(&id) else {
            return false;
        };
        if failed {
            self.failed.push(ended.path);
        }
        true
    }

    /// The client ends. The clean-ups under way have failed, except those that have nothing to delete:
    /// all of them if the client has never had a session (`unused`).
    pub(crate) fn give_up(&mut self, unused: bool, ended: bool, unsent: &VecDeque<SlotKey>) {
        let running = std::mem::take(&mut self.running);
        let left = (running.into_values()).filter(|it| !unused && !it.is_void(ended, unsent));
        self.failed.extend(left.map(|it| it.path));
    }

    /// The paths of those that failed since the client began to close, as text; empty if none did.
    pub(crate) fn failures(&self) -> String {
        let named = self.failed.iter().take(NAMED);
        let mut text = named.map(String::as_str).collect::<Vec<_>>().join(", ");
        if self.failed.len() > NAMED {
            text.push_str(&format!(" and {} more", self.failed.len() - NAMED));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequential znode whose creation was dropped is known without its number.
    #[test]
    fn a_numbered_znode_is_recognised() {
        let mut cleanups = Cleanups::default();
        let id = cleanups.begin("/lock/x-1-", Target::Ephemeral);
        cleanups.begin("/lock/", Target::Persistent);
        for name in ["x-1-", "x-1-0000000007", "x-1--000000007"] {
            assert!(cleanups.include(name), "{name}");
        }
        for name in ["x-1-7", "x-1", "x-2-0000000007"] {
            assert!(!cleanups.include(name), "{name}");
        }
        assert!(cleanups.end(id, false));
        assert!(!cleanups.include("x-1-0000000007"));
    }

    /// A `close()` shows the first few, and how many there are.
    #[test]
    fn failed_paths_are_named_or_counted() {
        let mut cleanups = Cleanups::default();
        let mut named = Vec::new();
        for n in 0..NAMED {
            let path = format!("/{n}");
            let id = cleanups.begin(&path, Target::Persistent);
            assert!(cleanups.end(id, true));
            assert!(!cleanups.end(id, true), "it has ended");
            named.push(path);
            assert_eq!(cleanups.failures(), named.join(", "));
        }
        for more in 1..=2 {
            let id = cleanups.begin("/more", Target::Persistent);
            assert!(cleanups.end(id, true));
            let expected = format!("{} and {more} more", named.join(", "));
            assert_eq!(cleanups.failures(), expected);
        }
    }
}

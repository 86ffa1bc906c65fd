//! The messages from the tasks that watch znodes to the task that writes.

use zk_client::WatchEvent;

use crate::output::session_changes::Change;

/// A line of standard output.
pub(super) enum Entry {
    Armed {
        path: String,
        again: bool,
        one_shot: bool,
    },
    Event {
        path: String,
        event: WatchEvent,
    },
    Session(Change),
}

/// A report of a task that watches a znode.
pub(super) enum Report {
    Entry(Entry),
    /// The server has no persistent watches; the text says why.
    OneShotOnly(String),
    /// The znode is not watched any more; the text says why.
    Failed(String),
}

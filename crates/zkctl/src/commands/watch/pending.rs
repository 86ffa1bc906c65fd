//! The events that a command has not been run for, at most one for each znode.

use std::collections::{HashMap, VecDeque};

use zk_client::{WatchEvent, Zxid};

use super::entry::Entry;
use super::format::word;

/// How many znodes are remembered. With more, one `lagged` stands for all events.
const MAX_PATHS: usize = 10_000;

/// Events that may have been missed. They stay the last event of their znode, because whatever else has
/// happened to it is known already, and what was missed is not.
const GAP: &str = "gap";
const LAGGED: &str = "lagged";

/// One run of the command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) path: String,
    pub(super) event: &'static str,
    pub(super) zxid: Option<Zxid>,
    /// How many events this run is for.
    pub(super) count: u64,
}

/// The runs to come, in the order of their first events.
#[derive(Debug, Default)]
pub(super) struct Pending {
    order: VecDeque<String>,
    runs: HashMap<String, Run>,
}

impl Pending {
    /// Adds an event of a znode. `initially` says whether the first watch counts as one.
    pub(super) fn add(&mut self, entry: &Entry, initially: bool) {
        let (path, event, zxid) = match entry {
            Entry::Armed {
                path, again: false, ..
            } if initially => (path, "watching", None),
            Entry::Armed {
                path, again: true, ..
            } => (path, GAP, None),
            Entry::Event { path, event } => match event {
                WatchEvent::Node(event) => (&event.path, word(event.kind), event.zxid),
                WatchEvent::Gap { .. } => (path, GAP, None),
                WatchEvent::Lagged { .. } => (path, LAGGED, None),
                WatchEvent::SessionEnded => return,
            },
            Entry::Armed { .. } | Entry::Session(_) => return,
        };
        if let Some(run) = self.runs.get_mut(path) {
            run.count += 1;
            if ![GAP, LAGGED].contains(&run.event) {
                (run.event, run.zxid) = (event, zxid);
            }
            return;
        }
        let mut run = Run {
            path: path.clone(),
            event,
            zxid,
            count: 1,
        };
        if self.order.len() >= MAX_PATHS {
            run.count += self.runs.values().map(|run| run.count).sum::<u64>();
            (run.event, run.zxid) = (LAGGED, None);
            if let Entry::Event { path, .. } = entry {
                // The znode that is watched, not the one below it.
                run.path.clone_from(path);
            }
            self.order.clear();
            self.runs.clear();
        }
        self.order.push_back(run.path.clone());
        self.runs.insert(run.path.clone(), run);
    }

    /// Takes the next run.
    pub(super) fn next(&mut self) -> Option<Run> {
        let path = self.order.pop_front()?;
        self.runs.remove(&path)
    }
}

#[cfg(test)]
mod tests {
    use zk_client::{NodeEvent, NodeEventKind};

    use super::*;

    fn changed(path: &str, kind: NodeEventKind, zxid: i64) -> Entry {
        Entry::Event {
            path: "/a".to_owned(),
            event: WatchEvent::Node(NodeEvent::new(kind, path, Some(Zxid(zxid)))),
        }
    }

    fn armed(again: bool) -> Entry {
        Entry::Armed {
            path: "/a".to_owned(),
            again,
            one_shot: false,
        }
    }

    fn runs(entries: &[Entry]) -> Vec<(String, &'static str, u64)> {
        let mut pending = Pending::default();
        for entry in entries {
            pending.add(entry, false);
        }
        let runs = std::iter::from_fn(|| pending.next());
        runs.map(|run| (run.path, run.event, run.count)).collect()
    }

    #[test]
    fn events_of_one_znode_are_one_run() {
        use NodeEventKind::{Created, DataChanged, Deleted};
        let found = runs(&[
            changed("/a/x", Created, 1),
            changed("/a/y", Created, 2),
            changed("/a/x", DataChanged, 3),
            changed("/a/x", Deleted, 4),
        ]);
        let expected = [("/a/x", "deleted", 3), ("/a/y", "created", 1)];
        assert_eq!(
            found,
            expected.map(|(path, event, n)| (path.to_owned(), event, n))
        );
    }

    #[test]
    fn a_gap_is_not_hidden_by_a_change() {
        let gap = Entry::Event {
            path: "/a".to_owned(),
            event: WatchEvent::Gap { since: Zxid(1) },
        };
        let change = || changed("/a", NodeEventKind::DataChanged, 9);
        assert_eq!(
            runs(&[change(), gap, change()]),
            [("/a".to_owned(), GAP, 3)]
        );
        assert_eq!(runs(&[armed(true)]), [("/a".to_owned(), GAP, 1)]);
    }

    #[test]
    fn the_first_watch_is_an_event_on_request() {
        for (initially, event) in [(false, None), (true, Some("watching"))] {
            let mut pending = Pending::default();
            pending.add(&armed(false), initially);
            assert_eq!(pending.next().map(|run| run.event), event);
        }
    }

    #[test]
    fn too_many_znodes_are_one_run() {
        let created = |n: usize| changed(&format!("/a/{n}"), NodeEventKind::Created, 1);
        let entries: Vec<_> = (0..=MAX_PATHS).map(created).collect();
        let count = u64::try_from(MAX_PATHS).unwrap() + 1;
        assert_eq!(runs(&entries), [("/a".to_owned(), LAGGED, count)]);
        assert_eq!(runs(&entries[1..]).len(), MAX_PATHS);
    }
}

//! The order in which contenders came and left, by the server's own account: whether one was overtaken.

use tokio::task::JoinHandle;
use zk_client::{Client, NodeEventKind, WatchEvent, WatchMode};

use crate::common::soon;

/// The znode whose creation ends the witness.
const END: &str = "/end";

/// Sees every znode that is created or deleted, from now on.
#[derive(Debug)]
pub(crate) struct Witness {
    zk: Client,
    seen: JoinHandle<Vec<(NodeEventKind, String)>>,
}

/// A contender in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    number: i32,
    /// Whether it is a reader.
    shared: bool,
    name: String,
}

impl Place {
    fn of(name: &str) -> Self {
        let shared = name.contains("__READ__") || name.contains("__rlock__");
        let (_, number) = name.split_at(name.len() - 10);
        Place {
            number: number.parse().unwrap(),
            shared,
            name: name.to_owned(),
        }
    }
}

impl Witness {
    pub(crate) async fn of(zk: &Client) -> Self {
        let mut events = zk.watch("/", WatchMode::PersistentRecursive).await.unwrap();
        let seen = tokio::spawn(async move {
            let mut seen = Vec::new();
            loop {
                match events.next().await {
                    Some(WatchEvent::Node(event)) if event.path == END => return seen,
                    Some(WatchEvent::Node(event)) => seen.push((event.kind, event.path)),
                    other => panic!("the witness has missed something: {other:?}"),
                }
            }
        });
        Witness {
            zk: zk.clone(),
            seen,
        }
    }

    /// Asserts that each contender in the line under `parent` had its turn in the order of arrival: no
    /// other that it had to wait for was before it when it left. Returns how many left.
    pub(crate) async fn assert_none_was_overtaken(self, parent: &str) -> usize {
        self.zk.create(END, "").await.unwrap();
        let seen = soon("the witness", self.seen).await.unwrap();
        let mut line: Vec<Place> = Vec::new();
        let mut left = 0;
        for (kind, path) in seen {
            let Some((above, name)) = path.rsplit_once('/') else {
                continue;
            };
            if above != parent {
                continue;
            }
            match kind {
                NodeEventKind::Created => line.push(Place::of(name)),
                NodeEventKind::Deleted => {
                    let own = Place::of(name);
                    let is_ahead = |other: &&Place| {
                        let waits = !(own.shared && other.shared);
                        // A writer that becomes a reader keeps its number.
                        waits && (other.number, other.shared) < (own.number, own.shared)
                    };
                    let ahead: Vec<_> = line.iter().filter(is_ahead).collect();
                    assert!(ahead.is_empty(), "{own:?} has overtaken {ahead:?}");
                    line.retain(|other| *other != own);
                    left += 1;
                }
                // The line itself.
                NodeEventKind::DataChanged | NodeEventKind::ChildrenChanged => {}
            }
        }
        assert!(line.is_empty(), "{line:?} never left");
        left
    }
}

//! `watch` on servers without `addWatch`: with the recipes, which set one-shot watches again and again.

use std::convert::Infallible;

use tokio::sync::mpsc;
use zk_client::{Client, NodeEvent, NodeEventKind, WatchEvent, WatchMode, Zxid};
use zk_recipes::{
    CacheError, CacheEvent, ChildrenState, ChildrenWatch, DataState, DataWatch, TreeCache,
};

use super::entry::{Entry, Report};
use crate::output::explain::{explain, explain_recipe};

/// Why a znode is not watched any more.
pub(super) enum End {
    /// The client is closed, or the command has ended.
    Closed,
    /// The text says why.
    Failed(String),
}

impl From<zk_recipes::Error> for End {
    fn from(error: zk_recipes::Error) -> Self {
        End::Failed(explain_recipe(&error))
    }
}

impl From<CacheError> for End {
    fn from(error: CacheError) -> Self {
        match error {
            CacheError::Closed => End::Closed,
            CacheError::Client(error) => End::Failed(explain(&error)),
            other => End::Failed(other.to_string()),
        }
    }
}

/// Reports the changes of a znode or of a subtree, and returns why that ended.
pub(super) async fn watch_path(
    client: &Client,
    path: &str,
    mode: WatchMode,
    reports: &mpsc::Sender<Report>,
) -> End {
    let reporter = Reporter { path, reports };
    let end = match mode {
        WatchMode::Persistent => watch_znode(client, &reporter).await,
        _ => watch_tree(client, &reporter).await,
    };
    match end {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

struct Reporter<'a> {
    path: &'a str,
    reports: &'a mpsc::Sender<Report>,
}

impl Reporter<'_> {
    async fn send(&self, entry: Entry) -> Result<(), End> {
        let sent = self.reports.send(Report::Entry(entry)).await;
        sent.map_err(|_| End::Closed)
    }

    async fn armed(&self) -> Result<(), End> {
        let path = self.path.to_owned();
        self.send(Entry::Armed {
            path,
            again: false,
            one_shot: true,
        })
        .await
    }

    async fn event(&self, event: WatchEvent) -> Result<(), End> {
        let path = self.path.to_owned();
        self.send(Entry::Event { path, event }).await
    }

    async fn changed(&self, path: &str, change: NodeChange) -> Result<(), End> {
        let (kind, zxid) = change;
        self.event(WatchEvent::Node(NodeEvent::new(kind, path, zxid)))
            .await
    }
}

/// The kind of change, and its zxid if a stat shows it.
type NodeChange = (NodeEventKind, Option<Zxid>);

async fn watch_znode(client: &Client, reporter: &Reporter<'_>) -> Result<Infallible, End> {
    let mut data = DataWatch::new(client, reporter.path);
    let mut children = ChildrenWatch::new(client, reporter.path);
    let (mut known_data, mut known_children) = (None, None);
    loop {
        let was_armed = known_data.is_some() && known_children.is_some();
        let changes = tokio::select! {
            biased;
            state = data.next() => {
                let state = state.ok_or(End::Closed)??;
                let before = known_data.replace(state.clone());
                before.map_or_else(Vec::new, |before| data_changes(&before, &state))
            }
            state = children.next() => {
                let state = state.ok_or(End::Closed)??;
                let before = known_children.replace(state.clone());
                before.and_then(|before| children_change(&before, &state)).into_iter().collect()
            }
        };
        if !was_armed {
            if known_data.is_some() && known_children.is_some() {
                reporter.armed().await?;
            }
            continue;
        }
        for change in changes {
            reporter.changed(reporter.path, change).await?;
        }
    }
}

fn data_changes(before: &DataState, now: &DataState) -> Vec<NodeChange> {
    use NodeEventKind::{Created, DataChanged, Deleted};
    match (before, now) {
        (DataState::Absent, DataState::Absent) => vec![],
        (DataState::Absent, DataState::Present { stat, .. }) => vec![(Created, Some(stat.czxid))],
        (DataState::Present { .. }, DataState::Absent) => vec![(Deleted, None)],
        (DataState::Present { stat: known, .. }, DataState::Present { stat, .. }) => {
            match known.czxid == stat.czxid {
                true => vec![(DataChanged, Some(stat.mzxid))],
                false => vec![(Deleted, None), (Created, Some(stat.czxid))],
            }
        }
    }
}

/// The change of the list of children. The data show the creation and deletion of the znode itself.
fn children_change(before: &ChildrenState, now: &ChildrenState) -> Option<NodeChange> {
    let ChildrenState::Present { names, stat } = now else {
        return None;
    };
    let known = match before {
        ChildrenState::Present { stat: known, .. } if known.czxid == stat.czxid => Some(known),
        _ if names.is_empty() => return None,
        _ => None,
    };
    // Some servers do not change the pzxid when a child is deleted.
    let moved = known.is_none_or(|known| known.pzxid != stat.pzxid);
    Some((NodeEventKind::ChildrenChanged, moved.then_some(stat.pzxid)))
}

async fn watch_tree(client: &Client, reporter: &Reporter<'_>) -> Result<Infallible, End> {
    let cache = TreeCache::builder(client, reporter.path)
        .data(false)
        .start();
    cache.initialized().await?;
    let (_, mut events) = cache.subscribe()?;
    reporter.armed().await?;
    loop {
        let (path, change) = match events.next().await.ok_or(End::Closed)?? {
            CacheEvent::Added { path, node } => {
                (path, (NodeEventKind::Created, Some(node.stat.czxid)))
            }
            CacheEvent::Changed { path, node, .. } => {
                (path, (NodeEventKind::DataChanged, Some(node.stat.mzxid)))
            }
            CacheEvent::Removed { path, .. } => (path, (NodeEventKind::Deleted, None)),
            CacheEvent::Lagged { dropped } => {
                reporter.event(WatchEvent::Lagged { dropped }).await?;
                continue;
            }
            // After a gap the cache reads everything again, and reports what has changed like any
            // other change. No server reports the changes of a znode that may not be read.
            _ => continue,
        };
        reporter.changed(&path, change).await?;
    }
}

#[cfg(test)]
mod tests {
    use zk_client::Stat;

    use super::*;

    fn data(czxid: i64, mzxid: i64) -> DataState {
        let mut stat = Stat::default();
        (stat.czxid, stat.mzxid) = (Zxid(czxid), Zxid(mzxid));
        DataState::Present {
            data: Default::default(),
            stat,
        }
    }

    fn children(czxid: i64, pzxid: i64, names: &[&str]) -> ChildrenState {
        let mut stat = Stat::default();
        (stat.czxid, stat.pzxid) = (Zxid(czxid), Zxid(pzxid));
        ChildrenState::Present {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            stat,
        }
    }

    #[test]
    fn a_recreated_znode_was_deleted() {
        use NodeEventKind::{Created, DataChanged, Deleted};
        let recreated = data_changes(&data(1, 1), &data(5, 6));
        assert_eq!(recreated, [(Deleted, None), (Created, Some(Zxid(5)))]);
        let set = data_changes(&data(1, 1), &data(1, 6));
        assert_eq!(set, [(DataChanged, Some(Zxid(6)))]);
        let gone = data_changes(&data(1, 1), &DataState::Absent);
        assert_eq!(gone, [(Deleted, None)]);
    }

    /// Guards: P5.
    #[test]
    fn a_zxid_is_shown_if_it_has_changed() {
        let before = children(1, 3, &["a", "b"]);
        let zxid = |now: &ChildrenState| children_change(&before, now).map(|(_, zxid)| zxid);
        assert_eq!(zxid(&children(1, 3, &["a"])), Some(None));
        assert_eq!(zxid(&children(1, 4, &["a"])), Some(Some(Zxid(4))));
        assert_eq!(zxid(&ChildrenState::Absent), None);
        assert_eq!(zxid(&children(7, 7, &[])), None);
        assert_eq!(zxid(&children(7, 9, &["c"])), Some(Some(Zxid(9))));
    }
}

//! Watching on servers without `addWatch`: by one-shot watches, as the recipes set them again.

use std::convert::Infallible;

use tokio::sync::mpsc;
use zk_client::{Client, NodeEvent, NodeEventKind, WatchEvent, WatchMode, Zxid};
use zk_recipes::{
    CacheError, CacheEvent, ChildrenState, ChildrenWatch, DataState, DataWatch, TreeCache,
};

use super::{Entry, News};
use crate::failure::{explain, explain_recipe};

/// Why following a znode is over.
pub(super) enum End {
    /// The client is closed, or the command is over.
    Over,
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
            CacheError::Closed => End::Over,
            CacheError::Client(error) => End::Failed(explain(&error)),
            other => End::Failed(other.to_string()),
        }
    }
}

/// Reports the changes of a znode, or of a subtree, until that ends.
pub(super) async fn follow(
    client: &Client,
    path: &str,
    mode: WatchMode,
    news: &mpsc::Sender<News>,
) -> End {
    let reporter = Reporter { path, news };
    let end = match mode {
        WatchMode::Persistent => follow_znode(client, &reporter).await,
        _ => follow_tree(client, &reporter).await,
    };
    match end {
        Ok(never) => match never {},
        Err(end) => end,
    }
}

struct Reporter<'a> {
    path: &'a str,
    news: &'a mpsc::Sender<News>,
}

impl Reporter<'_> {
    async fn send(&self, entry: Entry) -> Result<(), End> {
        let sent = self.news.send(News::Entry(entry)).await;
        sent.map_err(|_| End::Over)
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

/// What happened, and the transaction if a stat names it.
type NodeChange = (NodeEventKind, Option<Zxid>);

async fn follow_znode(client: &Client, reporter: &Reporter<'_>) -> Result<Infallible, End> {
    let mut data = DataWatch::new(client, reporter.path);
    let mut children = ChildrenWatch::new(client, reporter.path);
    let (mut known_data, mut known_children) = (None, None);
    loop {
        let was_armed = known_data.is_some() && known_children.is_some();
        let changes = tokio::select! {
            biased;
            state = data.next() => {
                let state = state.ok_or(End::Over)??;
                let before = known_data.replace(state.clone());
                before.map_or_else(Vec::new, |before| of_data(&before, &state))
            }
            state = children.next() => {
                let state = state.ok_or(End::Over)??;
                let before = known_children.replace(state.clone());
                before.and_then(|before| of_children(&before, &state)).into_iter().collect()
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

fn of_data(before: &DataState, now: &DataState) -> Vec<NodeChange> {
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

/// Of the children only: the znode's own creation and deletion are in its data.
fn of_children(before: &ChildrenState, now: &ChildrenState) -> Option<NodeChange> {
    let ChildrenState::Present { names, stat } = now else {
        return None;
    };
    let known = match before {
        ChildrenState::Present { stat: known, .. } if known.czxid == stat.czxid => Some(known),
        _ if names.is_empty() => return None,
        _ => None,
    };
    // Some servers leave the zxid alone when a child is deleted.
    let moved = known.is_none_or(|known| known.pzxid != stat.pzxid);
    Some((NodeEventKind::ChildrenChanged, moved.then_some(stat.pzxid)))
}

async fn follow_tree(client: &Client, reporter: &Reporter<'_>) -> Result<Infallible, End> {
    let cache = TreeCache::builder(client, reporter.path)
        .data(false)
        .start();
    cache.initialized().await?;
    let (_, mut events) = cache.subscribe()?;
    reporter.armed().await?;
    loop {
        let (path, change) = match events.next().await.ok_or(End::Over)?? {
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
            // Everything is read again, and what has changed is reported like any other change. A
            // server does not report what happens to a znode that may not be read either.
            CacheEvent::Gap { .. }
            | CacheEvent::Initialized { .. }
            | CacheEvent::Refused { .. } => {
                continue;
            }
        };
        reporter.changed(&path, change).await?;
    }
}

#[cfg(test)]
mod tests {
    use zk_client::Stat;

    use super::*;

    fn data(czxid: i64, mzxid: i64) -> DataState {
        let stat = Stat {
            czxid: Zxid(czxid),
            mzxid: Zxid(mzxid),
            ..Stat::default()
        };
        DataState::Present {
            data: Default::default(),
            stat,
        }
    }

    fn children(czxid: i64, pzxid: i64, names: &[&str]) -> ChildrenState {
        let stat = Stat {
            czxid: Zxid(czxid),
            pzxid: Zxid(pzxid),
            ..Stat::default()
        };
        ChildrenState::Present {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            stat,
        }
    }

    #[test]
    fn a_recreated_znode_was_deleted() {
        use NodeEventKind::{Created, DataChanged, Deleted};
        let recreated = of_data(&data(1, 1), &data(5, 6));
        assert_eq!(recreated, [(Deleted, None), (Created, Some(Zxid(5)))]);
        let set = of_data(&data(1, 1), &data(1, 6));
        assert_eq!(set, [(DataChanged, Some(Zxid(6)))]);
        let gone = of_data(&data(1, 1), &DataState::Absent);
        assert_eq!(gone, [(Deleted, None)]);
    }

    /// Guards: P5.
    #[test]
    fn a_zxid_is_named_if_it_moved() {
        let before = children(1, 3, &["a", "b"]);
        let zxid = |now: &ChildrenState| of_children(&before, now).map(|(_, zxid)| zxid);
        assert_eq!(zxid(&children(1, 3, &["a"])), Some(None));
        assert_eq!(zxid(&children(1, 4, &["a"])), Some(Some(Zxid(4))));
        assert_eq!(zxid(&ChildrenState::Absent), None);
        assert_eq!(zxid(&children(7, 7, &[])), None);
        assert_eq!(zxid(&children(7, 9, &["c"])), Some(Some(Zxid(9))));
    }
}

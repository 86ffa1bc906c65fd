//! What a watch tells.

use zk_proto::Zxid;

/// What a watch tells its owner. Look again: an event says that something happened, not what the
/// znode is like now.
///
/// The variants are all there will be, so that a `match` that forgets the gap does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[doc(alias = "WatchedEvent")]
pub enum WatchEvent {
    /// A znode was changed.
    Node(NodeEvent),
    /// The connection was lost and found again, and changes made in between may have gone unseen.
    /// Read again what matters. Events told before it can be told again after it, by a server that
    /// was behind the last one.
    Gap {
        /// The last transaction known to have been seen.
        since: Zxid,
    },
    /// The owner did not keep up and this many events were dropped. Read again what matters.
    ///
    /// A gap meanwhile is not told besides, so events told before may come again after this, too.
    Lagged {
        /// How many.
        dropped: u64,
    },
    /// The session ended, by expiry or because the client was closed, and the watch with it.
    SessionEnded,
}

/// A change of a znode.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct NodeEvent {
    /// What happened.
    pub kind: NodeEventKind,
    /// The znode it happened to, as this client sees it: without the chroot.
    pub path: String,
    /// The transaction that did it. Servers before 3.9 do not say (ZOOKEEPER-4655), nor does any
    /// server of what happened while the connection was down.
    pub zxid: Option<Zxid>,
}

/// What happened to a znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[doc(alias = "EventType")]
pub enum NodeEventKind {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data were set.
    DataChanged,
    /// A child was created or deleted.
    ChildrenChanged,
}

impl NodeEvent {
    /// An event, for tests and for layers that make events of their own.
    pub fn new(kind: NodeEventKind, path: impl Into<String>, zxid: Option<Zxid>) -> Self {
        let path = path.into();
        NodeEvent { kind, path, zxid }
    }
}

impl NodeEventKind {
    /// `created`, `deleted`, `data_changed` or `children_changed`.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeEventKind::Created => "created",
            NodeEventKind::Deleted => "deleted",
            NodeEventKind::DataChanged => "data_changed",
            NodeEventKind::ChildrenChanged => "children_changed",
        }
    }
}

impl WatchEvent {
    /// The name of the variant: `node`, `gap`, `lagged` or `session_ended`.
    pub fn as_str(&self) -> &'static str {
        match self {
            WatchEvent::Node(_) => "node",
            WatchEvent::Gap { .. } => "gap",
            WatchEvent::Lagged { .. } => "lagged",
            WatchEvent::SessionEnded => "session_ended",
        }
    }

    /// The change, if this is one.
    pub fn node(&self) -> Option<&NodeEvent> {
        match self {
            WatchEvent::Node(event) => Some(event),
            _ => None,
        }
    }
}

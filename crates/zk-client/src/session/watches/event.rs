//! The events of watches.

use zk_proto::Zxid;

/// An event of a watch. It says that something happened, not what the znode is like now: read the
/// znode again.
///
/// This enum is exhaustive on purpose, so that a `match` without an arm for gaps does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[doc(alias = "WatchedEvent")]
pub enum WatchEvent {
    /// A znode was changed.
    Node(NodeEvent),
    /// The connection was lost and established again, and events in between may be missing. Read the
    /// watched znodes again. Events delivered before the gap can be delivered again after it, by a server
    /// that is behind the previous one.
    Gap {
        /// The zxid up to which no event is missing.
        since: Zxid,
    },
    /// The mailbox of the watch was full and this many events were dropped. Read the watched znodes
    /// again.
    ///
    /// A gap in the meantime is not delivered besides, so events delivered before may come again after
    /// this, too.
    Lagged {
        /// How many events were dropped, gaps included.
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
    /// The path of the znode, without the chroot of the handle.
    pub path: String,
    /// The transaction of the change. `None` from servers before 3.9 (ZOOKEEPER-4655), and from any
    /// server for changes made while the client was disconnected.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Metrics and logs have them.
    #[test]
    fn the_kinds_of_events_have_names() {
        let kinds = [
            NodeEventKind::Created,
            NodeEventKind::Deleted,
            NodeEventKind::DataChanged,
            NodeEventKind::ChildrenChanged,
        ];
        let names = ["created", "deleted", "data_changed", "children_changed"];
        assert_eq!(kinds.map(NodeEventKind::as_str), names);
        for kind in kinds {
            let event = NodeEvent::new(kind, "/a", None);
            let watched = WatchEvent::Node(event.clone());
            assert_eq!((watched.as_str(), watched.node()), ("node", Some(&event)));
        }
        let over = WatchEvent::SessionEnded;
        assert_eq!((over.as_str(), over.node()), ("session_ended", None));
    }
}

//! The states of a persistent node.

use std::fmt;
use std::sync::Arc;

use zk_client::{SessionId, Stat, Zxid};

/// The state of a [`PersistentNode`](crate::PersistentNode).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum NodeState {
    /// The first creation is under way, or waits for a connection.
    Creating,
    /// The znode exists, as far as the client knows: it is watched.
    Present {
        /// Its path, with the number of a sequential one.
        path: String,
        /// The session that it ends with; `None` if it is not ephemeral.
        session: Option<SessionId>,
        /// The transaction that created it. It differs from one creation to the next.
        czxid: Zxid,
    },
    /// The connection is lost. The znode, if there was one, exists until the session ends.
    Suspended,
    /// The znode does not exist any more: its session has ended, or a client deleted it. It is created
    /// again as soon as there is a session.
    Missing,
    /// A znode of another client, or of another recipe of this one, has the path. It is watched, and the
    /// own znode is created when that one is deleted.
    Conflict {
        /// The path.
        path: String,
        /// The session that the other znode ends with; `None` if it is not ephemeral.
        owner: Option<SessionId>,
    },
    /// The ensemble refuses the znode. The request is repeated, after delays that grow to 5 s.
    Refused(Arc<zk_client::Error>),
    /// The node is closed, or its client is over. Final.
    Closed,
}

impl NodeState {
    /// Whether the znode exists, as far as the client knows.
    pub fn is_present(&self) -> bool {
        matches!(self, NodeState::Present { .. })
    }

    /// Whether a subscriber would see no difference.
    pub(super) fn is_same(&self, other: &NodeState) -> bool {
        match (self, other) {
            (
                NodeState::Present {
                    path,
                    session,
                    czxid,
                },
                NodeState::Present {
                    path: other_path,
                    session: other_session,
                    czxid: other_czxid,
                },
            ) => (path, session, czxid) == (other_path, other_session, other_czxid),
            (
                NodeState::Conflict { path, owner },
                NodeState::Conflict {
                    path: other_path,
                    owner: other_owner,
                },
            ) => (path, owner) == (other_path, other_owner),
            (NodeState::Refused(_), _) => false,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeState::Creating => f.write_str("creating"),
            NodeState::Present {
                path,
                session: Some(session),
                ..
            } => write!(f, "present at {path}, session {session}"),
            NodeState::Present { path, .. } => write!(f, "present at {path}"),
            NodeState::Suspended => f.write_str("suspended"),
            NodeState::Missing => f.write_str("missing"),
            NodeState::Conflict {
                path,
                owner: Some(owner),
            } => write!(f, "conflict: {path} belongs to session {owner}"),
            NodeState::Conflict { path, .. } => {
                write!(f, "conflict: {path} exists and is not ephemeral")
            }
            NodeState::Refused(error) => write!(f, "refused: {error}"),
            NodeState::Closed => f.write_str("closed"),
        }
    }
}

/// What became of the data of [`PersistentNode::set_data`](crate::PersistentNode::set_data).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "pending data are not on the ensemble yet"]
pub enum DataWrite {
    /// The znode has the data, or later ones. The stat is that of the write.
    Written(Stat),
    /// The znode does not exist at present, or the connection is lost. The data are written as soon as
    /// it exists again, unless the ensemble refuses them: then the znode has the last ones that it accepted,
    /// and [`wait_created`](crate::PersistentNode::wait_created) returns the error.
    Pending,
}

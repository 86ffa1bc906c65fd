//! A znode that is kept in existence.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use zk_client::{Acl, Client, CreateMode, Guid, path};

use super::board::{Board, Closing, Contents, Reader};
use super::keeper::Keeper;
use super::node_state::{DataWrite, NodeState};
use super::plan::{Parents, Plan, Recognition};
use crate::error::{Error, Result};

/// A znode that exists for as long as this handle: it is created again with the latest data when its
/// session has expired, when another client has deleted it, and when the ensemble was restored from a
/// backup. The znode is ephemeral unless the builder says otherwise.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::PersistentNode;
///
/// let node = PersistentNode::new(&zk, "/services/search/host-7", "10.0.0.7:9200");
/// node.wait_created().await?;
/// // … the znode is there, in this session and in the next …
/// let _ = node.set_data("10.0.0.7:9201").await?;
/// node.close().await?;
/// # Ok(()) }
/// ```
///
/// # Whose znode it is
///
/// A znode that is found at the path counts as this node's if its creation was confirmed, or if the reply
/// to a creation was lost and the znode belongs to the session of that creation. A znode of an earlier
/// session of this handle is a ghost that the servers are about to delete; it is deleted at once, so that
/// the path becomes free. Every other znode is a conflict: it is neither changed nor deleted. The
/// conflict is reported with the owner's session, and the znode is created as soon as the other one is
/// deleted.
///
/// A ghost is deleted if it still has the version that was read, as ZooKeeper has no deletion by the
/// transaction that created a znode. If the servers end the earlier session, and another client creates its
/// own znode at the path, both within the one round trip between the read and the deletion, that znode is
/// deleted.
///
/// After the crash of a program, its znode stays until its session expires, and is a conflict for the
/// restarted program until then. [`recognize_earlier_run`](PersistentNodeBuilder::recognize_earlier_run)
/// makes it a ghost.
///
/// A znode that is not ephemeral has no owner. If one exists at the path of a node that is not ephemeral,
/// the node adopts it, and writes its data.
///
/// # Losing the session
///
/// While the connection is lost the state is [`NodeState::Suspended`]. If the session resumes, the znode
/// is looked at. If the session is lost, the state is [`NodeState::Missing`] until the client has the next
/// session (with [`SessionPolicy::Renew`](zk_client::SessionPolicy::Renew), which is the default), in
/// which the znode is created with the latest data.
///
/// # Znodes
///
/// The znode at the path. A [protected](PersistentNodeBuilder::protected) one is named
/// `_c_<uuid>-<name>`, a sequential one `_c_<uuid>-<name><sequence>`, as Curator does it. A sequential
/// znode keeps its whole name when it is created again. The parent is a container if it has to be
/// created ([`Parents`]). Curator's `PersistentNode` and `PersistentEphemeralNode` are the counterparts;
/// kazoo has none.
///
/// # After a crash
///
/// A process that resumes the session of an earlier one, as a `SessionStore` of zk_client does, finds the
/// earlier znode there. With [`adopting`](PersistentNodeBuilder::adopting) the node takes it up: it is not
/// deleted and created again, and its data are replaced by the node's. A znode of another session is never
/// taken up ([`recognize_earlier_run`](PersistentNodeBuilder::recognize_earlier_run) deletes it). The name
/// of a protected or sequential znode is another one in each process: save its [`path`](Self::path), and
/// give that whole path to an adopting node that is neither.
///
/// No two nodes of a session may be at the same path then: each would take the znode for its own.
///
/// # Cost
///
/// One task. To create the znode, one round trip of two requests, the creation and a read that sets a
/// watch; two more for missing parents, or more if these have no parent. While nothing changes, no
/// requests. After each reconnect one read; after an expiry or a deletion, one round trip as at first.
/// [`set_data`](Self::set_data) is one round trip of two requests, the write and a read that sets the watch
/// again. To delete the znode, one request.
///
/// # Cancel safety
///
/// The futures only wait, for a task that continues without them. Dropping the handle deletes the znode in the
/// background, also if the creation is in flight. [`Client::close`] does not wait for that if the znode is
/// ephemeral, as it ends with the session; otherwise it does.
#[doc(alias = "PersistentEphemeralNode")]
#[must_use = "dropping a persistent node deletes its znode"]
pub struct PersistentNode {
    client: Client,
    board: Arc<Board>,
    outlives_session: bool,
    deleted_at_end: bool,
}

impl PersistentNode {
    /// Keeps an ephemeral znode with these data at `path`.
    pub fn new(client: &Client, path: &str, data: impl Into<Bytes>) -> Self {
        Self::builder(client, path).data(data).start()
    }

    /// A builder of a znode at `path`.
    pub fn builder(client: &Client, path: &str) -> PersistentNodeBuilder {
        PersistentNodeBuilder {
            client: client.clone(),
            data: Bytes::new(),
            protected: false,
            plan: Plan {
                path: path.to_owned(),
                mode: CreateMode::Ephemeral,
                ttl: None,
                acl: None,
                parents: Parents::default(),
                unique: false,
                deleted_at_end: true,
                earlier_run: None,
                adopting: false,
            },
        }
    }

    fn start(client: &Client, plan: Plan, data: Bytes) -> Self {
        let path = (!plan.mode.is_sequential()).then(|| plan.path.clone());
        let board = Board::new(data, path);
        let (outlives_session, deleted_at_end) = (!plan.mode.is_ephemeral(), plan.deleted_at_end);
        let keeper = Keeper::new(client, plan, board.clone());
        client.runtime().spawn(keeper.run());
        PersistentNode {
            client: client.clone(),
            board,
            outlives_session,
            deleted_at_end,
        }
    }

    /// Waits until the znode exists with the latest data, and returns its path.
    ///
    /// # Errors
    /// [`Error::Occupied`] if the znode is another's, and the ensemble's error if that refuses the creation
    /// or the data: the node continues, and a later call may succeed. The refusal of
    /// [pending](DataWrite::Pending) data, which leaves those that the znode had before, is returned once. An invalid path is an error before
    /// anything is sent ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)); this and the end of the client
    /// are final.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    #[doc(alias = "waitForInitialCreate")]
    pub async fn wait_created(&self) -> Result<String> {
        let read = |contents: &Contents| match (&contents.state, &contents.end) {
            (_, Some(Err(error))) => Some(Err(Error::Background(error.clone()))),
            _ if contents.data.has_unreported() => Some(Ok(None)),
            (NodeState::Present { path, .. }, _) if contents.data.is_written() => {
                Some(Ok(Some(path.clone())))
            }
            (NodeState::Conflict { path, owner }, _) => Some(Err(Error::Occupied {
                path: path.clone(),
                owner: *owner,
            })),
            (NodeState::Refused(error), _) => Some(Err(Error::Background(error.clone()))),
            (NodeState::Closed, _) => Some(Err(Error::NodeClosed)),
            _ => None,
        };
        let reader = Reader::of(&self.board);
        loop {
            if let Some(path) = reader.wait(read).await? {
                return Ok(path);
            }
            // Another call may have taken it.
            if let Some(refusal) = self.board.lock().data.take_unreported() {
                return Err(Error::Background(refusal));
            }
        }
    }

    /// Replaces the data, and waits until the znode has them, or later ones. If the znode does not exist at
    /// present, or the connection is lost, the result is [`DataWrite::Pending`]: the data are kept and
    /// written as soon as it exists again, in this session or in the next.
    ///
    /// Data that another client has written are replaced by the next `set_data`, and when the znode is
    /// created again.
    ///
    /// If the ensemble refuses pending data, the znode has those that it had last, also in the next session,
    /// and the next [`wait_created`](Self::wait_created) returns the error.
    ///
    /// # Errors
    /// The ensemble refuses the data, or later ones before these were written: the last ones that the znode
    /// had stay. The end of the client.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the data to be written.
    pub async fn set_data(&self, data: impl Into<Bytes>) -> Result<DataWrite> {
        let call = self.board.set_data(data.into());
        let read = |contents: &Contents| match (&contents.state, &contents.end) {
            (_, Some(Err(error))) => Some(Err(Error::Background(error.clone()))),
            (state, _) => match contents.data.settled(call.number) {
                Some(Err(error)) => Some(Err(Error::Background(error))),
                _ if matches!(state, NodeState::Closed) => Some(Err(Error::NodeClosed)),
                Some(Ok(stat)) => Some(Ok(DataWrite::Written(stat))),
                None => match state {
                    NodeState::Creating | NodeState::Present { .. } => None,
                    _ => Some(Ok(DataWrite::Pending)),
                },
            },
        };
        let result = Reader::of(&self.board).wait(read).await;
        if !matches!(result, Ok(DataWrite::Pending)) {
            call.report();
        }
        result
    }

    /// What the task publishes, for other parts of a recipe.
    pub(super) fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// The path of the znode; `None` if it is sequential and was not created yet.
    pub fn path(&self) -> Option<String> {
        self.board.lock().path.clone()
    }

    /// The latest data, which the znode has or will have.
    pub fn data(&self) -> Bytes {
        self.board.latest().0
    }

    /// The present state.
    pub fn state(&self) -> NodeState {
        self.board.lock().state.clone()
    }

    /// A stream of the states, the present one first. A state that changes before it is read is skipped. The
    /// stream ends after [`NodeState::Closed`].
    pub fn states(&self) -> NodeStates {
        NodeStates {
            reader: Reader::of(&self.board),
            seen: 0,
            over: false,
        }
    }

    /// Deletes the znode, also if its creation is still in flight, and returns when it is gone. While the
    /// connection is lost, this waits for the next one, or for the end of the session.
    ///
    /// # Errors
    /// The deletion was refused, or the znode outlives its session and the client is over.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the deletion to the task.
    pub async fn close(self) -> Result<()> {
        self.close_shared().await
    }

    /// As [`close`](Self::close), through a shared reference.
    ///
    /// # Errors
    /// As [`close`](Self::close).
    ///
    /// # Cancel safety
    /// As [`close`](Self::close).
    pub async fn close_shared(&self) -> Result<()> {
        self.begin_closing();
        let end = Reader::of(&self.board)
            .wait(|contents| contents.end.clone())
            .await;
        end.map_err(Error::Background)
    }

    /// Submits the deletion, which therefore precedes all that the caller submits next, and leaves the rest to
    /// the task.
    fn begin_closing(&self) {
        self.board.close(|present| {
            if !self.deleted_at_end {
                return Closing::default();
            }
            let client = self.client.with_deadline(None);
            Closing {
                pledge: self.outlives_session.then(|| client.pledge("")),
                deleting: present.map(|present| {
                    let delete = client.delete(&present.path);
                    let delete = delete.version(present.stat.version);
                    (present.stat.czxid, delete.submit())
                }),
            }
        });
    }
}

impl Drop for PersistentNode {
    fn drop(&mut self) {
        self.begin_closing();
    }
}

impl fmt::Debug for PersistentNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistentNode")
            .field("path", &self.path())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// The states of a [`PersistentNode`]. Made by [`PersistentNode::states`].
#[derive(Debug)]
pub struct NodeStates {
    reader: Reader,
    seen: u64,
    over: bool,
}

impl NodeStates {
    /// The next state; `None` after [`NodeState::Closed`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<NodeState> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for NodeStates {
    type Item = NodeState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<NodeState>> {
        if self.over {
            return Poll::Ready(None);
        }
        let seen = self.seen;
        let next = self.reader.poll(cx, |contents| {
            (contents.changes > seen).then(|| (contents.changes, contents.state.clone()))
        });
        next.map(|(changes, state)| {
            self.seen = changes;
            self.over = matches!(state, NodeState::Closed);
            Some(state)
        })
    }
}

/// A builder of a [`PersistentNode`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct PersistentNodeBuilder {
    client: Client,
    data: Bytes,
    protected: bool,
    plan: Plan,
}

impl PersistentNodeBuilder {
    /// The data; empty unless given.
    pub fn data(mut self, data: impl Into<Bytes>) -> Self {
        self.data = data.into();
        self
    }

    /// The kind of znode; [`CreateMode::Ephemeral`] unless given. The number of a sequential one is appended to
    /// the path, and its name is always [protected](Self::protected). A mode with a TTL needs
    /// [`ttl`](Self::ttl) as well.
    pub fn mode(mut self, mode: CreateMode) -> Self {
        self.plan.mode = mode;
        self
    }

    /// How long the servers keep a znode of a mode with a TTL after its last change, if it has no children:
    /// between 1 ms and about 34 years.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.plan.ttl = Some(ttl);
        self
    }

    /// Puts a random id before the name, `_c_<uuid>-<name>`, by which the znode is recognized as this
    /// node's. The path is known at once: [`PersistentNode::path`].
    #[doc(alias = "withProtection")]
    pub fn protected(mut self) -> Self {
        self.protected = true;
        self
    }

    /// The ACL; the client's default unless given. The parents have that of the client.
    pub fn acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.plan.acl = Some(acl.into());
        self
    }

    /// The znodes above that are created if they are missing; [`Parents::Container`] unless given.
    pub fn parents(mut self, parents: Parents) -> Self {
        self.plan.parents = parents;
        self
    }

    /// Recognizes by its data an ephemeral znode that an earlier run of this program has left: for instance by
    /// an instance id that is kept on disk, or the name of the host. Such a znode is deleted at once, instead
    /// of being a conflict until its session expires.
    ///
    /// Two programs that recognize each other's znodes delete them in turn, after delays that grow to 5 s.
    pub fn recognize_earlier_run(
        mut self,
        recognizes: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.plan.earlier_run = Some(Recognition::new(recognizes));
        self
    }

    /// Takes up the znode at the path if it belongs to the session in which this node starts: that of an
    /// earlier process, if this one has resumed its session. See "After a crash" at [`PersistentNode`].
    /// Without this, such a znode is a [`Conflict`](NodeState::Conflict).
    pub fn adopting(mut self) -> Self {
        self.plan.adopting = true;
        self
    }

    /// The name contains a random id, so that only this node's znodes have it.
    pub(super) fn unique(mut self) -> Self {
        self.plan.unique = true;
        self
    }

    /// The znode stays after the end of the node.
    pub(super) fn left_at_end(mut self) -> Self {
        self.plan.deleted_at_end = false;
        self
    }

    /// Starts the task that keeps the znode, on the client's runtime.
    pub fn start(mut self) -> PersistentNode {
        if self.protected && !self.plan.mode.is_sequential() {
            let (above, name) = (path::parent(&self.plan.path), path::name(&self.plan.path));
            let name = format!("{}{name}", Guid::random().prefix());
            self.plan.path = path::join(above.unwrap_or("/"), &name);
        }
        self.plan.unique |= self.protected || self.plan.mode.is_sequential();
        PersistentNode::start(&self.client, self.plan, self.data)
    }
}

//! A member of a group, and its view of the others.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use zk_client::{Client, path};

use super::board::Board;
use super::node_state::DataWrite;
use super::persistent_node::PersistentNode;
use crate::error::{CacheError, Result};
use crate::tree_cache::{CacheEvent, CacheEvents, Snapshot, TreeCache};

/// A member of a group, by a znode with its id as name, and a live view of all members.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use zk_recipes::GroupMember;
///
/// let member = GroupMember::new(&zk, "/group", "host-7", "10.0.0.7:9200");
/// member.node().wait_created().await?;
/// let mut view = member.view()?;
/// view.initialized().await?;
/// while let Some(members) = view.next().await {
///     for (id, data) in members? {
///         println!("{id}: {} bytes", data.len());
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// `path/<id>`, ephemeral, with the member's data. The znode at `path` is a container if it has to be created.
/// Curator's `GroupMember` is the counterpart; kazoo has none.
///
/// # Cost
///
/// That of a [`PersistentNode`]: a member reads no other. A [view](Self::view) is a [`TreeCache`] of one level:
/// one watch, one read for each member at its start, and one read for each change. In a group of n members that
/// all have a view, each change is n notifications and n reads.
///
/// # Losing the session
///
/// The member as a [`PersistentNode`], a view as a [`TreeCache`].
///
/// # After a crash
///
/// As for a [`PersistentNode`], with [`adopting`](Self::adopting): other members see no change but that of
/// the data.
///
/// # Cancel safety
///
/// As for a [`PersistentNode`].
#[derive(Debug)]
#[must_use = "dropping a member deletes its znode"]
pub struct GroupMember {
    client: Client,
    path: String,
    id: String,
    node: PersistentNode,
}

impl GroupMember {
    /// The member `id` of the group at `path`, with these data. Ids are unique in a group: the second member
    /// with an id is a [`Conflict`](crate::NodeState::Conflict).
    pub fn new(client: &Client, path: &str, id: &str, data: impl Into<Bytes>) -> Self {
        GroupMember {
            client: client.clone(),
            path: path.to_owned(),
            id: id.to_owned(),
            node: PersistentNode::new(client, &path::join(path, id), data),
        }
    }

    /// As [`new`](Self::new), for a process that may have resumed the session of an earlier one: takes up
    /// the member's znode if it belongs to the session. See
    /// [`PersistentNodeBuilder::adopting`](crate::PersistentNodeBuilder::adopting).
    pub fn adopting(client: &Client, path: &str, id: &str, data: impl Into<Bytes>) -> Self {
        let node = PersistentNode::builder(client, &path::join(path, id));
        GroupMember {
            client: client.clone(),
            path: path.to_owned(),
            id: id.to_owned(),
            node: node.data(data).adopting().start(),
        }
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The member's znode, with its states.
    pub fn node(&self) -> &PersistentNode {
        &self.node
    }

    /// As [`PersistentNode::set_data`].
    ///
    /// # Errors
    /// As [`PersistentNode::set_data`].
    ///
    /// # Cancel safety
    /// As [`PersistentNode::set_data`].
    pub async fn set_data(&self, data: impl Into<Bytes>) -> Result<DataWrite> {
        self.node.set_data(data).await
    }

    /// Starts a view of the members.
    ///
    /// # Errors
    /// The client is over.
    pub fn view(&self) -> Result<GroupView, CacheError> {
        let cache = TreeCache::builder(&self.client, &self.path)
            .max_depth(1)
            .start();
        let (_, events) = cache.subscribe()?;
        Ok(GroupView {
            path: self.path.clone(),
            id: self.id.clone(),
            board: self.node.board(),
            cache,
            events,
        })
    }

    /// Leaves the group, and returns when the znode is deleted.
    ///
    /// # Errors
    /// As [`PersistentNode::close`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the group in the background.
    pub async fn close(self) -> Result<()> {
        self.node.close().await
    }
}

/// The members of a group, kept up to date. Made by [`GroupMember::view`].
///
/// Until it is closed or dropped, the own member is always among them, with its latest data, whether its znode
/// exists at present or not.
#[derive(Debug)]
pub struct GroupView {
    path: String,
    id: String,
    board: Arc<Board>,
    cache: TreeCache,
    events: CacheEvents,
}

impl GroupView {
    /// The members that are known now, by id. Sends nothing and does not wait.
    ///
    /// # Errors
    /// The view has ended.
    pub fn members(&self) -> Result<BTreeMap<String, Bytes>, CacheError> {
        let snapshot = self.cache.snapshot()?;
        Ok(self.members_in(&snapshot))
    }

    fn members_in(&self, snapshot: &Snapshot) -> BTreeMap<String, Bytes> {
        let children = snapshot.children(&self.path);
        let own = (!self.board.is_closing()).then(|| (self.id.clone(), self.board.latest().0));
        children
            .map(|(id, member)| (id.to_owned(), member.data.clone()))
            .chain(own)
            .collect()
    }

    /// Waits until all members have been read once.
    ///
    /// # Errors
    /// The view has ended.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn initialized(&self) -> Result<BTreeMap<String, Bytes>, CacheError> {
        let snapshot = self.cache.initialized().await?;
        Ok(self.members_in(&snapshot))
    }

    /// Waits for the next change of the group, and returns the members; `None` at the end.
    ///
    /// # Errors
    /// The view has ended.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<BTreeMap<String, Bytes>, CacheError>> {
        loop {
            match self.events.next().await? {
                Err(error) => return Some(Err(error)),
                Ok(CacheEvent::Gap { .. }) => {}
                // The snapshot has what the dropped events would have reported.
                Ok(CacheEvent::Lagged { .. }) => {
                    let snapshot = self.events.resume();
                    return Some(snapshot.map(|snapshot| self.members_in(&snapshot)));
                }
                Ok(_) => return Some(self.members()),
            }
        }
    }
}

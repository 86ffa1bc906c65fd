//! A znode that outlives its session for a limited time.

use std::time::Duration;

use bytes::Bytes;
use tokio::task::AbortHandle;
use zk_client::{Client, CreateMode, Error, ErrorKind, path};

use super::node_state::DataWrite;
use super::persistent_node::PersistentNode;
use crate::error::Result;
use crate::retry::RetryBackoff;

/// The child that keeps the znode from being deleted. The name is Curator's.
const TOUCH: &str = "touch";

/// A znode that the servers delete some time after the last sign of life of the programs that keep it: a
/// [`PersistentNode`] that does not end with a session, with a time to live. Several programs can keep the
/// same one. The servers must have `extendedTypesEnabled`.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use std::time::Duration;
/// use zk_recipes::PersistentTtlNode;
///
/// let node = PersistentTtlNode::new(&zk, "/builds/42", Duration::from_secs(600), "running");
/// node.wait_created().await?;
/// // … after a restart of this program within ten minutes it is still there …
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// The znode at the path, persistent with the TTL, and its child `touch`, of the same kind, which is
/// written every half of the TTL. The servers delete first the child and then the znode, each when it has not
/// been written for as long as the TTL. Curator's `PersistentTtlNode` is the counterpart; kazoo has none.
///
/// # Cost
///
/// That of a [`PersistentNode`], and one more task and one write every half of the TTL.
///
/// # Losing the session
///
/// Nothing is lost if the next session begins within the TTL. If the servers have deleted the znode, it is
/// created again.
///
/// # Cancel safety
///
/// As for a [`PersistentNode`], but neither dropping nor closing it deletes the znode.
#[derive(Debug)]
#[must_use = "a node that is dropped is kept for its TTL only"]
pub struct PersistentTtlNode {
    node: PersistentNode,
    touching: AbortHandle,
}

impl PersistentTtlNode {
    /// Keeps a znode with these data at `path`, which exists for `ttl` after the last program that keeps it has
    /// ended: between 1 ms and about 34 years. Servers look for such znodes once a minute unless
    /// configured otherwise.
    pub fn new(client: &Client, path: &str, ttl: Duration, data: impl Into<Bytes>) -> Self {
        let node = PersistentNode::builder(client, path)
            .mode(CreateMode::PersistentWithTtl)
            .ttl(ttl)
            .data(data)
            .left_at_end()
            .start();
        let task = touch(
            client.with_deadline(None).background(),
            path::join(path, TOUCH),
            ttl,
        );
        PersistentTtlNode {
            node,
            touching: client.runtime().spawn(task).abort_handle(),
        }
    }

    /// The znode, with its states.
    pub fn node(&self) -> &PersistentNode {
        &self.node
    }

    /// As [`PersistentNode::wait_created`].
    ///
    /// # Errors
    /// As [`PersistentNode::wait_created`].
    ///
    /// # Cancel safety
    /// As [`PersistentNode::wait_created`].
    pub async fn wait_created(&self) -> Result<String> {
        self.node.wait_created().await
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

    /// Ends the keeping. The znode stays for its TTL.
    ///
    /// # Errors
    /// The client is over.
    ///
    /// # Cancel safety
    /// Dropping the future ends the keeping, too.
    pub async fn close(self) -> Result<()> {
        self.touching.abort();
        self.node.close_shared().await
    }
}

impl Drop for PersistentTtlNode {
    fn drop(&mut self) {
        self.touching.abort();
    }
}

/// Writes the child every half of the TTL.
async fn touch(client: Client, path: String, ttl: Duration) {
    // The creation of the znode reports that this is invalid.
    if ttl < Duration::from_millis(1) {
        return;
    }
    let mut backoff = RetryBackoff::new();
    loop {
        tokio::time::sleep(ttl / 2).await;
        while let Err(error) = touch_once(&client, &path, ttl).await {
            match error.kind() {
                ErrorKind::Closed | ErrorKind::AuthFailed => return,
                // No attempt can succeed: the znode's own creation reports that.
                ErrorKind::InvalidPath | ErrorKind::InvalidArgument => return,
                // Without its parent there is nothing to keep; that one is created again.
                ErrorKind::NoNode => break,
                _ => tracing::debug!(%error, "a znode with a TTL could not be touched"),
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
        backoff.reset();
    }
}

async fn touch_once(client: &Client, path: &str, ttl: Duration) -> Result<(), Error> {
    match client.set(path, "").await {
        Err(error) if error.kind() == ErrorKind::NoNode => {}
        written => return written.map(drop),
    }
    let create = client.create(path, "").mode(CreateMode::PersistentWithTtl);
    match create.ttl(ttl).await {
        Err(error) if error.kind() == ErrorKind::NodeExists => Ok(()),
        created => created.map(drop),
    }
}

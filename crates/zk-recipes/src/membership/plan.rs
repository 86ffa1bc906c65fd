//! The options of a persistent node.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zk_client::{Acl, Client, Create, CreateMode, Created, Pending};

/// The znodes above that are created if they are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Parents {
    /// Persistent ones, and the last of them a container, which the servers delete some time after its
    /// last child. On servers without containers it is persistent.
    #[default]
    Container,
    /// Persistent ones.
    Persistent,
    /// None: a missing parent is an error.
    Existing,
}

/// Decides by its data whether a znode is from an earlier run of this program.
#[derive(Clone)]
pub(super) struct Recognition(Arc<Recognizes>);

type Recognizes = dyn Fn(&[u8]) -> bool + Send + Sync;

impl Recognition {
    pub(super) fn new(recognizes: impl Fn(&[u8]) -> bool + Send + Sync + 'static) -> Self {
        Recognition(Arc::new(recognizes))
    }

    pub(super) fn recognizes(&self, data: &[u8]) -> bool {
        (self.0)(data)
    }
}

impl fmt::Debug for Recognition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recognition")
    }
}

/// What a persistent node is to be.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Of a sequential znode, the path without the number.
    pub(super) path: String,
    pub(super) mode: CreateMode,
    pub(super) ttl: Option<Duration>,
    pub(super) acl: Option<Vec<Acl>>,
    pub(super) parents: Parents,
    /// Whether the name contains a random id.
    pub(super) unique: bool,
    /// Whether the znode is deleted at the end.
    pub(super) deleted_at_end: bool,
    pub(super) earlier_run: Option<Recognition>,
    /// Whether a znode of the client's first session is this node's: that of an earlier process.
    pub(super) adopting: bool,
}

impl Plan {
    fn create<'a>(
        &'a self,
        client: &'a Client,
        path: &'a str,
        data: &'a [u8],
        mode: CreateMode,
    ) -> Create<'a, &'a [u8]> {
        let create = client.create(path, data).mode(mode);
        let create = match self.ttl {
            Some(ttl) => create.ttl(ttl),
            None => create,
        };
        match &self.acl {
            Some(acl) => create.acl(acl.clone()),
            None => create,
        }
    }

    /// Creates the znode at a path that is known as a whole.
    pub(super) fn submit_at(&self, client: &Client, path: &str, data: &[u8]) -> Pending<Created> {
        let mode = match self.mode {
            CreateMode::EphemeralSequential => CreateMode::Ephemeral,
            CreateMode::PersistentSequential => CreateMode::Persistent,
            CreateMode::PersistentSequentialWithTtl => CreateMode::PersistentWithTtl,
            mode => mode,
        };
        self.create(client, path, data, mode).submit()
    }

    /// Creates a sequential znode for the first time.
    pub(super) async fn create_numbered(
        &self,
        client: &Client,
        data: &[u8],
    ) -> zk_client::Result<Created> {
        self.create(client, &self.path, data, self.mode)
            .protected()
            .await
    }

    /// Creates the znodes above. False if the plan does not say so.
    pub(super) async fn ensure_parents(&self, client: &Client) -> zk_client::Result<bool> {
        let Some(parent) = zk_client::path::parent(&self.path) else {
            return Ok(false);
        };
        let ensured = client.ensure_path(parent);
        let ensured = match self.parents {
            Parents::Existing => return Ok(false),
            Parents::Persistent => ensured,
            Parents::Container => ensured.container(),
        };
        ensured.await?;
        Ok(true)
    }
}

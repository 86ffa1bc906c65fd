//! How znodes with values are created.

use std::time::Duration;

use zk_client::{Acl, Client, CreateParents};

/// The kind and the ACL of the znodes that a [`TypedNode`](super::TypedNode) or a
/// [`Model`](super::Model) creates: persistent, with the ACL of the client, unless given. Missing
/// parents are created as persistent znodes with the client's ACL.
///
/// The kinds exclude each other: a creation with two of them fails before anything is sent. The errors
/// are those of [`Create`](zk_client::Create).
#[derive(Debug, Clone, Default)]
pub struct NodeOptions {
    ephemeral: bool,
    container: bool,
    ttl: Option<Duration>,
    acl: Option<Vec<Acl>>,
}

impl NodeOptions {
    /// Persistent znodes with the ACL of the client.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ephemeral znodes: the server deletes them at the end of the session, and nothing here creates
    /// them again.
    pub fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }

    /// Containers: see [`Create::container`](zk_client::Create::container).
    pub fn container(mut self) -> Self {
        self.container = true;
        self
    }

    /// Znodes with a time to live: see [`Create::ttl`](zk_client::Create::ttl).
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The ACL of the znodes.
    pub fn acl(mut self, acl: impl Into<Vec<Acl>>) -> Self {
        self.acl = Some(acl.into());
        self
    }

    pub(super) fn create<'a>(
        &self,
        client: &'a Client,
        path: &'a str,
        data: &'a [u8],
    ) -> CreateParents<'a, &'a [u8]> {
        let mut create = client.create(path, data);
        if self.ephemeral {
            create = create.ephemeral();
        }
        if self.container {
            create = create.container();
        }
        if let Some(ttl) = self.ttl {
            create = create.ttl(ttl);
        }
        if let Some(acl) = &self.acl {
            create = create.acl(acl.clone());
        }
        create.parents()
    }
}

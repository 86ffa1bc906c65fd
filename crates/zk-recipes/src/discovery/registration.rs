//! An instance that is registered.

use std::fmt;

use serde::Serialize;

use super::instance::ServiceInstance;
use super::json;
use crate::error::{Error, Result};
use crate::membership::{DataWrite, NodeState, NodeStates, PersistentNode};

/// An instance that stays registered until this is dropped: in this session and in the next, and also if
/// another client deletes its znode. Made by [`ServiceDiscovery::register`](crate::ServiceDiscovery::register).
///
/// # Cancel safety
///
/// Dropping the registration deletes the znode in the background, also if its creation is in flight.
#[must_use = "dropping a registration unregisters the instance"]
pub struct Registration<P> {
    instance: ServiceInstance<P>,
    node: PersistentNode,
}

impl<P> Registration<P> {
    pub(super) fn new(instance: ServiceInstance<P>, node: PersistentNode) -> Self {
        Registration { instance, node }
    }

    /// The instance, as it was last registered or updated.
    pub fn instance(&self) -> &ServiceInstance<P> {
        &self.instance
    }

    /// The path of the znode; `None` if it is sequential and was not created yet.
    pub fn path(&self) -> Option<String> {
        self.node.path()
    }

    /// Waits until the instance is registered.
    ///
    /// # Errors
    /// As [`PersistentNode::wait_created`]. The registration continues.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn registered(&self) -> Result<()> {
        self.node.wait_created().await.map(drop)
    }

    /// The state of the znode.
    pub fn state(&self) -> NodeState {
        self.node.state()
    }

    /// A stream of the states, the present one first.
    pub fn states(&self) -> NodeStates {
        self.node.states()
    }

    /// Replaces the instance, with one write and one read. Without a connection the result is
    /// [`DataWrite::Pending`], and the instance is written on the next one.
    ///
    /// # Errors
    /// The name, the id or the type is another one ([`Error::Unsupported`]), or the payload cannot be
    /// encoded ([`Error::Unencodable`]): nothing is changed. The ensemble refuses the data.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the instance to be written.
    pub async fn update(&mut self, instance: ServiceInstance<P>) -> Result<DataWrite>
    where
        P: Serialize,
    {
        let fixed = |instance: &ServiceInstance<P>| {
            let (name, id) = (instance.name.clone(), instance.id.clone());
            (name, id, instance.service_type)
        };
        if fixed(&instance) != fixed(&self.instance) {
            return Err(Error::Unsupported(
                "an update that changes the name, the id or the type of an instance (register another \
                 instance, and unregister this one)",
            ));
        }
        let data = json::encode(&instance).map_err(|source| Error::Unencodable {
            path: self.path().unwrap_or_default(),
            source: source.into(),
        })?;
        self.instance = instance;
        self.node.set_data(data).await
    }

    /// Deletes the znode, and returns when it is gone. While the connection is lost, this waits for the
    /// next one, or for the end of the session.
    ///
    /// # Errors
    /// As [`PersistentNode::close`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves the deletion to the background.
    pub async fn unregister(self) -> Result<()> {
        self.node.close().await
    }
}

impl<P> fmt::Debug for Registration<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("name", &self.instance.name)
            .field("id", &self.instance.id)
            .field("node", &self.node)
            .finish()
    }
}

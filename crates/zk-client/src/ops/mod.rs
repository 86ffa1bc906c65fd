//! The operations, one file for each verb, and the methods of [`Client`] that begin them.
//!
//! A method makes a builder; the builder's `submit`, or `.await`, makes the request and hands it to
//! [`pending`], which every single request goes through. Operations of several requests, such as
//! [`recursive`], are made of those.

pub(crate) mod acl;
pub(crate) mod add_watch;
pub(crate) mod cleanup;
mod close;
pub(crate) mod consistent_read;
pub(crate) mod create;
pub(crate) mod create_protected;
pub(crate) mod descendants;
pub(crate) mod ensemble;
pub(crate) mod multi;
pub(crate) mod pending;
pub(crate) mod read;
pub(crate) mod recursive;
pub(crate) mod retry;
pub(crate) mod whoami;
pub(crate) mod write;

use zk_proto::Acl;

use self::acl::{GetAcl, SetAcl};
use self::add_watch::AddWatch;
use self::create::Create;
use self::descendants::{Count, Ephemerals};
use self::ensemble::{GetConfig, Reconfig};
use self::multi::{Multi, MultiRead};
use self::pending::Pending;
use self::read::{Exists, Get, GetChildren, Sync};
use self::recursive::EnsurePath;
use self::whoami::WhoAmI;
use self::write::{Delete, Set};
use crate::client::Client;
use crate::error::Result;
use crate::watch::WatchMode;

impl Client {
    /// Reads a znode's data.
    pub fn get<'a>(&'a self, path: &'a str) -> Get<'a> {
        Get::new(self, path)
    }

    /// Asks whether a znode exists.
    pub fn exists<'a>(&'a self, path: &'a str) -> Exists<'a> {
        Exists::new(self, path)
    }

    /// Reads the names of a znode's children, in no particular order.
    pub fn children<'a>(&'a self, path: &'a str) -> GetChildren<'a> {
        GetChildren::new(self, path)
    }

    /// Creates a znode: persistent, unless told otherwise.
    pub fn create<'a, D: AsRef<[u8]>>(&'a self, path: &'a str, data: D) -> Create<'a, D> {
        Create::new(self, path, data)
    }

    /// Replaces a znode's data.
    pub fn set<'a, D: AsRef<[u8]>>(&'a self, path: &'a str, data: D) -> Set<'a, D> {
        Set::new(self, path, data)
    }

    /// Deletes a znode.
    pub fn delete<'a>(&'a self, path: &'a str) -> Delete<'a> {
        Delete::new(self, path)
    }

    /// Creates a znode and those above it, unless they exist.
    pub fn ensure_path<'a>(&'a self, path: &'a str) -> EnsurePath<'a> {
        EnsurePath::new(self, path)
    }

    /// Brings the connected server up to date with the leader: a read that follows sees at least
    /// what had been committed before. (Not strictly linearizable: ZOOKEEPER-1675, ZOOKEEPER-2136.)
    pub fn sync<'a>(&'a self, path: &'a str) -> Sync<'a> {
        Sync::new(self, path)
    }

    /// Reads the configuration of the ensemble: its servers and their addresses. It is the same for
    /// every chroot.
    pub fn config(&self) -> GetConfig<'_> {
        GetConfig::new(self)
    }

    /// Changes the configuration of the ensemble: adds, changes and removes servers.
    pub fn reconfig(&self) -> Reconfig<'_> {
        Reconfig::new(self)
    }

    /// Reads a znode's ACL.
    pub fn acl<'a>(&'a self, path: &'a str) -> GetAcl<'a> {
        GetAcl::new(self, path)
    }

    /// Replaces a znode's ACL.
    pub fn set_acl<'a>(&'a self, path: &'a str, acl: impl Into<Vec<Acl>>) -> SetAcl<'a> {
        SetAcl::new(self, path, acl.into())
    }

    /// Counts all znodes below a znode.
    pub fn count<'a>(&'a self, path: &'a str) -> Count<'a> {
        Count::new(self, path)
    }

    /// Lists this session's ephemeral znodes, at and below this handle's root.
    pub fn ephemerals(&self) -> Ephemerals<'_> {
        Ephemerals::new(self)
    }

    /// Asks who the server takes this client for.
    pub fn whoami(&self) -> WhoAmI<'_> {
        WhoAmI::new(self)
    }

    /// Several writes that take effect together or not at all.
    pub fn multi(&self) -> Multi<'_> {
        Multi::new(self)
    }

    /// Several reads in one request, each with its own result.
    pub fn multi_read(&self) -> MultiRead<'_> {
        MultiRead::new(self)
    }

    /// Watches a znode, or a whole subtree, until the stream is dropped. The znode need not exist.
    pub fn watch<'a>(&'a self, path: &'a str, mode: WatchMode) -> AddWatch<'a> {
        AddWatch::new(self, path, mode)
    }

    /// Adds credentials to this and every later connection, and waits for the server's verdict.
    /// The same ones a second time add nothing.
    ///
    /// # Errors
    /// [`ErrorKind::AuthFailed`](crate::ErrorKind::AuthFailed) if the server refuses them; it then closes the connection, and the
    /// client is over. [`ErrorKind::QueueFull`](crate::ErrorKind::QueueFull) if the client holds as many credentials as it may
    /// hold requests.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the credentials back.
    pub async fn add_auth(&self, scheme: &str, credentials: impl Into<Vec<u8>>) -> Result<()> {
        Pending::auth(self, scheme, credentials.into()).await
    }
}

//! The operations, one file for each verb, and the methods of [`Client`] that begin them.
//!
//! A method makes a builder; the builder's `submit`, or `.await`, makes the request and hands it to
//! [`pending`], which every single request goes through. Operations of several requests, such as
//! [`recursive`], are made of those.

pub(crate) mod acl;
pub(crate) mod add_auth;
pub(crate) mod add_watch;
pub(crate) mod children;
pub(crate) mod cleanup;
mod close;
pub(crate) mod command;
pub(crate) mod consistent_read;
pub(crate) mod create;
pub(crate) mod create_or_exists;
pub(crate) mod create_or_set;
pub(crate) mod create_parents;
pub(crate) mod create_protected;
pub(crate) mod delete;
pub(crate) mod descendants;
pub(crate) mod ensemble;
pub(crate) mod ensure_path;
pub(crate) mod exists;
mod explain;
pub(crate) mod get;
pub(crate) mod guid;
pub(crate) mod idempotent;
pub(crate) mod multi;
pub(crate) mod multi_body;
pub(crate) mod multi_read;
mod operation;
pub(crate) mod parents;
pub(crate) mod pending;
pub(crate) mod recursive;
pub(crate) mod retry;
pub(crate) mod room;
pub(crate) mod set;
pub(crate) mod sync;
mod update;
pub(crate) mod wait_for_room;
pub(crate) mod walk;
pub(crate) mod whoami;
pub(crate) mod window;

use zk_proto::Acl;

use self::acl::{GetAcl, SetAcl};
use self::add_auth::AddAuth;
use self::add_watch::AddWatch;
use self::children::GetChildren;
use self::create::Create;
use self::delete::Delete;
use self::descendants::{Count, Ephemerals};
use self::ensemble::{GetConfig, Reconfig};
use self::ensure_path::EnsurePath;
use self::exists::Exists;
use self::get::Get;
use self::multi::Multi;
use self::multi_read::MultiRead;
use self::set::Set;
use self::sync::SyncOp;
use self::wait_for_room::WaitForRoom;
use self::walk::Descendants;
use self::whoami::WhoAmI;
use crate::client::Client;
use crate::watch::WatchMode;

/// Reads.
impl Client {
    /// Reads a znode's data and stat.
    #[doc(alias = "getData")]
    pub fn get<'a>(&'a self, path: &'a str) -> Get<'a> {
        Get::new(self, path)
    }

    /// Reads a znode's stat; `None` if the znode does not exist.
    #[doc(alias = "checkExists")]
    pub fn exists<'a>(&'a self, path: &'a str) -> Exists<'a> {
        Exists::new(self, path)
    }

    /// Reads the names of a znode's children, in no particular order.
    #[doc(alias = "getChildren")]
    #[doc(alias = "get_children")]
    pub fn children<'a>(&'a self, path: &'a str) -> GetChildren<'a> {
        GetChildren::new(self, path)
    }

    /// Several reads in one request, each with its own result.
    pub fn multi_read(&self) -> MultiRead<'_> {
        MultiRead::new(self)
    }

    /// Counts all znodes below a znode.
    #[doc(alias = "getAllChildrenNumber")]
    pub fn count<'a>(&'a self, path: &'a str) -> Count<'a> {
        Count::new(self, path)
    }

    /// Lists the paths of all znodes below a znode, as a stream.
    #[doc(alias = "visitSubTreeDFS")]
    pub fn descendants<'a>(&'a self, path: &'a str) -> Descendants<'a> {
        Descendants::new(self, path)
    }

    /// Lists this session's ephemeral znodes, at and below this handle's root.
    #[doc(alias = "getEphemerals")]
    pub fn ephemerals(&self) -> Ephemerals<'_> {
        Ephemerals::new(self)
    }

    /// Brings the connected server up to date with the leader: a read that follows sees at least
    /// what had been committed before. (Not strictly linearizable: ZOOKEEPER-1675, ZOOKEEPER-2136.)
    pub fn sync<'a>(&'a self, path: &'a str) -> SyncOp<'a> {
        SyncOp::new(self, path)
    }

    /// Watches a znode, or a whole subtree, until the stream is dropped. The znode need not exist.
    #[doc(alias = "addWatch")]
    #[doc(alias = "add_watch")]
    pub fn watch<'a>(&'a self, path: &'a str, mode: WatchMode) -> AddWatch<'a> {
        AddWatch::new(self, path, mode)
    }
}

/// Writes.
impl Client {
    /// Creates a znode: by default a persistent one.
    pub fn create<'a, D: AsRef<[u8]>>(&'a self, path: &'a str, data: D) -> Create<'a, D> {
        Create::new(self, path, data)
    }

    /// Creates a znode and those above it, unless they exist.
    #[doc(alias = "mkdirs")]
    #[doc(alias = "createContainers")]
    pub fn ensure_path<'a>(&'a self, path: &'a str) -> EnsurePath<'a> {
        EnsurePath::new(self, path)
    }

    /// Replaces a znode's data.
    #[doc(alias = "setData")]
    pub fn set<'a, D: AsRef<[u8]>>(&'a self, path: &'a str, data: D) -> Set<'a, D> {
        Set::new(self, path, data)
    }

    /// Deletes a znode.
    pub fn delete<'a>(&'a self, path: &'a str) -> Delete<'a> {
        Delete::new(self, path)
    }

    /// Several writes that take effect together or not at all.
    #[doc(alias = "transaction")]
    #[doc(alias = "inTransaction")]
    pub fn multi(&self) -> Multi<'_> {
        Multi::new(self)
    }
}

/// Limits.
impl Client {
    /// Waits until one more request may be outstanding, and returns a handle whose first request has
    /// that room: for programs that make requests faster than the servers answer them.
    #[doc(alias = "back-pressure")]
    pub fn wait_for_room(&self) -> WaitForRoom<'_> {
        WaitForRoom::new(self)
    }
}

/// Permissions and identity.
impl Client {
    /// Reads a znode's ACL.
    #[doc(alias = "getACL")]
    #[doc(alias = "get_acls")]
    pub fn acl<'a>(&'a self, path: &'a str) -> GetAcl<'a> {
        GetAcl::new(self, path)
    }

    /// Replaces a znode's ACL.
    #[doc(alias = "setACL")]
    #[doc(alias = "set_acls")]
    pub fn set_acl<'a>(&'a self, path: &'a str, acl: impl Into<Vec<Acl>>) -> SetAcl<'a> {
        SetAcl::new(self, path, acl.into())
    }

    /// Adds credentials to this and every later connection.
    #[doc(alias = "addAuthInfo")]
    pub fn add_auth(&self, scheme: &str, credentials: impl Into<Vec<u8>>) -> AddAuth<'_> {
        AddAuth::new(self, scheme, credentials.into())
    }

    /// Reads which identities the server has accepted for this client.
    #[doc(alias = "whoAmI")]
    pub fn whoami(&self) -> WhoAmI<'_> {
        WhoAmI::new(self)
    }
}

/// The ensemble.
impl Client {
    /// Reads the configuration of the ensemble: its servers and their addresses. It is the same for
    /// every chroot.
    #[doc(alias = "getConfig")]
    pub fn config(&self) -> GetConfig<'_> {
        GetConfig::new(self)
    }

    /// Changes the configuration of the ensemble: adds, changes and removes servers.
    #[doc(alias = "reconfigure")]
    pub fn reconfig(&self) -> Reconfig<'_> {
        Reconfig::new(self)
    }
}

//! The methods of the asynchronous client, on the blocking one.
//!
//! Operations are the same builders, which have `wait()`. Methods that are asynchronous there block
//! here.

use bytes::Bytes;
use zk_proto::{Acl, Chroot, HostPort, Stat};

use crate::blocking::Client;
use crate::error::{Error, Result};
use crate::{
    AddAuth, AddWatch, Count, Create, Delete, Descendants, EnsurePath, Ephemerals, Exists, Get,
    GetAcl, GetChildren, GetConfig, HostInfo, Lease, Multi, MultiRead, Reconfig, RetryPolicy,
    SessionInfo, SessionToken, Set, SetAcl, State, StateStream, Statistics, SyncOp, WaitForRoom,
    WatchMode, WhoAmI,
};

/// Reads.
impl Client {
    /// See [`crate::Client::get`].
    pub fn get<'a>(&'a self, path: &'a str) -> Get<'a> {
        self.as_async().get(path)
    }

    /// See [`crate::Client::exists`].
    pub fn exists<'a>(&'a self, path: &'a str) -> Exists<'a> {
        self.as_async().exists(path)
    }

    /// See [`crate::Client::children`].
    pub fn children<'a>(&'a self, path: &'a str) -> GetChildren<'a> {
        self.as_async().children(path)
    }

    /// See [`crate::Client::multi_read`].
    pub fn multi_read(&self) -> MultiRead<'_> {
        self.as_async().multi_read()
    }

    /// See [`crate::Client::count`].
    pub fn count<'a>(&'a self, path: &'a str) -> Count<'a> {
        self.as_async().count(path)
    }

    /// See [`crate::Client::descendants`]. [`iter`](Self::iter) makes an iterator of the stream.
    pub fn descendants<'a>(&'a self, path: &'a str) -> Descendants<'a> {
        self.as_async().descendants(path)
    }

    /// See [`crate::Client::ephemerals`].
    pub fn ephemerals(&self) -> Ephemerals<'_> {
        self.as_async().ephemerals()
    }

    /// See [`crate::Client::sync`].
    pub fn sync<'a>(&'a self, path: &'a str) -> SyncOp<'a> {
        self.as_async().sync(path)
    }

    /// See [`crate::Client::watch`]. [`iter`](Self::iter) makes an iterator of the stream.
    pub fn watch<'a>(&'a self, path: &'a str, mode: WatchMode) -> AddWatch<'a> {
        self.as_async().watch(path, mode)
    }
}

/// Writes.
impl Client {
    /// See [`crate::Client::create`].
    pub fn create<'a, D: AsRef<[u8]>>(&'a self, path: &'a str, data: D) -> Create<'a, D> {
        self.as_async().create(path, data)
    }

    /// See [`crate::Client::ensure_path`].
    pub fn ensure_path<'a>(&'a self, path: &'a str) -> EnsurePath<'a> {
        self.as_async().ensure_path(path)
    }

    /// See [`crate::Client::set`].
    pub fn set<'a, D: AsRef<[u8]>>(&'a self, path: &'a str, data: D) -> Set<'a, D> {
        self.as_async().set(path, data)
    }

    /// See [`crate::Client::delete`].
    pub fn delete<'a>(&'a self, path: &'a str) -> Delete<'a> {
        self.as_async().delete(path)
    }

    /// See [`crate::Client::multi`].
    pub fn multi(&self) -> Multi<'_> {
        self.as_async().multi()
    }
}

/// Limits.
impl Client {
    /// See [`crate::Client::wait_for_room`]. The operations of the handle that it returns have
    /// `wait()` as well.
    pub fn wait_for_room(&self) -> WaitForRoom<'_> {
        self.as_async().wait_for_room()
    }
}

/// Permissions and identity.
impl Client {
    /// See [`crate::Client::acl`].
    pub fn acl<'a>(&'a self, path: &'a str) -> GetAcl<'a> {
        self.as_async().acl(path)
    }

    /// See [`crate::Client::set_acl`].
    pub fn set_acl<'a>(&'a self, path: &'a str, acl: impl Into<Vec<Acl>>) -> SetAcl<'a> {
        self.as_async().set_acl(path, acl)
    }

    /// See [`crate::Client::add_auth`].
    pub fn add_auth(&self, scheme: &str, credentials: impl Into<Vec<u8>>) -> AddAuth<'_> {
        self.as_async().add_auth(scheme, credentials)
    }

    /// See [`crate::Client::whoami`].
    pub fn whoami(&self) -> WhoAmI<'_> {
        self.as_async().whoami()
    }
}

/// The ensemble.
impl Client {
    /// See [`crate::Client::config`].
    pub fn config(&self) -> GetConfig<'_> {
        self.as_async().config()
    }

    /// See [`crate::Client::reconfig`].
    pub fn reconfig(&self) -> Reconfig<'_> {
        self.as_async().reconfig()
    }

    /// See [`crate::Client::server`].
    pub fn server(&self) -> Option<HostPort> {
        self.as_async().server()
    }

    /// See [`crate::Client::update_hosts`].
    ///
    /// # Errors
    /// Those of the asynchronous method. Nothing has changed then.
    pub fn update_hosts(&self, hosts: impl Into<crate::ServerList>) -> Result<()> {
        self.as_async().update_hosts(hosts)
    }

    /// See [`crate::Client::replace_tls`].
    ///
    /// # Errors
    /// Those of the asynchronous method. Nothing has changed then.
    #[cfg(feature = "tls-no-provider")]
    #[cfg_attr(docsrs, doc(cfg(any(feature = "tls", feature = "tls-no-provider"))))]
    pub fn replace_tls(&self, config: zk_transport::TlsConfig) -> Result<Vec<String>> {
        self.as_async().replace_tls(config)
    }

    /// See [`crate::Client::hosts`].
    pub fn hosts(&self) -> Vec<HostInfo> {
        self.as_async().hosts()
    }

    /// See [`crate::Client::leave_server`].
    pub fn leave_server(&self) -> Option<HostPort> {
        self.as_async().leave_server()
    }
}

/// The session.
impl Client {
    /// Blocks until a session is established; see [`crate::Client::connected`].
    ///
    /// # Errors
    /// The client is over: closed, expired without renewal, or refused.
    pub fn connected(&self) -> Result<()> {
        self.wait(self.as_async().connected())
    }

    /// See [`crate::Client::state`].
    pub fn state(&self) -> State {
        self.as_async().state()
    }

    /// See [`crate::Client::states`]. [`iter`](Self::iter) makes an iterator of the stream.
    pub fn states(&self) -> StateStream {
        self.as_async().states()
    }

    /// See [`crate::Client::session`].
    pub fn session(&self) -> SessionInfo {
        self.as_async().session()
    }

    /// See [`crate::Client::statistics`].
    pub fn statistics(&self) -> Statistics {
        self.as_async().statistics()
    }

    /// See [`crate::Client::lease`].
    pub fn lease(&self) -> Lease {
        self.as_async().lease()
    }

    /// See [`crate::Client::root`].
    pub fn root(&self) -> &Chroot {
        self.as_async().root()
    }

    /// See [`crate::Client::shares_session_with`].
    pub fn shares_session_with(&self, other: &Client) -> bool {
        self.as_async().shares_session_with(other.as_async())
    }

    /// Blocks until the session is closed; see [`crate::Client::close`].
    ///
    /// # Errors
    /// [`CloseUnacknowledged`](crate::ErrorKind::CloseUnacknowledged): no server acknowledged in
    /// time. The session then ends when its timeout passes.
    /// [`CleanupFailed`](crate::ErrorKind::CleanupFailed): a clean-up failed.
    pub fn close(self) -> Result<()> {
        let zk = self.as_async().clone();
        self.wait(zk.close())
    }

    /// See [`crate::Client::session_token`].
    pub fn session_token(&self) -> Option<SessionToken> {
        self.as_async().session_token()
    }

    /// See [`crate::Client::detach`].
    ///
    /// # Errors
    /// Those of the asynchronous method.
    pub fn detach(self) -> Result<SessionToken> {
        self.as_async().clone().detach()
    }
}

/// Operations that are repeated.
impl Client {
    /// Blocks until an operation has succeeded, failed for good, or `policy` gives up; see
    /// [`crate::Client::retry`].
    ///
    /// # Errors
    /// That of the last attempt.
    pub fn retry<T, F: IntoFuture<Output = Result<T, Error>>>(
        &self,
        policy: &RetryPolicy,
        op: impl FnMut() -> F,
    ) -> Result<T> {
        self.wait(self.as_async().retry(policy, op))
    }

    /// Blocks until a znode's data have been changed by compare-and-set; see
    /// [`crate::Client::update`].
    ///
    /// # Errors
    /// Those of the asynchronous method.
    pub fn update<D: Into<Bytes>>(
        &self,
        path: &str,
        change: impl FnMut(&[u8]) -> Option<D>,
    ) -> Result<(Bytes, Stat)> {
        self.wait(self.as_async().update(path, change))
    }

    /// As [`retry`](Self::retry), for operations that may be executed twice; see
    /// [`crate::Client::retry_read`].
    ///
    /// # Errors
    /// That of the last attempt.
    pub fn retry_read<T, F: IntoFuture<Output = Result<T, Error>>>(
        &self,
        policy: &RetryPolicy,
        op: impl FnMut() -> F,
    ) -> Result<T> {
        self.wait(self.as_async().retry_read(policy, op))
    }
}

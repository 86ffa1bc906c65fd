//! The handle of a client: what it shares with other handles of the session, and what is its own.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use zk_proto::{Acl, Chroot, HostPort, OpCode, Zxid};
use zk_transport::Dial;

use crate::config::server_list::ServerList;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::room::Room;
use crate::retry_policy::RetryPolicy;
use crate::session::identity::SessionInfo;
use crate::session::requests::RoomTicket;
use crate::session::servers::host_info::HostInfo;
use crate::session::state::State;
use crate::session::statistics::Statistics;
use crate::session::token::SessionToken;
use crate::shared::{Shared, now};

/// A ZooKeeper client: one session, one connection at a time, any number of handles.
///
/// Cloning is cheap and gives another handle to the same session.
///
/// # The end
///
/// A program should end with [`close`](Self::close), which waits until the server has ended the
/// session. Its ephemeral znodes are gone then, and so are the znodes that dropped futures and guards
/// had left behind.
///
/// When the last handle is dropped, the client does the same in the background, as long as the
/// runtime lives. If the runtime ends right after that drop, as at the end of a `#[tokio::main]`, the
/// client has no time for it: when the runtime drops its tasks, the client still writes the pending
/// output and the end of the session to the socket, if there is a connection and room in its buffers.
/// It waits for no reply, and does not finish a clean-up that needs more than one request. A session
/// whose end did not reach a server ends with the session timeout, and a persistent znode stays. A
/// [`blocking`](crate#features) client waits in its drop.
///
/// A [detached](crate::ClientBuilder::detached) client leaves its session open when the last handle
/// is dropped.
#[doc(alias = "ZooKeeper")]
#[doc(alias = "KazooClient")]
#[doc(alias = "CuratorFramework")]
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    owner: Arc<Owner>,
    /// The chroot of the connect string.
    home: Chroot,
    chroot: Arc<Chroot>,
    deadline: Deadline,
    acl: DefaultAcl,
    retry: Arc<RetryPolicy>,
    /// Whether the requests are those of a clean-up.
    cleanup: bool,
    /// The requests may be executed in the session of this epoch only.
    only_in: Option<u64>,
    /// Room that is reserved for the first request of this handle.
    room: Option<Arc<Room>>,
    /// How connections of commands are opened.
    dial: Arc<dyn Dial>,
}

/// The ACL of znodes that are created without one.
#[derive(Clone)]
pub(crate) enum DefaultAcl {
    Same(Arc<[Acl]>),
    /// As a function of the znode's path, the chroot included.
    ByPath(AclByPath),
}

/// Gives the ACL of the znode at a path.
pub(crate) type AclByPath = Arc<dyn Fn(&str) -> Vec<Acl> + Send + Sync>;

impl fmt::Debug for DefaultAcl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DefaultAcl::Same(acl) => acl.fmt(f),
            DefaultAcl::ByPath(_) => f.write_str("by path"),
        }
    }
}

/// The deadline of a handle's operations that have none of their own.
#[derive(Clone, Copy)]
enum Deadline {
    /// For each operation, this long after its submission; `None` for never.
    Each(Option<Duration>),
    /// At this time for all operations.
    All(Instant),
}

/// Closes or leaves the session when the last handle that keeps the session open is dropped.
struct Owner {
    shared: Arc<Shared>,
    at_end: AtEnd,
}

/// What the drop of an [`Owner`] does.
#[derive(Clone, Copy)]
enum AtEnd {
    Close,
    /// Leaves the session to another client.
    Leave,
    /// Another owner ends the client.
    Nothing,
}

impl Drop for Owner {
    fn drop(&mut self) {
        match self.at_end {
            AtEnd::Close => self.shared.with(|core| core.close(now())),
            AtEnd::Leave => self.shared.with(|core| core.leave(now())),
            AtEnd::Nothing => {}
        }
    }
}

impl Client {
    pub(crate) fn new(
        shared: Arc<Shared>,
        chroot: Chroot,
        deadline: Option<Duration>,
        acl: DefaultAcl,
        retry: RetryPolicy,
        detached: bool,
        dial: Arc<dyn Dial>,
    ) -> Self {
        let owner = Arc::new(Owner {
            shared,
            at_end: match detached {
                true => AtEnd::Leave,
                false => AtEnd::Close,
            },
        });
        Client {
            inner: Arc::new(Inner {
                owner,
                home: chroot.clone(),
                chroot: Arc::new(chroot),
                deadline: Deadline::Each(deadline),
                acl,
                retry: Arc::new(retry),
                cleanup: false,
                only_in: None,
                room: None,
                dial,
            }),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.owner.shared
    }

    pub(crate) fn dial(&self) -> &dyn Dial {
        &*self.inner.dial
    }

    /// The newest transaction that a reply or an event of the session has carried; [`Zxid::ZERO`] before
    /// the first. A request that is submitted from now on is executed after it.
    pub fn last_zxid(&self) -> Zxid {
        self.shared().with(|core| core.session.last_zxid())
    }

    /// The ACL of a znode that is created at this path of the handle without an ACL of its own.
    pub(crate) fn default_acl(&self, path: &str) -> Cow<'_, [Acl]> {
        match &self.inner.acl {
            DefaultAcl::Same(acl) => Cow::Borrowed(acl),
            DefaultAcl::ByPath(acl_of) => Cow::Owned(acl_of(&self.root().join(path))),
        }
    }

    /// The path that this handle sees as `/`.
    pub fn root(&self) -> &Chroot {
        &self.inner.chroot
    }

    pub(crate) fn shared_root(&self) -> &Arc<Chroot> {
        &self.inner.chroot
    }

    /// Whether `other` is a handle to the same session: a clone of this one, perhaps with another
    /// root, deadline or ACL. Two clients of one ensemble have two sessions.
    pub fn shares_session_with(&self, other: &Client) -> bool {
        Arc::ptr_eq(self.shared(), other.shared())
    }

    /// The runtime that drives this client.
    pub fn runtime(&self) -> &Handle {
        &self.shared().runtime
    }

    /// A handle to the same session for which `path` is the root. Paths given to the handle, and paths
    /// that it returns, lack that prefix. The znode need not exist.
    ///
    /// # Errors
    /// The path is invalid.
    #[doc(alias = "usingNamespace")]
    pub fn chroot(&self, path: &str) -> Result<Client> {
        let chroot = self.inner.chroot.child(path).map_err(|e| {
            Error::new(ErrorKind::InvalidPath, Outcome::NotSent)
                .with_detail("the chroot is invalid")
                .with_source(e)
        })?;
        Ok(self.with_inner(|inner| inner.chroot = Arc::new(chroot)))
    }

    /// A handle to the same session whose operations have another default deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: impl Into<Option<Duration>>) -> Client {
        let deadline = deadline.into();
        self.with_inner(|inner| inner.deadline = Deadline::Each(deadline))
    }

    /// A handle to the same session whose creations have another default ACL.
    #[must_use]
    pub fn with_acl(&self, acl: impl Into<Vec<Acl>>) -> Client {
        let acl = acl.into();
        self.with_inner(|inner| inner.acl = DefaultAcl::Same(acl.into()))
    }

    /// A handle to the same session whose creations have the ACL that `acl_of` returns for the path of
    /// the znode: see [`ClientBuilder::default_acl_by_path`](crate::ClientBuilder::default_acl_by_path).
    #[must_use]
    pub fn with_acl_by_path(
        &self,
        acl_of: impl Fn(&str) -> Vec<Acl> + Send + Sync + 'static,
    ) -> Client {
        self.with_inner(|inner| inner.acl = DefaultAcl::ByPath(Arc::new(acl_of)))
    }

    pub(crate) fn default_retry_policy(&self) -> &RetryPolicy {
        &self.inner.retry
    }

    /// A handle to the same session with another [`retry_policy`](Self::retry_policy).
    #[must_use]
    pub fn with_retry_policy(&self, policy: RetryPolicy) -> Client {
        self.with_inner(|inner| inner.retry = Arc::new(policy))
    }

    /// A handle to the same session whose operations must all be done this long from now. Without a
    /// `deadline`, a clone.
    pub(crate) fn within(&self, deadline: Option<Duration>) -> Client {
        match deadline.and_then(|deadline| now().checked_add(deadline)) {
            Some(due) => self.with_inner(|inner| inner.deadline = Deadline::All(due)),
            None => self.clone(),
        }
    }

    /// A handle to the same session that does not keep the session open: when all other handles are
    /// dropped, the session is closed, and the operations of this handle fail with
    /// [`ErrorKind::Closed`]. For tasks in the background whose results are of no use without another
    /// handle.
    #[must_use]
    pub fn background(&self) -> Client {
        let owner = Arc::new(Owner {
            shared: self.shared().clone(),
            at_end: AtEnd::Nothing,
        });
        self.with_inner(|inner| inner.owner = owner)
    }

    /// Whether the server of the current connection, or of the last one, lacks persistent watches
    /// ([`watch`](Self::watch), version 3.6), as far as the client knows. Before the first such request
    /// that is what another server of this client has answered, or `false`.
    #[doc(hidden)]
    pub fn lacks_lasting_watches(&self) -> bool {
        self.shared().with(|core| core.lacks(OpCode::AddWatch))
    }

    /// Whether that server lacks containers ([`Create::container`](crate::Create::container), version
    /// 3.5.1), which are persistent znodes there.
    #[doc(hidden)]
    pub fn lacks_containers(&self) -> bool {
        self.shared()
            .with(|core| core.lacks(OpCode::CreateContainer))
    }

    /// Whether that server lacks the removal of watches (version 3.5). It keeps a watch until the
    /// event, which the client drops.
    #[doc(hidden)]
    pub fn lacks_watch_removal(&self) -> bool {
        self.shared().with(|core| core.lacks(OpCode::RemoveWatches))
    }

    /// A [background](Self::background) handle without a deadline, for the requests of a clean-up,
    /// which a client that is being closed accepts until all clean-ups are done.
    pub(crate) fn for_cleanup(&self, in_any_session: bool) -> Client {
        let only_in =
            (!in_any_session).then(|| self.shared().with(|core| core.session.epoch_of_requests()));
        self.background().with_inner(|inner| {
            inner.deadline = Deadline::Each(None);
            inner.cleanup = true;
            inner.only_in = only_in;
            inner.room = None;
        })
    }

    /// A [background](Self::background) handle whose requests are executed in the session of this epoch or not
    /// at all: otherwise they fail with [`ErrorKind::SessionExpired`](crate::ErrorKind::SessionExpired).
    #[doc(hidden)]
    #[must_use]
    pub fn only_in_epoch(&self, epoch: u64) -> Client {
        self.background()
            .with_inner(|inner| inner.only_in = Some(epoch))
    }

    /// A handle to the same session whose first request has this room.
    pub(crate) fn with_room(&self, room: Room) -> Client {
        self.with_inner(|inner| inner.room = Some(Arc::new(room)))
    }

    /// The room that is reserved for this handle's next request, which takes it.
    pub(crate) fn take_room(&self) -> Option<RoomTicket> {
        self.inner.room.as_ref()?.take()
    }

    pub(crate) fn is_for_cleanup(&self) -> bool {
        self.inner.cleanup
    }

    /// The epoch of the only session in which this handle's requests may be executed.
    pub(crate) fn only_in(&self) -> Option<u64> {
        self.inner.only_in
    }

    /// A handle to the same session without a chroot.
    pub(crate) fn unrooted(&self) -> Client {
        self.with_inner(|inner| inner.chroot = Arc::new(Chroot::none()))
    }

    fn with_inner(&self, change: impl FnOnce(&mut Inner)) -> Client {
        let mut inner = Inner {
            owner: self.inner.owner.clone(),
            home: self.inner.home.clone(),
            chroot: self.inner.chroot.clone(),
            deadline: self.inner.deadline,
            acl: self.inner.acl.clone(),
            retry: self.inner.retry.clone(),
            cleanup: self.inner.cleanup,
            only_in: self.inner.only_in,
            room: self.inner.room.clone(),
            dial: self.inner.dial.clone(),
        };
        change(&mut inner);
        Client {
            inner: Arc::new(inner),
        }
    }

    /// The server that serves the session, by its name in the list of servers; `None` without a
    /// connection.
    pub fn server(&self) -> Option<HostPort> {
        self.shared().with(|core| core.server().cloned())
    }

    /// The servers of the client's list, in the order in which the client tries them, and what is wrong with
    /// each: its failures since it last served this client, per address if its name has several.
    ///
    /// Needs no request. Empty while a service in the DNS has not been looked up.
    pub fn hosts(&self) -> Vec<HostInfo> {
        self.shared().with(|core| core.host_infos(now()))
    }

    /// Leaves the server of the connection for another one of the list, on which the session continues.
    /// Returns the server that the client leaves; `None` without a connection, as the client is looking for
    /// a server then.
    ///
    /// The client first waits for the replies to the requests in flight, a third of the session timeout at
    /// most, while new requests wait for the next connection. Reads that are not answered by then are sent
    /// again to the next server; a write ends as [`Unknown`](Outcome::Unknown).
    ///
    /// Returns at once. The client tries each other server once, in its order; a server that is alone in
    /// the list is connected to again, at another of its addresses if its name has several. In an order
    /// that prefers servers, the client does not return to the one it has left within a minute.
    #[doc(alias = "zoo_cycle_next_server")]
    pub fn leave_server(&self) -> Option<HostPort> {
        self.shared().with(|core| core.leave_server(now()))
    }

    /// Replaces the list of servers: `host:port,host:port`, with the chroot of the first connect
    /// string or without any; or a list of [`HostPort`].
    ///
    /// Whether this client then moves to another server is random, with a probability such that each
    /// server gets an equal share of the clients with this list, and as few of them move as possible
    /// (ZOOKEEPER-1355). A client that moves keeps its session. It first waits for the replies to the
    /// requests in flight, while new requests wait for the next connection. If its server does not answer
    /// them within a third of the session timeout, a client stays on a server that is still in the list, and
    /// no request is lost; a server that was removed is left, and a write in flight ends as
    /// [`Unknown`](Outcome::Unknown), while reads are sent again.
    ///
    /// With TLS, the client verifies servers by the names in the list, which must therefore come from an
    /// authenticated source.
    ///
    /// Returns at once. Servers are compared by their names in the lists. A client that follows the
    /// ensemble's configuration, or a service in the DNS, replaces the list again when that changes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if `hosts` is no connect string, is a URL, or has another chroot; those of a
    /// client that is over. The list has not changed then.
    #[doc(alias = "set_hosts")]
    #[doc(alias = "updateServerList")]
    pub fn update_hosts(&self, hosts: impl Into<ServerList>) -> Result<()> {
        let connect = hosts.into().hosts()?;
        let home = &self.inner.home;
        if !connect.chroot.is_none() && connect.chroot != *home {
            return Err(Error::invalid_argument(format!(
                "the chroot is {:?} and cannot become {:?}; make another client for that",
                home.as_str(),
                connect.chroot.as_str()
            )));
        }
        self.shared()
            .with(|core| match core.refusal() {
                Some(refusal) => Err(Error::from(refusal)),
                None => Ok(core.update_hosts(now(), connect.hosts)),
            })?
            .map_err(|e| {
                Error::invalid_argument("the list of servers cannot be replaced").with_source(e)
            })
    }

    /// Replaces the configuration of TLS: other CAs, another certificate of this client, other options. The
    /// next connection uses it; the present one stays open as it is, until
    /// [`leave_server`](Self::leave_server) or a disconnect ends it.
    ///
    /// Certificates in files need no call: they are read again for every connection. This is for those in
    /// memory, and for other options.
    ///
    /// Reads the configuration's files, and blocks meanwhile; it sends no request. Returns a sentence for
    /// each certificate that is skipped, as [`TlsConfig::check`](zk_transport::TlsConfig::check) does.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`], and the former configuration stays
    /// in use: a certificate, key or revocation list cannot be read or used; servers would be verified by
    /// names from the DNS (see [`ClientBuilder::tls`](crate::ClientBuilder::tls)); or the client was made
    /// without TLS.
    #[doc(alias = "TlsDynamicCerts")]
    #[cfg(feature = "tls-no-provider")]
    #[cfg_attr(docsrs, doc(cfg(any(feature = "tls", feature = "tls-no-provider"))))]
    pub fn replace_tls(&self, config: zk_transport::TlsConfig) -> Result<Vec<String>> {
        match &self.shared().tls {
            Some(tls) => tls.replace(config),
            None => Err(Error::invalid_argument(
                "the client was made without ClientBuilder::tls, and its connections stay without TLS; make \
                 another client",
            )),
        }
    }

    /// The state of the session.
    #[doc(alias = "getState")]
    pub fn state(&self) -> State {
        self.shared().with(|core| core.state())
    }

    /// The current session.
    #[doc(alias = "client_id")]
    #[doc(alias = "getSessionId")]
    pub fn session(&self) -> SessionInfo {
        self.shared().with(|core| core.session_info())
    }

    /// The current session as a token, with which another process can
    /// [resume](crate::ClientBuilder::resume) it after this one has crashed; `None` before the first
    /// session, between two, and once the client is being closed.
    ///
    /// The token's session, password and timeout change only when the session is established or
    /// resumed: at each [`State::Connected`] that [`states`](Self::states) delivers.
    /// [`SessionStore`](crate::SessionStore) keeps it in a file.
    ///
    /// A token also has the newest transaction that the client has seen. A client that resumes with an
    /// older token may read data older than that, and see its own last writes after a
    /// [`sync`](Self::sync) only.
    #[doc(alias = "client_id")]
    #[doc(alias = "getSessionPasswd")]
    pub fn session_token(&self) -> Option<SessionToken> {
        self.shared().with(|core| core.session_token())
    }

    /// What the client has done, and the requests and watches it holds: for monitoring and leak tests.
    pub fn statistics(&self) -> Statistics {
        self.shared().with(|core| core.snapshot(now()))
    }

    /// The last failure of each server, as text.
    pub(crate) fn connect_failures(&self) -> String {
        self.shared().with(|core| core.failures())
    }

    /// Whether the client is being closed, or is over.
    pub(crate) fn is_closing(&self) -> bool {
        self.shared().with(|core| core.is_closing())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.shared().with(|core| core.is_over())
    }

    /// When an operation submitted at `start` must be done; `own` is its own deadline.
    pub(crate) fn deadline_from(&self, start: Instant, own: Option<Duration>) -> Option<Instant> {
        match (own, self.inner.deadline) {
            (Some(own), Deadline::All(due)) => {
                Some(start.checked_add(own).map_or(due, |own| own.min(due)))
            }
            (None, Deadline::All(due)) => Some(due),
            (own, Deadline::Each(each)) => own.or(each).and_then(|left| start.checked_add(left)),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("root", &self.root().as_str())
            .field("shared", self.shared())
            .finish_non_exhaustive()
    }
}

//! The handle of a client: what it shares with other handles of the session, and what is its own.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use zk_proto::{Acl, Chroot, ConnectString, HostPort, OpCode, Zxid};

use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::session::identity::SessionInfo;
use crate::session::state::State;
use crate::session::statistics::Statistics;
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
    acl: Arc<[Acl]>,
    cleanup: Option<CleanupScope>,
}

/// Where the requests of a clean-up may be executed.
#[derive(Clone, Copy)]
struct CleanupScope {
    /// In the session of this epoch only.
    only_in: Option<u64>,
}

/// The deadline of a handle's operations that have none of their own.
#[derive(Clone, Copy)]
enum Deadline {
    /// For each operation, this long after its submission; `None` for never.
    Each(Option<Duration>),
    /// At this time for all operations.
    All(Instant),
}

/// Closes the session when the last handle that keeps the session open is dropped.
struct Owner {
    shared: Arc<Shared>,
    keeps_open: bool,
}

impl Drop for Owner {
    fn drop(&mut self) {
        if self.keeps_open {
            self.shared.with(|core| core.close(now()));
        }
    }
}

impl Client {
    pub(crate) fn new(
        shared: Arc<Shared>,
        chroot: Chroot,
        deadline: Option<Duration>,
        acl: Arc<[Acl]>,
    ) -> Self {
        let owner = Arc::new(Owner {
            shared,
            keeps_open: true,
        });
        Client {
            inner: Arc::new(Inner {
                owner,
                home: chroot.clone(),
                chroot: Arc::new(chroot),
                deadline: Deadline::Each(deadline),
                acl,
                cleanup: None,
            }),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.owner.shared
    }

    /// The newest transaction that the session has seen.
    pub(crate) fn last_zxid(&self) -> Zxid {
        self.shared().with(|core| core.session.last_zxid())
    }

    pub(crate) fn default_acl(&self) -> &[Acl] {
        &self.inner.acl
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
        self.with_inner(|inner| inner.acl = acl.into())
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
            keeps_open: false,
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
            inner.cleanup = Some(CleanupScope { only_in });
        })
    }

    pub(crate) fn is_for_cleanup(&self) -> bool {
        self.inner.cleanup.is_some()
    }

    /// The epoch of the only session in which this handle's requests may be executed.
    pub(crate) fn only_in(&self) -> Option<u64> {
        self.inner.cleanup?.only_in
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
            cleanup: self.inner.cleanup,
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

    /// Replaces the list of servers: `host:port,host:port`, with the chroot of the first connect
    /// string or without any.
    ///
    /// Whether this client then moves to another server is random, with a probability such that each
    /// server gets an equal share of the clients with this list, and as few of them move as possible
    /// (ZOOKEEPER-1355). A client that moves keeps its session. It first waits for the replies to the
    /// requests in flight, a third of the session timeout at most, while new requests wait for the next
    /// connection; so a move makes a write [`Unknown`](Outcome::Unknown) only if a server does not
    /// answer for that long.
    ///
    /// With TLS, the client verifies servers by the names in the list, which must therefore come from an
    /// authenticated source.
    ///
    /// Returns at once. Servers are compared by their names in the lists. A client that follows the
    /// ensemble's configuration, or a service in the DNS, replaces the list again when that changes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if `hosts` is no connect string or has another chroot; those of a
    /// client that is over. The list has not changed then.
    #[doc(alias = "set_hosts")]
    #[doc(alias = "updateServerList")]
    pub fn update_hosts(&self, hosts: impl AsRef<str>) -> Result<()> {
        let connect: ConnectString = hosts.as_ref().parse().map_err(|e| {
            Error::invalid_argument("the list of servers is no connect string").with_source(e)
        })?;
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

    /// The state of the session.
    pub fn state(&self) -> State {
        self.shared().with(|core| core.state())
    }

    /// The current session.
    #[doc(alias = "client_id")]
    #[doc(alias = "getSessionId")]
    pub fn session(&self) -> SessionInfo {
        self.shared().with(|core| core.session_info())
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

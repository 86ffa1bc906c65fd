//! The handle people hold.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use zk_proto::{Acl, Chroot, ConnectString, HostPort, OpCode, Zxid};

use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::lease::Lease;
use crate::ops::acl::{GetAcl, SetAcl};
use crate::ops::add_watch::AddWatch;
use crate::ops::cleanup::Pledge;
use crate::ops::create::Create;
use crate::ops::descendants::{Count, Ephemerals};
use crate::ops::ensemble::{GetConfig, Reconfig};
use crate::ops::multi::{Multi, MultiRead};
use crate::ops::pending::Pending;
use crate::ops::read::{Exists, Get, GetChildren, Sync};
use crate::ops::recursive::EnsurePath;
use crate::ops::whoami::WhoAmI;
use crate::ops::write::{Delete, Set};
use crate::session::identity::SessionInfo;
use crate::session::state::State;
use crate::session::statistics::Statistics;
use crate::session::token::SessionToken;
use crate::shared::{Shared, now};
use crate::state_stream::StateStream;
use crate::watch::WatchMode;

/// A ZooKeeper client: one session, one connection at a time, any number of handles.
///
/// Cloning is cheap and gives another handle to the same session.
///
/// # The end
///
/// A program should end with [`close`](Self::close), which waits until the server has ended the
/// session: its ephemeral znodes are gone then, and what dropped futures and guards had left
/// behind.
///
/// When the last handle is dropped, the same is done in the background, as far as the runtime lives
/// on. A program whose last act is that drop, as at the end of a `#[tokio::main]`, leaves no time
/// for it: what is to be sent by then, the end of the session included, is still handed to the
/// socket when the runtime drops its tasks, if there is a connection and room in its buffers; no
/// answer is waited for, and a clean-up that needs more than one request is not finished. What did
/// not get through ends with the session timeout, and a persistent znode stays. A
/// [`blocking`](crate#features) client waits in its drop.
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

/// When a handle's operations must be done, unless told otherwise.
#[derive(Clone, Copy)]
enum Deadline {
    /// Each so long after it was submitted, if ever.
    Each(Option<Duration>),
    /// All at this time.
    All(Instant),
}

/// Closes the session when the last handle that keeps it open is gone.
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

    /// A handle to the same session for which `path` is the root. Paths that it is given and gives
    /// lack that prefix. The znode need not exist.
    ///
    /// # Errors
    /// The path is invalid.
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

    /// A handle to the same session whose operations must all be done this long from now, if it is
    /// given.
    pub(crate) fn within(&self, deadline: Option<Duration>) -> Client {
        match deadline.and_then(|deadline| now().checked_add(deadline)) {
            Some(due) => self.with_inner(|inner| inner.deadline = Deadline::All(due)),
            None => self.clone(),
        }
    }

    /// A handle to the same session that does not keep it open: when all other handles are
    /// dropped, the session is closed, and this one's operations fail with [`ErrorKind::Closed`].
    /// For tasks in the background whose results are of use only to those who have another handle.
    #[must_use]
    pub fn background(&self) -> Client {
        let owner = Arc::new(Owner {
            shared: self.shared().clone(),
            keeps_open: false,
        });
        self.with_inner(|inner| inner.owner = owner)
    }

    /// Whether the server of the current connection, or of the last one, is known to lack watches
    /// that last ([`watch`](Self::watch), version 3.6), or taken to lack them because another server
    /// of this client does. False before the first such watch was asked for, except of servers that
    /// say themselves what they have.
    #[doc(hidden)]
    pub fn lacks_lasting_watches(&self) -> bool {
        self.shared().with(|core| core.lacks(OpCode::AddWatch))
    }

    /// The same of containers ([`Create::container`](crate::Create::container), version 3.5.1): where a
    /// server lacks them, the znode is persistent.
    #[doc(hidden)]
    pub fn lacks_containers(&self) -> bool {
        self.shared()
            .with(|core| core.lacks(OpCode::CreateContainer))
    }

    /// The same of the removal of watches (version 3.5): where a server lacks it, the server keeps the
    /// watch until its event, which is dropped.
    #[doc(hidden)]
    pub fn lacks_watch_removal(&self) -> bool {
        self.shared().with(|core| core.lacks(OpCode::RemoveWatches))
    }

    /// Has [`close`](Self::close) wait until what this returns is dropped, for a persistent znode at
    /// `path` may have to be deleted then.
    #[doc(hidden)]
    pub fn pledge(&self, path: &str) -> Pledge {
        Pledge::new(self, path)
    }

    /// A handle in the [`background`](Self::background), without a deadline, for the requests of a
    /// clean-up: a client that is being closed accepts them until all clean-ups are done.
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

    /// The server that serves the session, by the name it has in the list of servers; `None`
    /// without a connection.
    pub fn server(&self) -> Option<HostPort> {
        self.shared().with(|core| core.server().cloned())
    }

    /// Replaces the list of servers: `host:port,host:port`, with the chroot of the first connect
    /// string or without any.
    ///
    /// Whether this client then moves to another server is drawn by lot such that, when all clients
    /// are given the same list, each server has its equal share of them and no more move than must
    /// (ZOOKEEPER-1355). One that moves keeps its session. It first waits for what is in flight to
    /// be answered, a third of the session timeout at most, while new requests wait for the next
    /// connection; so a write becomes [`Unknown`](Outcome::Unknown) by a move only if a server does
    /// not answer for that long.
    ///
    /// With TLS, servers are verified by the names in the list, which must therefore come from a source
    /// that is authenticated.
    ///
    /// Returns at once. Servers are compared by the names they have in the lists. A client that
    /// follows the ensemble's configuration, or a service in the DNS, replaces the list again with
    /// the next change it learns of there.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if it is no connect string or has another chroot; those of a
    /// client that is over. Nothing has changed then.
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

    /// The state of the session, now and whenever it changes. To a reader who is more than 16 states
    /// behind, older ones are not told, but its expiries are, up to that many.
    ///
    /// Of a session that was lost before the servers had accepted its credentials nothing is told.
    pub fn states(&self) -> StateStream {
        let shared = self.shared().clone();
        let id = shared.with(|core| {
            let state = core.state();
            core.readers.add(state)
        });
        StateStream::new(shared, id)
    }

    /// The current session.
    pub fn session(&self) -> SessionInfo {
        self.shared().with(|core| core.session_info())
    }

    /// What the client has done and holds, for monitoring and leak tests.
    pub fn statistics(&self) -> Statistics {
        self.shared().with(|core| core.snapshot(now()))
    }

    /// The current session as something that can be lost: what guards of locks are built on.
    pub fn lease(&self) -> Lease {
        Lease::new(self.shared().clone())
    }

    /// Waits until a session is established.
    ///
    /// # Errors
    /// The client is over: closed, expired without renewal, or refused.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn connected(&self) -> Result<()> {
        let mut states = self.states();
        let mut last = None;
        while let Some(state) = states.next().await {
            if state.is_connected() {
                return Ok(());
            }
            last = Some(state);
        }
        if let Some(reason) = self.shared().with(|core| core.refused_for()) {
            return Err(self.over(ErrorKind::AuthFailed).with_source(reason));
        }
        Err(self.over(match last {
            Some(State::Expired { .. }) => ErrorKind::SessionExpired,
            _ => ErrorKind::Closed,
        }))
    }

    /// Waits for the first session as `connected` does, and gives up once every server has failed in
    /// a way that lasts.
    pub(crate) async fn unless_hopeless(
        &self,
        connected: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let mut connected = pin!(connected);
        poll_fn(|cx| {
            if let Poll::Ready(result) = connected.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            match self.shared().with(|core| core.poll_hopeless(cx.waker())) {
                Some(reason) => {
                    Poll::Ready(Err(self.over(ErrorKind::Untrusted).with_source(reason)))
                }
                None => Poll::Pending,
            }
        })
        .await
    }

    fn over(&self, kind: ErrorKind) -> Error {
        let error = Error::new(kind, Outcome::NotSent);
        match self.connect_failures() {
            failures if failures.is_empty() => error,
            failures => error.with_detail(format!("{kind}: {failures}")),
        }
    }

    /// What was last wrong with each server, for people.
    pub(crate) fn connect_failures(&self) -> String {
        self.shared().with(|core| core.failures())
    }

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
    /// [`ErrorKind::AuthFailed`] if the server refuses them; it then closes the connection, and the
    /// client is over. [`ErrorKind::QueueFull`] if the client holds as many credentials as it may
    /// hold requests.
    ///
    /// # Cancel safety
    /// Dropping the future does not take the credentials back.
    pub async fn add_auth(&self, scheme: &str, credentials: impl Into<Vec<u8>>) -> Result<()> {
        Pending::auth(self, scheme, credentials.into()).await
    }

    /// Closes the session on the server, so that its ephemeral znodes are gone when this returns.
    /// What was submitted in the session is still executed; later requests fail with [`ErrorKind::Closed`].
    /// All other handles are closed too.
    ///
    /// Clean-ups come first: what was dropped before the call, such as a guard, a wait for a lock, a
    /// [`protected`](crate::Create::protected) creation, and every
    /// [`guaranteed`](crate::Delete::guaranteed) deletion, is gone from the ensemble when this
    /// returns, also if it is persistent. Waits for persistent locks and protected creations of
    /// persistent znodes that other tasks have under way end with this call, and are cleaned up,
    /// too; one that this task holds and has not dropped delays the close and is reported. Clean-ups
    /// have three quarters of
    /// [`close_timeout`](crate::ClientBuilder::close_timeout), over lost connections and, for what is persistent, in another
    /// session if this one expires meanwhile.
    ///
    /// ClickHouse Keeper acknowledges the end of a session by closing the connection. If it is killed at
    /// this moment, the client cannot tell the difference, and the session may last until its timeout.
    ///
    /// # Errors
    /// [`ErrorKind::CloseUnacknowledged`]: no server acknowledged in time, or the session had expired
    /// by the client's clock alone; the session ends when its timeout passes.
    /// [`ErrorKind::CleanupFailed`]: the session has ended, and a clean-up failed. The text names the
    /// paths that may be left.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the closing.
    pub async fn close(self) -> Result<()> {
        let shared = self.shared();
        shared.with(|core| core.close(now()));
        let acknowledged = poll_fn(|cx| {
            shared
                .with(|core| core.poll_closed(cx.waker()))
                .map_or(Poll::Pending, Poll::Ready)
        })
        .await;
        let left = shared.with(|core| core.failed_cleanups());
        let kind = match (acknowledged, left.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => ErrorKind::CleanupFailed,
            (false, _) => ErrorKind::CloseUnacknowledged,
        };
        let error = Error::new(kind, Outcome::Unknown);
        Err(match left.is_empty() {
            true => error,
            false => error.with_detail(format!(
                "{kind}; clean-ups may have left {left}; see the log for the cause"
            )),
        })
    }

    /// Whether the end of the client has been asked for, or reached.
    pub(crate) fn is_closing(&self) -> bool {
        self.shared().with(|core| core.is_closing())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.shared().with(|core| core.is_over())
    }

    /// Ends this client and leaves the session to another, with its ephemeral znodes: a process that
    /// is about to be replaced hands it over. All other handles are closed; what has not been
    /// answered fails with [`ErrorKind::Closed`], and its outcome is unknown if it was sent.
    ///
    /// Clean-ups under way, such as those of guards that were just dropped, are not waited for; one
    /// that is cut off is logged as a warning with its path, and its znode goes with the session to
    /// the next client. So release guards, and wait for that, before the session is handed over.
    ///
    /// # Errors
    /// [`ErrorKind::SessionExpired`] if there is no session, [`ErrorKind::Closed`] if the client is
    /// over.
    pub fn detach(self) -> Result<SessionToken> {
        let (token, over) = self
            .shared()
            .with(|core| (core.detach(), core.is_closing()));
        token.ok_or_else(|| {
            let kind = if over {
                ErrorKind::Closed
            } else {
                ErrorKind::SessionExpired
            };
            Error::new(kind, Outcome::NotSent).with_detail("there is no session to hand over")
        })
    }

    /// When an operation that started at `start`, with or without a deadline of its own, must be done.
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

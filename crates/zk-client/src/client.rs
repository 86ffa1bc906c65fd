//! The handle people hold.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::Stream;
use tokio::runtime::Handle;
use zk_proto::records::{AddWatchMode, AddWatchRequest};
use zk_proto::{Acl, Chroot, OpCode, SessionId};

use crate::call::{Call, Pending};
use crate::config::Builder;
use crate::create::Create;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::lease::Lease;
use crate::multi::{Multi, MultiRead};
use crate::read::{Exists, Get, GetChildren, Sync};
use crate::shared::{Shared, now};
use crate::state::State;
use crate::tree::EnsurePath;
use crate::watch::{WatchKind, WatchMode, WatchStream};
use crate::write::{Delete, Set};
use crate::{GetAcl, SetAcl};

/// A ZooKeeper client: one session, one connection at a time, any number of handles.
///
/// Cloning is cheap and gives another handle to the same session. When the last handle is dropped,
/// the session is closed in the background; [`close`](Self::close) waits for that.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    owner: Arc<Owner>,
    chroot: Chroot,
    deadline: Option<Duration>,
    acl: Arc<[Acl]>,
}

/// Closes the session when the last handle is gone.
struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.with(|core| core.close(now()));
    }
}

/// The current session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id; none before the first session and between two.
    pub id: SessionId,
    /// Counts this client's sessions, from 1; 0 before the first.
    pub epoch: u64,
    /// The timeout agreed with the server; before that, the one asked for.
    pub timeout: Duration,
}

/// What a client holds at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Requests that have not been answered, or whose answer has not been taken.
    pub outstanding: usize,
    /// Those of them that wait for a connection.
    pub parked: usize,
    /// Watches armed on the server, or to be armed on the next one.
    pub watches: usize,
    /// Handles of watches.
    pub subscribers: usize,
}

impl Client {
    pub(crate) fn new(
        shared: Arc<Shared>,
        chroot: Chroot,
        deadline: Option<Duration>,
        acl: Arc<[Acl]>,
    ) -> Self {
        let owner = Arc::new(Owner(shared));
        Client {
            inner: Arc::new(Inner {
                owner,
                chroot,
                deadline,
                acl,
            }),
        }
    }

    /// Connects to an ensemble with the default options: `host:port,host:port/chroot`. The port is
    /// 2181 unless given, IPv6 addresses stand in brackets, the chroot is optional.
    ///
    /// # Errors
    /// See [`Builder::connect`].
    ///
    /// # Cancel safety
    /// Dropping the future closes the client.
    pub async fn connect(hosts: impl Into<String>) -> Result<Client> {
        Self::builder(hosts).connect().await
    }

    /// Options first.
    pub fn builder(hosts: impl Into<String>) -> Builder {
        Builder::new(hosts)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.owner.0
    }

    pub(crate) fn default_deadline(&self) -> Option<Duration> {
        self.inner.deadline
    }

    pub(crate) fn default_acl(&self) -> &[Acl] {
        &self.inner.acl
    }

    /// The path that this handle sees as `/`.
    pub fn root(&self) -> &Chroot {
        &self.inner.chroot
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
                .with_detail(format!("invalid chroot {path:?}: {e}"))
                .with_source(e)
        })?;
        Ok(self.with_inner(|inner| inner.chroot = chroot))
    }

    /// A handle to the same session whose operations have another default deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: impl Into<Option<Duration>>) -> Client {
        let deadline = deadline.into();
        self.with_inner(|inner| inner.deadline = deadline)
    }

    /// A handle to the same session whose creations have another default ACL.
    #[must_use]
    pub fn with_acl(&self, acl: impl Into<Vec<Acl>>) -> Client {
        let acl = acl.into();
        self.with_inner(|inner| inner.acl = acl.into())
    }

    /// A handle to the same session without a chroot.
    pub(crate) fn unrooted(&self) -> Client {
        self.with_inner(|inner| inner.chroot = Chroot::none())
    }

    fn with_inner(&self, change: impl FnOnce(&mut Inner)) -> Client {
        let mut inner = Inner {
            owner: self.inner.owner.clone(),
            chroot: self.inner.chroot.clone(),
            deadline: self.inner.deadline,
            acl: self.inner.acl.clone(),
        };
        change(&mut inner);
        Client {
            inner: Arc::new(inner),
        }
    }

    /// The state of the session.
    pub fn state(&self) -> State {
        self.shared().with(|core| core.state())
    }

    /// The state of the session, now and whenever it changes. To a reader who is more than 16 states
    /// behind, older ones are not told, but its expiries are, up to that many.
    pub fn states(&self) -> StateStream {
        let shared = self.shared().clone();
        let id = shared.with(|core| {
            let state = core.state();
            core.readers.add(state)
        });
        StateStream {
            shared,
            id,
            over: false,
        }
    }

    /// The current session.
    pub fn session(&self) -> SessionInfo {
        self.shared().with(|core| SessionInfo {
            id: core.session.id(),
            epoch: core.session.epoch(),
            timeout: core.session.timeout(),
        })
    }

    /// What the client holds at the moment, for monitoring and leak tests.
    pub fn statistics(&self) -> Statistics {
        self.shared().with(|core| core.statistics())
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
        Err(self.over(match last {
            Some(State::AuthFailed) => ErrorKind::AuthFailed,
            Some(State::Expired { .. }) => ErrorKind::SessionExpired,
            _ => ErrorKind::Closed,
        }))
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

    /// Reads a znode's ACL.
    pub fn acl<'a>(&'a self, path: &'a str) -> GetAcl<'a> {
        GetAcl::new(self, path)
    }

    /// Replaces a znode's ACL.
    pub fn set_acl<'a>(&'a self, path: &'a str, acl: impl Into<Vec<Acl>>) -> SetAcl<'a> {
        SetAcl::new(self, path, acl.into())
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
    /// Needs servers of version 3.6 or newer.
    ///
    /// After a reconnect the watch is armed again and the stream yields a
    /// [`WatchEvent::Gap`](crate::WatchEvent::Gap), for no server tells what happened meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::Unimplemented`] and a lost connection from servers older than 3.6.
    ///
    /// # Cancel safety
    /// Dropping the future removes the watch, should it be set after all.
    pub async fn watch(&self, path: &str, mode: WatchMode) -> Result<WatchStream> {
        let (kind, mode) = match mode {
            WatchMode::Persistent => (WatchKind::Persistent, AddWatchMode::Persistent),
            WatchMode::PersistentRecursive => {
                (WatchKind::Recursive, AddWatchMode::PersistentRecursive)
            }
        };
        let record = AddWatchRequest {
            path: self.root().wire(path),
            mode,
        };
        let call = Call::read(self, OpCode::AddWatch, path).watch(kind);
        // ClickHouse Keeper answers without the record that Apache ZooKeeper sends; neither says
        // anything that the header has not said.
        let answered: Pending<WatchStream> = call.submit(&record, |reply, client| {
            Ok(WatchStream::new(client, reply.watch))
        });
        answered.await
    }

    /// Adds credentials to this and every later connection, and waits for the server's verdict.
    ///
    /// # Errors
    /// [`ErrorKind::AuthFailed`] if the server refuses them; it then closes the connection, and the
    /// client is over.
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
    /// # Errors
    /// No server acknowledged in time. The session then ends when its timeout passes.
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
        if acknowledged {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Closed, Outcome::Unknown).with_detail(
            "no server acknowledged the end of the session; its ephemeral znodes go when its \
             timeout passes",
        ))
    }

    /// When an operation that starts now and has no deadline of its own must be done.
    pub(crate) fn deadline_from(&self, own: Option<Duration>) -> Option<Instant> {
        own.or(self.default_deadline())
            .and_then(|deadline| now().checked_add(deadline))
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

/// The states of a session, the current one first.
#[derive(Debug)]
pub struct StateStream {
    shared: Arc<Shared>,
    id: u64,
    over: bool,
}

impl StateStream {
    /// The next state; `None` after the client is over.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<State> {
        poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<State>> {
        if self.over {
            return Poll::Ready(None);
        }
        let (state, over) = self
            .shared
            .with(|core| (core.readers.poll(self.id, cx.waker()), core.is_over()));
        match state {
            Some(state) => {
                self.over = matches!(state, State::Closed | State::AuthFailed);
                Poll::Ready(Some(state))
            }
            None if over => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl Stream for StateStream {
    type Item = State;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<State>> {
        self.poll(cx)
    }
}

impl Drop for StateStream {
    fn drop(&mut self) {
        self.shared.with(|core| core.readers.remove(self.id));
    }
}

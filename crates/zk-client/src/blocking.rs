//! The client for programs without a runtime.
//!
//! [`Client`] runs the asynchronous [`Client`](crate::Client) on a thread of its own. The
//! operations are the same, with [`wait()`](crate::Get::wait) in place of `.await` on every builder
//! and every [`Pending`](crate::Pending). [`Client::wait`](self::Client::wait) blocks on any other
//! future, such as those of recipes, which take the asynchronous client from
//! [`Client::as_async`](self::Client::as_async). [`Client::iter`](self::Client::iter) makes an
//! iterator of a stream.
//!
//! ```no_run
//! use std::time::Duration;
//! use zk_client::WatchMode;
//! use zk_client::blocking::Client;
//!
//! # fn main() -> zk_client::Result<()> {
//! let zk = Client::connect("zk1:2181,zk2:2181,zk3:2181/app")?;
//! zk.create("/config", "v1").wait()?;
//! let (data, stat) = zk.get("/config").wait()?;
//! zk.set("/config", "v2").version(stat.version).wait()?;
//!
//! // Pipelined: one round trip.
//! let (a, b) = (zk.get("/a").submit(), zk.get("/b").submit());
//! let (a, b) = (a.wait()?, b.wait()?);
//!
//! let (data, stat, mut watch) = zk.get("/config").watch().wait()?;
//! if let Some(event) = zk.wait_timeout(&mut watch, Duration::from_secs(5)) {
//!     println!("{event:?}");
//! }
//! let events = zk.wait(zk.watch("/jobs", WatchMode::PersistentRecursive))?;
//! for event in zk.iter(events).take(10) {
//!     println!("{event:?}");
//! }
//! zk.close()
//! # }
//! ```
//!
//! # Panics
//!
//! Every method that blocks panics on a thread that runs asynchronous tasks, as tokio does: "Cannot
//! start a runtime from within a runtime". Use [`crate::Client`] there.

mod operations;

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_core::Stream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use zk_proto::Acl;

use crate::builder::ClientBuilder;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::session_store::restored::Restored;
use crate::session_store::store::SessionStore;
use crate::shared::Shared;

/// A [`crate::Client`] that blocks, with a thread of its own.
///
/// Clones share the session, and several threads can use one client at once. The drop of the last
/// handle closes the session and blocks until that is done, for [`ClientBuilder::close_timeout`] at
/// most. It does not block in an asynchronous task, nor while clones of the asynchronous client
/// keep the session open.
#[derive(Clone)]
pub struct Client {
    // Dropped before the thread, which ends after it.
    zk: crate::Client,
    thread: Arc<Thread>,
}

impl Client {
    /// Connects to an ensemble with the default options: `host:port,host:port/chroot`.
    ///
    /// # Errors
    /// See [`ClientBuilder::connect`].
    pub fn connect(hosts: impl Into<crate::ServerList>) -> Result<Client> {
        Self::connect_with(crate::Client::builder(hosts))
    }

    /// Connects to an ensemble with these options.
    ///
    /// # Errors
    /// See [`ClientBuilder::connect`]. [`ErrorKind::Closed`] if no thread could be started.
    pub fn connect_with(builder: ClientBuilder) -> Result<Client> {
        let starting = Starting::new()?;
        let zk = starting.handle.block_on(builder.connect())?;
        starting.run(zk)
    }

    /// Makes the client without waiting for a session; see [`ClientBuilder::start`].
    ///
    /// # Errors
    /// See [`ClientBuilder::start`]. [`ErrorKind::Closed`] if no thread could be started.
    pub fn start_with(builder: ClientBuilder) -> Result<Client> {
        let starting = Starting::new()?;
        let zk = {
            let _entered = starting.handle.enter();
            builder.start()?
        };
        starting.run(zk)
    }

    /// Continues the session in a file, or makes a new one; see [`ClientBuilder::restore`].
    ///
    /// # Errors
    /// See [`ClientBuilder::restore`]. [`ErrorKind::Closed`] if no thread could be started.
    pub fn restore_with(builder: ClientBuilder, store: SessionStore) -> Result<(Client, Restored)> {
        let starting = Starting::new()?;
        let (zk, restored) = starting.handle.block_on(builder.restore(store))?;
        Ok((starting.run(zk)?, restored))
    }

    /// Blocks until a future is done.
    pub fn wait<F: IntoFuture>(&self, future: F) -> F::Output {
        let runtime = self.zk.runtime();
        let future = {
            let _entered = runtime.enter();
            future.into_future()
        };
        runtime.block_on(future)
    }

    /// Blocks until a future is done, or until `timeout` has passed: the future is then dropped,
    /// and its `# Cancel safety` section says what follows.
    pub fn wait_timeout<F: IntoFuture>(&self, future: F, timeout: Duration) -> Option<F::Output> {
        self.wait(async {
            tokio::time::timeout(timeout, future.into_future())
                .await
                .ok()
        })
    }

    /// The asynchronous client, for recipes and for tasks on another runtime. Its clones keep the
    /// session open, as handles of this type do.
    pub fn as_async(&self) -> &crate::Client {
        &self.zk
    }

    /// An iterator of the items of a stream, such as a [`WatchStream`](crate::WatchStream) or a
    /// [`StateStream`](crate::StateStream).
    pub fn iter<S: Stream + Unpin>(&self, stream: S) -> Iter<S> {
        Iter {
            client: self.clone(),
            stream,
        }
    }

    /// See [`crate::Client::chroot`].
    ///
    /// # Errors
    /// The path is invalid.
    pub fn chroot(&self, path: &str) -> Result<Client> {
        self.zk.chroot(path).map(|zk| self.with(zk))
    }

    /// See [`crate::Client::with_deadline`].
    #[must_use]
    pub fn with_deadline(&self, deadline: impl Into<Option<Duration>>) -> Client {
        self.with(self.zk.with_deadline(deadline))
    }

    /// See [`crate::Client::with_acl`].
    #[must_use]
    pub fn with_acl(&self, acl: impl Into<Vec<Acl>>) -> Client {
        self.with(self.zk.with_acl(acl))
    }

    /// See [`crate::Client::with_acl_by_path`].
    #[must_use]
    pub fn with_acl_by_path(
        &self,
        acl_of: impl Fn(&str) -> Vec<Acl> + Send + Sync + 'static,
    ) -> Client {
        self.with(self.zk.with_acl_by_path(acl_of))
    }

    fn with(&self, zk: crate::Client) -> Client {
        Client {
            zk,
            thread: self.thread.clone(),
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.zk.fmt(f)
    }
}

/// An iterator that blocks for each item of a stream. Made by [`Client::iter`].
#[derive(Debug)]
pub struct Iter<S> {
    client: Client,
    stream: S,
}

impl<S: Stream + Unpin> Iter<S> {
    /// Blocks until there is an item, or until `timeout` has passed. A later call loses no item.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Timeout`] if there is no item yet, [`RecvTimeoutError::Disconnected`] if
    /// the stream has ended.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<S::Item, RecvTimeoutError> {
        let next = poll_fn(|cx| Pin::new(&mut self.stream).poll_next(cx));
        self.client
            .wait_timeout(next, timeout)
            .ok_or(RecvTimeoutError::Timeout)?
            .ok_or(RecvTimeoutError::Disconnected)
    }
}

impl<S: Stream + Unpin> Iterator for Iter<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        let next = poll_fn(|cx| Pin::new(&mut self.stream).poll_next(cx));
        self.client.wait(next)
    }
}

/// The thread that runs a client. It ends when the client is closed and no handle is left.
struct Thread {
    shared: Arc<Shared>,
    /// Dropped with the last handle.
    alive: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.alive.take());
        let asynchronous = Handle::try_current().is_ok();
        let ends = self.shared.with(|core| core.is_closing());
        if let Some(thread) = self.thread.take()
            && ends
            && !asynchronous
        {
            // The client reports a panic of the driver; the thread has no result.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread").finish_non_exhaustive()
    }
}

/// A thread whose client is being made.
struct Starting {
    handle: Handle,
    /// The thread runs until the end of these states, or ends at once if the sender is dropped.
    client: oneshot::Sender<crate::StateStream>,
    alive: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Starting {
    fn new() -> Result<Self> {
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Closed, Outcome::NotSent)
                .with_detail("cannot start the client's thread")
                .with_source(error)
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (client, made) = oneshot::channel::<crate::StateStream>();
        let (alive, gone) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new()
            .name("zk-client".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    if let Ok(mut states) = made.await {
                        while states.next().await.is_some() {}
                    }
                    // Handles that are left may still wait, which needs timers.
                    let _ = gone.await;
                });
                // A name that is still being resolved must not delay the end.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        Ok(Starting {
            handle,
            client,
            alive,
            thread,
        })
    }

    fn run(self, zk: crate::Client) -> Result<Client> {
        if self.client.send(zk.states()).is_err() {
            return Err(Error::new(ErrorKind::Closed, Outcome::NotSent)
                .with_detail("the client's thread has ended"));
        }
        let thread = Thread {
            shared: zk.shared().clone(),
            alive: Some(self.alive),
            thread: Some(self.thread),
        };
        Ok(Client {
            zk,
            thread: Arc::new(thread),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_can_share_a_handle() {
        fn shared<T: Clone + Send + Sync + 'static>() {}
        shared::<Client>();
    }

    #[test]
    fn without_a_server_calls_end_in_time() {
        let builder = crate::Client::builder("127.0.0.1:1");
        let zk = Client::start_with(builder.clone()).unwrap();
        let error = zk.get("/a").deadline(Duration::from_millis(50)).wait();
        assert_eq!(error.unwrap_err().kind(), ErrorKind::DeadlineExceeded);
        drop(zk);
        let refused = Client::connect_with(builder.connect_timeout(Duration::from_millis(50)));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectTimeout);
        let invalid = Client::connect("no host here:x");
        assert_eq!(invalid.unwrap_err().kind(), ErrorKind::InvalidArgument);
    }

    #[test]
    #[should_panic(expected = "Cannot start a runtime from within a runtime")]
    fn blocking_a_task_panics() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let builder = crate::Client::builder("127.0.0.1:1");
            let zk = Client::start_with(builder).unwrap();
            let _ = zk.get("/a").wait();
        });
    }
}

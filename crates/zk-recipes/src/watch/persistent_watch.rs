//! A stream of the events of a watch, through reconnects and sessions.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use zk_client::{Client, ErrorKind, NodeEvent, WatchEvent, WatchMode, WatchStream, Zxid};

use crate::error::Result;
use crate::retry::RetryBackoff;

/// An item of a [`PersistentWatch`].
///
/// This enum is exhaustive on purpose, so that a `match` without an arm for gaps does not compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersistentEvent {
    /// The watch is set: the changes from now on are delivered. The first item.
    Armed,
    /// A znode was changed.
    Node(NodeEvent),
    /// Events may be missing, and the watch is set: read the watched znodes again, after a sync.
    Gap(GapCause),
}

/// Why events may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapCause {
    /// The connection was lost, and the session resumed on another.
    Reconnected {
        /// The zxid up to which no event is missing.
        since: Zxid,
    },
    /// The session ended, and the watch is set in the next one.
    NewSession,
    /// The stream was read too slowly.
    Lagged {
        /// The number of events that were dropped.
        dropped: u64,
    },
}

/// A stream of the changes of a znode, or of a znode and all below it, that continues in later sessions.
///
/// [`Client::watch`] ends with its session; this sets the watch again in the next session, and yields a
/// [`Gap`](PersistentEvent::Gap). It yields events, not states: for states use a `DataWatch` or a
/// `TreeCache`.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_client::WatchMode;
/// use zk_recipes::{PersistentEvent, PersistentWatch};
///
/// let mut jobs = PersistentWatch::new(&zk, "/jobs", WatchMode::PersistentRecursive);
/// while let Some(event) = jobs.next().await {
///     match event? {
///         PersistentEvent::Node(node) => println!("{} {}", node.kind.as_str(), node.path),
///         PersistentEvent::Armed | PersistentEvent::Gap(_) => println!("read everything"),
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Losing the session
///
/// The stream continues in the next session, once the watch is set there. It ends when the client is
/// closed, and after an error.
///
/// # Znodes
///
/// None. The counterpart is Curator's `PersistentWatcher`. kazoo has none: its `add_watch` ends with
/// the session.
///
/// # Cost
///
/// One request in each session, and one at the end. No task: the watch is set when the stream is
/// polled. The unread events are limited as those of a [`WatchStream`].
///
/// # Cancel safety
///
/// Dropping a [`next`](Self::next) loses nothing, also while the watch is being set. Dropping the stream
/// removes the watch.
#[doc(alias = "PersistentWatcher")]
pub struct PersistentWatch {
    client: Client,
    path: String,
    mode: WatchMode,
    phase: Phase,
    was_armed: bool,
}

enum Phase {
    Arming(Pin<Box<dyn Future<Output = zk_client::Result<WatchStream>> + Send>>),
    Armed(WatchStream),
    Over,
}

impl PersistentWatch {
    /// Watches `path`, which need not exist. Sends nothing before it is polled.
    pub fn new(client: &Client, path: &str, mode: WatchMode) -> Self {
        // There may be no server for a long time.
        let client = client.with_deadline(None);
        PersistentWatch {
            phase: Phase::Arming(Box::pin(arm(client.clone(), path.to_owned(), mode))),
            client,
            path: path.to_owned(),
            mode,
            was_armed: false,
        }
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// The path is invalid, the ensemble refuses the watch, or the server has no persistent watches
    /// (Apache ZooKeeper before 3.6): [`Unimplemented`](ErrorKind::Unimplemented). The stream ends
    /// after an error.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<PersistentEvent>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<PersistentEvent>>> {
        loop {
            let next = match &mut self.phase {
                Phase::Over => return Poll::Ready(None),
                Phase::Arming(arming) => {
                    let armed = std::task::ready!(arming.as_mut().poll(cx));
                    return Poll::Ready(self.armed(armed));
                }
                Phase::Armed(events) => std::task::ready!(Pin::new(events).poll_next(cx)),
            };
            let event = match next {
                Some(WatchEvent::Node(event)) => PersistentEvent::Node(event),
                Some(WatchEvent::Gap { since }) => {
                    PersistentEvent::Gap(GapCause::Reconnected { since })
                }
                Some(WatchEvent::Lagged { dropped }) => {
                    PersistentEvent::Gap(GapCause::Lagged { dropped })
                }
                // `None` without the end of the session: a server that cannot keep the watch.
                Some(WatchEvent::SessionEnded) | None => {
                    let arming = arm(self.client.clone(), self.path.clone(), self.mode);
                    self.phase = Phase::Arming(Box::pin(arming));
                    continue;
                }
            };
            return Poll::Ready(Some(Ok(event)));
        }
    }

    fn armed(&mut self, armed: zk_client::Result<WatchStream>) -> Option<Result<PersistentEvent>> {
        match armed {
            Ok(events) => {
                self.phase = Phase::Armed(events);
                Some(Ok(match std::mem::replace(&mut self.was_armed, true) {
                    true => PersistentEvent::Gap(GapCause::NewSession),
                    false => PersistentEvent::Armed,
                }))
            }
            Err(error) => {
                self.phase = Phase::Over;
                (error.kind() != ErrorKind::Closed).then(|| Err(error.into()))
            }
        }
    }
}

async fn arm(client: Client, path: String, mode: WatchMode) -> zk_client::Result<WatchStream> {
    let mut backoff = RetryBackoff::of_repeatable();
    loop {
        match client.watch(&path, mode).await {
            Ok(events) => return Ok(events),
            Err(error) => backoff.sleep_after(error).await?,
        }
    }
}

impl Stream for PersistentWatch {
    type Item = Result<PersistentEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl fmt::Debug for PersistentWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistentWatch")
            .field("path", &self.path)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

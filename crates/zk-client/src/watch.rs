//! The handles of watches: a future for one event, a stream for all.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use zk_proto::Chroot;

use crate::client::Client;
use crate::session::watches::SubId;
use crate::session::watches::event::WatchEvent;
use crate::shared::{Shared, now};

/// The events that a watch set with [`Client::watch`] delivers.
#[doc(alias = "AddWatchMode")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WatchMode {
    /// Changes of the znode's data and of the list of its children, its creation and deletion.
    Persistent,
    /// Creations, deletions and changes of data of the znode and of all below it. A new child is
    /// delivered as its creation, so there is no
    /// [`ChildrenChanged`](crate::NodeEventKind::ChildrenChanged).
    PersistentRecursive,
}

/// A subscription to a watch; dropped, it ends.
struct Subscription {
    shared: Arc<Shared>,
    chroot: Arc<Chroot>,
    /// None for a reply that did not set a watch; successful replies always do.
    id: Option<SubId>,
    ended: bool,
}

impl Subscription {
    fn new(client: &Client, id: Option<SubId>) -> Self {
        Subscription {
            shared: client.shared().clone(),
            chroot: client.shared_root().clone(),
            id,
            ended: false,
        }
    }

    /// The next event; `None` after the end of the session has been delivered, or after the watch
    /// has ended because the server cannot keep it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let Some(id) = self.id else {
            return Poll::Ready(None);
        };
        let (event, abandoned) = self.shared.with(|core| {
            let event = core.poll_event(id, cx.waker());
            let abandoned = event.is_none() && core.is_abandoned(id);
            (event, abandoned)
        });
        let Some(mut event) = event else {
            self.ended = abandoned;
            return match abandoned {
                true => Poll::Ready(None),
                false => Poll::Pending,
            };
        };
        if let WatchEvent::Node(node) = &mut event
            && !self.chroot.is_none()
            // The watched path lies inside the chroot, and so do the paths of its events.
            && let Some(path) = self.chroot.strip(&node.path)
        {
            node.path = path.to_owned();
        }
        self.ended = event == WatchEvent::SessionEnded;
        Poll::Ready(Some(event))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.shared.with(|core| core.unsubscribe(now(), id));
        }
    }
}

/// A watch that delivers one event: a future. Polled again after that, it returns the same event.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
/// loop {
///     let (data, _, watch) = zk.get("/config").watch().await?;
///     println!("{data:?}");
///     // Whatever the event: read again, and watch again.
///     watch.await;
/// }
/// # }
/// ```
///
/// # Cancel safety
/// `(&mut watch).await` can be dropped and repeated, for instance in a `select!`, and no event is
/// lost. Dropping the `Watch` itself removes the watch on the server, unless it has another handle.
#[must_use = "dropping a watch removes it"]
#[doc(alias = "Watcher")]
pub struct Watch {
    subscription: Subscription,
    /// Boxed to keep watches small: a program may hold a million, and most of them wait.
    delivered: Option<Box<WatchEvent>>,
}

impl Watch {
    pub(crate) fn new(client: &Client, id: Option<SubId>) -> Self {
        Watch {
            subscription: Subscription::new(client, id),
            delivered: None,
        }
    }
}

impl Future for Watch {
    type Output = WatchEvent;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        if let Some(delivered) = &self.delivered {
            return Poll::Ready(WatchEvent::clone(delivered));
        }
        self.subscription.poll(cx).map(|event| {
            let event = event.unwrap_or(WatchEvent::SessionEnded);
            self.delivered = Some(Box::new(event.clone()));
            event
        })
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("delivered", &self.delivered)
            .finish_non_exhaustive()
    }
}

/// A watch that delivers every event until it is dropped or the session ends. Made by
/// [`Client::watch`].
///
/// The number of unread events is limited; see [`WatchEvent::Lagged`].
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_client::Result<()> {
/// use zk_client::{WatchEvent, WatchMode};
///
/// let mut events = zk.watch("/jobs", WatchMode::PersistentRecursive).await?;
/// while let Some(event) = events.next().await {
///     match event {
///         WatchEvent::Node(node) => println!("{} {}", node.kind.as_str(), node.path),
///         // Events are missing: read the subtree again.
///         WatchEvent::Gap { .. } | WatchEvent::Lagged { .. } => println!("read again"),
///         WatchEvent::SessionEnded => break,
///     }
/// }
/// # Ok(()) }
/// ```
#[must_use = "dropping a watch removes it"]
pub struct WatchStream {
    subscription: Subscription,
}

impl WatchStream {
    pub(crate) fn new(client: &Client, id: Option<SubId>) -> Self {
        WatchStream {
            subscription: Subscription::new(client, id),
        }
    }

    /// The next event; `None` after [`WatchEvent::SessionEnded`], and after the [`WatchEvent::Gap`]
    /// of a reconnect to a server older than 3.6, which cannot keep the watch.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        poll_fn(|cx| self.subscription.poll(cx)).await
    }
}

impl Stream for WatchStream {
    type Item = WatchEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<WatchEvent>> {
        self.subscription.poll(cx)
    }
}

impl fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchStream")
            .field("ended", &self.subscription.ended)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "testkit")]
mod tests {
    use std::task::Waker;

    use zk_embedded::Server;

    use super::*;
    use crate::NodeEventKind;

    async fn connect() -> (Server, Client) {
        let server = Server::start().await.unwrap();
        let client = Client::connect(server.connect_string()).await.unwrap();
        (server, client)
    }

    fn polled(watch: &mut Watch) -> Poll<WatchEvent> {
        Pin::new(watch).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn polled_next(events: &mut WatchStream) -> Poll<Option<WatchEvent>> {
        Pin::new(events).poll_next(&mut Context::from_waker(Waker::noop()))
    }

    fn node(event: Option<&WatchEvent>) -> (NodeEventKind, &str) {
        match event {
            Some(WatchEvent::Node(node)) => (node.kind, &node.path),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_watch_delivers_its_event_again() {
        let (_server, zk) = connect().await;
        zk.create("/a", "").await.unwrap();
        let (_, _, mut watch) = zk.get("/a").watch().await.unwrap();
        assert!(polled(&mut watch).is_pending());
        assert!(format!("{watch:?}").contains("delivered: None"));
        zk.set("/a", "1").await.unwrap();
        let event = (&mut watch).await;
        assert_eq!(node(Some(&event)), (NodeEventKind::DataChanged, "/a"));
        assert_eq!(polled(&mut watch), Poll::Ready(event));
        assert!(format!("{watch:?}").contains("delivered: Some(Node("));
    }

    #[tokio::test]
    async fn a_stream_of_events_ends_with_its_session() {
        let (server, zk) = connect().await;
        let mut events = zk.watch("/a", WatchMode::Persistent).await.unwrap();
        assert!(polled_next(&mut events).is_pending());
        zk.create("/a", "").await.unwrap();
        let created = events.next().await;
        assert_eq!(node(created.as_ref()), (NodeEventKind::Created, "/a"));
        // A notification arrives before the reply to the write that it is of.
        zk.set("/a", "1").await.unwrap();
        let Poll::Ready(changed) = polled_next(&mut events) else {
            panic!("no event");
        };
        assert_eq!(node(changed.as_ref()), (NodeEventKind::DataChanged, "/a"));
        assert!(polled_next(&mut events).is_pending());
        assert!(format!("{events:?}").contains("ended: false"));
        assert!(server.expire_session(zk.session().id));
        assert_eq!(events.next().await, Some(WatchEvent::SessionEnded));
        assert_eq!(polled_next(&mut events), Poll::Ready(None));
        assert_eq!(events.next().await, None);
        assert!(format!("{events:?}").contains("ended: true"));
    }

    #[tokio::test]
    async fn paths_of_events_are_those_of_the_chroot() {
        let (_server, zk) = connect().await;
        zk.create("/root", "").await.unwrap();
        let inside = zk.chroot("/root").unwrap();
        let mode = WatchMode::PersistentRecursive;
        let mut below = inside.watch("/", mode).await.unwrap();
        let mut above = zk.watch("/", mode).await.unwrap();
        inside.create("/a", "").await.unwrap();
        let (below, above) = (below.next().await, above.next().await);
        assert_eq!(node(below.as_ref()), (NodeEventKind::Created, "/a"));
        assert_eq!(node(above.as_ref()), (NodeEventKind::Created, "/root/a"));
    }

    #[tokio::test]
    async fn a_dropped_watch_has_no_subscriber() {
        let (_server, zk) = connect().await;
        let (_, _, watch) = zk.get("/").watch().await.unwrap();
        let events = zk.watch("/", WatchMode::Persistent).await.unwrap();
        assert_eq!(zk.statistics().subscribers, 2);
        drop(watch);
        assert_eq!(zk.statistics().subscribers, 1);
        drop(events);
        assert_eq!(zk.statistics().subscribers, 0);
    }
}

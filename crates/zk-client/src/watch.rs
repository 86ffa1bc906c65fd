//! What the owner of a watch holds.

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

/// What a watch set with [`Client::watch`] covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchMode {
    /// The znode's data and the list of its children.
    Persistent,
    /// The znode and all below it. Tells of creations, deletions and changes of data; a new child
    /// is told as its creation, so there is no
    /// [`ChildrenChanged`](super::NodeEventKind::ChildrenChanged).
    PersistentRecursive,
}

/// A subscription, and its end when dropped.
struct Subscription {
    shared: Arc<Shared>,
    chroot: Arc<Chroot>,
    /// None for a reply that did not set a watch, which no successful one is.
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

    /// The next event; `None` after the end of the session has been told, or the watch has ended for
    /// want of a server that keeps it.
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
            // A watch lies inside the chroot, and so does what it tells of.
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

/// A watch that tells one event. It is a future; after it has told, it tells the same again.
///
/// # Cancel safety
/// `(&mut watch).await` can be dropped and tried again, for instance in a `select!`, and no event
/// is lost. Dropping the `Watch` itself removes the watch on the server, unless another handle
/// wants it.
#[must_use = "dropping a watch removes it"]
pub struct Watch {
    subscription: Subscription,
    /// Apart, as a watch waits for long and there may be a million.
    told: Option<Box<WatchEvent>>,
}

impl Watch {
    pub(crate) fn new(client: &Client, id: Option<SubId>) -> Self {
        Watch {
            subscription: Subscription::new(client, id),
            told: None,
        }
    }

    /// Waits for the event.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn changed(&mut self) -> WatchEvent {
        self.await
    }
}

impl Future for Watch {
    type Output = WatchEvent;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        if let Some(told) = &self.told {
            return Poll::Ready(WatchEvent::clone(told));
        }
        self.subscription.poll(cx).map(|event| {
            let event = event.unwrap_or(WatchEvent::SessionEnded);
            self.told = Some(Box::new(event.clone()));
            event
        })
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

/// A watch that tells every event until it is dropped or the session ends.
///
/// What it holds unread is bounded; see [`WatchEvent::Lagged`].
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

    /// The next event; `None` after [`WatchEvent::SessionEnded`], and after the
    /// [`WatchEvent::Gap`] that comes when the client had to connect to a server older than 3.6,
    /// which cannot be asked to keep the watch.
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

//! The items that one member has.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::watch;
use zk_client::Client;

use crate::error::{GuardLost, Result};
use crate::guard::any_loss::AnyLoss;
use crate::guard::{Guard, run_until};
use crate::locks::LockGuard;

/// The items that this member has, each guarded by a [lock](crate::Lock), until it gives them back:
/// with [`release`](Self::release), or by a drop.
#[derive(Debug)]
#[must_use = "dropping a share gives its items back"]
pub struct Share {
    items: Vec<(String, LockGuard)>,
    loss: Arc<AnyLoss>,
    /// Dropped after the guards: the partitioner then allocates again.
    state: watch::Receiver<ShareState>,
    /// Keeps the client open.
    _client: Option<Client>,
}

/// What has become of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ShareState {
    Held,
    Requested,
}

/// The partitioner's end of a share.
#[derive(Debug)]
pub(super) struct ShareControl {
    loss: Arc<AnyLoss>,
    state: watch::Sender<ShareState>,
}

impl Share {
    pub(super) fn new(items: Vec<(String, LockGuard)>) -> (Self, ShareControl) {
        let (sender, state) = watch::channel(ShareState::Held);
        let guards = items.iter().map(|(_, guard)| AsRef::<Guard>::as_ref(guard));
        let loss = Arc::new(AnyLoss::of(guards));
        let control = ShareControl {
            loss: loss.clone(),
            state: sender,
        };
        let share = Share {
            items,
            loss,
            state,
            _client: None,
        };
        (share, control)
    }

    pub(super) fn keep_open(&mut self, client: &Client) {
        self._client = Some(client.clone());
    }

    /// The items, in order. A share can be empty: with more members than items.
    pub fn items(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|(item, _)| &**item)
    }

    /// The guard of an item, with its [token](crate::Guard::token) and
    /// [fenced writes](crate::Guard::fenced).
    pub fn guard(&self, item: &str) -> Option<&LockGuard> {
        let found = self.items.iter().find(|(own, _)| own == item);
        found.map(|(_, guard)| guard)
    }

    /// Whether all items are held now, by the clock: see [`Guard::check`](crate::Guard::check). Items
    /// that are to be given back are still held.
    ///
    /// # Errors
    /// The guard of an item is lost.
    pub fn check(&self) -> Result<(), GuardLost> {
        self.items.iter().try_for_each(|(_, guard)| guard.check())
    }

    /// Whether the items are to be given back, since members have come or gone, the session has ended,
    /// or the guard of an item is lost.
    pub fn is_requested(&self) -> bool {
        *self.state.borrow() != ShareState::Held || self.check().is_err()
    }

    /// Waits until the items are to be given back: members have come or gone, the session has ended,
    /// the guard of an item is lost, or the partitioner was dropped. The items stay held until then, and
    /// until they are given back, as long as the [`check`](Self::check) succeeds.
    ///
    /// Sets no watches. If a client deletes the znode of an item's lock, a renewal of its guard notices that, or a
    /// failed [fenced write](crate::Guard::fenced). A session renews by one of its guards at a time, which need not be
    /// that of this item, by none while it writes anyway, and by none with
    /// [`LeaseBasis::Server`](crate::LeaseBasis::Server): [`Guard::lost`](crate::Guard::lost) of the item's guard
    /// sets a watch, and what it notices ends this wait as well.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn requested(&self) {
        if self.is_requested() {
            return;
        }
        let mut state = self.state.clone();
        let mut requested = pin!(state.wait_for(|state| *state != ShareState::Held));
        let mut lost = pin!(self.loss.wait());
        std::future::poll_fn(|cx| match requested.as_mut().poll(cx) {
            // Fails when the partitioner is dropped.
            Poll::Ready(_) => Poll::Ready(()),
            Poll::Pending => lost.as_mut().poll(cx),
        })
        .await;
    }

    /// Runs `future` until the items are to be given back; it is dropped then, and the result is
    /// `None`. Dropping a future does not stop what it has moved to other tasks or threads.
    ///
    /// # Cancel safety
    /// Drops `future`.
    pub async fn run<F: Future>(&self, future: F) -> Option<F::Output> {
        if self.is_requested() {
            return None;
        }
        let requested = async {
            self.requested().await;
            GuardLost::Released
        };
        run_until(requested, future).await.ok()
    }

    /// Gives the items back: when this returns, other members can have them. While no member comes or
    /// goes, the partitioner takes the same items again after its boundary.
    ///
    /// # Errors
    /// The client is closed. The items are given back with the session then.
    ///
    /// # Cancel safety
    /// Dropping the future gives the items back in the background.
    #[doc(alias = "release_set")]
    pub async fn release(mut self) -> Result<()> {
        let mut result = Ok(());
        // Together: a share can have many items.
        let deletions = std::mem::take(&mut self.items).into_iter();
        let mut deletions: Vec<_> = deletions
            .map(|(_, guard)| Box::pin(guard.release()))
            .collect();
        std::future::poll_fn(|cx| {
            deletions.retain_mut(|deletion| match deletion.as_mut().poll(cx) {
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(error)) => {
                    result = Err(error);
                    false
                }
                Poll::Pending => true,
            });
            match deletions.is_empty() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        result
    }
}

impl ShareControl {
    /// Requests the items.
    pub(super) fn request(&self) {
        self.state.send_replace(ShareState::Requested);
    }

    /// Waits until the guard of an item is lost.
    pub(super) async fn lost(&self) {
        self.loss.wait().await;
    }

    /// Waits until the share is given back.
    pub(super) async fn returned(&self) {
        self.state.closed().await;
    }
}

//! A set of items divided among the members of a group.

mod allocation;
mod division;
mod driver;
mod party;
mod share;
mod stop;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::sync::oneshot;
use zk_client::{Client, Guid};

pub use allocation::Allocation;
use division::Divide;
use driver::Driver;
pub use share::Share;

use crate::error::Result;
use crate::guard::LeaseBasis;
use crate::latest::Latest;

/// How long the members must not have changed before items are allocated, as in kazoo.
const BOUNDARY: Duration = Duration::from_secs(30);

/// Divides a set of items among the members that have joined at the same path: each item has one
/// member at a time, and when members come or go, the items are divided again. The counterpart of
/// kazoo's `SetPartitioner`.
///
/// ```no_run
/// # async fn work(items: Vec<String>) {}
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::{Allocation, SetPartitioner};
///
/// let queues = ["queue-1", "queue-2", "queue-3"];
/// let mut allocations = SetPartitioner::new(&zk, "/work", queues).identifier("host-1").join();
/// while let Some(allocation) = allocations.next().await {
///     if let Allocation::Acquired(share) = allocation? {
///         let items = share.items().map(str::to_owned).collect();
///         share.run(work(items)).await; // is dropped when the items are to be given back
///         share.release().await?;
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Allocation
///
/// A member joins, and waits until the members have not changed for the
/// [boundary](Self::time_boundary). Then each member takes every n-th item of the sorted items, counted
/// from its place among the sorted identifiers, and waits for the locks of these items; when it has
/// all of them, they are its [`Share`]. When members come or go, each is requested to give its share
/// back, and all begin again. So a member that does not give back its share blocks those that need
/// its items, and no others.
///
/// No two members have an item at the same time by [`Share::check`], whatever they believe about the
/// members: each item is guarded by a [`Lock`](crate::Lock), with its deadline, token and fenced
/// writes.
///
/// Every member must have the same items, and the same [function](Self::divide_by) if it is not this
/// one; otherwise items are waited for that another member has, or that no member takes. Two members
/// with the same identifier get different shares; with kazoo they get the same share, one waits for the
/// other, and the rest is taken by none. So identifiers should be unique.
///
/// # Znodes
///
/// Those of kazoo's `SetPartitioner`: an ephemeral `path/party/<hex>-<identifier>` for each member, with
/// the identifier as contents, and a lock with [kazoo's names](crate::Layout::Kazoo) at
/// `path/locks/<item>` for each item. The parents are persistent. kazoo's members take part if their set
/// is one of strings: numbers are sorted in another order. Curator has no counterpart.
///
/// # Cost
///
/// To join: one creation and a read of the members with a watch; to allocate n items, n locks, whose
/// requests are sent together, 64 at a time. When a member comes or goes, each member is notified and
/// reads the members once, so m members that join or leave one after the other cost m² reads in all;
/// within the boundary, allocations cost nothing else. A share of n items that is held costs what one
/// [`Guard`](crate::Guard) does.
///
/// # Losing the session
///
/// The member and its locks are lost, [`Share::check`] fails, and the share is requested. Once the
/// program has given it back, the member joins again in the next session; kazoo's `SetPartitioner` has
/// failed for good then. A member that is disconnected keeps its items until its session ends, and
/// does not allocate before it is connected.
///
/// If only the guard of an item is lost, since no quorum has renewed it or a client has deleted its
/// lock's znode, the share is requested as well. Once the program has given it back, the items are
/// allocated again after the boundary.
///
/// # Cancel safety
///
/// See [`Allocations`].
#[derive(Clone)]
pub struct SetPartitioner {
    client: Client,
    path: String,
    items: Vec<String>,
    identifier: String,
    boundary: Duration,
    divide: Option<Arc<Divide>>,
    lease_basis: LeaseBasis,
}

impl SetPartitioner {
    /// The division of these items at `path`. An item that is given twice counts once. Each is the name
    /// of a znode.
    pub fn new(
        client: &Client,
        path: &str,
        items: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let mut items: Vec<String> = items.into_iter().map(Into::into).collect();
        items.sort_unstable();
        items.dedup();
        SetPartitioner {
            client: client.clone(),
            path: path.to_owned(),
            items,
            identifier: Guid::random().hex(),
            boundary: BOUNDARY,
            divide: None,
            lease_basis: LeaseBasis::default(),
        }
    }

    /// The name of this member, by which members are sorted; a random one unless given. kazoo's default
    /// is the host's name and the process id.
    #[must_use]
    pub fn identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = identifier.into();
        self
    }

    /// How long the members must not have changed before items are allocated; 30 seconds unless given,
    /// as in kazoo. With a short time, many members that start one after the other cause as many
    /// allocations. All members should have the same.
    #[must_use]
    pub fn time_boundary(mut self, boundary: Duration) -> Self {
        self.boundary = boundary;
        self
    }

    /// Decides which items are this member's: `divide(identifier, identifiers, items)`, where
    /// `identifiers` are those of all members and sorted, as the items are. kazoo's `partition_func`.
    #[must_use]
    pub fn divide_by(
        mut self,
        divide: impl Fn(&str, &[String], &[String]) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        self.divide = Some(Arc::new(divide));
        self
    }

    /// What the deadlines of the guards depend on; [`LeaseBasis::Quorum`] unless given.
    #[must_use]
    pub fn lease_basis(mut self, lease_basis: LeaseBasis) -> Self {
        self.lease_basis = lease_basis;
        self
    }

    /// Joins, and allocates items until the result is dropped or [left](Allocations::leave).
    pub fn join(&self) -> Allocations {
        let driver = Driver {
            client: self.client.with_deadline(None).background(),
            path: self.path.clone(),
            items: self.items.clone(),
            identifier: self.identifier.clone(),
            boundary: self.boundary,
            divide: self.divide.clone(),
            lease_basis: self.lease_basis,
        };
        let (leave, left) = oneshot::channel();
        Allocations {
            latest: Latest::written_by(&self.client, |writer| driver.run(left, writer)),
            client: self.client.clone(),
            leave: Some(leave),
        }
    }
}

impl fmt::Debug for SetPartitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetPartitioner")
            .field("path", &self.path)
            .field("identifier", &self.identifier)
            .field("items", &self.items.len())
            .finish_non_exhaustive()
    }
}

/// A member of a [`SetPartitioner`]: a stream of its allocations, the latest at each time.
///
/// The stream continues through reconnects and sessions. It ends when the client is closed, or after an
/// error: the ensemble refuses the znodes, or the path, the identifier or an item is invalid.
///
/// # Cancel safety
///
/// Dropping a [`next`](Self::next) loses nothing. Dropping the stream leaves in the background. A
/// [`Share`] that the program has then keeps its items until it is dropped.
#[derive(Debug)]
pub struct Allocations {
    latest: Latest<Result<Allocation>>,
    client: Client,
    leave: Option<oneshot::Sender<()>>,
}

impl Allocations {
    /// The next allocation; `None` at the end. A share that is not read before it is to be given back
    /// is given back, and skipped.
    ///
    /// # Errors
    /// The ensemble refuses the znodes, or the path, the identifier or an item is invalid. The stream
    /// ends after an error. [`PlacesLost`](crate::Error::PlacesLost) where one session is lost after the
    /// other.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    #[doc(alias = "wait_for_acquire")]
    pub async fn next(&mut self) -> Option<Result<Allocation>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Leaves: when this returns, the others know that this member is gone, and a share that was not
    /// read is given back. kazoo's `finish`. Release the share that the program has first: its items
    /// stay locked until then.
    ///
    /// # Errors
    /// The error with which the stream ended before.
    ///
    /// # Cancel safety
    /// Dropping the future leaves in the background.
    #[doc(alias = "finish")]
    pub async fn leave(mut self) -> Result<()> {
        if let Some(leave) = self.leave.take() {
            // The task may have ended with an error, which is read below.
            let _ = leave.send(());
        }
        while let Some(allocation) = self.next().await {
            drop(allocation?);
        }
        Ok(())
    }
}

impl Stream for Allocations {
    type Item = Result<Allocation>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut next = Pin::new(&mut self.latest).poll_next(cx);
        if let Poll::Ready(Some(Ok(Allocation::Acquired(share)))) = &mut next {
            share.keep_open(&self.client);
        }
        next
    }
}

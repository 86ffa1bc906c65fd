//! A list of a service's instances, kept up to date.

use std::fmt;
use std::sync::Arc;

use tokio::task::AbortHandle;
use zk_client::Client;

use super::catalog::{Catalog, Decode};
use super::published::{Board, Published, Reader};
use super::service_snapshot::ServiceSnapshot;
use crate::error::CacheError;
use crate::tree_cache::{CacheEvents, Snapshot, TreeCache};

/// The instances of a service, kept up to date until all clones of this and all its streams are dropped.
/// Made by [`ServiceDiscovery::cache`](crate::ServiceDiscovery::cache) and
/// [`ServerSet::cache`](crate::ServerSet::cache).
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use zk_recipes::{ServiceChange, ServiceDiscovery};
///
/// let discovery = ServiceDiscovery::<String>::new(&zk, "/services");
/// let cache = discovery.cache("search");
/// for instance in cache.initialized().await?.iter() {
///     println!("{:?}:{:?}", instance.address, instance.port);
/// }
/// let mut changes = cache.changes();
/// while let Some(change) = changes.next().await {
///     if let ServiceChange::Removed { node, .. } = change? {
///         println!("{node} is gone");
///     }
/// }
/// # Ok(()) }
/// ```
///
/// Data that are empty or no instance do no harm: they are listed in
/// [`ServiceSnapshot::unreadable`], and the other instances are as they are.
///
/// # Losing the session
///
/// As a [`TreeCache`](crate::TreeCache): while there is no connection the instances stay as they were,
/// and [`ServiceSnapshot::is_complete`] is false from the reconnect until all znodes have been read
/// again. Instances that have not changed are the same `Arc` as before.
///
/// # Cost
///
/// Two tasks and one recursive watch. At the start a read for each instance and a few more; then a read
/// for each change; after a reconnect a read of the stat of each instance. With servers without
/// recursive watches, two watches for each instance. [`snapshot`](Self::snapshot) copies two pointers
/// under a lock that no request is awaited under, and a snapshot is read without locks. A change decodes
/// only the data that have changed, and copies a pointer for each instance; changes that arrive
/// together are one.
///
/// # Znodes
///
/// None of its own. The counterpart is Curator's `ServiceCache`; kazoo has none.
///
/// # Cancel safety
///
/// The async methods only wait, and can be dropped and called again.
pub struct ServiceCache<P> {
    inner: Arc<Inner<P>>,
}

struct Inner<P> {
    board: Arc<Board<P>>,
    task: AbortHandle,
    _tree: TreeCache,
}

impl<P> Drop for Inner<P> {
    fn drop(&mut self) {
        self.task.abort();
        self.board.end(CacheError::Closed);
    }
}

impl<P: Send + Sync + 'static> ServiceCache<P> {
    /// Starts a cache of the znodes directly below `path`.
    pub(super) fn start(client: &Client, path: String, decode: Decode<P>) -> Self {
        let tree = TreeCache::builder(client, &path).max_depth(1).start();
        let board = Board::new();
        let subscribed = tree.subscribe();
        let follower = Follower {
            path,
            catalog: Catalog::new(decode),
            board: board.clone(),
        };
        let task = client.runtime().spawn(follower.run(subscribed));
        ServiceCache {
            inner: Arc::new(Inner {
                board,
                task: task.abort_handle(),
                _tree: tree,
            }),
        }
    }
}

impl<P> ServiceCache<P> {
    /// The present instances. Sends nothing and does not wait.
    ///
    /// # Errors
    /// The cache has ended, for the reason in the [`CacheError`].
    pub fn snapshot(&self) -> Result<ServiceSnapshot<P>, CacheError> {
        let published = self.inner.board.lock();
        match &published.over {
            Some(error) => Err(error.clone()),
            None => Ok(published.snapshot.clone()),
        }
    }

    /// Waits until everything has been read once, and returns the instances.
    ///
    /// # Errors
    /// The cache has ended.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn initialized(&self) -> Result<ServiceSnapshot<P>, CacheError> {
        let read = |published: &Published<P>| match &published.over {
            Some(error) => Some(Err(error.clone())),
            None => (published.initialized).then(|| Ok(published.snapshot.clone())),
        };
        self.reader().wait(read).await
    }

    pub(super) fn reader(&self) -> Reader<P> {
        Reader::of(&self.inner.board)
    }
}

impl<P> Clone for ServiceCache<P> {
    fn clone(&self) -> Self {
        ServiceCache {
            inner: self.inner.clone(),
        }
    }
}

impl<P> fmt::Debug for ServiceCache<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let published = self.inner.board.lock();
        f.debug_struct("ServiceCache")
            .field("instances", &published.snapshot.len())
            .field("complete", &published.snapshot.complete)
            .field("over", &published.over)
            .finish()
    }
}

/// Publishes the instances whenever the znodes change.
struct Follower<P> {
    path: String,
    catalog: Catalog<P>,
    board: Arc<Board<P>>,
}

impl<P> Follower<P> {
    async fn run(mut self, subscribed: Result<(Snapshot, CacheEvents), CacheError>) {
        let error = match subscribed {
            Ok((snapshot, events)) => self.follow(snapshot, events).await,
            Err(error) => error,
        };
        self.board.end(error);
    }

    async fn follow(&mut self, mut snapshot: Snapshot, mut events: CacheEvents) -> CacheError {
        let (mut instances, mut unreadable): (_, Arc<[_]>) =
            (self.catalog.instances(), Arc::new([]));
        loop {
            let znodes = snapshot.children(&self.path);
            let znodes = znodes.map(|(name, node)| (name, &node.data, &node.stat));
            if self.catalog.absorb(znodes) {
                instances = self.catalog.instances();
                unreadable = self.catalog.unreadable();
            }
            self.board.publish(ServiceSnapshot {
                instances: instances.clone(),
                unreadable: unreadable.clone(),
                complete: snapshot.is_complete(),
            });
            match events.next().await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
                None => return CacheError::Closed,
            }
            // The snapshot contains what the other unread events report.
            snapshot = match events.resume() {
                Ok(snapshot) => snapshot,
                Err(error) => return error,
            };
        }
    }
}

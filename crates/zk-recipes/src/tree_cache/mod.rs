//! A copy of a subtree, kept up to date.

mod cached;
mod directory;
mod driver;
mod event;
mod machine;
mod one_shot_watches;
mod selector;
mod shared;
mod snapshot;
mod tree;
mod worklist;

use std::sync::Arc;

use tokio::task::AbortHandle;
use zk_client::{Client, Window};

pub use cached::Cached;
use driver::Driver;
pub use event::CacheEvent;
use machine::{Limits, Machine};
use selector::Selector;
pub use shared::CacheEvents;
use shared::{Published, Reader, Shared, UnreadLimits};
pub use snapshot::Snapshot;

use crate::error::CacheError;

/// A copy of a znode and everything below it, kept up to date until this is dropped.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use zk_recipes::{CacheEvent, TreeCache};
///
/// let cache = TreeCache::new(&zk, "/app");
/// let tree = cache.initialized().await?;
/// for (name, member) in tree.children("/app/members") {
///     println!("{name}: {} bytes", member.data.len());
/// }
/// let (tree, mut events) = cache.subscribe()?;
/// while let Some(event) = events.next().await {
///     match event? {
///         CacheEvent::Added { path, .. } => println!("added {path}"),
///         CacheEvent::Removed { path, .. } => println!("removed {path}"),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
///
/// The znode need not exist: it may be created, deleted, and created again.
///
/// # Consistency
///
/// - Reading a [`Snapshot`] sends nothing and waits for nothing.
/// - A node in a snapshot is what the node was at some zxid. It never goes back, unless the ensemble
///   is restored from a backup. Two nodes may be from different times.
/// - When nothing changes any more, and there is a connection, the snapshot becomes equal to the
///   subtree in the ensemble.
/// - Once [`initialized`](Self::initialized), the snapshot contains everything that had been
///   committed before the cache was started, and the later changes that have been received.
///
/// # Losing the connection or the session
///
/// No server reports the changes under a recursive watch while there was no connection
/// ([ZOOKEEPER-4698](https://issues.apache.org/jira/browse/ZOOKEEPER-4698)), so after each reconnect
/// and in each new session everything is read again: the [generation](Snapshot::generation)
/// increases, a [`CacheEvent::Gap`] is delivered, then the changes, and at the end
/// [`CacheEvent::Initialized`]. Meanwhile snapshots keep the earlier nodes, and
/// [`Snapshot::is_complete`] is false. The answers after a sync count whatever their zxids are, so
/// the cache follows an ensemble that was restored from a backup, in a new session and in one that
/// resumes. While there is no connection a cache does not change; [`Client::states`] reports the
/// connection.
///
/// # Cancel safety
///
/// The async methods only wait: [`initialized`](Self::initialized) and [`CacheEvents::next`] can be
/// dropped and called again. Dropping the cache removes its watch.
///
/// # Cost
///
/// One task and one recursive watch for the whole subtree. At the start, a read for each node and a
/// list for each node with children; then a read for each change. After a gap, a read of the stat of
/// each node, of the changed data, and the lists; in a new session, everything as at the start. Reads
/// are [pipelined](TreeCacheBuilder::window).
///
/// In memory, 275 bytes for each node (measured with 100,000 of them on a 64-bit machine; 320 are
/// [counted](Snapshot::bytes)), its name and its data; and the same again for nodes that change while
/// an older snapshot is held. The memory is limited: see [`TreeCacheBuilder::max_nodes`] and
/// [`TreeCacheBuilder::max_bytes`].
///
/// With servers that have no recursive watches (Apache ZooKeeper before 3.6), or whose recursive
/// watches do not report which node has changed (ClickHouse Keeper), there are two one-shot watches
/// on each node instead, which are set again after a gap, and two reads for each change, one of them
/// with a new watch; and about 1 kB more of memory for each node. Each session begins with a request
/// for a recursive watch, unless the server is known to lack them.
///
/// # Znodes
///
/// None, unless it [creates its root](TreeCacheBuilder::create_root). The counterparts are kazoo's
/// `TreeCache`, and Curator's `CuratorCache` and `TreeCache`. In place of `NodeCache` use a
/// `DataWatch`; in place of `PathChildrenCache` a `ChildrenWatch` if the names suffice, else a
/// `ChildrenCache`.
///
/// Of Curator's options, `COMPRESSED_DATA` is a `TypedCache` with `Gzip`, and `parentPathFilter` is
/// [`Snapshot::children`]. `DO_NOT_CLEAR_ON_CLOSE` has no counterpart, as a snapshot that the program
/// holds outlives the cache. Neither has pluggable storage: snapshots are cheap because the storage
/// shares nodes between them, and a storage of the program's would need a lock for each read. A
/// program with its own storage fills it from [`subscribe`](Self::subscribe).
#[doc(alias = "CuratorCache")]
#[derive(Debug)]
pub struct TreeCache {
    shared: Arc<Shared>,
    task: AbortHandle,
    empty: Snapshot,
    /// Keeps the client open. The task does not, since it ends some time after the cache.
    _client: Client,
}

impl TreeCache {
    /// A cache of `path` and everything below it, with the default options.
    pub fn new(client: &Client, path: &str) -> Self {
        Self::builder(client, path).start()
    }

    /// A builder of a cache of `path` and everything below it.
    pub fn builder<'a>(client: &'a Client, path: &'a str) -> TreeCacheBuilder<'a> {
        TreeCacheBuilder {
            client,
            path,
            limits: Limits {
                depth: usize::MAX,
                nodes: 1_000_000,
                bytes: 1 << 30,
                data: true,
            },
            selector: Selector::default(),
            window: 128,
            event_limit: 16_384,
            one_shot: false,
            create_root: false,
        }
    }

    /// The present contents. Sends nothing and does not wait.
    ///
    /// # Errors
    /// The cache has ended, for the reason in the [`CacheError`].
    pub fn snapshot(&self) -> Result<Snapshot, CacheError> {
        self.shared.snapshot()
    }

    /// Waits until everything has been read once, and returns the contents.
    ///
    /// # Errors
    /// The cache has ended.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn initialized(&self) -> Result<Snapshot, CacheError> {
        Reader::of(&self.shared).wait(Published::loaded).await
    }

    /// Reads everything again, and waits until that is done: a [`CacheEvent::Gap`] is delivered, the
    /// differences, and [`CacheEvent::Initialized`]. The returned snapshot contains everything that had
    /// been committed before the call. A cache is kept up to date without this, except on servers that
    /// lose events.
    ///
    /// # Errors
    /// The cache has ended.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the reads.
    #[doc(alias = "clearAndRefresh")]
    pub async fn rebuild(&self) -> Result<Snapshot, CacheError> {
        let since = self.shared.want_rebuild()?;
        let reader = Reader::of(&self.shared);
        reader.wait(|published| published.rebuilt(since)).await
    }

    /// The present contents, and a stream of all later changes. There can be several subscribers.
    ///
    /// # Errors
    /// The cache has ended.
    pub fn subscribe(&self) -> Result<(Snapshot, CacheEvents), CacheError> {
        self.shared.subscribe()
    }
}

impl Drop for TreeCache {
    fn drop(&mut self) {
        self.task.abort();
        self.shared.end(self.empty.clone(), CacheError::Closed);
    }
}

/// Builds a [`TreeCache`].
#[derive(Debug, Clone)]
#[must_use = "call start()"]
pub struct TreeCacheBuilder<'a> {
    client: &'a Client,
    path: &'a str,
    limits: Limits,
    selector: Selector,
    window: usize,
    event_limit: usize,
    one_shot: bool,
    create_root: bool,
}

impl TreeCacheBuilder<'_> {
    /// The number of levels below the znode that are covered: 0 for only the znode, 1 for its children,
    /// too. Unless given, all levels are covered, and a tree with more than 512 ends the cache.
    pub fn max_depth(mut self, levels: usize) -> Self {
        self.limits.depth = levels;
        self
    }

    /// The maximum number of nodes, including listed nodes that are still to be read; 1,000,000 unless
    /// given. More end the cache with [`CacheError::TooManyNodes`] and drop its contents.
    pub fn max_nodes(mut self, nodes: usize) -> Self {
        self.limits.nodes = nodes;
        self
    }

    /// The maximum memory of the nodes, in bytes as [`Snapshot::bytes`] counts; 1 GiB unless given.
    /// More ends the cache with [`CacheError::TooManyBytes`] and drops its contents.
    ///
    /// The names and paths that are still to be read count as well. Beside a tree that nearly fills
    /// the cache they may take an eighth of the limit, and at least 64 KiB. If more paths have events
    /// than that holds, the cache starts over: a [`CacheEvent::Gap`] is delivered, and everything is
    /// read again.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Whether data are read, or only stats and names; true unless given.
    pub fn data(mut self, data: bool) -> Self {
        self.limits.data = data;
        self
    }

    /// The number of reads in flight at once; 128 unless given, and at most a quarter of the client's
    /// [`max_outstanding`](zk_client::ClientBuilder::max_outstanding). A larger window loads faster over long
    /// distances, but unprocessed replies take memory, up to a megabyte each.
    pub fn window(mut self, reads: usize) -> Self {
        self.window = reads.max(1);
        self
    }

    /// The number of unread events that are held for each subscriber; 16,384 unless given, and no more
    /// bytes than [`max_bytes`](Self::max_bytes), but always one event. See [`CacheEvent::Lagged`].
    pub fn max_events(mut self, events: usize) -> Self {
        self.event_limit = events;
        self
    }

    /// Covers the children of only those nodes for whose paths `traverse` is true, the root included. All
    /// unless given. Nothing is read below the other nodes. It is called for each listed node and
    /// each event, in the cache's task, and must always return the same for a path.
    #[doc(alias = "TreeCacheSelector")]
    pub fn traverse(mut self, traverse: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.selector.traverse = Some(Arc::new(traverse));
        self
    }

    /// Covers only those nodes for whose paths `accept` is true, and nothing below the others. All
    /// unless given. The root is covered in any case. On the calls, see
    /// [`traverse`](Self::traverse).
    pub fn accept(mut self, accept: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.selector.accept = Some(Arc::new(accept));
        self
    }

    /// Creates the root and its parents when the cache starts, persistent and empty, unless they
    /// exist. If the ensemble refuses that, the cache ends.
    #[doc(alias = "createParentNodes")]
    pub fn create_root(mut self) -> Self {
        self.create_root = true;
        self
    }

    /// Sets one-shot watches on each node even if the server has recursive ones. Without this option
    /// they are used only if the server has none.
    pub fn one_shot_watches(mut self) -> Self {
        self.one_shot = true;
        self
    }

    /// The path of the root.
    #[cfg(feature = "typed")]
    pub(crate) fn path(&self) -> &str {
        self.path
    }

    /// Starts to read and to watch, on the client's runtime.
    pub fn start(self) -> TreeCache {
        let mut machine = Machine::new(self.path, self.limits);
        machine.select(self.selector);
        let empty = machine.snapshot();
        let unread = UnreadLimits {
            events: self.event_limit,
            bytes: self.limits.bytes,
        };
        let shared = Arc::new(Shared::new(empty.clone(), unread));
        let driver = Driver {
            // The reads have no deadline.
            client: self.client.with_deadline(None).background(),
            shared: shared.clone(),
            machine,
            window: Window::at_most(self.client, self.window),
            one_shot: self.one_shot,
            create_root: self.create_root,
        };
        let (published, nothing) = (shared.clone(), empty.clone());
        let task = self.client.runtime().spawn(async move {
            let error = driver.run().await;
            published.end(nothing, error);
        });
        TreeCache {
            shared,
            task: task.abort_handle(),
            empty,
            _client: self.client.clone(),
        }
    }
}

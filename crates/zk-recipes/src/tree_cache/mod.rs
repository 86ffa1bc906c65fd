//! A copy of a subtree, kept up to date.

mod directory;
mod driver;
mod event;
mod machine;
mod one_shots;
mod shared;
mod snapshot;
mod tree;
mod work;

use std::future::poll_fn;
use std::sync::Arc;

use tokio::task::AbortHandle;
use zk_client::Client;

use driver::Driver;
pub use event::{CacheError, CacheEvent};
use machine::{Limits, Machine};
pub use shared::CacheEvents;
use shared::{Shared, Unread};
pub use snapshot::{Cached, Snapshot};

/// A copy of a znode and all below it, kept up to date for as long as this lives.
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
///         CacheEvent::Added { path, .. } => println!("{path} is new"),
///         CacheEvent::Removed { path, .. } => println!("{path} is gone"),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
///
/// The znode need not exist: it may come, go, and come again.
///
/// # What it promises
///
/// - Reading a [`Snapshot`] asks nobody and waits for nothing.
/// - What a snapshot says of a node is what the node was at some zxid, and never goes back, unless
///   the ensemble is restored from a backup. Two nodes may be as they were at different times.
/// - When nothing changes any more, and there is a connection, the snapshot becomes what the
///   ensemble has.
/// - Once [`initialized`](Self::initialized), it has everything that had been committed before the
///   cache was made, and what happened since as far as it was heard of.
///
/// # Losing the connection, losing the session
///
/// No server tells what happened under a recursive watch while there was no connection
/// ([ZOOKEEPER-4698](https://issues.apache.org/jira/browse/ZOOKEEPER-4698)), so after each reconnect
/// and in each new session everything is read again: the
/// [generation](Snapshot::generation) goes up, a [`CacheEvent::Gap`] is told, then what has changed,
/// and [`CacheEvent::Initialized`] when that is all. Meanwhile snapshots hold what was known, and
/// [`Snapshot::is_complete`] is false. The answers after a sync count whatever their zxids are, so
/// the cache follows an ensemble that was restored from a backup, in a new session and in one that
/// goes on. While there is no connection a cache does not change; [`Client::states`] reports that.
///
/// # Cancel safety
///
/// Nothing that is awaited here does anything: [`initialized`](Self::initialized) and
/// [`CacheEvents::next`] can be dropped and called again. Dropping the cache removes its watch.
///
/// # Cost
///
/// One task. One recursive watch for all of it. To begin with, a read for each node and a list for each that
/// has children; then a read for each change. After a gap, a read of the stat of each node, of the
/// data that have changed, and the lists; in a new session, everything as to begin with. Reads are [pipelined](TreeCacheBuilder::window).
///
/// In memory, 275 bytes for each node (measured with 100,000 of them on a 64-bit machine; 320 are
/// [counted](Snapshot::bytes)), its name and its data; and as much again of what changes while an
/// older snapshot is held. It is limited: see [`TreeCacheBuilder::max_nodes`] and
/// [`TreeCacheBuilder::max_bytes`].
///
/// With servers that have no recursive watches (Apache ZooKeeper before 3.6), or whose recursive watches
/// do not report which node has changed (ClickHouse Keeper), there are two one-shot watches on each
/// node instead, which are set again after a gap, and two reads for each change, one of them with a
/// new watch; and about 1 kB more of memory for each node. Each session begins with a request for a
/// recursive watch; a server that is known to lack them is not asked again.
///
/// # Znodes
///
/// None, so nothing of it is seen by others. It is kazoo's `TreeCache`, and Curator's `CuratorCache`
/// and `TreeCache`. For `NodeCache` take a [`DataWatch`](crate::DataWatch),
/// for `PathChildrenCache` a [`ChildrenWatch`](crate::ChildrenWatch) if names will do, or this with a
/// [maximum depth](TreeCacheBuilder::max_depth) of 1 if not.
#[derive(Debug)]
pub struct TreeCache {
    shared: Arc<Shared>,
    task: AbortHandle,
    empty: Snapshot,
    /// Keeps the client open. The task does not, for it ends some time after the cache.
    _client: Client,
}

impl TreeCache {
    /// A cache of `path` and all below it, with the default options.
    pub fn new(client: &Client, path: &str) -> Self {
        Self::builder(client, path).start()
    }

    /// Options first.
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
            window: 128,
            event_limit: 16_384,
            one_shot: false,
        }
    }

    /// What is known now. Takes no time: nothing is asked.
    ///
    /// # Errors
    /// The cache has ended: [`CacheError`] says why.
    pub fn snapshot(&self) -> Result<Snapshot, CacheError> {
        self.shared.snapshot()
    }

    /// Waits until everything has been read once, and returns what is known then.
    ///
    /// # Errors
    /// The cache has ended.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn initialized(&self) -> Result<Snapshot, CacheError> {
        poll_fn(|cx| self.shared.poll_initialized(cx)).await
    }

    /// What is known now, and a stream of all that changes from there on. There can be several.
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

/// Makes a [`TreeCache`].
#[derive(Debug, Clone)]
#[must_use = "call start()"]
pub struct TreeCacheBuilder<'a> {
    client: &'a Client,
    path: &'a str,
    limits: Limits,
    window: usize,
    event_limit: usize,
    one_shot: bool,
}

impl TreeCacheBuilder<'_> {
    /// How many levels below the znode are covered: 0 for only itself, 1 for its children, too. All
    /// of them unless given, and then a tree of more than 512 ends the cache.
    pub fn max_depth(mut self, levels: usize) -> Self {
        self.limits.depth = levels;
        self
    }

    /// How many nodes it may hold, those included that lists have named and that are still to be
    /// read; 1,000,000 unless given. More of them end the cache with
    /// [`CacheError::TooManyNodes`], and what it held is let go.
    pub fn max_nodes(mut self, nodes: usize) -> Self {
        self.limits.nodes = nodes;
        self
    }

    /// How much memory the nodes may take, in bytes and as [`Snapshot::bytes`] counts; 1 GiB unless
    /// given. More ends the cache with [`CacheError::TooManyBytes`], and what it held is let go.
    ///
    /// What is still to be read counts as well: the names in lists, and the paths of events. Beside a
    /// tree that nearly fills the cache it may take an eighth of the limit, and 64 KiB in any case.
    /// When more happens than that holds, the cache starts over: a [`CacheEvent::Gap`] is delivered,
    /// and everything is read again.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Whether data are read, or only stats and names; they are unless told otherwise.
    pub fn data(mut self, data: bool) -> Self {
        self.limits.data = data;
        self
    }

    /// How many reads are under way at once; 128 unless given. More load faster over long
    /// distances; replies not taken yet are memory, too, up to a megabyte each.
    pub fn window(mut self, reads: usize) -> Self {
        self.window = reads.max(1);
        self
    }

    /// How many events are held for each reader that does not keep up; 16,384 unless given, and no
    /// more bytes than the [nodes may take](Self::max_bytes), but always one event. See
    /// [`CacheEvent::Lagged`].
    pub fn max_events(mut self, events: usize) -> Self {
        self.event_limit = events;
        self
    }

    /// Sets one-shot watches on each node even if the server has recursive ones. Without this they
    /// are what is done when a server says that it has not.
    pub fn one_shot_watches(mut self) -> Self {
        self.one_shot = true;
        self
    }

    /// Starts to read and to watch, on the client's runtime.
    pub fn start(self) -> TreeCache {
        let machine = Machine::new(self.path, self.limits);
        let empty = machine.snapshot();
        let unread = Unread {
            events: self.event_limit,
            bytes: self.limits.bytes,
        };
        let shared = Arc::new(Shared::new(empty.clone(), unread));
        let driver = Driver {
            // What is read is waited for as long as it takes.
            client: self.client.with_deadline(None).background(),
            shared: shared.clone(),
            machine,
            window: self.window,
            one_shot: self.one_shot,
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

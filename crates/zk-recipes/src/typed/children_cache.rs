//! The children of a znode with their values, kept up to date.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use zk_client::{Client, Stat};

use super::cache::decode;
use crate::codec::Codec;
use crate::error::{CacheError, Error, Result};
use crate::tree_cache::{CacheEvent, CacheEvents, Cached, Snapshot, TreeCache, TreeCacheBuilder};

/// The children of a znode at one time. An item of a [`ChildrenCache`].
#[derive(Debug)]
#[non_exhaustive]
pub struct TypedChildren<T> {
    /// The children with their values, by name.
    pub values: BTreeMap<String, Cached<Arc<T>>>,
    /// The children whose data could not be decoded, with the error.
    pub undecodable: BTreeMap<String, Error>,
}

/// The children of a znode with their values: a stream of the present children, and then the latest
/// whenever a child is created, changed or deleted.
///
/// It yields states, not changes: a state that changes before it is read is skipped, and the last
/// state is always yielded. The znode need not exist, and has no children then.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::{ChildrenCache, Text};
///
/// let mut members = ChildrenCache::<String>::new(&zk, "/members", Text);
/// while let Some(members) = members.next().await {
///     for (name, member) in &members?.values {
///         println!("{name}: {}", member.data);
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Losing the session
///
/// As a [`TreeCache`]: the stream continues in the next session, and yields what has changed meanwhile.
///
/// # Znodes
///
/// None. The counterpart is Curator's `PathChildrenCache`. Its `rebuild` is
/// [`rebuild`](Self::rebuild); `rebuildNode` has no counterpart, as no child stays out of date;
/// `clearDataBytes` is a [`TreeCache`] without [data](TreeCacheBuilder::data). kazoo has none.
///
/// # Cost
///
/// A [`TreeCache`] of depth 1, and the values. Only children that have changed are decoded, and all after a gap.
///
/// # Cancel safety
///
/// Dropping a [`next`](Self::next) loses nothing. Dropping the cache removes its watch.
#[doc(alias = "PathChildrenCache")]
pub struct ChildrenCache<T> {
    path: String,
    tree: TreeCache,
    events: Result<CacheEvents, Option<CacheError>>,
    codec: Arc<dyn Codec<T>>,
    /// Whether everything has been read once.
    initialized: bool,
    /// Whether something has changed that was not yielded.
    changed: bool,
    values: BTreeMap<String, Cached<Arc<T>>>,
}

impl<T: 'static> ChildrenCache<T> {
    /// A cache of the children of `path`.
    pub fn new(client: &Client, path: &str, codec: impl Codec<T>) -> Self {
        Self::with(TreeCache::builder(client, path), codec)
    }

    /// A cache of the children of the root of `options`, with the limits and the other options of a
    /// [`TreeCache`]. Its depth is 1 in any case.
    pub fn with(options: TreeCacheBuilder<'_>, codec: impl Codec<T>) -> Self {
        let path = options.path().to_owned();
        let tree = options.max_depth(1).start();
        let events = tree.subscribe().map(|(_, events)| events);
        ChildrenCache {
            path,
            tree,
            events: events.map_err(Some),
            codec: Arc::new(codec),
            initialized: false,
            changed: false,
            values: BTreeMap::new(),
        }
    }

    /// The next state of the children; `None` at the end, which is when the client is closed.
    ///
    /// # Errors
    /// The cache has ended, for the reason in the [`CacheError`]. The stream ends after an error.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<TypedChildren<T>>> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Reads everything again: see [`TreeCache::rebuild`]. What has changed is yielded by
    /// [`next`](Self::next).
    ///
    /// # Errors
    /// The cache has ended.
    ///
    /// # Cancel safety
    /// Dropping the future does not stop the reads.
    pub async fn rebuild(&self) -> Result<()> {
        self.tree.rebuild().await?;
        Ok(())
    }

    /// The cache of the data.
    pub fn tree(&self) -> &TreeCache {
        &self.tree
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<TypedChildren<T>>>> {
        let events = match &mut self.events {
            Ok(events) => events,
            Err(error) => {
                return Poll::Ready(match error.take() {
                    None | Some(CacheError::Closed) => None,
                    Some(error) => Some(Err(error.into())),
                });
            }
        };
        while let Poll::Ready(event) = Pin::new(&mut *events).poll_next(cx) {
            match event {
                Some(Ok(CacheEvent::Initialized { .. })) => {
                    self.changed |= !self.initialized;
                    self.initialized = true;
                }
                Some(Ok(CacheEvent::Gap { .. })) => {}
                Some(Ok(CacheEvent::Lagged { .. })) => {
                    // The first initialization may be among the dropped events.
                    self.initialized |= events.resume().is_ok_and(|tree| tree.is_complete());
                    self.changed = true;
                }
                Some(Ok(_)) => self.changed = true,
                Some(Err(error)) => {
                    self.events = Err(None);
                    return Poll::Ready(Some(Err(error.into())));
                }
                None => return Poll::Ready(None),
            }
        }
        if !(self.initialized && std::mem::take(&mut self.changed)) {
            return Poll::Pending;
        }
        match self.tree.snapshot() {
            Ok(snapshot) => Poll::Ready(Some(Ok(self.decoded(&snapshot)))),
            // The next event is the end.
            Err(_) => Poll::Pending,
        }
    }

    /// Decodes what has changed since the last state.
    fn decoded(&mut self, snapshot: &Snapshot) -> TypedChildren<T> {
        let mut known = std::mem::take(&mut self.values);
        let mut undecodable = BTreeMap::new();
        for (name, node) in snapshot.children(&self.path) {
            let written = |stat: &Stat| (stat.czxid, stat.mzxid, stat.version);
            let value = match known.remove(name) {
                // In another history a zxid can be equal by chance.
                Some(value)
                    if value.generation == node.generation
                        && written(&value.stat) == written(&node.stat) =>
                {
                    Ok(value.data)
                }
                _ => {
                    let path = zk_client::path::join(&self.path, name);
                    decode(&*self.codec, &path, node.clone()).map(|node| Arc::new(node.data))
                }
            };
            match value {
                Ok(data) => {
                    let value = Cached {
                        data,
                        stat: node.stat,
                        generation: node.generation,
                    };
                    self.values.insert(name.to_owned(), value);
                }
                Err(error) => {
                    undecodable.insert(name.to_owned(), error);
                }
            }
        }
        TypedChildren {
            values: self.values.clone(),
            undecodable,
        }
    }
}

impl<T: 'static> Stream for ChildrenCache<T> {
    type Item = Result<TypedChildren<T>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(cx)
    }
}

impl<T> fmt::Debug for ChildrenCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildrenCache")
            .field("path", &self.path)
            .field("tree", &self.tree)
            .finish_non_exhaustive()
    }
}

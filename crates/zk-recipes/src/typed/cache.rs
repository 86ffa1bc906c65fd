//! A tree cache whose nodes are decoded.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::value::TypedValue;
use crate::codec::Codec;
use crate::error::Result;
use crate::tree_cache::{Cached, TreeCache};

/// A [`TreeCache`] with a codec: reads values from it.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::{Text, TreeCache, TypedCache};
///
/// let limits = TypedCache::<u32>::new(TreeCache::new(&zk, "/limits"), Text);
/// limits.tree().initialized().await?;
/// if let Some(limit) = limits.get("/limits/requests")? {
///     println!("{}", limit.data);
/// }
/// # Ok(()) }
/// ```
///
/// # Losing the session
///
/// As the [`TreeCache`].
///
/// # Znodes
///
/// None. The counterparts are Curator's `CachedModeledFramework`, and, with `Gzip`, a `CuratorCache` with
/// the option `COMPRESSED_DATA`. kazoo has none.
///
/// # Cost
///
/// The memory and the requests of the [`TreeCache`]. Each read decodes: nothing decoded is held.
///
/// # Cancel safety
///
/// No method waits.
#[doc(alias = "CachedModeledFramework")]
pub struct TypedCache<T> {
    tree: TreeCache,
    codec: Arc<dyn Codec<T>>,
}

impl<T: 'static> TypedCache<T> {
    /// Decodes the nodes of `tree`.
    pub fn new(tree: TreeCache, codec: impl Codec<T>) -> Self {
        TypedCache {
            tree,
            codec: Arc::new(codec),
        }
    }

    /// The cache of the data.
    pub fn tree(&self) -> &TreeCache {
        &self.tree
    }

    /// A node; `None` if it does not exist, or is not covered.
    ///
    /// # Errors
    /// [`Undecodable`](crate::Error::Undecodable), or the cache has ended.
    pub fn get(&self, path: &str) -> Result<Option<Cached<T>>> {
        let snapshot = self.tree.snapshot()?;
        let node = snapshot.get(path).cloned();
        node.map(|node| decode(&*self.codec, path, node))
            .transpose()
    }

    /// A node's children by name, each decoded or with the error; none if the node does not exist.
    ///
    /// # Errors
    /// The cache has ended.
    pub fn children(&self, path: &str) -> Result<BTreeMap<String, Result<Cached<T>>>> {
        let snapshot = self.tree.snapshot()?;
        let decoded = snapshot.children(path).map(|(name, node)| {
            let path = zk_client::path::join(path, name);
            (name.to_owned(), decode(&*self.codec, &path, node.clone()))
        });
        Ok(decoded.collect())
    }
}

/// Decodes the node at `path`.
pub(super) fn decode<T: 'static>(
    codec: &dyn Codec<T>,
    path: &str,
    node: Cached,
) -> Result<Cached<T>> {
    let stat = node.stat;
    node.try_map(|data| TypedValue::decode(codec, path, &data, stat).map(|read| read.value))
}

impl<T> fmt::Debug for TypedCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedCache")
            .field("tree", &self.tree)
            .finish_non_exhaustive()
    }
}

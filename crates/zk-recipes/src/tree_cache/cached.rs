//! A node in a cache.

use bytes::Bytes;
use zk_client::Stat;

/// A node as a cache has read it.
///
/// The node may have changed since: to change it only if it has not, name its version, as in
/// `zk.set(path, data).version(cached.stat.version)`.
#[doc(alias = "ChildData")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cached<T = Bytes> {
    /// Its data; empty if the cache was built without data.
    pub data: T,
    /// Its stat. The zxids of its creation and of its data, and their version, belong to the data.
    /// The fields that change without a write to the node are those of its last read: `cversion`,
    /// `num_children` and `pzxid` of a node whose children come and go, and `aversion`.
    pub stat: Stat,
    /// The [generation](crate::Snapshot::generation) in which the node was last read. A generation
    /// lower than that of the snapshot has not been confirmed since contact was lost.
    pub generation: u64,
}

impl<T> Cached<T> {
    /// Converts the data, such as by decoding them.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn try_map<U, E>(self, f: impl FnOnce(T) -> Result<U, E>) -> Result<Cached<U>, E> {
        Ok(Cached {
            data: f(self.data)?,
            stat: self.stat,
            generation: self.generation,
        })
    }
}

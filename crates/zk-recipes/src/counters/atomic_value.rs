//! Bytes that are changed by compare-and-set.

use bytes::Bytes;
use zk_client::{Client, ErrorKind, path};

use super::cell::{Cell, Changed};
use super::number_cell::cell_options;
use crate::error::Result;

/// Bytes that programs change by compare-and-set. The counterpart of Curator's
/// `DistributedAtomicValue`.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::AtomicValue;
///
/// let owner = AtomicValue::new(&zk, "/app/owner");
/// if owner.compare_and_set("", "worker-7").await? {
///     println!("it is worker-7");
/// }
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// The contents of the persistent znode at `path`. Without the znode the value is empty; the first
/// change creates it. While a handle that has written lives, the znode has an ephemeral child
/// `_c_<uuid>-witness`, which Curator ignores.
///
/// kazoo has no counterpart.
///
/// # Lost replies
///
/// Those of changes are resolved, as [`Counter`](crate::Counter) says. [`compare_and_set`](Self::compare_and_set) compares the bytes, and
/// [`SharedValue::try_set`](crate::SharedValue::try_set) the version.
///
/// # Cost
///
/// That of [`Counter`](crate::Counter): two requests in two round trips for each change, and as many
/// for each conflict.
///
/// # Losing the session
///
/// The value belongs to no session. The outcome of a change in flight is unknown.
///
/// # Cancel safety
///
/// After a dropped change the value was changed once or not at all, and no znode is left.
#[doc(alias = "DistributedAtomicValue")]
#[derive(Debug, Clone)]
pub struct AtomicValue {
    cell: Cell,
}

impl AtomicValue {
    /// The value at `path`.
    pub fn new(client: &Client, path: &str) -> Self {
        AtomicValue {
            cell: Cell::new(client, path, Bytes::new()),
        }
    }

    /// The present value, as the client's server knows it; empty without the znode.
    ///
    /// # Errors
    /// The read failed.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn get(&self) -> Result<Bytes> {
        let read = self.cell.read().await?;
        Ok(read.map(|(data, _)| data).unwrap_or_default())
    }

    /// Creates the znode with this value; false if it exists. After a lost reply it is created again; a znode
    /// with the same value that was created since the first attempt then counts as this one, also if another
    /// program has created it.
    ///
    /// # Errors
    /// A request failed. With [`Outcome::Unknown`](zk_client::Outcome::Unknown) the znode may have been
    /// created: the session ended before the reply arrived, or the znode has another value by now.
    ///
    /// # Cancel safety
    /// After a dropped future the znode was created or not.
    pub async fn initialize(&self, value: impl Into<Bytes>) -> Result<bool> {
        crate::paths::check_own(self.cell.client(), self.cell.path())?;
        let (client, at, value) = (self.cell.client(), self.cell.path(), value.into());
        loop {
            match client.create(at, &value).idempotent().await {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == ErrorKind::NodeExists => return Ok(false),
                Err(error) if error.kind() == ErrorKind::NoNode => {
                    client.ensure_path(path::parent(at).unwrap_or("/")).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Replaces the value, whatever it is.
    ///
    /// # Errors
    /// A request failed. With [`Outcome::Unknown`](zk_client::Outcome::Unknown) the value was set at
    /// most once, with other outcomes it was not. An invalid path, or the root of the ensemble, is an
    /// error before anything is sent ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)).
    ///
    /// # Cancel safety
    /// After a dropped future the value was set or not.
    #[doc(alias = "forceSet")]
    pub async fn set(&self, value: impl Into<Bytes>) -> Result<Changed<Bytes>> {
        let value = value.into();
        self.cell.change(|_, _| Ok(Some(value.clone()))).await
    }

    /// Replaces the value if it consists of the bytes expected; whether it did.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    pub async fn compare_and_set(
        &self,
        expected: impl AsRef<[u8]>,
        value: impl Into<Bytes>,
    ) -> Result<bool> {
        let (expected, value) = (expected.as_ref(), value.into());
        let set = |found: &Bytes| (found == expected).then(|| value.clone());
        let changed = self.cell.change(|found, _| Ok(set(found))).await?;
        Ok(changed.written)
    }

    /// Replaces the value by a function of it. If another writer is faster, `change` is called again,
    /// with the new value. If it returns `None`, nothing is written.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    /// After a dropped future the value was replaced once or not at all.
    #[doc(alias = "trySet")]
    pub async fn update<D: Into<Bytes>>(
        &self,
        mut change: impl FnMut(&[u8]) -> Option<D>,
    ) -> Result<Changed<Bytes>> {
        let change = |found: &Bytes| change(found).map(Into::into);
        let mut change = change;
        self.cell.change(|found, _| Ok(change(found))).await
    }
}

cell_options!([] AtomicValue, cell);

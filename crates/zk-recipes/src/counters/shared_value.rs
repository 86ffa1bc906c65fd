//! A value that programs watch and set.

use bytes::Bytes;
use zk_client::{Client, Stat, Zxid};

use super::cell::Cell;
use super::number_cell::cell_options;
use crate::error::Result;
use crate::watch::{DataState, DataWatch};

/// A value, and when it was written.
#[doc(alias = "VersionedValue")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Versioned<T = Bytes> {
    /// The value.
    pub value: T,
    /// The stat of its znode. After a lost reply, the counts of its children are those before.
    pub stat: Stat,
}

impl<T> Versioned<T> {
    /// The transaction that wrote it, by which values are ordered. Unlike the version it does not
    /// overflow, and does not start again when the znode is deleted and created.
    pub fn zxid(&self) -> Zxid {
        self.stat.mzxid
    }

    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> Versioned<U> {
        Versioned {
            value: map(self.value),
            stat: self.stat,
        }
    }
}

/// A value that programs watch and set. The counterpart of Curator's `SharedValue`.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::SharedValue;
///
/// let mut limit = SharedValue::new(&zk, "/app/limit", "100");
/// while let Some(limit) = limit.changed().await {
///     println!("the limit is {:?}", limit?.value);
/// }
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// The contents of the persistent znode at `path`, which is created with the seed if it does not exist.
/// Curator's `SharedValue` at the same path is the same value. While a handle that has written lives,
/// the znode has an ephemeral child `_c_<uuid>-witness`, which Curator ignores. kazoo has no
/// counterpart.
///
/// # Lost replies
///
/// Those of writes are resolved, as [`Counter`](crate::Counter) says.
///
/// # Cost
///
/// To set the value, and to try it: a read and a write, two requests in two round trips. From the
/// first [`changed`](Self::changed) on, one task, one watch, and a read for each change, as
/// [`DataWatch`](crate::DataWatch).
///
/// # Losing the session
///
/// Nothing is lost: the znode belongs to no session. [`changed`](Self::changed) continues in the next
/// session with the latest value. The outcome of a write in flight is unknown.
///
/// # Cancel safety
///
/// Dropping a [`changed`](Self::changed) loses nothing. After a dropped write the value was written
/// or not, and no znode is left.
#[derive(Debug)]
pub struct SharedValue {
    cell: Cell,
    states: Option<DataWatch>,
    /// The znode was absent when it was read last.
    absent: bool,
}

impl SharedValue {
    /// The value at `path`, which is `seed` until it is set for the first time.
    pub fn new(client: &Client, path: &str, seed: impl Into<Bytes>) -> Self {
        SharedValue {
            cell: Cell::new(client, path, seed.into()),
            states: None,
            absent: false,
        }
    }

    /// The present value, as the client's server knows it. Creates the znode if it does not exist.
    ///
    /// # Errors
    /// A request failed. An invalid path, or the root of the ensemble, is an error before anything is
    /// sent ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)).
    ///
    /// # Cancel safety
    /// After a dropped future the znode was created or not.
    pub async fn get(&self) -> Result<Versioned> {
        let (value, stat) = self.cell.get_or_create().await?;
        Ok(Versioned { value, stat })
    }

    /// The present value at the first call, and then the latest whenever it has changed; `None` when
    /// the client is closed or after an error. A value that is replaced before it is read is skipped,
    /// and the last one never. If the znode is deleted, it is created again with the seed.
    ///
    /// # Errors
    /// The ensemble refuses the read or the creation, or the path is invalid.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Option<Result<Versioned>> {
        loop {
            if self.absent {
                if let Err(error) = self.cell.create().await {
                    return Some(Err(error));
                }
                self.absent = false;
            }
            let (client, path) = (self.cell.client(), self.cell.path());
            let states = self
                .states
                .get_or_insert_with(|| DataWatch::new(client, path));
            match states.next().await? {
                Ok(DataState::Absent) => self.absent = true,
                Ok(DataState::Present { data, stat }) => {
                    return Some(Ok(Versioned { value: data, stat }));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Replaces the value, whatever it is.
    ///
    /// # Errors
    /// A request failed. With [`Outcome::Unknown`](zk_client::Outcome::Unknown) the value was set at
    /// most once, with other outcomes it was not.
    ///
    /// # Cancel safety
    /// After a dropped future the value was set or not.
    pub async fn set(&self, value: impl Into<Bytes>) -> Result<Versioned> {
        let value = value.into();
        let set = self.cell.change(|_, _| Ok(Some(value.clone())));
        let set = set.await?;
        Ok(Versioned {
            value: set.after,
            stat: set.stat,
        })
    }

    /// Replaces the value if it has not been written to since it was `known`; `None` if another writer
    /// was faster, or the znode is deleted, also if it was created again.
    ///
    /// The znode is read before, and compared by the transactions that created it and that wrote it last.
    /// The write itself compares the version: ZooKeeper has no other condition. So a znode that is deleted,
    /// created again and written to as often as before, all in the round trip between the read and the
    /// write, is not recognized as another one.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    /// As [`set`](Self::set).
    #[doc(alias = "trySetValue")]
    pub async fn try_set<T>(
        &self,
        known: &Versioned<T>,
        value: impl Into<Bytes>,
    ) -> Result<Option<Versioned>> {
        let value = value.into();
        let set = self.cell.replace(&known.stat, &value).await?;
        Ok(set.map(|stat| Versioned { value, stat }))
    }
}

cell_options!([] SharedValue, cell);

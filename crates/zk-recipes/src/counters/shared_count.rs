//! A number that programs watch and set.

use bytes::Bytes;
use zk_client::Client;

use super::number::{Format, Number};
use super::shared_value::{SharedValue, Versioned};
use crate::error::{Error, Result};

/// A number that programs watch and set: a [`SharedValue`] in the format of Curator's `SharedCount`.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::SharedCount;
///
/// let leases = SharedCount::new(&zk, "/semaphores/limit", 10);
/// let known = leases.get().await?;
/// if leases.try_set(&known, known.value + 1).await?.is_none() {
///     println!("another program has changed the number");
/// }
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// As [`SharedValue`]. The contents are four bytes, the most significant first, which are also those of
/// a [`Counter`](crate::Counter) with `support_curator`, and the limit of a
/// [`Semaphore`](crate::Semaphore).
///
/// kazoo's `Counter` with the option `support_curator` is the same number.
///
/// # Cost
///
/// As [`SharedValue`]: a read and a write to set it, or to try.
///
/// # Losing the session
///
/// Nothing is lost, as [`SharedValue`] says.
///
/// # Cancel safety
///
/// As [`SharedValue`]: dropping a [`changed`](Self::changed) loses nothing, and after a dropped write
/// the number was written or not.
#[derive(Debug)]
pub struct SharedCount {
    shared: SharedValue,
}

impl SharedCount {
    /// The number at `path`, which is `seed` until it is set for the first time.
    pub fn new(client: &Client, path: &str, seed: i32) -> Self {
        SharedCount {
            shared: SharedValue::new(client, path, encode(seed)),
        }
    }

    /// As [`SharedValue::without_witness`].
    #[must_use]
    pub fn without_witness(mut self) -> Self {
        self.shared = self.shared.without_witness();
        self
    }

    /// The path of the znode.
    pub fn path(&self) -> &str {
        self.shared.path()
    }

    /// The present number, as the client's server knows it. Creates the znode if it does not exist.
    ///
    /// # Errors
    /// As [`SharedValue::get`], and [`Error::Undecodable`] for other than four bytes.
    ///
    /// # Cancel safety
    /// As [`SharedValue::get`].
    pub async fn get(&self) -> Result<Versioned<i32>> {
        let found = self.shared.get().await?;
        self.decode(found)
    }

    /// The present number at the first call, and then the latest whenever it has changed: see
    /// [`SharedValue::changed`]. After contents that are not a number, the next follow.
    ///
    /// # Errors
    /// As [`SharedValue::changed`], and [`Error::Undecodable`].
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn changed(&mut self) -> Option<Result<Versioned<i32>>> {
        let changed = self.shared.changed().await?;
        Some(changed.and_then(|found| self.decode(found)))
    }

    /// Replaces the number, whatever it is.
    ///
    /// # Errors
    /// As [`SharedValue::set`].
    ///
    /// # Cancel safety
    /// As [`SharedValue::set`].
    pub async fn set(&self, count: i32) -> Result<Versioned<i32>> {
        let set = self.shared.set(encode(count)).await?;
        Ok(set.map(|_| count))
    }

    /// Replaces the number if it has not been written to since it was `known`; `None` if another writer
    /// was faster, or the znode is deleted, as [`SharedValue::try_set`] says.
    ///
    /// # Errors
    /// As [`SharedValue::set`].
    ///
    /// # Cancel safety
    /// As [`SharedValue::set`].
    #[doc(alias = "trySetCount")]
    pub async fn try_set(
        &self,
        known: &Versioned<i32>,
        count: i32,
    ) -> Result<Option<Versioned<i32>>> {
        let set = self.shared.try_set(known, encode(count)).await?;
        Ok(set.map(|set| set.map(|_| count)))
    }

    fn decode(&self, found: Versioned) -> Result<Versioned<i32>> {
        match i32::decode(Format::FourBytes, &found.value) {
            Ok(count) => Ok(found.map(|_| count)),
            Err(source) => Err(Error::Undecodable {
                path: self.path().to_owned(),
                version: found.stat.version,
                source,
            }),
        }
    }
}

fn encode(count: i32) -> Bytes {
    Bytes::copy_from_slice(&count.to_be_bytes())
}

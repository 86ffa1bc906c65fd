//! Ids from blocks that are reserved ahead.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::Mutex;
use zk_client::{Client, Outcome};

use super::number::Format;
use super::number_cell::NumberCell;
use crate::error::{Error, Result};
use crate::retry::RetryBackoff;

/// Ids that are unique among all programs, taken from blocks that are reserved ahead. The counterpart
/// of Curator's `CachedAtomicLong`, and with [`four_bytes`](Self::four_bytes) of its `CachedAtomicInteger`.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use std::num::NonZeroU32;
/// use zk_recipes::IdBlocks;
///
/// let ids = IdBlocks::new(&zk, "/ids/orders", NonZeroU32::new(100).unwrap());
/// let order = ids.next().await?;
/// # Ok(()) }
/// ```
///
/// The ids of one handle and its clones increase. Ids have gaps: a program that ends loses the rest of
/// its block, and so does a reservation whose reply was lost.
///
/// # Znodes
///
/// The znode at `path` contains the first id that is not reserved, in the format of
/// [`AtomicLong`](crate::AtomicLong): eight bytes. It starts at 0. Programs with other sizes of blocks,
/// Curator's `CachedAtomicLong`, and users of the [`AtomicLong`](crate::AtomicLong) itself can share it.
/// kazoo has no counterpart.
///
/// # Cost
///
/// A read and a write for each block, in two round trips, and as many for each conflict with another
/// program. The other ids of the block cost nothing.
///
/// # Losing the session
///
/// Nothing is lost: reserved ids belong to no session, and no other program gets them. If the ensemble
/// is restored from a backup, the number at `path` may be that of an earlier time. A handle does not
/// reserve ids again that it has reserved before, but other programs may.
///
/// # Cancel safety
///
/// Dropping a future loses an id or a block at most.
#[doc(alias = "CachedAtomicLong")]
#[doc(alias = "CachedAtomicInteger")]
#[derive(Debug, Clone)]
pub struct IdBlocks {
    number: NumberCell<i64>,
    size: NonZeroU32,
    reserved: Arc<Mutex<Reserved>>,
}

/// What a handle and its clones have reserved.
#[derive(Debug, Default)]
struct Reserved {
    /// What is left of the block for [`IdBlocks::next`].
    left: Range<i64>,
    /// The end of the highest block.
    highest: i64,
}

impl IdBlocks {
    /// The ids at `path`, reserved `size` at a time.
    pub fn new(client: &Client, path: &str, size: NonZeroU32) -> Self {
        let mut number = NumberCell::new(client, path, Format::EightBytes);
        // A reservation of unknown outcome is a gap.
        number.cell.set_without_witness();
        IdBlocks {
            number,
            size,
            reserved: Arc::default(),
        }
    }

    /// The znode has the format of [`AtomicInteger`](crate::AtomicInteger) and of Curator's
    /// `CachedAtomicInteger`: four bytes. The ids end at [`i32::MAX`].
    #[must_use]
    pub fn four_bytes(mut self) -> Self {
        self.number.set_format(Format::FourBytes);
        self
    }

    /// The next id. Reserves a block if none is left.
    ///
    /// # Errors
    /// The ids are exhausted ([`Error::Overflow`]), the contents of the znode are not a number
    /// ([`Error::Undecodable`]), or the ensemble refuses. An invalid path, or the root of the ensemble,
    /// is an error before anything is sent ([`InvalidPath`](zk_client::ErrorKind::InvalidPath)).
    ///
    /// # Cancel safety
    /// Dropping the future loses at most a block.
    pub async fn next(&self) -> Result<i64> {
        let mut reserved = self.reserved.lock().await;
        loop {
            if let Some(id) = reserved.left.next() {
                return Ok(id);
            }
            reserved.left = self.reserve_from(&mut reserved.highest).await?;
        }
    }

    /// Reserves a block for the caller alone; the ids that are left of earlier blocks are not in it.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    /// Dropping the future loses at most the block.
    pub async fn reserve(&self) -> Result<Range<i64>> {
        let mut reserved = self.reserved.lock().await;
        self.reserve_from(&mut reserved.highest).await
    }

    /// Reserves a block with no id below `highest`, which this handle has reserved already, and moves that.
    async fn reserve_from(&self, highest: &mut i64) -> Result<Range<i64>> {
        let size = i64::from(self.size.get());
        let overflow = || Error::Overflow {
            path: self.number.cell.path().to_owned(),
        };
        let mut backoff = RetryBackoff::new();
        loop {
            let reserve = |free: i64| {
                let end = free.max(*highest).checked_add(size);
                end.map(Some).ok_or_else(overflow)
            };
            match self.number.change(reserve).await {
                Ok(reserved) => {
                    *highest = reserved.after;
                    return Ok(reserved.after - size..reserved.after);
                }
                Err(Error::Client(error)) if error.outcome() == Outcome::Unknown => {
                    backoff.sleep_after(error).await?;
                    self.number.cell.client().connected().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

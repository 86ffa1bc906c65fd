//! Curator's numbers.

use zk_client::Client;

use super::number::Format;
use super::number_cell::{NumberCell, cell_options, counter_methods};

/// A number of 64 bits that programs count with, in the format of Curator's `DistributedAtomicLong`.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::{AtomicLong, Lock};
///
/// let lock = Lock::new(&zk, "/counters/orders-lock");
/// let orders = AtomicLong::new(&zk, "/counters/orders").promote_to_lock(&lock, 5);
/// let number = orders.increment().await?;
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// The contents of the persistent znode at `path` are eight bytes, the most significant first. Empty
/// contents are 0, also for Curator. While a handle that has written lives, the znode has an ephemeral
/// child `_c_<uuid>-witness`, which Curator ignores.
///
/// kazoo has no counter in this format: its `support_curator` is that of [`AtomicInteger`].
///
/// Where Curator's methods return a result that may not have succeeded, these repeat the change until
/// it has, or return an error. A sum out of range is an error, while Curator's wraps around. Curator's
/// `AtomicStats`, the numbers of attempts and their times, have no counterpart.
///
/// # Lost replies
///
/// Those of changes are resolved, as [`Counter`](crate::Counter) says, so that a change that succeeds
/// has counted once. Curator counts twice.
///
/// # Cost
///
/// That of [`Counter`](crate::Counter): two requests in two round trips for each change, and as many
/// for each conflict; with a lock, three more requests and one more round trip.
///
/// # Losing the session
///
/// As [`Counter`](crate::Counter): the number belongs to no session, and the outcome of a change in
/// flight is unknown.
///
/// # Cancel safety
///
/// After a dropped change the number was changed once or not at all, and no znode is left.
#[doc(alias = "DistributedAtomicLong")]
#[derive(Debug, Clone)]
pub struct AtomicLong {
    number: NumberCell<i64>,
}

/// A number of 32 bits that programs count with, in the format of Curator's
/// `DistributedAtomicInteger`: an [`AtomicLong`] with four bytes.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> zk_recipes::Result<()> {
/// use zk_recipes::AtomicInteger;
///
/// let left = AtomicInteger::new(&zk, "/counters/left");
/// let taken = left.update(|left| (left > 0).then(|| left - 1)).await?;
/// println!("one of {}: {}", taken.before, taken.written);
/// # Ok(()) }
/// ```
///
/// # Znodes
///
/// The contents of the persistent znode at `path` are four bytes, the most significant first: also
/// those of a [`SharedCount`](crate::SharedCount), and of kazoo's `Counter` with the option
/// `support_curator`. The rest is as for [`AtomicLong`].
///
/// # Cost
///
/// As [`AtomicLong`].
///
/// # Losing the session
///
/// As [`AtomicLong`].
///
/// # Cancel safety
///
/// After a dropped change the number was changed once or not at all, and no znode is left.
#[doc(alias = "DistributedAtomicInteger")]
#[derive(Debug, Clone)]
pub struct AtomicInteger {
    number: NumberCell<i32>,
}

impl AtomicLong {
    /// The number at `path`. It starts at 0.
    pub fn new(client: &Client, path: &str) -> Self {
        AtomicLong {
            number: NumberCell::new(client, path, Format::EightBytes),
        }
    }
}

impl AtomicInteger {
    /// The number at `path`. It starts at 0.
    pub fn new(client: &Client, path: &str) -> Self {
        AtomicInteger {
            number: NumberCell::new(client, path, Format::FourBytes),
        }
    }
}

counter_methods!([] AtomicLong, i64);
cell_options!([] AtomicLong, number.cell);
counter_methods!([] AtomicInteger, i32);
cell_options!([] AtomicInteger, number.cell);

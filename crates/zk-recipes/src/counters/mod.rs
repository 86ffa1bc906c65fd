//! Values and counters that programs share: each is the contents of one znode.
//!
//! All are built on [`Cell`](cell::Cell), which changes the contents by compare-and-set and finds out
//! what became of a write whose reply was lost.

mod atomic;
mod atomic_value;
mod cell;
mod counter;
mod id_blocks;
mod number;
mod number_cell;
mod shared_count;
mod shared_value;
mod verdict;
mod witness;

pub use atomic::{AtomicInteger, AtomicLong};
pub use atomic_value::AtomicValue;
pub use cell::Changed;
pub use counter::{Counter, CounterNumber};
pub use id_blocks::IdBlocks;
pub use shared_count::SharedCount;
pub use shared_value::{SharedValue, Versioned};

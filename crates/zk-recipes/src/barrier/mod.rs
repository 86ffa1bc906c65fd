//! Barriers: one that is opened for its waiters, and one that lets a number of members pass together.

mod double;
mod gate;
mod member;
mod round;

pub use double::{DoubleBarrier, Entered};
pub use gate::Barrier;

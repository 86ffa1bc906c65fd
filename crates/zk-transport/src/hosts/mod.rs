//! Which server to try next, when, at which of its addresses, and for how long.

mod addresses;
mod list;
mod loss;
mod losses;
mod order;
mod rounds;
mod timing;
mod update;

pub use addresses::{Addresses, Order};
pub use list::{Attempt, Hosts, NoHosts};
pub use order::{HostOrder, Rank};
#[cfg(feature = "io")]
pub(crate) use timing::MAX_CONNECT_TIME;
pub use timing::Timing;

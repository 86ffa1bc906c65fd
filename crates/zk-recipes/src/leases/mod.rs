//! Leases with an end on the clock, in the format of kazoo.

mod clock;
mod multi_lease;
mod non_blocking_lease;
mod record;

pub use multi_lease::MultiNonBlockingLease;
pub use non_blocking_lease::{LeaseHolder, NonBlockingLease, ObtainedLease};

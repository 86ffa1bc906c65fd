//! Names to addresses, and services to servers.
//!
//! - [`srv`]: questions for SRV records and their answers, as bytes. No I/O.
//! - `resolve` (feature `io`): the trait `Resolve`, and the operating system's resolver.
//! - `name_servers` (feature `io`): queries for SRV records, to the name servers of `/etc/resolv.conf`.

#[cfg(feature = "io")]
pub mod name_servers;
#[cfg(feature = "io")]
pub mod resolve;
pub mod srv;

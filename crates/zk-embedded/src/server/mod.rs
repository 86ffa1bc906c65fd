//! A running server, and what starts it.
//!
//! `builder` starts a server, `handle` is [`Server`]; its methods are by subject: `ensemble` (elections,
//! partitions, lag), `backup` (snapshots and loss of data), `inspect` (its state without a client).
//! `faults` is the handle to faults, `dial` opens connections inside the process, `tls` makes certificates.

mod backup;
mod builder;
mod dial;
mod ensemble;
mod faults;
mod handle;
mod inspect;
#[cfg(feature = "tls")]
mod tls;

pub use builder::ServerBuilder;
pub use dial::MemoryDial;
pub use faults::Faults;
pub use handle::Server;
#[cfg(feature = "tls")]
pub use tls::ServerTls;

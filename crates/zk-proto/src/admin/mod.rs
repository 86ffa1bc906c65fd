//! The four-letter words: commands a server answers with text on its client port, on a connection
//! of their own.
//!
//! Servers answer `srvr` by default, and `isro` if read-only mode is on; the others must be listed in
//! their `4lw.commands.whitelist`.

mod connection;
mod entries;
mod error;
mod replies;
mod status;

pub use connection::{ClientConnection, connections};
pub use entries::Entries;
pub use error::AdminError;
pub use replies::{isro, mntr, properties, ruok};
pub use status::{Latency, ServerMode, ServerStatus};

#[cfg(test)]
mod tests;

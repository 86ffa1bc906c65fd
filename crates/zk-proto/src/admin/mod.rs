//! The four-letter words: commands a server answers with text on its client port, on a connection
//! of their own.
//!
//! Servers answer `srvr` by default, and `isro` if read-only mode is on; the others must be listed in
//! their `4lw.commands.whitelist`.
//!
//! | word | reader | servers that answer it |
//! |---|---|---|
//! | `srvr`, `stat` | [`ServerStatus`] | all |
//! | `ruok`, `isro` | [`ruok`], [`isro`] | all |
//! | `mntr` | [`mntr`] | all |
//! | `conf`, `envi` | [`properties`] | all |
//! | `cons` | [`connections`] | all |
//! | `dump` | [`SessionDump`] | all |
//! | `wchs`, `wchc`, `wchp` | [`wchs`], [`wchc`], [`wchp`] | all |
//! | `crst`, `srst` | [`reset`] | all |
//! | `dirs` | [`dirs`] | Apache since 3.5.1, Keeper |
//! | `gtmk` | [`trace_mask`] | Apache |
//! | `hash` | [`hash`] | Apache since 3.6 |
//! | `apiv` | [`apiv`] | Keeper |
//! | `ftfl`, `lgif` | [`mntr`], which reads the same form | Keeper |
//!
//! The other words of Keeper, such as `csnp` and `rqld`, are answered with a sentence.

mod connection;
mod dump;
mod entries;
mod error;
mod replies;
mod status;
mod version;
mod watches;

pub use connection::{ClientConnection, connections};
pub use dump::{DumpedConnection, DumpedSession, SessionDump};
pub use entries::Entries;
pub use error::AdminError;
pub use replies::{
    DirectorySizes, TreeDigest, apiv, dirs, hash, isro, mntr, properties, reset, ruok, trace_mask,
};
pub use status::{Latency, ServerMode, ServerStatus};
pub use version::{InvalidVersion, ServerVersion};
pub use watches::{PathSessions, SessionPaths, WatchSummary, wchc, wchp, wchs};

#[cfg(test)]
mod tests;

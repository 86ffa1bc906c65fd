//! The commands on trees: `export`, `import`, `copy`, `diff`, `du`, `find`.
//!
//! - [`reader`], [`file`], [`cut`], [`source`]: where the znodes come from, in order.
//! - [`importer`], [`transfer`]: how they are written.
//! - [`removal`]: what `delete` does with a tree.
//! - [`between`], [`overlap`]: the commands on two trees, which may be those of other servers.

pub(crate) mod between;
mod cut;
mod diff;
mod du;
mod export;
mod file;
mod find;
mod importer;
mod overlap;
mod reader;
pub(super) mod removal;
mod source;
mod total;
mod transfer;
mod unread;

pub(super) use du::du;
pub(super) use export::export;
pub(super) use find::find;
pub(super) use transfer::import;

//! Watches: what is armed on the server, and who is told.

mod add;
mod event;
mod handle;
mod registry;

pub use add::AddWatch;
pub use event::{NodeEvent, NodeEventKind, WatchEvent};
pub use handle::{Watch, WatchMode, WatchStream};
pub(crate) use registry::{Batch, Left, MailboxLimits, Registry, SubId, Unwatch, WatchKind};

//! What is held, and by which client: `locks`, `elections`, `semaphores`, `watchers` and `sessions`.
//!
//! - [`layout`]: contenders recognized by the names of their znodes.
//! - [`clients`]: sends four-letter words, and joins the answers: sessions, connections, ephemeral znodes.
//! - [`contenders`]: reads znodes of contenders. [`row`]: how one is shown.
//! - [`locks`], [`semaphores`], [`watchers`], [`sessions`]: the commands.

mod clients;
mod contenders;
mod layout;
mod locks;
mod row;
mod semaphores;
mod sessions;
mod watchers;

pub(super) use locks::{elections, locks};
pub(super) use semaphores::semaphores;
pub(super) use sessions::sessions;
pub(super) use watchers::watchers;

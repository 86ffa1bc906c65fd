//! A session in a file, so that the process that follows a crash continues it.

mod blocking;
mod file;
mod file_access;
mod file_lock;
pub(crate) mod keeper;
mod record;
pub(crate) mod restored;
pub(crate) mod store;
pub(crate) mod stored_session;

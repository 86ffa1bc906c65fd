//! The operations: one file per verb.

pub(crate) mod acl;
pub(crate) mod add_watch;
pub(crate) mod cleanup;
pub(crate) mod consistent_read;
pub(crate) mod create;
pub(crate) mod create_protected;
pub(crate) mod descendants;
pub(crate) mod ensemble;
pub(crate) mod multi;
pub(crate) mod pending;
pub(crate) mod read;
pub(crate) mod recursive;
pub(crate) mod retry;
pub(crate) mod whoami;
pub(crate) mod write;

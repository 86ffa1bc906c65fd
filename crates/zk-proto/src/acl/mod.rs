//! Access control lists: the permissions of identities on a node.
//!
//! `entry` is the record, `permissions` the set of bits, `text` the form that people write.

mod entry;
mod permissions;
mod text;

pub use entry::{Acl, Id, digest_id, proven_digest_id};
pub use permissions::Permissions;
pub use text::{AclTextError, AclTextProblem, display, parse};

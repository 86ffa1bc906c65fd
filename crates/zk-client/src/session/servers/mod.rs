//! The servers: which there are, which is next, and what was wrong with each.

mod config_follow;
pub(super) mod config_follower;
pub(crate) mod config_znode;
pub(super) mod health;
mod list;
pub(super) mod relocation;

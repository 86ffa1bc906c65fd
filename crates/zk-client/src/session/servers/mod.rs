//! The servers: which there are, which is next, and what was wrong with each.

mod config_follow;
pub(super) mod config_follower;
pub(crate) mod config_znode;
pub(crate) mod health;
pub(crate) mod host_info;
mod list;
mod listing;
pub(super) mod outage;
pub(super) mod relocation;

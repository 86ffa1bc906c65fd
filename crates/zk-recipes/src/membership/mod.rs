//! Znodes that are kept in existence, and the groups of programs that announce themselves by them.

mod board;
mod claims;
mod group_member;
mod keeper;
mod node_data;
mod node_state;
mod party;
mod persistent_node;
mod persistent_ttl_node;
mod plan;

pub use group_member::{GroupMember, GroupView};
pub use node_state::{DataWrite, NodeState};
pub use party::{Membership, Party, ShallowParty};
pub use persistent_node::{NodeStates, PersistentNode, PersistentNodeBuilder};
pub use persistent_ttl_node::PersistentTtlNode;
pub use plan::Parents;

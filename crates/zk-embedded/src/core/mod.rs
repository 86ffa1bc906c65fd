//! The server as a state machine: it knows no socket, task or clock. Frames and the time go in,
//! frames come out.
//!
//! Files: `state` ties everything together; `handshake`, `login`, `request`, `read`, `write`, `watches` are
//! what it does with a frame, which `lenient` helps to read; `four_letter` answers in text, with `host_facts`; `prepare` checks a write; `member`
//! applies transactions; `tree`, `children`, `watch`, `session`, `snapshot`, `acl`, `quota`, `txn` are the nouns;
//! `ensemble` and `deposed` are what befalls members, `reconfig` is which of them vote; `pose` is what
//! differs between the servers imitated, `four_letter_keeper` and `keeper_events` what only ClickHouse
//! Keeper does.

mod connection;
mod connections;
mod ensemble;
mod four_letter;
mod inspect;
mod output;
pub(crate) mod pose;
mod requests;
mod session;
mod shrink;
mod state;
#[cfg(test)]
mod tests;
mod tree;
mod watch;

pub use connection::{ConnectionId, Peer};
pub use inspect::{NodeInfo, SessionInfo, WatchCounts};
pub use output::Output;
pub use pose::{Pose, UnknownPose};
pub(crate) use shrink::shrink_map;
pub use state::State;
pub use tree::snapshot::Snapshot;
pub use tree::txn::{Change, Txn};

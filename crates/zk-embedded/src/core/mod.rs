//! The server as a state machine without sockets, tasks or a clock. Frames and the time go in, frames
//! come out.
//!
//! The module list is a map of the code:
//!
//! - `state`: [`State`], its interface to the outside, and the commit of a transaction
//! - `connection`, `connections`, `output`: clients, and the frames and events for them
//! - `requests`: what is done with a frame: `handshake`, `login`, `read`, `write`, `multi`, `watches`;
//!   `prepare` checks writes
//! - `ensemble`: `member` applies transactions and fires watches; elections, partitions, deposed
//!   leaders, `reconfig`
//! - `tree`: nodes, ACLs, quotas, transactions, snapshots
//! - `session`, `watch`: the tables of sessions and watches
//! - `four_letter`: the answers to four-letter words
//! - `pose`: what differs between the servers imitated
//! - `inspect`: what a test reads without a client

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

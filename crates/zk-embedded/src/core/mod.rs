//! The server as a state machine: it knows no socket, task or clock. Frames and the time go in,
//! frames come out.
//!
//! Files: `state` ties everything together; `handshake`, `request`, `read`, `write`, `watches` are
//! what it does with a frame, which `lenient` helps to read; `prepare` checks a write; `member`
//! applies transactions; `tree`, `watch`, `session`, `snapshot`, `acl`, `quota`, `txn` are the nouns;
//! `ensemble` and `deposed` are what befalls members; `pose` is what differs between the
//! servers imitated, `keeper_events` how ClickHouse Keeper sends events.

mod acl;
mod connection;
mod deposed;
mod ensemble;
mod four_letter;
mod handshake;
mod inspect;
mod keeper_events;
mod lenient;
mod member;
mod output;
pub(crate) mod pose;
mod prepare;
mod quota;
mod read;
mod request;
mod session;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;
mod tree;
mod txn;
mod watch;
mod watches;
mod write;

pub use connection::{ConnectionId, Peer};
pub use inspect::{NodeInfo, SessionInfo, WatchCounts};
pub use output::Output;
pub use pose::{Pose, UnknownPose};
pub use snapshot::Snapshot;
pub use state::State;
pub use txn::{Change, Txn};

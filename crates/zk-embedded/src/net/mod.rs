//! The state machine on tokio: ports, connections, and the lock that they share.

pub(crate) mod connection;
pub(crate) mod gate;
pub(crate) mod handshake;
pub(crate) mod listener;
pub(crate) mod shared;
pub(crate) mod stream;

//! The state machine of one connection.
//!
//! A [`Link`] begins with a connect request in its output buffer and ends with the connection. It
//! gives every request an xid, keeps it until the reply (servers answer in order), pings when nothing
//! else is sent, and finds out when the server has stopped to answer. Each request carries a token
//! `T` of the caller's; sessions and watches are the caller's, too.
//!
//! It has no socket and no clock: `handle_*` take `now`, `poll_*` say what to do next.

mod handshake;
mod lost;
mod pings;
mod received;
mod requests;
mod state;
mod wire;

pub use lost::{Lost, Sent};
pub use received::{Notification, Received};
pub use state::{Link, RoundTrip, ping_interval};

#[cfg(test)]
mod tests;

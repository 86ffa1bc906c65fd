//! The loop that keeps a connection open: dial the next server, shake hands, move bytes until the
//! connection ends, wait for the backoff, repeat.
//!
//! What outlives a connection is an endpoint ([`Reconnect`]): it has the list of servers and the
//! session's timeout, starts the handshake on a new stream, and gets back what a lost connection has
//! left unsent. [`LinkEndpoint`] is one for programs that only send requests and handle replies. The
//! loop does the rest:
//!
//! - [`Hosts`](crate::Hosts) chooses the next server, and the pause before it; a session that exists
//!   bounds the pause ([`Timing::pause`](crate::Timing::pause)).
//! - A [`Login`](crate::Login) prepares its mechanism before the server is dialled, so that a slow ticket
//!   is not taken for a slow server (ZOOKEEPER-4275).
//! - Dialling and the handshake share a budget, a part of the session's timeout
//!   ([`Timing::budget`](crate::Timing::budget)): a server that does not answer leaves time for others.
//! - [`pump`](crate::pump()) moves the bytes. When it ends, the loop notifies the endpoint and begins
//!   anew.
//! - While there is no connection, the loop polls the endpoint for its own deadlines
//!   ([`poll_standby`](Reconnect::poll_standby)), and the endpoint can end the loop or the attempt.
//!
//! [`stay_connected`] is the whole loop. A caller that instruments each attempt, with a span for one,
//! calls [`next_attempt`] and [`connect`] itself.
//!
//! The example `raw_get` gets a znode with it, across a restart of the server.

mod attempt;
mod connection;
mod endpoint;
mod link_endpoint;
mod options;
mod standby;

pub use attempt::{Planned, connect, next_attempt, rank_servers, stay_connected};
pub use endpoint::{Closed, Opening, Reconnect, Standby};
pub use link_endpoint::{LinkEndpoint, LinkHandler};
pub use options::ReconnectOptions;

#[cfg(test)]
mod tests;

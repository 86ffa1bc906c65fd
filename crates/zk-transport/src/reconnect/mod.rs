//! The loop that keeps a connection open: dial the next server, shake hands, move bytes until the
//! connection ends, back off, again.
//!
//! What outlives a connection is an endpoint ([`Reconnect`]): it says which servers there are and how
//! long its session lives, starts the handshake on a new stream, and gets back what a lost connection
//! has left unsent. The loop does the rest:
//!
//! - The next server is chosen by [`Hosts`](crate::Hosts), with the pause that backing off demands; a
//!   session that exists bounds the pause ([`Timing::pause`](crate::Timing::pause)).
//! - A [`Login`] prepares its mechanism before the server is dialled, so that a slow ticket is not
//!   taken for a slow server (ZOOKEEPER-4275).
//! - Dialling and the handshake share a budget, a part of the session's timeout
//!   ([`Timing::budget`](crate::Timing::budget)): a server that does not answer leaves time for others.
//! - [`pump`](crate::pump()) moves the bytes. When it ends, the endpoint is notified, and the loop begins
//!   anew.
//! - While there is no connection, the endpoint's own deadlines go on
//!   ([`poll_standby`](Reconnect::poll_standby)), and it can end the loop or the attempt.
//!
//! [`stay_connected`] is the whole loop. A caller that instruments each attempt, with a span for one,
//! composes it of [`next_attempt`] and [`connect`].
//!
//! The example `raw_get` gets a znode with it, across a restart of the server.

mod attempt;
mod connection;
mod endpoint;
mod link_endpoint;
mod standby;

use std::sync::Arc;

pub use attempt::{Planned, connect, next_attempt};
pub use endpoint::{Closed, Opening, Reconnect};
pub use link_endpoint::{LinkEndpoint, LinkHandler};
pub use standby::Standby;

use crate::dial::Dial;
use crate::sasl::Login;

/// How connections are made.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ReconnectOptions {
    /// Opens the streams.
    pub dial: Arc<dyn Dial>,
    /// The login of each connection, if there is one.
    pub login: Option<Arc<dyn Login>>,
    /// The longest frame in bytes that is accepted from a server; 8 MiB by default.
    pub frame_limit: usize,
}

impl ReconnectOptions {
    /// Connections over the streams of `dial`, without a login.
    pub fn new(dial: impl Dial) -> Self {
        Self::shared(Arc::new(dial))
    }

    /// The same with a [`Dial`] that has other users.
    pub fn shared(dial: Arc<dyn Dial>) -> Self {
        ReconnectOptions {
            dial,
            login: None,
            frame_limit: 8 << 20,
        }
    }

    /// Begins each connection with a login.
    #[must_use]
    pub fn login(mut self, login: Option<Arc<dyn Login>>) -> Self {
        self.login = login;
        self
    }

    /// The longest frame in bytes that is accepted from a server.
    #[must_use]
    pub fn frame_limit(mut self, limit: usize) -> Self {
        self.frame_limit = limit;
        self
    }
}

/// Connects the endpoint to one server after the other until it says
/// [`stop`](Standby::stop).
///
/// # Cancel safety
/// Dropping the future drops the connection, after one last write
/// ([`last_output`](Reconnect::last_output)). [`handle_closed`](Reconnect::handle_closed) is not called.
pub async fn stay_connected<E: Reconnect>(endpoint: &mut E, options: &ReconnectOptions) {
    while let Some(attempt) = next_attempt(endpoint).await {
        if connect(endpoint, options, attempt).await.is_none() {
            break;
        }
    }
}

#[cfg(test)]
mod tests;

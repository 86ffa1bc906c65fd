//! The interface between the loop and the endpoint that it connects.

use std::task::Waker;
use std::time::Duration;
use std::time::Instant;

use bytes::BytesMut;
use zk_proto::HostPort;

use crate::error::Disconnect;
use crate::hosts::{Attempt, Hosts, Timing};
use crate::pump::Endpoint;
use crate::sasl::{Mechanism, SaslError};

/// An endpoint that outlives its connections.
///
/// All methods are called from the task that runs the loop. `now` is the time of tokio's clock.
pub trait Reconnect: Endpoint {
    /// Calls `f` with the list of servers. The loop keeps it informed about the attempts.
    fn with_hosts<R>(&mut self, f: impl FnOnce(&mut Hosts) -> R) -> R;

    /// How long the session lives that the next connection is for.
    fn timing(&mut self) -> Timing;

    /// A stream to a server is open: the endpoint starts the handshake, with a new
    /// [`Link`](crate::Link). False ends the loop.
    fn handle_dialled(&mut self, now: Instant, opening: Opening<'_>) -> bool;

    /// Whether the server has answered the handshake, and the login if there is one, so that the
    /// connection serves the endpoint. Called after bytes have arrived, until it returns true.
    fn is_established(&self) -> bool;

    /// The connection has ended, or could not be made. The list of servers has been informed.
    fn handle_closed(&mut self, now: Instant, closed: Closed<'_>);

    /// Called whenever the loop waits for something other than a connection's bytes: a server to try,
    /// the end of a pause, a login, dialling. Handles the deadlines that have come and says what the
    /// loop has to do. The endpoint wakes `waker` when that changes.
    ///
    /// By default the loop continues, and there are no deadlines.
    fn poll_standby(&mut self, now: Instant, waker: &Waker) -> Standby {
        let _ = (now, waker);
        Standby::default()
    }

    /// The next server to try; `None` ends the loop. By default, that of the list.
    fn next_attempt(&mut self) -> Option<Attempt> {
        self.with_hosts(Hosts::next_attempt)
    }

    /// The login could not prepare for a connection to `host`. Returns the reason for which the attempt
    /// ends. If no login can succeed any more, the endpoint stops the loop.
    fn handle_login_failed(
        &mut self,
        host: &HostPort,
        mechanism: &str,
        cause: SaslError,
    ) -> Disconnect {
        let _ = host;
        Disconnect::LoginFailed {
            mechanism: mechanism.to_owned(),
            cause,
        }
    }

    /// What to write at once, as far as the stream takes it, when the loop is dropped while there is a
    /// connection, as with its runtime. The stream has accepted `written` bytes: if the endpoint has
    /// handed over more, a part of a frame may be missing, and nothing can follow. By default nothing.
    fn last_output(&mut self, now: Instant, written: u64) -> BytesMut {
        let _ = (now, written);
        BytesMut::new()
    }
}

/// What the loop has to do while it waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standby {
    /// End the loop.
    pub stop: bool,
    /// End the present attempt in its pause or while it dials, because another server is preferred now.
    /// The reason is [`Disconnect::Moving`](crate::Disconnect::Moving). At other times `leave` has no
    /// effect. [`next_attempt`](Reconnect::next_attempt) must clear it, or the loop would spin.
    pub leave: bool,
    /// When to call [`poll_standby`](Reconnect::poll_standby) again, at the latest.
    pub due: Option<Instant>,
}

/// A stream that has been opened.
#[non_exhaustive]
pub struct Opening<'a> {
    /// The server.
    pub host: &'a HostPort,
    /// How long the server has to answer the handshake.
    pub budget: Duration,
    /// The mechanism that has been prepared for this connection, if there is a login.
    pub mechanism: Option<Box<dyn Mechanism>>,
}

impl std::fmt::Debug for Opening<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening")
            .field("host", self.host)
            .field("budget", &self.budget)
            .field("mechanism", &self.mechanism.is_some())
            .finish()
    }
}

/// The end of a connection, or of an attempt that led to none.
#[derive(Debug)]
#[non_exhaustive]
pub struct Closed<'a> {
    /// The server.
    pub host: &'a HostPort,
    /// Why. A server that closes the connection before it is
    /// [established](Reconnect::is_established) counts as [`Disconnect::ClosedInHandshake`].
    pub reason: Disconnect,
    /// Whether the connection was [established](Reconnect::is_established).
    pub established: bool,
    /// The number of bytes that were offered to the stream, for
    /// [`Link::into_lost`](crate::Link::into_lost).
    pub offered: u64,
    /// Output that was taken from the endpoint and certainly not sent.
    pub rest: BytesMut,
}

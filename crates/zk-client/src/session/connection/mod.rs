//! The connection to a server: its link, and what is known of this connection only.

mod disconnect;
mod handshake;
mod rearm;
mod receive;
mod throttled;

use std::sync::Arc;
use std::time::Instant;

use zk_transport::{Disconnect, Link};

use crate::session::requests::SlotKey;
use crate::session::watches::{Batch, Left};

/// What a reply answers.
#[derive(Debug)]
pub(super) enum ReplyTarget {
    /// A caller's request.
    Call(SlotKey),
    /// The credentials of this index.
    Credential(usize),
    /// A batch of watches that is armed again.
    Rearm(Box<Batch>),
    /// The removal of the watches at this path that have no subscriber left.
    Unwatch(Arc<str>, Left),
    /// The read of the ensemble's configuration.
    Config,
    /// The read of a ClickHouse Keeper's feature flags.
    Features,
    /// The end of the session.
    Close,
}

/// The client's own requests that a server has throttled. They are sent again together, a ping
/// interval after the first.
#[derive(Debug, Default)]
pub(super) struct Throttled {
    pub(super) due: Option<Instant>,
    /// Removals of watches, by path.
    pub(super) unwatches: Vec<(Arc<str>, Left)>,
    /// The end of the session.
    pub(super) close: bool,
}

/// The connection to a server.
#[derive(Debug)]
pub(super) struct Connection {
    /// From the start of the handshake to the end of the connection.
    pub(super) link: Option<Link<ReplyTarget>>,
    /// Whether the client accepts read-only servers.
    pub(super) accepts_read_only: bool,
    /// Whether the server that serves the session is read-only.
    pub(super) is_read_only: bool,
    /// Batches of watches that the server has not answered.
    pub(super) batches: usize,
    pub(super) throttled: Throttled,
}

impl Connection {
    pub(super) fn new(accepts_read_only: bool) -> Self {
        Connection {
            link: None,
            accepts_read_only,
            is_read_only: false,
            batches: 0,
            throttled: Throttled::default(),
        }
    }

    /// Whether a server has answered the handshake.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_open)
    }

    /// The link, once a server has answered the handshake.
    #[inline]
    pub(super) fn open_link(&mut self) -> Option<&mut Link<ReplyTarget>> {
        self.link.as_mut().filter(|link| link.is_open())
    }

    /// Whether there is output to be sent.
    pub(super) fn has_output(&self) -> bool {
        self.link
            .as_ref()
            .is_some_and(|link| link.pending_output() > 0)
    }

    /// Whether a request that has been sent has no reply yet.
    pub(super) fn awaits_reply(&self) -> bool {
        self.link.as_ref().is_some_and(Link::awaits_reply)
    }

    /// Whether the server has not accepted all credentials yet, or there is no connection.
    pub(super) fn awaits_auth(&self) -> bool {
        self.link.as_ref().is_none_or(Link::awaits_auth)
    }

    /// Whether a login is under way.
    pub(super) fn is_logging_in(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_logging_in)
    }

    /// The server has answered a batch of watches.
    pub(super) fn batch_answered(&mut self) {
        self.batches = self.batches.saturating_sub(1);
    }

    /// When a step of this connection alone is due: a ping, its timeout, or throttled requests.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let link = self.link.as_ref()?.poll_timeout();
        Some(self.throttled.due.map_or(link, |due| due.min(link)))
    }

    /// Pings, or ends the connection because the server did not answer.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        match &mut self.link {
            Some(link) => link.handle_timeout(now),
            None => Err(Disconnect::Local),
        }
    }
}

//! Which server is next, and whether the client is leaving the one it is connected to.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zk_proto::HostPort;
use zk_transport::{Attempt, BackoffPolicy, Disconnect, Hosts, Link};

/// The list of servers and the move to another one.
#[derive(Debug)]
pub(crate) struct Relocation {
    pub(crate) hosts: Hosts,
    /// The deadline for leaving the connection for one to another server.
    moving: Option<Instant>,
}

impl Relocation {
    pub(crate) fn new() -> Self {
        Relocation {
            hosts: Hosts::new(Vec::new(), BackoffPolicy::default(), 0),
            moving: None,
        }
    }

    /// The next server to try.
    pub(crate) fn next_attempt(&mut self) -> Option<Attempt> {
        self.moving = None;
        self.hosts.next_attempt()
    }

    /// Begins to leave the server: requests are held back for the next one, and the connection ends
    /// once those in flight have been answered, so that no write ends with an unknown outcome. A server
    /// that has not answered them after a third of the session's `timeout` is left nevertheless.
    pub(crate) fn begin(&mut self, now: Instant, timeout: Duration) {
        self.moving.get_or_insert(now + timeout / 3);
    }

    /// Whether the server of the current attempt, or connection, is to be left.
    #[inline]
    pub(crate) fn is_moving(&self) -> bool {
        self.moving.is_some()
    }

    /// The next attempt goes to this server, at this of its addresses if it has several.
    pub(crate) fn prefer(&mut self, host: HostPort, address: Option<SocketAddr>) {
        if let Some(address) = address {
            self.hosts.prefer_address(&host, address);
        }
        self.hosts.prefer(host);
    }

    /// The next attempt goes to the current server again.
    pub(crate) fn prefer_current(&mut self) {
        if let Some(host) = self.hosts.current().cloned() {
            self.hosts.prefer(host);
        }
    }

    /// When [`check`](Self::check) will end the connection, if the client is leaving it.
    pub(crate) fn poll<T>(&self, link: Option<&Link<T>>) -> Option<Instant> {
        let (deadline, link) = (self.moving?, link?);
        Some(if is_quiet(link) {
            deadline.min(link.last_received())
        } else {
            deadline
        })
    }

    /// Ends the connection with [`Disconnect::Moving`] if it is time to leave.
    #[inline]
    pub(crate) fn check<T>(&self, now: Instant, link: Option<&Link<T>>) -> Result<(), Disconnect> {
        match (self.moving, link) {
            (Some(deadline), Some(link)) if is_quiet(link) || deadline <= now => {
                Err(Disconnect::Moving)
            }
            _ => Ok(()),
        }
    }
}

/// Whether no request is in flight.
fn is_quiet<T>(link: &Link<T>) -> bool {
    link.in_flight() == 0 && !link.awaits_auth()
}

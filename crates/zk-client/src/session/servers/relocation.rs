//! Which server is next, and whether the client is leaving the one it is connected to.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zk_proto::HostPort;
use zk_transport::{Attempt, BackoffPolicy, Disconnect, Hosts, Link};

/// The list of servers and the move to another one.
#[derive(Debug)]
pub(crate) struct Relocation {
    pub(crate) hosts: Hosts,
    /// The connection is to be left for one to another server.
    moving: Option<Move>,
    /// When the next attempt begins, or the one under way has begun.
    planned: Option<Instant>,
}

/// A move to another server.
#[derive(Debug, Clone, Copy)]
struct Move {
    /// How long the requests in flight may take.
    deadline: Instant,
    /// At the deadline the client stays: requests matter more than the server that it is connected to.
    optional: bool,
}

impl Relocation {
    pub(crate) fn new() -> Self {
        Relocation {
            hosts: Hosts::new(Vec::new(), BackoffPolicy::default(), 0),
            moving: None,
            planned: None,
        }
    }

    /// The next server to try.
    pub(crate) fn next_attempt(&mut self) -> Option<Attempt> {
        self.moving = None;
        self.hosts.next_attempt()
    }

    /// The next attempt begins at this time; `None` if that is later than the clock goes.
    pub(crate) fn plan(&mut self, due: Option<Instant>) {
        self.planned = due;
    }

    /// When the next attempt begins, or the one under way has begun, if it is to this server.
    pub(crate) fn planned(&self, host: &HostPort) -> Option<Instant> {
        self.planned.filter(|_| self.hosts.current() == Some(host))
    }

    /// Begins to leave the server: requests are held back for the next one, and the connection ends
    /// once those in flight have been answered, so that no write ends with an unknown outcome. A server
    /// that has not answered them after a third of the session's `timeout` is left nevertheless.
    pub(crate) fn begin(&mut self, now: Instant, timeout: Duration) {
        let deadline = now + timeout / 3;
        let moving = self.moving.get_or_insert(Move {
            deadline,
            optional: false,
        });
        moving.optional = false;
    }

    /// As [`begin`](Self::begin), for a server that may be kept as well: if it has not answered in this time, it
    /// is not left.
    pub(crate) fn begin_optional(&mut self, now: Instant, timeout: Duration) {
        self.moving.get_or_insert(Move {
            deadline: now + timeout / 3,
            optional: true,
        });
    }

    /// Gives up an optional move whose deadline has passed while requests are in flight. Whether it did.
    pub(crate) fn give_up<T>(&mut self, now: Instant, link: Option<&Link<T>>) -> bool {
        let gives_up = matches!(self.moving, Some(it) if it.optional && it.deadline <= now)
            && !link.is_some_and(is_quiet);
        if gives_up {
            self.moving = None;
            self.hosts.stay();
        }
        gives_up
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

    /// When [`check`](Self::check) will end the connection, or [`give_up`](Self::give_up) the move, if the
    /// client is leaving the server.
    pub(crate) fn poll<T>(&self, link: Option<&Link<T>>) -> Option<Instant> {
        let (Move { deadline, .. }, link) = (self.moving?, link?);
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
            (Some(it), Some(link)) if is_quiet(link) || (it.deadline <= now && !it.optional) => {
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

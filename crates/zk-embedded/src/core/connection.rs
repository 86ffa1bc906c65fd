//! The state of a client's connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use zk_proto::{Id, Xid};
use zk_transport::sasl::DigestMd5Server;

use crate::core::output::Output;

/// A connection, numbered in the order in which they were opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// The origin of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// A socket.
    Socket(SocketAddr),
    /// This process. For the scheme `ip` its address is 127.0.0.1.
    Memory,
}

impl Peer {
    pub(crate) fn ip(self) -> IpAddr {
        match self {
            Self::Socket(address) => address.ip(),
            Self::Memory => IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// As the four-letter words print it.
    pub(crate) fn text(self, id: ConnectionId) -> String {
        match self {
            Self::Socket(address) => format!("/{address}"),
            Self::Memory => format!("/127.0.0.1:{}", id.0 % 65_536),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) member: usize,
    pub(crate) peer: Peer,
    /// `None` until the handshake.
    pub(crate) session: Option<i64>,
    pub(crate) auth: Vec<Id>,
    /// The SASL exchange that is under way.
    pub(crate) login: Option<DigestMd5Server>,
    pub(crate) output: Output,
    /// No more requests are executed; waiting output is sent, then the connection closes.
    pub(crate) closing: bool,
    /// Whether the connection is in the queue of [`Connections`](super::connections::Connections).
    pub(crate) ready: bool,
    pub(crate) stats: ConnectionStats,
}

/// Frames and four-letter words received, and frames and texts sent.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Traffic {
    /// The sum, which wraps around so that differences can be added.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            received: self.received.wrapping_add(other.received),
            sent: self.sent.wrapping_add(other.sent),
        }
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        Self {
            received: self.received.wrapping_sub(other.received),
            sent: self.sent.wrapping_sub(other.sent),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionStats {
    pub(crate) traffic: Traffic,
    pub(crate) established: i64,
    pub(crate) last_op: &'static str,
    pub(crate) last_xid: Xid,
    pub(crate) last_zxid: i64,
    pub(crate) last_seen: Instant,
}

impl Connection {
    pub(crate) fn new(member: usize, peer: Peer, now: Instant, wall: i64) -> Self {
        Self {
            member,
            peer,
            session: None,
            auth: vec![Id::new("ip", peer.ip().to_string())],
            login: None,
            output: Output::default(),
            closing: false,
            ready: false,
            stats: ConnectionStats {
                traffic: Traffic::default(),
                established: wall,
                last_op: "NA",
                last_xid: -1,
                last_zxid: -1,
                last_seen: now,
            },
        }
    }

    /// Sets the counters to zero.
    pub(crate) fn reset_stats(&mut self) {
        self.stats = ConnectionStats {
            traffic: Traffic::default(),
            last_op: "NA",
            last_xid: -1,
            last_zxid: -1,
            ..self.stats
        };
    }

    pub(crate) fn authenticate(&mut self, id: Id) {
        if !self.auth.contains(&id) {
            self.auth.push(id);
        }
    }
}

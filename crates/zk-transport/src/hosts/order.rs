//! In which order servers are tried, and which of them a client should be connected to.

use std::fmt;
use std::sync::Arc;

use zk_proto::HostPort;

/// A rank of a server: the lower, the more it is preferred.
pub type Rank = Arc<dyn Fn(&HostPort) -> u32 + Send + Sync>;

/// In which order the servers of a list are tried.
///
/// In an order with a preference, a client that is connected to a less preferred server can
/// [look for a better one](super::Hosts::better) and return to it.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum HostOrder {
    /// Shuffled once, then round robin: the clients of an ensemble are spread evenly.
    #[default]
    Shuffled,
    /// As in the list, from its first server on after each lost connection, and the addresses of a name as
    /// the resolver returns them. A client stays with the server that it has reached. A server whose
    /// connections were lost twice within a minute, as one whose handshakes fail, comes last for a while.
    AsGiven,
    /// As [`AsGiven`](Self::AsGiven), and each server is preferred to those behind it.
    FirstAvailable,
    /// By the ranks that this function returns, servers of equal rank shuffled. The function is called
    /// once for each server of a list, and must not block.
    Ranked(Rank),
    /// By the time that a server takes to accept a connection and to answer, the shortest of the last three,
    /// as far as it is known; the others shuffled, before those that are slower than half a second.
    Nearest,
}

impl HostOrder {
    /// Prefers the servers for which `rank` is lower; those of equal rank are shuffled.
    pub fn ranked(rank: impl Fn(&HostPort) -> u32 + Send + Sync + 'static) -> Self {
        HostOrder::Ranked(Arc::new(rank))
    }

    /// Whether lists are shuffled.
    pub(super) fn shuffles(&self) -> bool {
        match self {
            HostOrder::Shuffled | HostOrder::Ranked(_) | HostOrder::Nearest => true,
            HostOrder::AsGiven | HostOrder::FirstAvailable => false,
        }
    }

    /// Whether each round of attempts begins with the first server, and not with the one behind the
    /// last that was tried.
    pub(super) fn begins_anew(&self) -> bool {
        !matches!(self, HostOrder::Shuffled)
    }

    /// Whether some servers are preferred to others.
    pub fn prefers(&self) -> bool {
        !matches!(self, HostOrder::Shuffled | HostOrder::AsGiven)
    }
}

impl fmt::Debug for HostOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HostOrder::Shuffled => "Shuffled",
            HostOrder::AsGiven => "AsGiven",
            HostOrder::FirstAvailable => "FirstAvailable",
            HostOrder::Ranked(_) => "Ranked",
            HostOrder::Nearest => "Nearest",
        })
    }
}

//! What a client knows of the servers in its list.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zk_proto::HostPort;
use zk_transport::Disconnect;

use crate::session::servers::health::Failed;

/// A server of a client's list, and what is wrong with it: see [`Client::hosts`](crate::Client::hosts).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostInfo {
    /// Its name in the list.
    pub host: HostPort,
    /// Whether it serves the client now.
    pub connected: bool,
    /// Whether it is tried only once the others have failed, because the ensemble's configuration does
    /// not name it.
    pub fallback: bool,
    /// The addresses of a name that has several, as of the last attempt or lookup; empty if it has one, or
    /// was not looked up.
    pub addresses: Vec<AddressInfo>,
    /// The failures to dial it, and those after a connection to its only address; `None` if it has served
    /// the client since.
    pub failure: Option<HostFailure>,
    /// How long until the next attempt, if that is to this server; zero while it is under way.
    pub next_attempt: Option<Duration>,
}

/// An address of a name that has several.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressInfo {
    /// The address.
    pub address: SocketAddr,
    /// Whether it serves the client now.
    pub connected: bool,
    /// The failures of connections to it; `None` if it has served the client since.
    pub failure: Option<HostFailure>,
    /// For how long the other addresses are tried before this one, because connections to it have failed.
    pub put_back: Option<Duration>,
}

/// The failures of a server or an address since it last served the client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostFailure {
    /// How many attempts and connections in a row have failed.
    pub count: u32,
    /// Why the last of them has failed.
    pub reason: Disconnect,
    /// How long ago that was; zero for a refused login, which ends the client.
    pub ago: Duration,
}

impl HostFailure {
    pub(super) fn of(failed: &Failed, now: Instant) -> Self {
        HostFailure {
            count: failed.count,
            reason: failed.reason.clone(),
            ago: (failed.at).map_or(Duration::ZERO, |at| now.saturating_duration_since(at)),
        }
    }
}

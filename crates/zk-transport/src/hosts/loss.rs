//! A server that served a session and then lost the client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zk_proto::HostPort;

/// A loss this long after the one before it, or after the time for which that has put the server back, is
/// not a repeated one.
const REPEATED_WITHIN: Duration = Duration::from_secs(60);

/// Connections to one server that have served a session and were lost.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) host: HostPort,
    /// The address, of a name with several.
    pub(super) address: Option<SocketAddr>,
    /// How many of them were repeated.
    pub(super) repeated: u32,
    /// Until when the server is tried last; the time of the loss if that was the first.
    pub(super) until: Instant,
}

impl Loss {
    pub(super) fn host(&self) -> &HostPort {
        &self.host
    }

    pub(super) fn is_recent(&self, now: Instant) -> bool {
        now < self.until + REPEATED_WITHIN
    }
}

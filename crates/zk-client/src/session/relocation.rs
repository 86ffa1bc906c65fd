//! The list of servers, and leaving one of them in good order.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Instant;

use zk_proto::HostPort;
use zk_transport::{Attempt, Disconnect, Hosts, Link, NoHosts};

use crate::session::{Closing, Core};

impl Core {
    /// The servers there are, before the driver looks for one.
    pub(crate) fn preset_hosts(&mut self, hosts: Hosts) {
        self.follow.set_given(hosts.iter().cloned().collect());
        self.hosts = hosts;
    }

    /// The next server to try.
    pub(crate) fn next_attempt(&mut self) -> Option<Attempt> {
        self.moving = None;
        self.hosts.next_attempt()
    }

    /// The server that is being served from.
    pub(crate) fn server(&self) -> Option<&HostPort> {
        self.hosts.current().filter(|_| self.is_connected())
    }

    /// The client is given other servers. If the rebalancing rule says so, it moves.
    pub(crate) fn update_hosts(
        &mut self,
        now: Instant,
        hosts: Vec<HostPort>,
    ) -> Result<(), NoHosts> {
        let moves = self.hosts.update(hosts.clone())?;
        self.follow.set_given(hosts);
        self.adopted(now, moves);
        Ok(())
    }

    /// The list of servers has changed. `moves` if this client is to leave the server it is on.
    pub(super) fn adopted(&mut self, now: Instant, moves: bool) {
        if moves {
            self.begin_move(now);
        }
        let known: HashSet<_> = self.hosts.iter().map(HostPort::to_string).collect();
        self.failures.retain(|(host, _), _| known.contains(host));
        // The driver may wait for there to be any.
        self.wake_driver();
    }

    /// Leaves the server: requests are held back for the next one, and the connection ends once
    /// those in flight have been answered, so that no write is made unknown. A server that does
    /// not answer for a third of the session's time is left nevertheless.
    pub(crate) fn begin_move(&mut self, now: Instant) {
        let patience = self.session.timeout() / 3;
        self.moving.get_or_insert(now + patience);
        self.wake_driver();
    }

    /// Whether the server of the current attempt, or connection, is to be left.
    pub(crate) fn is_moving(&self) -> bool {
        self.moving.is_some()
    }

    /// Whether a request goes onto the wire now.
    pub(super) fn takes_requests(&self) -> bool {
        let rearming = self.registry.is_rearming() && !zk_proto::seeded_bug!("B58");
        self.is_connected() && self.moving.is_none() && !rearming && !self.awaits_features
    }

    /// Whether the server that is being served from is read-only, and not to be left yet.
    pub(crate) fn wants_read_write(&self) -> bool {
        let open = matches!(self.closing, Closing::No | Closing::Draining { .. });
        self.on_read_only && self.takes_requests() && open
    }

    /// A server has been found that has a quorum, at this of its addresses if it has several.
    pub(crate) fn move_to(&mut self, now: Instant, host: HostPort, address: Option<SocketAddr>) {
        if self.wants_read_write() {
            if let Some(address) = address {
                self.hosts.prefer_address(&host, address);
            }
            self.hosts.prefer(host);
            self.begin_move(now);
        }
    }

    /// When [`check_move`](Self::check_move) has something to say.
    pub(super) fn poll_move(&self) -> Option<Instant> {
        let (deadline, link) = (self.moving?, self.link.as_ref()?);
        Some(if is_quiet(link) {
            deadline.min(link.last_received())
        } else {
            deadline
        })
    }

    /// Whether it is time to leave.
    pub(super) fn check_move(&self, now: Instant) -> Result<(), Disconnect> {
        match (self.moving, &self.link) {
            (Some(deadline), Some(link)) if is_quiet(link) || deadline <= now => {
                Err(Disconnect::Moving)
            }
            _ => Ok(()),
        }
    }
}

/// Whether nothing is on its way over it.
fn is_quiet<T>(link: &Link<T>) -> bool {
    link.in_flight() == 0 && !link.awaits_auth()
}

//! The list of servers, and the move to another of them.

use std::net::SocketAddr;
use std::time::Instant;

use zk_proto::HostPort;
use zk_transport::{Attempt, Disconnect, Hosts, NoHosts};

use crate::session::Core;

impl Core {
    /// The list of servers, before the driver connects to one.
    pub(crate) fn preset_hosts(&mut self, hosts: Hosts) {
        self.config.set_given(hosts.iter().cloned().collect());
        self.relocation.hosts = hosts;
    }

    /// The next server to try.
    pub(crate) fn next_attempt(&mut self) -> Option<Attempt> {
        self.relocation.next_attempt()
    }

    /// The server of the connection, if it is open.
    pub(crate) fn server(&self) -> Option<&HostPort> {
        let current = self.relocation.hosts.current();
        current.filter(|_| self.is_connected())
    }

    /// The client is given other servers. If the rebalancing rule says so, it moves.
    pub(crate) fn update_hosts(
        &mut self,
        now: Instant,
        hosts: Vec<HostPort>,
    ) -> Result<(), NoHosts> {
        let moves = self.relocation.hosts.update(hosts.clone())?;
        self.config.set_given(hosts);
        self.adopted(now, moves);
        Ok(())
    }

    /// The list of servers has changed. `moves` if this client is to leave the current server.
    pub(in crate::session) fn adopted(&mut self, now: Instant, moves: bool) {
        if moves {
            self.begin_move(now);
        }
        self.health.retain(&self.relocation.hosts);
        // The driver may wait for the first server.
        self.wakeups.wake_driver();
    }

    /// Leaves the server for another one.
    pub(crate) fn begin_move(&mut self, now: Instant) {
        self.relocation.begin(now, self.session.timeout());
        self.wakeups.wake_driver();
    }

    /// Whether the server of the current attempt, or connection, is to be left.
    pub(crate) fn is_moving(&self) -> bool {
        self.relocation.is_moving()
    }

    /// Whether the current server is read-only, and not to be left yet.
    pub(crate) fn wants_read_write(&self) -> bool {
        let open = self.shutdown.accepts_cleanups();
        self.connection.is_read_only && self.takes_requests() && open
    }

    /// A server has been found that has a quorum, at this of its addresses if it has several.
    pub(crate) fn move_to(&mut self, now: Instant, host: HostPort, address: Option<SocketAddr>) {
        if self.wants_read_write() {
            self.relocation.prefer(host, address);
            self.begin_move(now);
        }
    }

    /// Ends the connection if it is time to leave the server.
    #[inline]
    pub(in crate::session) fn check_move(&self, now: Instant) -> Result<(), Disconnect> {
        self.relocation.check(now, self.connection.link.as_ref())
    }
}

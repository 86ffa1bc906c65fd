//! The list of servers, and the move to another of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zk_proto::HostPort;
use zk_transport::{Attempt, Disconnect, Hosts, NoHosts};

use crate::error::Outcome;
use crate::session::Core;
use crate::session::failure::Failure;
use crate::session::state::State;

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

    /// The address of that server, if the connection has one.
    pub(crate) fn server_address(&self) -> Option<SocketAddr> {
        let (hosts, server) = (&self.relocation.hosts, self.server()?);
        // The list has the address only once the driver has noted that the session is served; and a later lookup
        // replaces the addresses of the name.
        let dialled = || hosts.addresses_of(server)?.current();
        hosts.connected_address(server).or_else(dialled)
    }

    /// All servers of the list, in its order.
    pub(crate) fn listed_servers(&self) -> Vec<HostPort> {
        self.relocation.hosts.iter().cloned().collect()
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
        let hosts = &self.relocation.hosts;
        let is_listed = hosts
            .current()
            .is_some_and(|host| hosts.iter().any(|it| it == host));
        match moves {
            // Requests matter more than an equal share of clients for each server.
            true if is_listed => self.begin_optional_move(now),
            true => self.begin_move(now),
            false => {}
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

    /// Leaves the server for another one, unless it does not answer the requests in flight in time.
    fn begin_optional_move(&mut self, now: Instant) {
        let timeout = self.session.timeout();
        self.relocation.begin_optional(now, timeout);
        self.wakeups.wake_driver();
    }

    /// Stays with the server if an optional move has waited for too long.
    pub(in crate::session) fn give_up_move(&mut self, now: Instant) {
        if self.relocation.give_up(now, self.connection.link.as_ref()) && self.takes_requests() {
            self.release(now);
        }
    }

    /// Whether the server of the current attempt, or connection, is to be left.
    pub(crate) fn is_moving(&self) -> bool {
        self.relocation.is_moving()
    }

    /// The caller wants another server. Returns the one that is left; `None` without a connection, when
    /// the client looks for one anyway.
    pub(crate) fn leave_server(&mut self, now: Instant) -> Option<HostPort> {
        let server = self.server().cloned()?;
        if !self.is_moving() {
            self.relocation.hosts.leave(now);
        }
        // A move that is under way is not optional any more.
        self.begin_move(now);
        Some(server)
    }

    /// Before the first session, one failure of each server is final.
    pub(crate) fn preset_eager(&mut self) {
        self.health.set_eager();
    }

    /// After so many failed attempts to connect in a row, or after so long, the client gives up.
    pub(crate) fn preset_outage(&mut self, attempts: Option<u32>, duration: Option<Duration>) {
        if let Some(attempts) = attempts {
            self.outage.set_max_attempts(attempts);
        }
        if let Some(limit) = duration {
            self.outage.set_max_duration(limit);
        }
    }

    /// Ends the client if it has tried to connect for as long as it may.
    pub(crate) fn check_outage(&mut self, now: Instant) {
        if !self.is_closing() && self.outage.check(now) {
            self.finish(State::Closed, &Failure::Closed(Outcome::NotSent), false);
        }
    }

    /// Whether the client has ended because it could not connect.
    pub(crate) fn has_given_up(&self) -> bool {
        self.outage.given_up().is_some()
    }

    /// The servers that are preferred to that of the connection, the best first.
    pub(crate) fn preferred_servers(&mut self, now: Instant) -> Vec<HostPort> {
        match self.may_move() {
            true => self.relocation.hosts.better(now),
            false => Vec::new(),
        }
    }

    /// Whether the client is connected and not about to leave its server or to close.
    pub(crate) fn may_move(&self) -> bool {
        self.takes_requests() && self.shutdown.accepts_cleanups()
    }

    /// Whether this address of a server is tried last, because the client's connections to it have failed.
    pub(crate) fn is_put_back(&self, now: Instant, host: &HostPort, address: SocketAddr) -> bool {
        let of_host = self.relocation.hosts.addresses_of(host);
        let until = of_host.and_then(|it| it.put_back_until(&address));
        until.is_some_and(|until| now < until)
    }

    /// Leaves the server for this one if it is still preferred: the client may have changed servers while this one was
    /// asked. A write that takes long is not given up for it. Returns whether the client leaves.
    pub(crate) fn return_to(
        &mut self,
        now: Instant,
        host: &HostPort,
        address: Option<SocketAddr>,
    ) -> bool {
        let returns = self.preferred_servers(now).contains(host);
        if returns {
            self.relocation.prefer(host.clone(), address);
            self.begin_optional_move(now);
        }
        returns
    }

    /// The address of the connection, if it is one to this server and its address is known.
    pub(crate) fn connected_address(&self, host: &HostPort) -> Option<SocketAddr> {
        let hosts = &self.relocation.hosts;
        hosts
            .connected_address(host)
            .filter(|_| self.is_connected())
    }

    /// A name had the addresses `before` and has these now. If the rebalancing rule says so, the client
    /// moves.
    pub(crate) fn update_addresses(
        &mut self,
        now: Instant,
        host: &HostPort,
        before: &[SocketAddr],
        found: Vec<SocketAddr>,
    ) {
        let may_move = self.may_move();
        let hosts = &mut self.relocation.hosts;
        if !may_move {
            // It looks for a server already, or is about to.
            hosts.set_addresses(host, found);
        } else if hosts.update_addresses(host, before, found) {
            self.begin_optional_move(now);
        }
    }

    /// Whether the current server is read-only, and not to be left yet.
    pub(crate) fn wants_read_write(&self) -> bool {
        self.connection.is_read_only && self.may_move()
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

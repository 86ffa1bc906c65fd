//! What people and monitoring see of the client: statistics, events, failures of its servers.

use std::task::Waker;
use std::time::Instant;

use zk_proto::HostPort;
use zk_transport::{Disconnect, Link};

use crate::session::Core;
use crate::session::counters::CounterSnapshot;
use crate::session::servers::health::Verdict;
use crate::session::state::State;
use crate::session::state_readers::ReaderId;
use crate::session::statistics::Statistics;

impl Core {
    pub(crate) fn snapshot(&self, now: Instant) -> Statistics {
        let (watches, subscribers) = self.registry.counts();
        let delivered = self.registry.counters();
        let (counts, traffic) = (self.requests.counts(), self.counters.traffic());
        let volume = self.counters.volume();
        let link = self.connection.link.as_ref().filter(|link| link.is_open());
        let contact = link.map_or(self.session.last_contact(), Link::last_received);
        let pinged = link.and_then(Link::round_trip);
        let parked = self.requests.parked();
        Statistics {
            state: self.state(),
            session: self.session_info(),
            server: self.health.server().cloned().filter(|_| link.is_some()),
            last_zxid: self.session.last_zxid(),
            last_contact: now.saturating_duration_since(contact),
            ping: pinged.map(|pinged| pinged.last),
            ping_smoothed: pinged.map(|pinged| pinged.smoothed),
            outstanding: self.requests.outstanding(),
            parked: parked.clone().filter(|slot| slot.is_awaited()).count(),
            waiting: self.requests.waiting_calls(),
            queue_bytes: parked.map(|slot| slot.record.len()).sum::<usize>()
                + link.map_or(0, Link::pending_output),
            reads: counts.reads,
            writes: counts.writes,
            bytes_sent: volume.sent,
            bytes_received: volume.received,
            connections: traffic.connections,
            failed_connections: traffic.failed_connections,
            lost_connections: traffic.lost_connections,
            sessions: traffic.sessions,
            resumptions: traffic.resumptions,
            expiries: traffic.expiries,
            watches,
            subscribers,
            watch_events: delivered.events,
            watch_events_dropped: delivered.dropped,
            watch_gaps: delivered.gaps,
            rearm_batches: traffic.rearm_batches,
            rearmed_watches: traffic.rearmed_watches,
        }
    }

    /// This server is tried next.
    pub(crate) fn note_server(&mut self, host: &HostPort) {
        self.health.set_server(host);
    }

    /// This server is tried next. Returns the number of attempts since the session was last served.
    pub(crate) fn note_attempt(&mut self, host: &HostPort) -> u64 {
        self.health.begin_attempt(host)
    }

    /// The server connected to, or tried last, as text.
    pub(crate) fn server_name(&self) -> String {
        let server = self.health.server();
        server.map_or_else(String::new, HostPort::to_string)
    }

    /// What has changed since `before`: the next state that the reader has not read, and the counters.
    /// None if nothing has.
    pub(crate) fn poll_changes(
        &mut self,
        reader: ReaderId,
        before: &CounterSnapshot,
    ) -> Option<(Option<State>, CounterSnapshot)> {
        let state = self.state.read(reader);
        let (traffic, watches) = (self.counters.traffic(), self.registry.counters());
        let same = *traffic == before.traffic && watches == before.watches;
        #[cfg(feature = "metrics")]
        let same = same && self.counters.volume() == before.volume;
        if same && state.is_none() {
            return None;
        }
        let pinged = self.connection.link.as_ref().and_then(Link::round_trip);
        let snapshot = CounterSnapshot {
            traffic: *traffic,
            #[cfg(feature = "metrics")]
            volume: self.counters.volume(),
            watches,
            timeout: self.session.timeout(),
            ping: pinged.map(|pinged| pinged.last),
        };
        Some((state, snapshot))
    }

    /// How many connections have served the client.
    pub(crate) fn connections(&self) -> u64 {
        self.counters.traffic().connections
    }

    /// An attempt to connect has failed. Does not count if the client gave it up, or if a server has
    /// answered that the session is over.
    pub(crate) fn note_failed_connection(&mut self, reason: &Disconnect) {
        if !matches!(
            reason,
            Disconnect::Local | Disconnect::Moving | Disconnect::SessionExpired
        ) {
            self.counters.traffic_mut().failed_connections += 1;
            self.outage.note_failed_attempt();
        }
    }

    /// The last attempt at, or connection to, this server has failed.
    pub(crate) fn note_failure(&mut self, now: Instant, host: &HostPort, reason: Disconnect) {
        (self.health).note_failure(Some(now), &self.relocation.hosts, host, reason);
    }

    /// Why the servers do not accept this client, if they do not.
    pub(crate) fn refused_for(&self) -> Option<Disconnect> {
        self.auth.refused_for()
    }

    /// Before the first session: concludes that none is possible, if every attempt will fail.
    pub(crate) fn check_unreachable(&mut self) {
        if self.state() == State::Connecting {
            let wakes = &mut self.wakeups.wakers;
            (self.health).check_unreachable(&self.relocation.hosts, wakes);
        }
    }

    /// Why there will be no first session, once that is known; `waker` is woken then.
    pub(crate) fn poll_connect_verdict(&mut self, waker: &Waker) -> Option<Verdict> {
        self.health.poll_connect_verdict(waker)
    }

    /// The lookup of a service has failed with this `problem`, or has succeeded if that is empty.
    pub(crate) fn note_lookup(&mut self, service: &str, problem: String) {
        self.health.note_lookup(service, problem);
    }

    /// The last failure of each server, or each of its addresses, as text; or the driver's panic.
    pub(crate) fn failures(&self) -> String {
        match (&self.driver_panic, self.outage.given_up()) {
            (Some(panic), _) => format!("the client's driver panicked: {panic}"),
            (None, Some(given_up)) => format!("{given_up}: {}", self.health.describe()),
            (None, None) => self.health.describe(),
        }
    }
}

//! What is told of the client to people and to monitoring, and what is wrong with its servers.

use std::task::Waker;
use std::time::Instant;

use zk_proto::HostPort;
use zk_transport::{Addresses, Disconnect, Link};

use crate::session::Core;
use crate::session::state::{ReaderId, State};
use crate::session::statistics::Noticed;
use crate::session::statistics::Statistics;

impl Core {
    pub(crate) fn snapshot(&self, now: Instant) -> Statistics {
        let (watches, subscribers) = self.registry.counts();
        let (told, counts, traffic) = (self.registry.told(), &self.slots.counts, &self.traffic);
        let link = self.link.as_ref().filter(|link| link.is_open());
        let heard = link.map_or(self.session.heard(), Link::last_received);
        let pinged = link.and_then(Link::round_trip);
        let parked = self.parked.iter().filter_map(|key| self.slots.get(*key));
        Statistics {
            state: self.state,
            session: self.session_info(),
            server: self.server.clone().filter(|_| link.is_some()),
            last_zxid: self.session.last_zxid(),
            last_contact: now.saturating_duration_since(heard),
            ping: pinged.map(|pinged| pinged.last),
            ping_smoothed: pinged.map(|pinged| pinged.smoothed),
            outstanding: self.slots.len().saturating_sub(self.unwanted),
            parked: parked.clone().filter(|slot| slot.is_wanted()).count(),
            queue_bytes: parked.map(|slot| slot.record.len()).sum::<usize>()
                + link.map_or(0, Link::pending_output),
            reads: counts.reads,
            writes: counts.writes,
            bytes_sent: self.volume.sent,
            bytes_received: self.volume.received,
            connections: traffic.connections,
            failed_connections: traffic.failed_connections,
            lost_connections: traffic.lost_connections,
            sessions: traffic.sessions,
            resumptions: traffic.resumptions,
            expiries: traffic.expiries,
            watches,
            subscribers,
            watch_events: told.events,
            watch_events_dropped: told.dropped,
            watch_gaps: told.gaps,
            rearm_batches: traffic.rearm_batches,
            rearmed_watches: traffic.rearmed_watches,
        }
    }

    /// This server is tried next.
    pub(crate) fn note_server(&mut self, host: &HostPort) {
        self.server = Some(host.clone());
    }

    /// This server is tried next. Counts the attempts since the session was last served.
    pub(crate) fn note_attempt(&mut self, host: &HostPort) -> u64 {
        self.note_server(host);
        self.attempts += 1;
        self.attempts
    }

    /// The server connected to, or tried last, for people.
    pub(crate) fn server_name(&self) -> String {
        self.server
            .as_ref()
            .map_or_else(String::new, HostPort::to_string)
    }

    /// What there is to be told since `before`: the next state that the reader has not read, and what
    /// has happened so far. None, as mostly, if that is nothing new.
    pub(crate) fn news(
        &mut self,
        reader: ReaderId,
        before: &Noticed,
    ) -> Option<(Option<State>, Noticed)> {
        let state = self.readers.read(reader);
        let same = self.traffic == before.traffic && self.registry.told() == before.told;
        #[cfg(feature = "metrics")]
        let same = same && self.volume == before.volume;
        if same && state.is_none() {
            return None;
        }
        let pinged = self.link.as_ref().and_then(Link::round_trip);
        let noticed = Noticed {
            traffic: self.traffic,
            #[cfg(feature = "metrics")]
            volume: self.volume,
            told: self.registry.told(),
            timeout: self.session.timeout(),
            ping: pinged.map(|pinged| pinged.last),
        };
        Some((state, noticed))
    }

    /// An attempt to connect has failed, unless it was given up on this side, or a server has answered
    /// that the session is over.
    pub(crate) fn note_failed_connection(&mut self, reason: &Disconnect) {
        if !matches!(
            reason,
            Disconnect::Local | Disconnect::Moving | Disconnect::SessionExpired
        ) {
            self.traffic.failed_connections += 1;
        }
    }

    /// What was wrong with a server the last time.
    pub(crate) fn note_failure(&mut self, host: &HostPort, reason: Disconnect) {
        // Nothing, if it is this side that has turned away.
        if matches!(reason, Disconnect::Local | Disconnect::Moving) {
            return;
        }
        let addresses = self.hosts.addresses_of(host);
        let several = addresses.filter(|addresses| addresses.known().len() > 1);
        let (name, address) = (host.to_string(), several.and_then(Addresses::current));
        // A failure to dial is one of all addresses; those of former answers are no more.
        self.failures.retain(|(of, at), _| {
            let kept = at.is_some_and(|at| several.is_some_and(|all| all.known().contains(&at)));
            *of != name || (address.is_some() && kept)
        });
        self.failures.insert((name, address), reason);
    }

    /// Why the servers do not accept this client, if they do not.
    pub(crate) fn refused_for(&self) -> Option<Disconnect> {
        self.refused_for.clone()
    }

    /// Judges whether there is hope for a first session with these servers.
    pub(crate) fn judge(&mut self) {
        if self.state != State::Connecting {
            return;
        }
        let mut verdict = None;
        for host in self.hosts.iter() {
            match self.lasting_failure(host) {
                Some(reason) => verdict = Some(reason.clone()),
                None => return,
            }
        }
        self.hopeless = verdict;
        self.wakes.append(&mut self.hopeless_wakers);
    }

    /// What is wrong with a server, if it will be the same at the next attempt, at whichever of its
    /// addresses.
    fn lasting_failure(&self, host: &HostPort) -> Option<&Disconnect> {
        let name = host.to_string();
        let mut of_host = self.failures.iter().filter(|((of, _), _)| *of == name);
        let untried = self.hosts.addresses_of(host).is_some_and(|addresses| {
            let mut known = addresses.known().iter();
            known.any(|address| !addresses.is_tried(address))
        });
        let (_, first) = of_host.next().filter(|_| !untried)?;
        let lasting = first.is_lasting() && of_host.all(|(_, reason)| reason.is_lasting());
        lasting.then_some(first)
    }

    /// Why there will be no first session, once that is known.
    pub(crate) fn poll_hopeless(&mut self, waker: &Waker) -> Option<Disconnect> {
        if self.hopeless.is_none()
            && !self
                .hopeless_wakers
                .iter()
                .any(|known| known.will_wake(waker))
        {
            self.hopeless_wakers.push(waker.clone());
        }
        self.hopeless.clone()
    }

    /// What was wrong with the lookup of a service, if anything was.
    pub(crate) fn note_lookup(&mut self, service: &str, problem: String) {
        if problem.is_empty() {
            self.failures.remove(&(service.to_owned(), None));
        } else {
            let reason = Disconnect::Dial(format!("cannot look up the servers: {problem}"));
            self.failures.insert((service.to_owned(), None), reason);
        }
    }

    /// What was last wrong with each server, or each of its addresses, for people.
    pub(crate) fn failures(&self) -> String {
        if let Some(panic) = &self.driver_panic {
            return format!("the client's driver panicked: {panic}");
        }
        let said = self
            .failures
            .iter()
            .map(|((host, address), reason)| match address {
                Some(address) => format!("{host} at {address}: {reason}"),
                None => format!("{host}: {reason}"),
            });
        said.collect::<Vec<_>>().join("; ")
    }
}

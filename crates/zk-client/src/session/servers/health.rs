//! What was last wrong with each server, and whether a first session is possible at all.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::task::Waker;

use zk_proto::HostPort;
use zk_transport::{Addresses, Disconnect, Hosts};

/// The servers' failures since one last served the session.
#[derive(Debug, Default)]
pub(crate) struct ServerHealth {
    /// The server connected to, or tried last.
    server: Option<HostPort>,
    /// Attempts to connect since the session was last served.
    attempts: u64,
    /// The last failure of each server; of each address for a server that has several.
    failures: BTreeMap<(String, Option<SocketAddr>), Disconnect>,
    /// Why no attempt to establish the first session can succeed.
    verdict: Option<Disconnect>,
    /// Wakers of callers that wait for the first session, or for this verdict.
    verdict_wakers: Vec<Waker>,
}

impl ServerHealth {
    /// The server connected to, or tried last.
    pub(crate) fn server(&self) -> Option<&HostPort> {
        self.server.as_ref()
    }

    /// This server is tried next.
    pub(crate) fn set_server(&mut self, host: &HostPort) {
        self.server = Some(host.clone());
    }

    /// This server is tried next. Returns the number of attempts since the session was last served.
    pub(crate) fn begin_attempt(&mut self, host: &HostPort) -> u64 {
        self.set_server(host);
        self.attempts += 1;
        self.attempts
    }

    /// A server serves the session.
    pub(crate) fn handle_served(&mut self) {
        self.failures.clear();
        self.attempts = 0;
    }

    /// The last attempt at, or connection to, this server has failed.
    pub(crate) fn note_failure(&mut self, hosts: &Hosts, host: &HostPort, reason: Disconnect) {
        // It was the client that ended the connection.
        if matches!(reason, Disconnect::Local | Disconnect::Moving) {
            return;
        }
        let addresses = hosts.addresses_of(host);
        let several = addresses.filter(|addresses| addresses.known().len() > 1);
        let (name, address) = (host.to_string(), several.and_then(Addresses::current));
        // A failure to dial replaces those of all addresses. Addresses that the last lookup did not
        // return are removed.
        self.failures.retain(|(of, at), _| {
            let kept = at.is_some_and(|at| several.is_some_and(|all| all.known().contains(&at)));
            *of != name || (address.is_some() && kept)
        });
        self.failures.insert((name, address), reason);
    }

    /// The last failure of the current server, if there is a current server.
    pub(crate) fn note_current_failure(&mut self, hosts: &Hosts, reason: Disconnect) {
        if let Some(server) = self.server.clone() {
            self.note_failure(hosts, &server, reason);
        }
    }

    /// The lookup of a service has failed with this `problem`, or has succeeded if that is empty.
    pub(crate) fn note_lookup(&mut self, service: &str, problem: String) {
        if problem.is_empty() {
            self.failures.remove(&(service.to_owned(), None));
        } else {
            let reason = Disconnect::Dial(format!("cannot look up the servers: {problem}"));
            self.failures.insert((service.to_owned(), None), reason);
        }
    }

    /// The list of servers has changed: forgets the failures of those that are no longer in it.
    pub(crate) fn retain(&mut self, hosts: &Hosts) {
        let known: HashSet<_> = hosts.iter().map(HostPort::to_string).collect();
        self.failures.retain(|(host, _), _| known.contains(host));
    }

    /// Concludes that no first session is possible if each server has a failure that will be the same
    /// at the next attempt.
    pub(crate) fn check_unreachable(&mut self, hosts: &Hosts, wakes: &mut Vec<Waker>) {
        let mut verdict = None;
        for host in hosts.iter() {
            match self.lasting_failure(hosts, host) {
                Some(reason) => verdict = Some(reason.clone()),
                None => return,
            }
        }
        self.verdict = verdict;
        wakes.append(&mut self.verdict_wakers);
    }

    /// The failure of a server, if every attempt will fail like this, at each of its addresses.
    fn lasting_failure(&self, hosts: &Hosts, host: &HostPort) -> Option<&Disconnect> {
        let name = host.to_string();
        let mut of_host = self.failures.iter().filter(|((of, _), _)| *of == name);
        let untried = hosts.addresses_of(host).is_some_and(|addresses| {
            let mut known = addresses.known().iter();
            known.any(|address| !addresses.is_tried(address))
        });
        let (_, first) = of_host.next().filter(|_| !untried)?;
        let lasting = first.is_lasting() && of_host.all(|(_, reason)| reason.is_lasting());
        lasting.then_some(first)
    }

    /// Why there will be no first session, once that is known; `waker` is woken then.
    pub(crate) fn poll_connect_verdict(&mut self, waker: &Waker) -> Option<Disconnect> {
        if self.verdict.is_none()
            && !(self.verdict_wakers.iter()).any(|known| known.will_wake(waker))
        {
            self.verdict_wakers.push(waker.clone());
        }
        self.verdict.clone()
    }

    /// The last failure of each server, or each of its addresses, as text.
    pub(crate) fn describe(&self) -> String {
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

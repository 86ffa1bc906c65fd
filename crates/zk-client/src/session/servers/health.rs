//! What was last wrong with each server, and whether a first session is possible at all.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::task::Waker;
use std::time::Instant;

use zk_proto::HostPort;
use zk_transport::{Addresses, Disconnect, Hosts};

/// The failures of a server, or of one of its addresses, since it last served the session.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    /// The last one.
    pub(crate) reason: Disconnect,
    /// When it was; not known of a refused login, which ends the client.
    pub(crate) at: Option<Instant>,
    /// How many there were in a row.
    pub(crate) count: u32,
    /// Whether no server has served the session since.
    is_open: bool,
}

/// Why no attempt to establish the first session can succeed, or will be waited for.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) reason: Disconnect,
    /// Whether every attempt will end like this.
    pub(crate) is_lasting: bool,
}

/// What is wrong with each server.
#[derive(Debug, Default)]
pub(crate) struct ServerHealth {
    /// The server connected to, or tried last.
    server: Option<HostPort>,
    /// Attempts to connect since the session was last served.
    attempts: u64,
    /// The last failure of each server; of each address for a server that has several.
    failures: BTreeMap<(String, Option<SocketAddr>), Failed>,
    /// Whether each server has only one chance before the first session.
    is_eager: bool,
    verdict: Option<Verdict>,
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

    /// Before the first session, one failure of each server is final.
    pub(crate) fn set_eager(&mut self) {
        self.is_eager = true;
    }

    /// The current server serves the session.
    pub(crate) fn handle_served(&mut self, hosts: &Hosts) {
        self.attempts = 0;
        let server = self.server.as_ref();
        let address = server.and_then(|host| hosts.addresses_of(host)?.current());
        let name = server.map(HostPort::to_string).unwrap_or_default();
        self.failures.retain(|(of, at), failed| {
            failed.is_open = false;
            *of != name || (at.is_some() && *at != address)
        });
    }

    /// The last failure of this server, or of this one of its addresses.
    pub(crate) fn failure(&self, host: &HostPort, address: Option<SocketAddr>) -> Option<&Failed> {
        self.failures.get(&(host.to_string(), address))
    }

    /// The failures since a server last served the session.
    fn open(&self) -> impl Iterator<Item = (&(String, Option<SocketAddr>), &Disconnect)> {
        let open = self.failures.iter().filter(|(_, failed)| failed.is_open);
        open.map(|(of, failed)| (of, &failed.reason))
    }

    /// The last attempt at, or connection to, this server has failed.
    pub(crate) fn note_failure(
        &mut self,
        now: Option<Instant>,
        hosts: &Hosts,
        host: &HostPort,
        reason: Disconnect,
    ) {
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
            *of != name || (address.is_some() && kept) || (address.is_none() && at.is_none())
        });
        self.insert((name, address), now, reason);
    }

    fn insert(
        &mut self,
        of: (String, Option<SocketAddr>),
        now: Option<Instant>,
        reason: Disconnect,
    ) {
        let before = self.failures.get(&of).map_or(0, |failed| failed.count);
        let failed = Failed {
            reason,
            at: now,
            count: before.saturating_add(1),
            is_open: true,
        };
        self.failures.insert(of, failed);
    }

    /// The last failure of the current server, if there is a current server.
    pub(crate) fn note_current_failure(&mut self, hosts: &Hosts, reason: Disconnect) {
        if let Some(server) = self.server.clone() {
            self.note_failure(None, hosts, &server, reason);
        }
    }

    /// The lookup of a service has failed with this `problem`, or has succeeded if that is empty.
    pub(crate) fn note_lookup(&mut self, service: &str, problem: String) {
        if problem.is_empty() {
            self.failures.remove(&(service.to_owned(), None));
        } else {
            let reason = Disconnect::Dial(format!("cannot look up the servers: {problem}"));
            self.insert((service.to_owned(), None), None, reason);
        }
    }

    /// The list of servers has changed: forgets the failures of those that are no longer in it.
    pub(crate) fn retain(&mut self, hosts: &Hosts) {
        let known: HashSet<_> = hosts.iter().map(HostPort::to_string).collect();
        self.failures.retain(|(host, _), _| known.contains(host));
    }

    /// Concludes that no first session is possible if each server has a failure that will be the same
    /// at the next attempt; of an eager client, any failure.
    pub(crate) fn check_unreachable(&mut self, hosts: &Hosts, wakes: &mut Vec<Waker>) {
        let mut reasons = Vec::new();
        for host in hosts.iter() {
            match self.whole_failure(hosts, host) {
                Some((reason, is_lasting)) if is_lasting || self.is_eager => {
                    reasons.push((reason.clone(), is_lasting));
                }
                _ => return,
            }
        }
        let is_lasting = reasons.iter().all(|(_, is_lasting)| *is_lasting);
        let Some((reason, _)) = reasons.pop() else {
            return;
        };
        self.verdict = Some(Verdict { reason, is_lasting });
        wakes.append(&mut self.verdict_wakers);
    }

    /// The failure of a server that has failed at each of its addresses, and whether every attempt will
    /// fail like this.
    fn whole_failure(&self, hosts: &Hosts, host: &HostPort) -> Option<(&Disconnect, bool)> {
        let name = host.to_string();
        let of_host: Vec<_> = self.open().filter(|((of, _), _)| *of == name).collect();
        let untried = hosts.addresses_of(host).is_some_and(|addresses| {
            let mut known = addresses.known().iter();
            known.any(|address| !addresses.is_tried(address))
        });
        let (_, first) = of_host.first().filter(|_| !untried)?;
        let is_lasting = of_host.iter().all(|(_, reason)| reason.is_lasting());
        Some((first, is_lasting))
    }

    /// Why there will be no first session, once that is known; `waker` is woken then.
    pub(crate) fn poll_connect_verdict(&mut self, waker: &Waker) -> Option<Verdict> {
        if self.verdict.is_none()
            && !(self.verdict_wakers.iter()).any(|known| known.will_wake(waker))
        {
            self.verdict_wakers.push(waker.clone());
        }
        self.verdict.clone()
    }

    /// The last failure of each server, or each of its addresses, as text.
    pub(crate) fn describe(&self) -> String {
        let said = self.open().map(|((host, address), reason)| match address {
            Some(address) => format!("{host} at {address}: {reason}"),
            None => format!("{host}: {reason}"),
        });
        said.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use zk_transport::BackoffPolicy;

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    fn hosts() -> Hosts {
        let list = ["a", "b"].map(|name| HostPort {
            host: name.to_owned(),
            port: 2181,
        });
        Hosts::new(list.to_vec(), BackoffPolicy::default(), 7)
    }

    #[test]
    fn attempts_count_until_one_is_served() {
        let (mut health, hosts) = (ServerHealth::default(), hosts());
        let host = hosts.iter().next().unwrap();
        assert_eq!([1, 2, 3].map(|_| health.begin_attempt(host)), [1, 2, 3]);
        assert_eq!(health.server(), Some(host));
        health.handle_served(&hosts);
        assert_eq!(health.begin_attempt(host), 1);
    }

    #[test]
    fn a_lookups_problem_lasts_until_success() {
        let mut health = ServerHealth::default();
        health.note_lookup("srv", "no such name".to_owned());
        assert!(health.describe().contains("no such name"));
        health.note_lookup("srv", String::new());
        assert_eq!(health.describe(), "");
    }

    /// Where a name has several addresses, each has failures of its own.
    #[test]
    fn a_failure_names_one_address_of_several() {
        let addresses = ["10.0.0.1:2181", "10.0.0.2:2181"].map(|at| at.parse().unwrap());
        for (known, at) in [(&addresses[..1], ""), (&addresses, " at 10.0.0.1:2181")] {
            let (mut health, mut hosts) = (ServerHealth::default(), hosts());
            let host = hosts.next_attempt().unwrap().host;
            let mut dialled =
                hosts.begin_dialling(Instant::now(), std::time::Duration::from_secs(1));
            dialled.begin(known.to_vec());
            dialled.handle_connected(addresses[0]);
            hosts.handle_dialled(dialled);
            health.note_failure(None, &hosts, &host, Disconnect::ClosedByServer);
            let expected = format!("{host}{at}: {}", Disconnect::ClosedByServer);
            assert_eq!(health.describe(), expected);
        }
    }

    /// Each task that waits for it once, however often it is polled.
    #[test]
    fn a_verdict_wakes_its_waiters() {
        let (mut health, hosts) = (ServerHealth::default(), hosts());
        let now = Instant::now();
        let waker = Waker::from(Arc::new(Task));
        for _ in 0..2 {
            assert!(health.poll_connect_verdict(&waker).is_none());
        }
        let mut wakes = Vec::new();
        for (at, host) in hosts.iter().enumerate() {
            health.check_unreachable(&hosts, &mut wakes);
            assert_eq!(wakes.len(), 0, "after {at} failures");
            health.note_failure(Some(now), &hosts, host, Disconnect::ServerSpeaksTls);
        }
        health.check_unreachable(&hosts, &mut wakes);
        assert_eq!(wakes.len(), 1);
        assert!(health.poll_connect_verdict(&waker).is_some());
    }

    #[test]
    fn failures_are_shown_until_a_server_serves() {
        let (mut health, hosts) = (ServerHealth::default(), hosts());
        let now = Instant::now();
        let [a, b] = ["a:2181", "b:2181"].map(|host| host.parse().unwrap());
        for _ in 0..3 {
            health.note_failure(
                Some(now),
                &hosts,
                &a,
                Disconnect::Dial("refused".to_owned()),
            );
            health.note_failure(Some(now), &hosts, &b, Disconnect::ClosedInHandshake);
        }
        assert_eq!(health.failure(&a, None).unwrap().count, 3);
        assert!(health.describe().contains("refused"));
        health.set_server(&b);
        health.handle_served(&hosts);
        // What was wrong with the other one is still known, but is no reason for an outage.
        assert_eq!(health.describe(), "");
        assert!(health.failure(&b, None).is_none());
        assert_eq!(health.failure(&a, None).unwrap().count, 3);
    }

    #[test]
    fn one_failure_of_each_is_enough_if_eager() {
        let (hosts, now) = (hosts(), Instant::now());
        for eager in [false, true] {
            let mut health = ServerHealth::default();
            if eager {
                health.set_eager();
            }
            for host in hosts.iter() {
                health.check_unreachable(&hosts, &mut Vec::new());
                assert!(health.poll_connect_verdict(Waker::noop()).is_none());
                let refused = Disconnect::Dial("refused".to_owned());
                health.note_failure(Some(now), &hosts, host, refused);
            }
            health.check_unreachable(&hosts, &mut Vec::new());
            let verdict = health.poll_connect_verdict(Waker::noop());
            assert_eq!(verdict.map(|it| it.is_lasting), eager.then_some(false));
        }
    }
}

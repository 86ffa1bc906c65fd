//! Which servers an ensemble's configuration names, and which of them the client should try.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use zk_proto::config::{EnsembleConfig, Server};
use zk_proto::{ErrorCode, HostPort};
use zk_transport::Hosts;

use crate::session::watches::{SubId, WatchIntent};

/// More servers than an ensemble can have: their ids are below 256.
const MAX_SERVERS: usize = 256;

/// The names that hosts files have for loopback addresses.
const LOOPBACK_NAMES: [&str; 8] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
];

/// How many gaps of a configuration the log shows.
const MAX_GAPS_SHOWN: usize = 5;

/// A client's copy of the ensemble's configuration, and the watch on it.
#[derive(Debug, Default)]
pub(crate) struct ConfigFollower {
    /// Whether the client follows the configuration.
    enabled: bool,
    /// The client connects with TLS.
    secure: bool,
    /// Whether the list of servers is from a configuration.
    applied: bool,
    /// The servers that the client was given, in its connect string or later.
    given: Vec<HostPort>,
    /// Those of `given` that a configuration has named. A later one that lacks them has removed
    /// them.
    named: HashSet<HostPort>,
    /// The last known address of each configured server.
    servers: BTreeMap<u64, HostPort>,
    /// The watch that the read under way sets.
    reading: Option<WatchIntent>,
    pub(crate) watch: Option<SubId>,
    /// The server of this connection has not set the watch, and is not sent another read.
    given_up: bool,
    /// The server of this connection could not answer the read; the next one is sent at this time.
    put_off: Option<Instant>,
    /// What went wrong, for the log.
    notice: Option<String>,
}

/// The servers to try, by a configuration.
pub(crate) struct Plan {
    pub(crate) hosts: Vec<HostPort>,
    /// To be tried when none of `hosts` answers.
    pub(crate) fallback: Vec<HostPort>,
    /// Why `hosts` has servers that the configuration does not name.
    notice: Option<String>,
}

impl ConfigFollower {
    /// Makes the client take its list of servers from the ensemble's configuration, from the first
    /// connection on. `secure` if the client connects with TLS.
    pub(crate) fn enable(&mut self, secure: bool) {
        self.enabled = true;
        self.secure = secure;
    }

    #[inline]
    pub(crate) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether the configuration is to be read now, if there is a connection.
    pub(crate) fn wants_read(&self, now: Instant) -> bool {
        self.watch.is_none()
            && self.reading.is_none()
            && !self.given_up
            && self.put_off.is_none_or(|until| until <= now)
    }

    /// The configuration is being read, which sets this watch.
    pub(crate) fn begin_reading(&mut self, intent: WatchIntent) {
        self.reading = Some(intent);
    }

    /// The read has been answered. Returns the watch that it was to set; `None` if no read was under
    /// way.
    pub(crate) fn end_reading(&mut self) -> Option<WatchIntent> {
        self.reading.take()
    }

    /// The connection is lost. Returns the watch that a lost read was to set.
    pub(crate) fn handle_disconnected(&mut self) -> Option<WatchIntent> {
        self.given_up = false;
        self.put_off = None;
        self.reading.take()
    }

    /// The server could not answer the read, which is sent again after `pause`. After this time, pings
    /// have an answer that leads to the next check.
    pub(crate) fn put_off(&mut self, now: Instant, pause: Duration, code: ErrorCode) {
        let is_first = self.put_off.replace(now + pause).is_none();
        if is_first && code != ErrorCode::ThrottledOp {
            self.notice = Some(format!(
                "the server could not give the ensemble's configuration, which the client will read \
                 again: {code}"
            ));
        }
    }

    /// The read has been answered. Without a watch the client reads again on the next connection.
    pub(crate) fn handle_answered(&mut self) {
        self.put_off = None;
        self.given_up = self.watch.is_none();
    }

    /// The answer cannot be used.
    pub(crate) fn note_problem(&mut self, problem: &str) {
        self.notice = Some(format!(
            "the client cannot follow the ensemble's configuration: {problem}"
        ));
    }

    /// What went wrong since this was last called, for the log.
    pub(crate) fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// The servers to try by this configuration, and whether the client only takes over the list: it
    /// stays with its server. `None` if nothing changes.
    ///
    /// The first configuration only replaces the list that was given: the names in the two need not
    /// be the same, so that a rebalancing would make every client move. For the same reason a client
    /// stays that is connected by a name which no configuration has. A server alone has no
    /// configuration.
    pub(crate) fn apply(&mut self, config: &EnsembleConfig, known: &Hosts) -> Option<(Plan, bool)> {
        if config.servers.is_empty() && config.unreadable.is_empty() {
            return None;
        }
        let mut plan = self.plan(config);
        self.notice = plan.notice.take();
        let is_first = !std::mem::replace(&mut self.applied, true);
        let all: HashSet<_> = plan.hosts.iter().chain(&plan.fallback).collect();
        let fallback: HashSet<_> = plan.fallback.iter().collect();
        let same = all == known.iter().collect()
            && known.fallback().iter().collect::<HashSet<_>>() == fallback;
        if same {
            return None;
        }
        let current = known.current();
        let by_unnamed = current.is_some_and(|host| self.unnamed().any(|it| it == host));
        Some((plan, is_first || by_unnamed))
    }

    /// These servers were given to the client.
    pub(crate) fn set_given(&mut self, hosts: Vec<HostPort>) {
        self.given = hosts;
        self.named.clear();
    }

    /// The given servers that no configuration has named.
    fn unnamed(&self) -> impl Iterator<Item = &HostPort> {
        self.given.iter().filter(|host| !self.named.contains(host))
    }

    /// The servers to try. Only those that the configuration has removed are left out: a configuration
    /// may lack the client address of a server, and this client may be unable to resolve or reach its
    /// names.
    fn plan(&mut self, config: &EnsembleConfig) -> Plan {
        if config.unreadable.is_empty() || self.servers.len() > MAX_SERVERS {
            let ids: HashSet<_> = config.servers.iter().map(|server| server.id).collect();
            self.servers.retain(|id, _| ids.contains(id));
        }
        for server in &config.servers {
            if let Some(address) = self.address_of(server) {
                self.servers.insert(server.id, address);
            }
        }
        let mut hosts: Vec<_> = self.servers.values().cloned().collect();
        self.sort_as_given(&mut hosts);
        let given = self.given.iter().filter(|host| hosts.contains(host));
        self.named.extend(given.cloned());
        let unnamed: Vec<_> = self.unnamed().cloned().collect();
        let notice = self.gaps(config);
        if notice.is_none() {
            return Plan {
                hosts,
                fallback: unnamed,
                notice,
            };
        }
        hosts.extend(unnamed);
        self.sort_as_given(&mut hosts);
        if hosts.is_empty() {
            hosts.clone_from(&self.given);
        }
        Plan {
            hosts,
            fallback: Vec::new(),
            notice,
        }
    }

    /// Puts the servers that were given into that order, which may be the one to try them in, and the others
    /// behind them.
    fn sort_as_given(&self, hosts: &mut [HostPort]) {
        let place = |host: &HostPort| self.given.iter().position(|given| given == host);
        hosts.sort_by_key(|host| place(host).unwrap_or(usize::MAX));
    }

    /// Where this client reaches the server.
    fn address_of(&self, server: &Server) -> Option<HostPort> {
        let plain = server.client_address();
        let address = if self.secure {
            // A port that takes both is not marked as secure.
            let takes_tls = |port| self.given.iter().any(|given| given.port == port);
            server
                .secure_client_address()
                .or(plain.filter(|address| takes_tls(address.port)))
        } else {
            plain
        }?;
        // For a client on another machine, a server's loopback address is that other machine.
        let is_here = self.given.iter().any(|given| is_loopback(&given.host));
        (is_here || !is_loopback(&address.host)).then_some(address)
    }

    /// The servers without an address for this client, and the lines that cannot be read.
    fn gaps(&self, config: &EnsembleConfig) -> Option<String> {
        let ids = config.servers.iter().map(|server| server.id);
        let unknown = ids.filter(|id| !self.servers.contains_key(id));
        let unknown =
            unknown.map(|id| format!("no address of server {id} that this client can use"));
        let unreadable = config.unreadable.iter();
        let unreadable = unreadable.map(|line| {
            let (number, expected) = (line.line, line.expected);
            format!("line {number} is not {expected}")
        });
        let mut gaps = unknown.chain(unreadable);
        let shown: Vec<_> = gaps.by_ref().take(MAX_GAPS_SHOWN).collect();
        let more = match gaps.count() {
            0 => String::new(),
            count => format!("; and {count} more"),
        };
        (!shown.is_empty()).then(|| {
            format!(
                "the client follows a part of the ensemble's configuration, and keeps the servers that \
                 it was given: {}{more}",
                shown.join("; ")
            )
        })
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.split('%').next().unwrap_or_default();
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = host.trim_end_matches('.').to_ascii_lowercase();
            LOOPBACK_NAMES.contains(&&*name) || name.ends_with(".localhost")
        }
    }
}

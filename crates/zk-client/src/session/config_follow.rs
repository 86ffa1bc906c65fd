//! Following the ensemble's configuration.
//!
//! The core watches it as any other owner of a watch would, so that nobody else's watch there ends
//! this one; after a reconnect it is armed again with the others, and in a new session it is read
//! again.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use std::task::Waker;
use zk_proto::config::{EnsembleConfig, Server};
use zk_proto::records::GetDataResponse;
use zk_proto::{Encode, ErrorCode, HostPort, OpCode, decode_frame};
use zk_transport::ping_interval;

use crate::session::config_znode::{CONFIG, parse, read_config};
use crate::session::watches::WatchIntent;
use crate::session::watches::{SubId, WatchKind};
use crate::session::{Core, Token};

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

/// What is known of the ensemble's configuration.
#[derive(Debug, Default)]
pub(super) struct Follow {
    wanted: bool,
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
    /// The read under way.
    reading: Option<WatchIntent>,
    watch: Option<SubId>,
    /// The server of this connection does not let it be watched.
    given_up: bool,
    /// The server of this connection could not answer the read, and is not asked again before then.
    put_off: Option<Instant>,
    /// What went wrong, for the log.
    notice: Option<String>,
}

/// The servers to try, by a configuration.
struct Plan {
    hosts: Vec<HostPort>,
    /// To be tried when none of `hosts` answers.
    fallback: Vec<HostPort>,
    /// Why `hosts` has servers that the configuration does not name.
    notice: Option<String>,
}

impl Follow {
    /// These servers were given to the client.
    pub(super) fn set_given(&mut self, hosts: Vec<HostPort>) {
        self.given = hosts;
        self.named.clear();
    }

    /// The given servers of which no configuration has said whether they belong to the ensemble.
    fn unnamed(&self) -> impl Iterator<Item = &HostPort> {
        self.given.iter().filter(|host| !self.named.contains(host))
    }

    /// The servers to try. Only those that the configuration has removed are left out: it may lack
    /// the client address of a server, and its names may not be those that this client can resolve
    /// or reach.
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
        if hosts.is_empty() {
            hosts.clone_from(&self.given);
        }
        Plan {
            hosts,
            fallback: Vec::new(),
            notice,
        }
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
        // To a client elsewhere a server's loopback address is its own machine.
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
                "the ensemble's configuration is followed in part, and the servers given to the \
                 client stay in its list: {}{more}",
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

impl Core {
    /// From the first connection on, the list of servers is what the configuration says. `secure`
    /// if the client connects with TLS.
    pub(crate) fn preset_follow(&mut self, secure: bool) {
        self.follow.wanted = true;
        self.follow.secure = secure;
    }

    /// What went wrong since this was last called, for the log.
    pub(crate) fn take_notice(&mut self) -> Option<String> {
        self.follow.notice.take()
    }

    /// Reads the configuration if it is not watched, because this is a new session, or because the
    /// watch has fired.
    pub(super) fn check_follow(&mut self, now: Instant) {
        if !self.follow.wanted {
            return;
        }
        if let Some(watch) = self.follow.watch
            && self.poll_event(watch, Waker::noop()).is_some()
        {
            self.follow.watch = None;
            self.unsubscribe(now, watch);
        }
        let may_ask = !self.follow.given_up && self.follow.put_off.is_none_or(|until| until <= now);
        let idle = self.follow.reading.is_none() && may_ask;
        if self.follow.watch.is_none() && idle && self.takes_requests() {
            self.begin_reading(now);
        }
    }

    fn begin_reading(&mut self, now: Instant) {
        let mut intent = WatchIntent {
            kind: WatchKind::Data,
            path: CONFIG.into(),
            changed: false,
        };
        intent.changed = self.registry.precaution(intent.kind, CONFIG).is_some();
        let Some(link) = &mut self.link else { return };
        self.registry.begin_arming(&intent);
        let record = read_config(!intent.changed);
        // As short as a request can be.
        let _ = link.submit(now, OpCode::GetData, Token::Config, usize::MAX, |out| {
            record.encode(out);
        });
        self.follow.reading = Some(intent);
    }

    /// The answer to the read.
    pub(super) fn handle_config(&mut self, now: Instant, result: &Result<Bytes, ErrorCode>) {
        let Some(intent) = self.follow.reading.take() else {
            return;
        };
        self.follow.watch = self.settle_watch(now, intent, true, OpCode::GetData, result);
        if let Err(code) = result
            && (!code.is_refusal() || *code == ErrorCode::ThrottledOp)
        {
            // The same question may be answered later. After this time, pings have an answer that leads
            // to the next check.
            let until = now + ping_interval(self.session.timeout());
            let is_first = self.follow.put_off.replace(until).is_none();
            if is_first && *code != ErrorCode::ThrottledOp {
                self.follow.notice = Some(format!(
                    "the server could not give the ensemble's configuration, and will be asked again: \
                     {code}"
                ));
            }
            return;
        }
        self.follow.put_off = None;
        let config = match result {
            Ok(body) => decode_frame::<GetDataResponse>(body, 0)
                .map(|response| parse(&response.data.unwrap_or_default()))
                .map_err(|e| e.to_string()),
            Err(code) => Err(code.to_string()),
        };
        match config {
            Ok(config) => self.apply(now, &config),
            Err(problem) => {
                self.follow.notice = Some(format!(
                    "the ensemble's configuration cannot be followed: {problem}"
                ));
            }
        }
        // Without a watch there is nothing to wait for; the next connection tries again.
        self.follow.given_up = self.follow.watch.is_none();
    }

    /// The first configuration only replaces the list that was given: the names in the two need not
    /// be the same, so that it would make every client move. For the same reason a client stays that
    /// is connected by a name which no configuration has. A server alone has no configuration.
    fn apply(&mut self, now: Instant, config: &EnsembleConfig) {
        if config.servers.is_empty() && config.unreadable.is_empty() {
            return;
        }
        let Plan {
            hosts,
            fallback,
            notice,
        } = self.follow.plan(config);
        self.follow.notice = notice;
        let first = !std::mem::replace(&mut self.follow.applied, true);
        let all: HashSet<_> = hosts.iter().chain(&fallback).collect();
        let same = all == self.hosts.iter().collect()
            && self.hosts.fallback().iter().collect::<HashSet<_>>() == fallback.iter().collect();
        if same {
            return;
        }
        let current = self.hosts.current();
        let by_unnamed = current.is_some_and(|host| self.follow.unnamed().any(|it| it == host));
        let adopted = if first || by_unnamed {
            self.hosts.replace(hosts).map(|()| false)
        } else {
            self.hosts.update(hosts)
        };
        // The plan has no servers if none were given and the configuration names none.
        if let Ok(moves) = adopted {
            self.hosts.set_fallback(fallback);
            self.adopted(now, moves);
        }
    }

    /// The connection is lost, and the read with it.
    pub(super) fn stop_reading(&mut self) {
        self.follow.given_up = false;
        self.follow.put_off = None;
        if let Some(intent) = self.follow.reading.take() {
            self.registry.end_arming(&intent);
        }
    }
}

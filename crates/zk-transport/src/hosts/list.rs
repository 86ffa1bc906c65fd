//! The list of servers, the next one to try, and the delay before it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zk_proto::HostPort;

use super::addresses::Addresses;
use super::loss::Loss;
use super::order::HostOrder;
use super::timing::Timing;
use crate::backoff::{Backoff, BackoffPolicy};
use crate::error::Disconnect;

/// A connection that lived this long is proven: its loss starts the backoff anew. A server that
/// accepts connections and drops them at once does not get there, so it cannot make the client spin.
const PROVEN: Duration = Duration::from_secs(1);

/// One attempt to connect.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The server to try.
    pub host: HostPort,
    /// How long to wait first.
    pub delay: Duration,
}

/// The list of servers has no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the list of servers is empty")]
pub struct NoHosts;

/// The servers of the ensemble, by default in an order shuffled once, tried round robin.
///
/// A name with several addresses is as many servers: it has a turn in each round for each of its
/// addresses, and counts for as many when the list is [updated](Self::update).
///
/// After the loss of a proven connection the next server is tried within a short random delay, so
/// that the clients of a dead server do not arrive together; after a full fruitless round, of all
/// known addresses of all servers, the delays back off.
///
/// A list may have a [fallback](Self::set_fallback): servers that are tried in each round once all
/// others have failed in it.
#[derive(Debug)]
pub struct Hosts {
    pub(super) hosts: Vec<HostPort>,
    pub(super) next: usize,
    /// None of them is in `hosts`.
    pub(super) fallback: Vec<HostPort>,
    /// The last connection was to the fallback: each round begins there, because the others did not
    /// answer when the client looked for a server before.
    pub(super) fallback_first: bool,
    /// The turns of the round that are left, as positions in the list with the fallback behind it.
    pub(super) turns: VecDeque<usize>,
    pub(super) order: HostOrder,
    /// The ranks of the servers in an order that has them.
    pub(super) ranks: Vec<(HostPort, u32)>,
    /// The last measurements of each server, in microseconds, the latest first.
    pub(super) distances: HashMap<HostPort, VecDeque<u32>>,
    /// The server that the caller has left last, and when.
    pub(super) left: Option<Box<(HostPort, Instant)>>,
    /// The losses that further ones would repeat.
    pub(super) losses: Vec<Loss>,
    /// The time of the latest event that had one.
    pub(super) now: Option<Instant>,
    /// The next attempt is to the server of the last one again.
    again: bool,
    /// The server of the last attempt.
    pub(super) current: Option<HostPort>,
    /// The addresses of the servers that have been tried.
    pub(super) addresses: HashMap<HostPort, Addresses>,
    /// Servers to try before the others, and without delay.
    pub(super) preferred: VecDeque<HostPort>,
    /// `preferred` is to be sorted by ranks that are not known yet.
    pub(super) ranks_preferred: bool,
    /// Attempts since the last proven connection.
    pub(super) fruitless: usize,
    connected_at: Option<Instant>,
    /// The address of that connection, as far as the dial has reported it.
    connected_to: Option<SocketAddr>,
    ever_connected: bool,
    /// Whether a connection was proven since the last expiry.
    proven: bool,
    backoff: Backoff,
    spread: Duration,
    pub(super) rng: fastrand::Rng,
}

impl Hosts {
    /// The servers in `hosts`, shuffled by `seed`.
    pub fn new(hosts: Vec<HostPort>, policy: BackoffPolicy, seed: u64) -> Self {
        Hosts::ordered(hosts, HostOrder::Shuffled, policy, seed)
    }

    /// The servers in `hosts` in this order; what is random in it is determined by `seed`.
    pub fn ordered(
        mut hosts: Vec<HostPort>,
        order: HostOrder,
        policy: BackoffPolicy,
        seed: u64,
    ) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        if order.shuffles() {
            rng.shuffle(&mut hosts);
        }
        Hosts {
            hosts,
            next: 0,
            fallback: Vec::new(),
            fallback_first: false,
            turns: VecDeque::new(),
            order,
            ranks: Vec::new(),
            distances: HashMap::new(),
            left: None,
            losses: Vec::new(),
            now: None,
            again: false,
            current: None,
            addresses: HashMap::new(),
            preferred: VecDeque::new(),
            ranks_preferred: false,
            fruitless: 0,
            connected_at: None,
            connected_to: None,
            ever_connected: false,
            proven: false,
            backoff: Backoff::new(policy, seed.wrapping_add(1)),
            spread: policy.initial,
            rng,
        }
    }

    /// The server of the last attempt said that the session has expired. The next attempt is to the
    /// same server, because it is part of a quorum; and it comes soon, unless connections have lately
    /// led to nothing but expiries.
    pub fn handle_expired(&mut self) {
        self.again = true;
        if let Some(addresses) = self.addresses_of_current()
            && let Some(address) = addresses.current()
        {
            addresses.prefer(address);
        }
        if std::mem::take(&mut self.proven) {
            self.start_over();
        }
    }

    /// Sets the servers that are tried in each round after those of the list, without those that are in
    /// the list. [`replace`](Self::replace) and [`update`](Self::update) clear the fallback.
    ///
    /// The fallback is for names that may reach the ensemble and are not in its own list, such as a
    /// gateway's.
    pub fn set_fallback(&mut self, hosts: Vec<HostPort>) {
        self.fallback = distinct(hosts);
        self.fallback.retain(|host| !self.hosts.contains(host));
        self.rng.shuffle(&mut self.fallback);
        self.end_round();
        let led = self.fallback_first || self.connected_at.is_some();
        self.fallback_first = led && self.is_on_fallback();
    }

    /// The servers that are tried once the others have failed; none of them is in the list itself.
    pub fn fallback(&self) -> &[HostPort] {
        &self.fallback
    }

    /// Whether the server of the last attempt is one of the fallback.
    pub(super) fn is_on_fallback(&self) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| self.fallback.contains(current))
    }

    fn start_over(&mut self) {
        self.end_round();
        self.fruitless = 0;
        self.backoff.reset();
    }

    /// The number of servers, the fallback included.
    pub fn len(&self) -> usize {
        self.hosts.len() + self.fallback.len()
    }

    /// Whether there is no server, the fallback included.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The servers, in the order they are tried: the fallback last.
    pub fn iter(&self) -> impl Iterator<Item = &HostPort> {
        self.hosts.iter().chain(&self.fallback)
    }

    /// The server of the last attempt, whether or not it is still in the list.
    pub fn current(&self) -> Option<&HostPort> {
        self.current.as_ref()
    }

    /// The address of the connection, if it is one to this server and the dial has reported its address:
    /// what a fresh lookup of the name is compared with. `None` before the first connection, and after a
    /// connection has ended.
    pub fn connected_address(&self, host: &HostPort) -> Option<SocketAddr> {
        self.connected_to
            .filter(|_| self.current.as_ref() == Some(host))
    }

    /// How many attempts make a full round: one for each address of each server, as far as its
    /// addresses are known, else one.
    pub fn places(&self) -> usize {
        self.iter().map(|host| self.count(host)).sum()
    }

    /// How many attempts share the time of a session: those of a full round, and half as many after
    /// each fruitless round. A server that is far away cannot answer within a small share, however often
    /// it is tried.
    pub fn attempts_in_session(&self) -> usize {
        let places = self.places().max(1);
        let rounds = self.fruitless.saturating_sub(1) / places;
        let halvings = u32::try_from(rounds).unwrap_or(u32::MAX);
        places.checked_shr(halvings).unwrap_or(0).max(1)
    }

    /// How long the next attempt, or the one under way, may take to dial and shake hands.
    pub fn budget(&self, timing: Timing) -> Duration {
        timing.budget(self.attempts_in_session())
    }

    /// The known addresses of a server.
    pub fn addresses_of(&self, host: &HostPort) -> Option<&Addresses> {
        self.addresses.get(host)
    }

    /// The addresses of the server of the last attempt, which is dialled now and for this long.
    pub fn begin_dialling(&mut self, now: Instant, budget: Duration) -> Addresses {
        self.now = Some(now);
        let known = self
            .current
            .as_ref()
            .and_then(|host| self.addresses.get(host));
        let addresses = known
            .map_or_else(Addresses::default, Addresses::for_another_attempt)
            .within(budget)
            .at(now);
        match self.order.shuffles() {
            true => addresses.shuffled(self.rng.u64(..)),
            false => addresses.as_resolved(),
        }
    }

    /// The attempt has been dialled; `addresses` say with what result.
    pub fn handle_dialled(&mut self, addresses: Addresses) {
        let Some(host) = self.current.clone() else {
            return;
        };
        let more = addresses.count().saturating_sub(self.count(&host));
        if more > 0 {
            self.add_turns(&host, more);
        }
        // Of a name with one address only a failure is kept, as the list may be long; and the attempt may
        // fail yet.
        self.addresses.insert(host, addresses);
    }

    /// Drops the addresses of the current server if there is only one, without a failure.
    fn drop_useless_addresses(&mut self) {
        if let Some(host) = &self.current
            && (self.addresses.get(host)).is_some_and(|addresses| !addresses.is_of_use())
        {
            self.addresses.remove(host);
            self.addresses.shrink_to_fit();
        }
    }

    /// The servers of a new list have been ranked since.
    fn sort_preferred(&mut self) {
        if std::mem::take(&mut self.ranks_preferred) {
            let mut preferred = std::mem::take(&mut self.preferred);
            let by_rank = preferred.make_contiguous();
            by_rank.sort_by_cached_key(|host| self.rank(host));
            self.preferred = preferred;
        }
    }

    /// The next attempt, or `None` if there are no servers.
    pub fn next_attempt(&mut self) -> Option<Attempt> {
        let again = std::mem::take(&mut self.again);
        self.sort_preferred();
        let preferred = self.preferred.pop_front();
        let chosen = preferred.is_some();
        let known = |host: &HostPort| self.iter().any(|known| known == host);
        let last = self.current.clone().filter(|host| again && known(host));
        let host = match preferred.or(last) {
            Some(host) => host,
            None => self.next_in_round()?,
        };
        let delay = if chosen {
            Duration::ZERO
        } else if self.fruitless >= self.places() {
            self.backoff.next_delay()
        } else if self.ever_connected && self.fruitless == 0 {
            self.backoff.jitter(self.spread)
        } else {
            Duration::ZERO
        };
        self.fruitless = self.fruitless.saturating_add(1);
        self.current = Some(host.clone());
        // The attempt may fail before it dials.
        if let Some(addresses) = self.addresses_of_current() {
            *addresses = addresses.for_another_attempt();
        }
        Some(Attempt { host, delay })
    }

    /// A session was established over the last attempt's connection.
    pub fn handle_connected(&mut self, now: Instant) {
        self.connected_at = Some(now);
        self.ever_connected = true;
        self.fallback_first = self.is_on_fallback();
        self.preferred.clear();
        self.now = Some(now);
        if let Some(addresses) = self.addresses_of_current() {
            addresses.handle_served();
        }
        let addresses = self
            .current
            .as_ref()
            .and_then(|host| self.addresses.get(host));
        self.connected_to = addresses.and_then(Addresses::current);
        self.drop_useless_addresses();
    }

    /// The last attempt has failed through the server's fault: another of its addresses is next.
    pub fn handle_failed(&mut self, now: Instant) {
        if let Some(addresses) = self.addresses_of_current() {
            addresses.handle_failed(now);
        }
    }

    /// The last attempt has ended for this reason, with or without a connection: calls
    /// [`handle_disconnected`](Self::handle_disconnected), and
    /// [`handle_expired`](Self::handle_expired) or [`handle_failed`](Self::handle_failed) if the reason
    /// is one of those.
    pub fn handle_ended(&mut self, now: Instant, reason: &Disconnect) {
        let served = self.connected_at.is_some();
        self.handle_disconnected(now);
        match reason {
            Disconnect::Moving => {}
            Disconnect::SessionExpired => self.handle_expired(),
            _ => {
                self.handle_failed(now);
                if served {
                    self.handle_lost(now);
                }
            }
        }
        self.drop_useless_addresses();
    }

    /// The last attempt's connection ended, or could not be made.
    pub fn handle_disconnected(&mut self, now: Instant) {
        self.now = Some(now);
        self.connected_to = None;
        let proven = self
            .connected_at
            .take()
            .is_some_and(|at| now.saturating_duration_since(at) >= PROVEN);
        if proven {
            self.proven = true;
            self.start_over();
        }
    }

    fn addresses_of_current(&mut self) -> Option<&mut Addresses> {
        self.addresses.get_mut(self.current.as_ref()?)
    }

    /// The name of a server was looked up while the client is not connected, or not to be moved: it has these
    /// addresses, and those that were known and are not among them are forgotten. Moves no client:
    /// [`update_addresses`](Self::update_addresses) does. An answer without an address, or for a name that is not
    /// in the list, changes nothing.
    pub fn set_addresses(&mut self, host: &HostPort, found: Vec<SocketAddr>) {
        if found.is_empty() || !self.iter().any(|known| known == host) {
            return;
        }
        let addresses = self.addresses.entry(host.clone()).or_default();
        addresses.set_known(found);
        if !addresses.is_of_use() {
            self.addresses.remove(host);
        }
    }

    /// Makes the next attempt at this server begin with this of its addresses.
    pub fn prefer_address(&mut self, host: &HostPort, address: SocketAddr) {
        self.addresses
            .entry(host.clone())
            .or_default()
            .prefer(address);
    }

    /// The client leaves the server of the last attempt, as the caller wants it: the next attempts are to
    /// each other server once, without delay. A server that is alone is tried again, at another of its
    /// addresses if it has several.
    pub fn leave(&mut self, now: Instant) {
        let mut others = self.in_order();
        others.extend(&self.fallback);
        others.retain(|host| Some(*host) != self.current.as_ref());
        self.preferred = others.into_iter().cloned().collect();
        self.left = self.current.clone().map(|host| Box::new((host, now)));
        if let Some(host) = self.current.clone()
            && (self.count(&host) > 1 || self.preferred.is_empty())
        {
            if let Some(addresses) = self.addresses.get_mut(&host) {
                addresses.handle_left(now);
            }
            self.preferred.push_back(host);
        }
    }

    /// The client stays with the server of its connection, although [`update`](Self::update),
    /// [`update_addresses`](Self::update_addresses), [`prefer`](Self::prefer) or [`leave`](Self::leave) has chosen
    /// another: that choice is forgotten, and the next attempt follows the order. A server that was left stays
    /// put back for its while.
    pub fn stay(&mut self) {
        for host in self.preferred.drain(..) {
            if let Some(addresses) = self.addresses.get_mut(&host) {
                addresses.prefer_none();
            }
        }
    }

    /// Makes the next attempt be to this server, without delay.
    pub fn prefer(&mut self, host: HostPort) {
        self.preferred.clear();
        self.preferred.push_back(host);
    }
}

/// The servers without duplicates, in the order of their first occurrence.
pub(super) fn distinct(mut hosts: Vec<HostPort>) -> Vec<HostPort> {
    let mut seen = HashSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
}

#[cfg(test)]
mod tests;

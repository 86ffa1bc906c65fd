//! Changes of the list of servers, and which clients leave their server because of one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;

use zk_proto::HostPort;

use super::addresses::distinct_addresses;
use super::list::{Hosts, NoHosts, distinct};

/// How many servers each name of two lists stands for.
struct Weights {
    of: HashMap<HostPort, usize>,
    /// That of a name that has not been looked up: as many as the others on average.
    unknown: usize,
}

impl Weights {
    fn of(&self, host: &HostPort) -> usize {
        self.of.get(host).copied().unwrap_or(self.unknown)
    }

    fn sum<'a>(&self, hosts: impl IntoIterator<Item = &'a HostPort>) -> usize {
        hosts.into_iter().map(|host| self.of(host)).sum()
    }
}

impl Hosts {
    /// Replaces the servers. The connection stays, even if its server is not in the new list.
    ///
    /// # Errors
    /// `hosts` is empty; nothing has changed.
    pub fn replace(&mut self, hosts: Vec<HostPort>) -> Result<(), NoHosts> {
        self.set(distinct(hosts))?;
        self.preferred.clear();
        Ok(())
    }

    /// Replaces the servers, and returns whether the caller has to leave the server it is connected to,
    /// for one of those that [`next_attempt`](Self::next_attempt) then returns.
    ///
    /// If every client follows the result, each server has its equal share of the clients afterwards,
    /// and no more clients move than necessary (ZOOKEEPER-1355). A caller that does not follow it calls
    /// [`stay`](Self::stay). A client without a connection counts
    /// for the server it would have tried next, so that such clients are evenly distributed as well
    /// (ZOOKEEPER-1683).
    ///
    /// A name counts for as many servers as it has addresses; one that has not been looked up for as many
    /// as the others on average. In an [order](super::HostOrder) that is not shuffled, and in one that
    /// prefers servers, only the clients of removed servers move.
    ///
    /// # Errors
    /// `hosts` is empty; nothing has changed.
    pub fn update(&mut self, hosts: Vec<HostPort>) -> Result<bool, NoHosts> {
        let hosts = distinct(hosts);
        let previous: HashSet<HostPort> = self.hosts.iter().cloned().collect();
        let weights = self.weights();
        // A client that is moving counts for the server it moves to.
        let on_its_way = self.preferred.front().cloned();
        let mine = on_its_way.clone().or_else(|| self.mine());
        self.set(hosts)?;
        let kept = mine.is_some_and(|mine| self.hosts.contains(&mine));
        let (old, new): (Vec<_>, Vec<_>) = self
            .hosts
            .iter()
            .cloned()
            .partition(|host| previous.contains(host));
        let change = Change {
            previous: weights.sum(&previous),
            old: weights.sum(&old),
            new: weights.sum(&new),
            kept,
        };
        let to_new = match self.order.begins_anew() {
            true => (!kept).then_some(0.5),
            false => self.chance_of_new(&change),
        };
        let Some(to_new) = to_new else {
            // A move that is under way continues.
            self.preferred = on_its_way.into_iter().collect();
            return Ok(!self.preferred.is_empty());
        };
        self.ranks_preferred = self.order.prefers();
        self.preferred = match self.order.begins_anew() {
            true => self.in_order().into_iter().cloned().collect(),
            false => self.drawn(&weights, old, new, to_new),
        };
        Ok(true)
    }

    /// The name of a server was looked up while the client is connected: it had the addresses `before` and
    /// has those in `found`. Returns whether the caller has to leave the address it is connected to, for
    /// the one that [`next_attempt`](Self::next_attempt) then leads to: by the rule of
    /// [`update`](Self::update), with the addresses of all names in place of servers. A client whose own
    /// address is in `found` counts as one whose server stays, whatever was found before.
    ///
    /// An answer without an address changes nothing.
    pub fn update_addresses(
        &mut self,
        host: &HostPort,
        before: &[SocketAddr],
        found: Vec<SocketAddr>,
    ) -> bool {
        let before: HashSet<_> = before.iter().copied().collect();
        if found.is_empty() || before.is_empty() || !self.iter().any(|known| known == host) {
            return false;
        }
        let is_mine = self.current.as_ref() == Some(host);
        let others = self.places().saturating_sub(self.count(host));
        // A dial may not report the address.
        let only = before.iter().next().copied().filter(|_| before.len() == 1);
        let at = self.connected_address(host).or(only.filter(|_| is_mine));
        let found = distinct_addresses(found);
        let (old, new): (Vec<_>, Vec<_>) =
            (found.iter().copied()).partition(|address| before.contains(address));
        let kept = at.is_none_or(|at| found.contains(&at));
        self.set_addresses(host, found);
        let change = Change {
            previous: others + before.len(),
            old: others + old.len(),
            new: new.len(),
            kept,
        };
        let to_new = match self.order.begins_anew() {
            true => (!change.kept).then_some(0.5),
            false => self.chance_of_new(&change),
        };
        let Some(to_new) = to_new else {
            return false;
        };
        let is_new = !new.is_empty() && (old.is_empty() || self.rng.f64() < to_new);
        if let Some(address) = self.rng.choice(if is_new { new } else { old }) {
            if at == Some(address) {
                return false;
            }
            self.prefer_address(host, address);
            self.prefer(host.clone());
        }
        true
    }

    /// Names of this list that have not been looked up count once, and names of the next list as many
    /// times as those of this one do on average.
    fn weights(&self) -> Weights {
        let of: HashMap<_, _> = (self.hosts.iter())
            .map(|host| (host.clone(), self.count(host)))
            .collect();
        let unknown = of.values().sum::<usize>().checked_div(of.len());
        Weights {
            unknown: unknown.unwrap_or(1).max(1),
            of,
        }
    }

    /// The server whose load this client is: the last one it tried, or the first one it will.
    fn mine(&self) -> Option<HostPort> {
        let first = self.hosts.get(self.next);
        self.current.as_ref().or(first).cloned()
    }

    fn set(&mut self, mut hosts: Vec<HostPort>) -> Result<(), NoHosts> {
        if hosts.is_empty() {
            return Err(NoHosts);
        }
        if self.order.shuffles() {
            self.rng.shuffle(&mut hosts);
        }
        self.fallback.clear();
        self.end_round();
        self.ranks.retain(|(host, _)| hosts.contains(host));
        self.distances.retain(|host, _| hosts.contains(host));
        let mine = self.mine();
        let at = hosts.iter().position(|host| Some(host) == mine.as_ref());
        // The server that was tried last comes after the others.
        let step = usize::from(self.current.is_some());
        self.next = at.map_or(0, |at| (at + step) % hosts.len());
        let current = self.current.as_ref();
        self.addresses
            .retain(|host, _| hosts.contains(host) || Some(host) == current);
        self.losses.retain(|loss| hosts.contains(loss.host()));
        self.hosts = hosts;
        Ok(())
    }

    /// The probability with which to move to a server that was not in the list before, rather than to
    /// one that was; `None` to stay.
    fn chance_of_new(&mut self, change: &Change) -> Option<f64> {
        let Change {
            previous,
            old,
            new,
            kept,
        } = *change;
        let total = old + new;
        if total > previous {
            // Each server has to end up with fewer clients than before, so the clients that leave move
            // to the new servers.
            let leaves = !kept || self.rng.f64() < 1.0 - ratio(previous, total);
            return leaves.then_some(1.0);
        }
        if kept {
            // Each server that stays has to end up with as many clients as before, or more.
            return None;
        }
        // The clients of the removed servers fill up those that stay.
        let gone = previous.saturating_sub(old);
        let lacking = old * (previous - total);
        let to_old = if gone == 0 {
            1.0
        } else {
            ratio(lacking, total * gone)
        };
        Some(1.0 - to_old)
    }

    /// All servers in the order to try them: as long as there are old and new ones, the next is a new
    /// one with the probability `to_new`. Of each kind, a name comes early in proportion to its weight.
    fn drawn(
        &mut self,
        weights: &Weights,
        old: Vec<HostPort>,
        new: Vec<HostPort>,
        to_new: f64,
    ) -> VecDeque<HostPort> {
        let mut order = VecDeque::with_capacity(old.len() + new.len());
        let (mut old, mut new) = (self.shuffled(weights, old), self.shuffled(weights, new));
        while !old.is_empty() && !new.is_empty() {
            let from = if self.rng.f64() < to_new {
                &mut new
            } else {
                &mut old
            };
            order.extend(from.pop_front());
        }
        order.append(&mut new);
        order.append(&mut old);
        order
    }

    /// The names, each drawn with a probability in proportion to its weight.
    fn shuffled(&mut self, weights: &Weights, hosts: Vec<HostPort>) -> VecDeque<HostPort> {
        let mut tickets: Vec<_> = (hosts.into_iter())
            .flat_map(|host| std::iter::repeat_n(host.clone(), weights.of(&host)))
            .collect();
        self.rng.shuffle(&mut tickets);
        distinct(tickets).into()
    }
}

/// How a list of servers has changed, in numbers of servers.
struct Change {
    previous: usize,
    /// Those that were in the list before.
    old: usize,
    new: usize,
    /// Whether the client's server is among them.
    kept: bool,
}

fn ratio(a: usize, b: usize) -> f64 {
    // Numbers of servers are small.
    let float = |n: usize| u32::try_from(n).map_or(f64::from(u32::MAX), f64::from);
    float(a) / float(b)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;
    use crate::backoff::BackoffPolicy;
    use crate::hosts::Addresses;

    fn list(ids: impl IntoIterator<Item = u16>) -> Vec<HostPort> {
        let host = |id| HostPort {
            host: format!("zk{id}"),
            port: 2181,
        };
        ids.into_iter().map(host).collect()
    }

    /// Clients that are connected, each to the server its own list gave it.
    struct Clients(Vec<Hosts>);

    const CLIENTS: u64 = 9_000;

    impl Clients {
        fn of(ids: impl IntoIterator<Item = u16>) -> Self {
            let servers = list(ids);
            let client = |seed| {
                let mut hosts = Hosts::new(servers.clone(), BackoffPolicy::default(), seed);
                hosts.next_attempt().unwrap();
                hosts.handle_connected(Instant::now());
                hosts
            };
            Clients((0..CLIENTS).map(client).collect())
        }

        /// All clients update their list, and those that have to move do. Returns how many did.
        fn update(&mut self, ids: impl IntoIterator<Item = u16>) -> usize {
            let servers = list(ids);
            let mut moved = 0;
            for hosts in &mut self.0 {
                if hosts.update(servers.clone()).unwrap() {
                    moved += 1;
                    hosts.next_attempt().unwrap();
                    hosts.handle_connected(Instant::now());
                }
            }
            moved
        }

        /// Asserts that each server has its share of the clients, within a tenth.
        fn are_even_over(&self, servers: u64) {
            let mut load = BTreeMap::new();
            for hosts in &self.0 {
                *load
                    .entry(hosts.current().unwrap().to_string())
                    .or_insert(0) += 1;
            }
            let share = CLIENTS / servers;
            let even = load.values().all(|n| share.abs_diff(*n) <= share / 10);
            assert!(
                load.len() as u64 == servers && even,
                "{share} each: {load:?}"
            );
        }
    }

    /// ZOOKEEPER-1355; the lists of its own test.
    /// Guards: A29.
    #[test]
    fn every_update_leaves_the_load_even() {
        let mut clients = Clients::of(0..9);
        clients.are_even_over(9);
        for (ids, servers) in [
            (0..9, 9),
            (0..5, 5),
            (2..8, 6),
            (2..9, 7),
            (0..9, 9),
            (20..24, 4),
            (18..24, 6),
            (18..20, 2),
        ] {
            clients.update(ids);
            clients.are_even_over(servers);
        }
    }

    /// Guards: A29.
    #[test]
    fn no_more_clients_move_than_necessary() {
        let mut clients = Clients::of(0..4);
        assert_eq!(clients.update(0..4), 0);
        // A fifth of each server's clients move to the fifth server.
        let moved = clients.update(0..5);
        assert!((1_600..2_000).contains(&moved), "{moved}");
        // The clients of the removed server move.
        let moved = clients.update(1..5);
        assert!((1_600..2_000).contains(&moved), "{moved}");
    }

    /// Clients of names with several addresses, connected to one of them.
    struct Spread(Vec<Hosts>);

    impl Spread {
        fn over(names: impl IntoIterator<Item = u16> + Clone, addresses: u8) -> Self {
            let servers = list(names);
            let client = |seed| {
                let mut hosts = Hosts::new(servers.clone(), BackoffPolicy::default(), seed);
                // Each name has been looked up.
                for _ in 0..servers.len() {
                    dial(&mut hosts, addresses);
                }
                hosts.handle_connected(Instant::now());
                hosts
            };
            Spread((0..CLIENTS).map(client).collect())
        }

        /// The clients of each address.
        fn load(&self) -> BTreeMap<String, u64> {
            let mut load = BTreeMap::new();
            for hosts in &self.0 {
                let host = hosts.current().unwrap();
                let at = hosts.addresses_of(host).and_then(Addresses::current);
                *load.entry(format!("{host} {at:?}")).or_insert(0) += 1;
            }
            load
        }

        fn is_even_over(&self, servers: u64) {
            let (load, share) = (self.load(), CLIENTS / servers);
            let even = load.values().all(|n| share.abs_diff(*n) <= share / 8);
            assert!(
                load.len() as u64 == servers && even,
                "{share} each: {load:?}"
            );
        }
    }

    fn dial(hosts: &mut Hosts, addresses: u8) {
        hosts.next_attempt().unwrap();
        connect(hosts, addresses);
    }

    fn address(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 2181))
    }

    fn connect(hosts: &mut Hosts, addresses: u8) {
        let now = Instant::now();
        let mut of = hosts.begin_dialling(now, Duration::from_secs(1));
        let order = of.begin((0..addresses).map(address).collect());
        let first = order.fresh[0];
        of.handle_tried(first);
        of.handle_connected(first);
        hosts.handle_dialled(of);
    }

    /// A second name joins one with three addresses; then the first is replaced.
    /// Guards: A29.
    #[test]
    fn an_update_counts_addresses() {
        let mut clients = Spread::over(0..1, 3);
        clients.is_even_over(3);
        for (names, servers) in [(vec![0, 1], 6), (vec![0, 1, 2], 9), (vec![1, 2], 6)] {
            for hosts in &mut clients.0 {
                if hosts.update(list(names.clone())).unwrap() {
                    dial(hosts, 3);
                    hosts.handle_connected(Instant::now());
                }
            }
            clients.is_even_over(servers);
        }
    }

    /// A headless service is scaled.
    /// Guards: A29.
    #[test]
    fn a_lookup_spreads_clients_over_addresses() {
        let mut clients = Spread::over(0..1, 2);
        let host = list(0..1)[0].clone();
        let mut before = 2;
        for (now, most) in [(3, CLIENTS / 3), (6, CLIENTS / 2), (6, 0), (4, CLIENTS / 3)] {
            let known: Vec<_> = (0..before).map(address).collect();
            let mut moved = 0;
            for hosts in &mut clients.0 {
                let found = (0..now).map(address).collect();
                if hosts.update_addresses(&host, &known, found) {
                    moved += 1;
                    dial(hosts, now);
                    hosts.handle_connected(Instant::now());
                }
            }
            assert!(
                moved <= most + most / 8 && moved >= most - most / 8,
                "{moved} of {most}"
            );
            clients.is_even_over(now.into());
            before = now;
        }
        // An empty answer, and one about another name, change nothing.
        let hosts = &mut clients.0[0];
        assert!(!hosts.update_addresses(&host, &[address(0)], Vec::new()));
        assert!(!hosts.update_addresses(&list(7..8)[0], &[address(0)], vec![address(9)]));
    }

    /// Guards: A28.
    #[test]
    fn unconnected_clients_are_spread_evenly() {
        let servers = list(0..3);
        let client = |seed| {
            let mut hosts = Hosts::new(servers.clone(), BackoffPolicy::default(), seed);
            hosts.update(list(0..6)).unwrap();
            hosts.next_attempt().unwrap();
            hosts
        };
        Clients((0..CLIENTS).map(client).collect()).are_even_over(6);
    }

    /// Guards: A28.
    #[test]
    fn an_update_during_a_move_is_even() {
        let mut clients = Clients::of(0..3);
        for hosts in &mut clients.0 {
            hosts.update(list(0..6)).unwrap();
        }
        assert!(clients.update(0..9) > 0);
        clients.are_even_over(9);
    }

    /// Guards: A28.
    #[test]
    fn a_repeated_update_keeps_the_move() {
        let mut hosts = Hosts::new(list(0..1), BackoffPolicy::default(), 1);
        hosts.next_attempt().unwrap();
        hosts.handle_connected(Instant::now());
        assert!(hosts.update(list(1..4)).unwrap());
        let going_to = hosts.preferred.front().cloned();
        assert!(hosts.update(list(1..4)).unwrap());
        assert_eq!(hosts.next_attempt().map(|attempt| attempt.host), going_to);
    }

    /// Guards: A28.
    #[test]
    fn an_empty_list_is_refused() {
        let mut hosts = Hosts::new(list(0..2), BackoffPolicy::default(), 1);
        assert_eq!(hosts.update(Vec::new()), Err(NoHosts));
        assert_eq!(hosts.replace(Vec::new()), Err(NoHosts));
        assert_eq!(hosts.len(), 2);
    }

    /// Guards: A28.
    #[test]
    fn a_replaced_list_moves_no_client() {
        let mut hosts = Hosts::new(list(0..1), BackoffPolicy::default(), 1);
        hosts.next_attempt().unwrap();
        hosts.replace(list(5..7)).unwrap();
        assert_eq!(hosts.current(), list(0..1).first());
        let next = hosts.next_attempt().unwrap().host;
        assert!(list(5..7).contains(&next));
    }

    #[test]
    fn a_move_tries_all_servers_without_delay() {
        let mut hosts = Hosts::new(list(0..3), BackoffPolicy::default(), 1);
        let now = Instant::now();
        hosts.next_attempt().unwrap();
        hosts.handle_connected(now);
        assert!(hosts.update(list(10..13)).unwrap());
        hosts.handle_disconnected(now + Duration::from_secs(5));
        let mut tried: Vec<_> = (0..3).map(|_| hosts.next_attempt().unwrap()).collect();
        assert!(tried.iter().all(|attempt| attempt.delay.is_zero()));
        tried.sort_by(|a, b| a.host.host.cmp(&b.host.host));
        let tried: Vec<_> = tried.into_iter().map(|attempt| attempt.host).collect();
        assert_eq!(tried, list(10..13));
    }

    proptest! {
        /// Whatever lists follow one another, in whatever state, every server is tried, and so is every
        /// server of the fallback.
        /// Guards: A28.
        #[test]
        fn any_sequence_of_lists(
            seed in any::<u64>(),
            lists in prop::collection::vec(
                (
                    prop::collection::vec(0u16..6, 0..5),
                    prop::collection::vec(4u16..9, 0..3),
                    0u8..4,
                ),
                1..12,
            ),
        ) {
            let mut hosts = Hosts::new(list(0..2), BackoffPolicy::default(), seed);
            for (ids, fallback, then) in lists {
                let servers = list(ids);
                let before = hosts.len();
                let fallback = list(fallback);
                match hosts.update(servers.clone()) {
                    Err(NoHosts) => prop_assert!(servers.is_empty() && hosts.len() == before),
                    Ok(moves) => {
                        prop_assert_eq!(hosts.len(), distinct(servers.clone()).len());
                        if moves {
                            prop_assert!(servers.contains(hosts.preferred.front().unwrap()));
                        }
                        hosts.set_fallback(fallback.clone());
                        let both = servers.iter().chain(&fallback).cloned().collect();
                        prop_assert_eq!(hosts.len(), distinct(both).len());
                    }
                }
                for _ in 0..then {
                    let at = hosts.next_attempt().unwrap().host;
                    prop_assert_eq!(hosts.current(), Some(&at));
                    if then == 3 {
                        hosts.handle_connected(Instant::now());
                    }
                }
            }
            let all: HashSet<_> = hosts.iter().cloned().collect();
            let rounds = 2 * all.len() + hosts.preferred.len();
            let tried: HashSet<_> =
                (0..rounds).map(|_| hosts.next_attempt().unwrap().host).collect();
            prop_assert_eq!(tried, all);
        }
    }
}

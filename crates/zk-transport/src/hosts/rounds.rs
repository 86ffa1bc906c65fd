//! The turns of a round of attempts: each address of each server has one.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use zk_proto::HostPort;

use super::addresses::Addresses;
use super::list::Hosts;
use super::order::HostOrder;

/// The rank of a server that is not measured.
const UNMEASURED: u32 = 500_000;
/// How many measurements of a server count: it is as near as the best of them says. Each may have been
/// delayed, at the server or in this program.
const MEASUREMENTS: usize = 3;
/// A server that is nearer by less than this, in microseconds, is as near.
const LEAST_DIFFERENCE: u32 = 5_000;
/// For how long a server that the caller has left is tried after the others.
const LEFT_FOR: Duration = Duration::from_secs(60);

impl Hosts {
    /// The server whose turn it is. Begins another round if every address has had its turn.
    pub(super) fn next_in_round(&mut self) -> Option<HostPort> {
        if self.turns.is_empty() {
            self.begin_round();
        }
        let turn = self.turns.pop_front()?;
        let host = self.iter().nth(turn)?.clone();
        if turn < self.hosts.len() {
            self.next = (turn + 1) % self.hosts.len();
        }
        Some(host)
    }

    /// The servers in the order of a round that begins now.
    pub(super) fn in_order(&self) -> Vec<&HostPort> {
        let first = match self.order.begins_anew() {
            true => 0,
            false => self.next,
        };
        let (before, from) = self.hosts.split_at(first.min(self.hosts.len()));
        let mut order: Vec<_> = from.iter().chain(before).collect();
        if self.order.prefers() {
            order.sort_by_key(|host| self.rank(host));
        }
        order
    }

    fn begin_round(&mut self) {
        if !self.fallback.is_empty() {
            // Each round begins with another of them.
            self.fallback.rotate_left(1);
        }
        let (put_back, fresh): (Vec<_>, Vec<_>) =
            (self.in_order().into_iter()).partition(|host| self.is_put_back(host));
        let main = fresh.into_iter().chain(put_back).collect();
        let fallback: Vec<_> = self.fallback.iter().collect();
        // A server of the fallback that was just tried, and dropped the client, has had its turn.
        let had_its_turn = self.fruitless > 0 && self.is_on_fallback();
        let (first, second) = match self.fallback_first && !had_its_turn {
            true => (fallback, main),
            false => (main, fallback),
        };
        let mut turns = VecDeque::new();
        for part in [first, second] {
            self.push_turns(&mut turns, &part);
        }
        self.turns = turns;
    }

    /// A turn of each of these servers, then another of each that has a second address, and so on.
    fn push_turns(&self, turns: &mut VecDeque<usize>, part: &[&HostPort]) {
        let places: HashMap<_, _> = self.iter().zip(0..).collect();
        let most = part.iter().map(|host| self.count(host)).max();
        for turn in 0..most.unwrap_or(0) {
            let in_turn = part.iter().filter(|host| turn < self.count(host));
            turns.extend(in_turn.filter_map(|host| places.get(host)));
        }
    }

    /// The round that is under way ends.
    pub(super) fn end_round(&mut self) {
        self.turns.clear();
    }

    /// The name of the last attempt was found to have this many more addresses than the round has turns
    /// for.
    pub(super) fn add_turns(&mut self, host: &HostPort, more: usize) {
        let at = self.iter().position(|known| known == host);
        if let Some(at) = at {
            self.turns.extend(std::iter::repeat_n(at, more));
        }
    }

    /// Whether the server is tried after the others: its connections have failed or were lost repeatedly, or
    /// the caller has left it.
    fn is_put_back(&self, host: &HostPort) -> bool {
        let has_failed = (self.addresses.get(host)).is_some_and(|it| it.are_put_back(self.now));
        let was_left = self.left.as_deref().is_some_and(|(left, at)| {
            let since = self.now.map(|now| now.saturating_duration_since(*at));
            left == host && since.is_some_and(|since| since < LEFT_FOR)
        });
        has_failed || was_left || self.has_lost_repeatedly(host)
    }

    /// How many addresses of this server are known; 1 before the first lookup.
    pub(super) fn count(&self, host: &HostPort) -> usize {
        self.addresses.get(host).map_or(1, Addresses::count)
    }

    /// The rank of a server: the lower, the more it is preferred.
    pub(super) fn rank(&self, host: &HostPort) -> u32 {
        match &self.order {
            HostOrder::Shuffled | HostOrder::AsGiven => 0,
            HostOrder::FirstAvailable => {
                let at = self.hosts.iter().position(|known| known == host);
                at.and_then(|at| u32::try_from(at).ok()).unwrap_or(u32::MAX)
            }
            HostOrder::Ranked(_) => self.known_rank(host).unwrap_or(u32::MAX),
            HostOrder::Nearest => self.known_rank(host).unwrap_or(UNMEASURED),
        }
    }

    fn known_rank(&self, host: &HostPort) -> Option<u32> {
        let known = self.ranks.iter().find(|(ranked, _)| ranked == host);
        known.map(|(_, rank)| *rank)
    }

    /// The order in which servers are tried.
    pub fn order(&self) -> &HostOrder {
        &self.order
    }

    /// The servers whose rank is not known, with the function for it. The caller calls it without any
    /// lock, and [sets](Self::set_rank) the results.
    pub fn unranked(&self) -> Option<(super::order::Rank, Vec<HostPort>)> {
        let HostOrder::Ranked(rank) = &self.order else {
            return None;
        };
        let unknown = self
            .hosts
            .iter()
            .filter(|host| self.known_rank(host).is_none());
        let unknown: Vec<_> = unknown.cloned().collect();
        (!unknown.is_empty()).then(|| (rank.clone(), unknown))
    }

    /// The rank of a server of the list; of others it is not kept.
    pub fn set_rank(&mut self, host: &HostPort, rank: u32) {
        if self.hosts.contains(host) {
            self.ranks.retain(|(ranked, _)| ranked != host);
            self.ranks.push((host.clone(), rank));
        }
    }

    /// A server has taken this long to accept a connection and to answer.
    pub fn set_distance(&mut self, host: &HostPort, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        if !self.hosts.contains(host) {
            return;
        }
        let measured = self.distances.entry(host.clone()).or_default();
        measured.push_front(micros);
        measured.truncate(MEASUREMENTS);
        let best = measured.iter().copied().min().unwrap_or(micros);
        self.set_rank(host, best);
    }

    /// Whether this server is preferred to that of the last attempt, however little, and also while it is put
    /// back; [`better`](Self::better) says which are worth a move. False before the first attempt, and in an order
    /// that prefers no server.
    pub fn is_better(&self, host: &HostPort) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| self.rank(host) < self.rank(current))
    }

    /// The servers of the list that are preferred to that of the last attempt, the best first; without those
    /// that are put back, because connections to them have failed or the caller has left them. A server
    /// counts as nearer only if it takes less than half of the time, and 5 ms less, so that clients do not
    /// move back and forth between servers that are equally near.
    pub fn better(&mut self, now: Instant) -> Vec<HostPort> {
        self.now = Some(now);
        let Some(current) = self.current.as_ref() else {
            return Vec::new();
        };
        let limit = match (&self.order, self.hosts.contains(current)) {
            (HostOrder::Shuffled | HostOrder::AsGiven, _) => return Vec::new(),
            (_, false) => u32::MAX,
            (HostOrder::Nearest, true) => {
                let rank = self.rank(current);
                (rank / 2).min(rank.saturating_sub(LEAST_DIFFERENCE))
            }
            (_, true) => self.rank(current),
        };
        let mut better: Vec<_> = self
            .hosts
            .iter()
            .filter(|host| self.rank(host) < limit && !self.is_put_back(host))
            .collect();
        better.sort_by_key(|host| self.rank(host));
        better.into_iter().cloned().collect()
    }
}

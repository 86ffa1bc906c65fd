//! Which address of a host to try next.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The most addresses of one host that a round counts.
const MAX_COUNTED: usize = 16;
/// For how long an address is tried last after the first failure that followed an accepted connection.
/// Each further failure doubles the time.
const FIRST_PENALTY: Duration = Duration::from_secs(10);
/// The longest such time.
const MAX_PENALTY: Duration = Duration::from_secs(300);

/// The addresses of one host, and how the attempts to connect to them went.
///
/// An address that accepts connections and then fails the handshake would hide all others if every
/// attempt began with it. So each attempt begins with the address that was tried least recently, and
/// the addresses that failed after they had accepted come last until their time is over: 10 s after the
/// first failure, twice as long after each further one, 5 minutes at most.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The latest answer of the resolver.
    known: Vec<SocketAddr>,
    /// The addresses that have been tried, the least recent first.
    tried: Vec<SocketAddr>,
    /// The addresses that accepted a connection which then failed. An address is removed when it serves a
    /// session, and all are when an attempt finds that none of the addresses accepts.
    failed: Vec<(SocketAddr, Penalty)>,
    /// Whether the latest attempt has tried any.
    attempted: bool,
    /// The address that the latest attempt is connected to.
    current: Option<SocketAddr>,
    /// Whether that connection has served a session.
    served: bool,
    /// The address to begin the next attempt with.
    preferred: Option<SocketAddr>,
    /// The only address to try.
    only: Option<SocketAddr>,
    /// That one is tried although the resolver does not return it.
    unresolved: bool,
    /// How long an attempt may take.
    budget: Option<Duration>,
    /// When the attempt began.
    now: Option<Instant>,
    sequence: Sequence,
}

/// The failures of an address since it last served a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Penalty {
    failures: u32,
    until: Instant,
}

/// In which order the addresses of a name are tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Sequence {
    /// Those not yet tried in the resolver's order, and then the least recently tried.
    #[default]
    Recency,
    /// The same; those not yet tried are shuffled by this seed.
    Shuffled(u64),
    /// The resolver's order.
    Resolved,
}

/// The addresses of one attempt, in the order to try them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Order {
    /// The addresses without a recent failure.
    pub fresh: Vec<SocketAddr>,
    /// The addresses that lately accepted a connection which then failed.
    pub failed: Vec<SocketAddr>,
}

impl Addresses {
    /// The same addresses for another attempt, which is not connected to any of them yet.
    pub fn for_another_attempt(&self) -> Self {
        Addresses {
            attempted: false,
            current: None,
            served: false,
            ..self.clone()
        }
    }

    /// The same addresses for an attempt that may take as long as `budget`.
    #[must_use]
    pub fn within(mut self, budget: Duration) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The same addresses, of which only this one is tried; none if the host does not have it.
    #[must_use]
    pub fn only(mut self, address: SocketAddr) -> Self {
        self.only = Some(address);
        self
    }

    /// The same addresses, of which only this one is tried, also if the resolver does not return it any more: the
    /// address of a connection that is open.
    #[must_use]
    pub fn pinned(mut self, address: SocketAddr) -> Self {
        self.unresolved = true;
        self.only(address)
    }

    /// The same addresses for an attempt that begins at this time.
    #[must_use]
    pub fn at(mut self, now: Instant) -> Self {
        self.now = Some(now);
        self
    }

    /// The same addresses, of which those not yet tried are shuffled.
    #[must_use]
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.sequence = Sequence::Shuffled(seed);
        self
    }

    /// The same addresses, always tried in the resolver's order.
    #[must_use]
    pub fn as_resolved(mut self) -> Self {
        self.sequence = Sequence::Resolved;
        self
    }

    /// How long the attempt may take; `None` without a limit.
    pub fn budget(&self) -> Option<Duration> {
        self.budget
    }

    /// The name has been resolved to `found` for this attempt.
    pub fn begin(&mut self, found: Vec<SocketAddr>) -> Order {
        let mut found = distinct_addresses(found);
        let seen: HashSet<_> = found.iter().copied().collect();
        self.tried.retain(|address| seen.contains(address));
        self.failed.retain(|(address, _)| seen.contains(address));
        self.known.clone_from(&found);
        match self.only {
            Some(only) if self.unresolved => found = vec![only],
            Some(only) => found.retain(|address| *address == only),
            None => {}
        }
        if let Sequence::Shuffled(seed) = self.sequence {
            fastrand::Rng::with_seed(seed).shuffle(&mut found);
        }
        if self.sequence != Sequence::Resolved {
            // Addresses that were never tried have no position and come first.
            found.sort_by_key(|address| self.tried.iter().position(|tried| tried == address));
        }
        let preferred = self.preferred.take();
        let preferred = preferred.filter(|address| found.contains(address));
        found.retain(|address| Some(*address) != preferred);
        let (failed, others): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|address| self.is_put_back(address, self.now));
        let fresh = preferred.into_iter().chain(others).collect();
        Order { fresh, failed }
    }

    /// Makes the next attempt begin with this address.
    pub fn prefer(&mut self, address: SocketAddr) {
        self.preferred = Some(address);
    }

    /// The next attempt begins with the address whose turn it is.
    pub(super) fn prefer_none(&mut self) {
        self.preferred = None;
    }

    /// The attempt tries this address now.
    pub fn handle_tried(&mut self, address: SocketAddr) {
        self.tried.retain(|tried| *tried != address);
        self.tried.push(address);
        self.attempted = true;
    }

    /// The address has accepted the attempt's connection.
    pub fn handle_connected(&mut self, address: SocketAddr) {
        self.current = Some(address);
    }

    /// The connection serves a session.
    pub fn handle_served(&mut self) {
        if let Some(address) = self.current {
            self.failed.retain(|(failed, _)| *failed != address);
        }
        self.served = true;
    }

    /// The attempt has failed. The address that it was connected to is tried last for a while, unless
    /// the connection served a session. If addresses were tried and none has accepted, earlier failures are
    /// forgotten. An attempt that ended before says nothing about any address.
    pub fn handle_failed(&mut self, now: Instant) {
        match self.current {
            None if self.attempted => self.failed.clear(),
            Some(address) if !self.served => {
                let earlier = self.penalty(&address).map_or(0, |it| it.failures);
                let failures = earlier.saturating_add(1);
                let until = now + penalty_after(earlier);
                self.put_back(address, Penalty { failures, until });
            }
            _ => {}
        }
    }

    /// Connections to the address have served sessions and were lost, again and again: it is tried last until
    /// this time.
    pub(super) fn put_back_for_losses(&mut self, address: SocketAddr, until: Instant) {
        let failures = self.penalty(&address).map_or(0, |it| it.failures);
        self.put_back(address, Penalty { failures, until });
    }

    /// The client leaves the address by the wish of the caller: it is tried last for a while.
    pub(super) fn handle_left(&mut self, now: Instant) {
        if let Some(address) = self.current {
            let failures = self.penalty(&address).map_or(0, |it| it.failures);
            let until = now + FIRST_PENALTY;
            self.put_back(address, Penalty { failures, until });
        }
    }

    /// The addresses are another answer of the resolver, outside of an attempt.
    pub fn set_known(&mut self, found: Vec<SocketAddr>) {
        self.known = distinct_addresses(found);
        let seen: HashSet<_> = self.known.iter().copied().collect();
        self.tried.retain(|address| seen.contains(address));
        self.failed.retain(|(address, _)| seen.contains(address));
    }

    /// The address that the latest attempt has been connected to, if it got that far.
    pub fn current(&self) -> Option<SocketAddr> {
        self.current
    }

    /// The addresses of the latest answer of the resolver; empty before the first.
    pub fn known(&self) -> &[SocketAddr] {
        &self.known
    }

    /// Whether an attempt has tried this address.
    pub fn is_tried(&self, address: &SocketAddr) -> bool {
        self.tried.contains(address)
    }

    fn penalty(&self, address: &SocketAddr) -> Option<&Penalty> {
        let found = self.failed.iter().find(|(failed, _)| failed == address);
        found.map(|(_, penalty)| penalty)
    }

    fn put_back(&mut self, address: SocketAddr, penalty: Penalty) {
        self.failed.retain(|(failed, _)| *failed != address);
        self.failed.push((address, penalty));
    }

    /// Until when the address is tried last, because it accepted a connection which then failed.
    pub fn put_back_until(&self, address: &SocketAddr) -> Option<Instant> {
        self.penalty(address).map(|penalty| penalty.until)
    }

    fn is_put_back(&self, address: &SocketAddr, now: Option<Instant>) -> bool {
        let until = self.put_back_until(address);
        until.is_some_and(|until| now.is_none_or(|now| now < until))
    }

    /// Whether each known address is tried last at this time.
    pub(super) fn are_put_back(&self, now: Option<Instant>) -> bool {
        let mut known = self.known.iter();
        !self.known.is_empty() && known.all(|address| self.is_put_back(address, now))
    }

    /// Whether there is something to remember for the next attempt. With one address there is nothing to
    /// choose.
    pub(super) fn is_of_use(&self) -> bool {
        self.known.len() > 1 || !self.failed.is_empty()
    }

    /// How many attempts it takes to try all known addresses: 1 to 16.
    pub fn count(&self) -> usize {
        self.known.len().clamp(1, MAX_COUNTED)
    }
}

/// The addresses without duplicates, in the order of their first occurrence.
pub(super) fn distinct_addresses(mut found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut seen = HashSet::new();
    found.retain(|address| seen.insert(*address));
    found
}

/// For how long an address is tried last after a failure, if so many were before it.
pub(super) fn penalty_after(earlier: u32) -> Duration {
    let factor = 1u32.checked_shl(earlier.min(16)).unwrap_or(u32::MAX);
    FIRST_PENALTY.saturating_mul(factor).min(MAX_PENALTY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 2181))
    }

    fn fails_at(addresses: &mut Addresses, n: u8) {
        addresses.handle_tried(address(n));
        addresses.handle_connected(address(n));
        addresses.handle_failed(Instant::now());
    }

    fn order(addresses: &mut Addresses, found: &[u8]) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let order = addresses.begin(found.iter().copied().map(address).collect());
        (order.fresh, order.failed)
    }

    /// Guards: P29.
    #[test]
    fn addresses_that_failed_come_last() {
        let mut addresses = Addresses::default();
        assert_eq!(
            order(&mut addresses, &[1, 2, 3, 2]).0,
            [1, 2, 3].map(address)
        );
        assert_eq!(addresses.count(), 3);
        fails_at(&mut addresses, 1);
        let (fresh, failed) = order(&mut addresses, &[1, 2, 3]);
        assert_eq!(
            (fresh, failed),
            ([2, 3].map(address).into(), vec![address(1)])
        );
        fails_at(&mut addresses, 2);
        fails_at(&mut addresses, 3);
        // Another order of the answer changes nothing.
        let (fresh, failed) = order(&mut addresses, &[3, 2, 1]);
        assert_eq!((fresh, failed), (vec![], [1, 2, 3].map(address).into()));
        addresses.handle_tried(address(1));
        addresses.handle_connected(address(1));
        addresses.handle_served();
        let (fresh, failed) = order(&mut addresses, &[1, 2, 3]);
        assert_eq!(
            (fresh, failed),
            (vec![address(1)], [2, 3].map(address).into())
        );
    }

    /// An address that fails again and again is tried last for longer each time, and no longer than 5
    /// minutes.
    /// Guards: P29.
    #[test]
    fn a_failed_address_is_put_back_for_a_while() {
        let start = Instant::now();
        let mut addresses = Addresses::default().at(start);
        for seconds in [10, 20, 40, 80, 160, 300, 300] {
            order(&mut addresses, &[1, 2]);
            addresses.handle_tried(address(1));
            addresses.handle_connected(address(1));
            addresses.handle_failed(start);
            let until = start + Duration::from_secs(seconds);
            assert_eq!(addresses.put_back_until(&address(1)), Some(until));
            addresses = addresses.at(until - Duration::from_millis(1));
            assert_eq!(order(&mut addresses, &[1, 2]).1, [address(1)]);
            addresses = addresses.for_another_attempt().at(until);
            let both = [2, 1].map(address).to_vec();
            assert_eq!(order(&mut addresses, &[1, 2]), (both, vec![]));
        }
        // Another address that serves changes nothing; its own success does.
        addresses.handle_connected(address(2));
        addresses.handle_served();
        assert!(addresses.put_back_until(&address(1)).is_some());
        addresses.handle_connected(address(1));
        addresses.handle_served();
        assert_eq!(addresses.put_back_until(&address(1)), None);
    }

    #[test]
    fn new_addresses_are_shuffled_on_request() {
        let all: Vec<u8> = (1..=5).collect();
        let first = |seed| order(&mut Addresses::default().shuffled(seed), &all).0[0];
        let firsts: HashSet<_> = (0..100).map(first).collect();
        assert_eq!(firsts.len(), 5);
        let mut addresses = Addresses::default().as_resolved();
        for _ in 0..2 {
            assert_eq!(order(&mut addresses, &all).0[0], address(1));
            addresses.handle_tried(address(1));
        }
        fails_at(&mut addresses, 1);
        assert_eq!(order(&mut addresses, &all).0[0], address(2));
    }

    /// What is left are addresses that do not answer at all.
    /// Guards: P29.
    #[test]
    fn failures_are_forgotten_if_none_accepts() {
        let mut addresses = Addresses::default();
        order(&mut addresses, &[1, 2]);
        fails_at(&mut addresses, 1);
        assert_eq!(order(&mut addresses, &[1, 2]).1, [address(1)]);
        let mut addresses = addresses.for_another_attempt();
        addresses.handle_tried(address(2));
        addresses.handle_failed(Instant::now());
        let both = [1, 2].map(address).to_vec();
        assert_eq!(order(&mut addresses, &[1, 2]), (both, vec![]));
    }

    #[test]
    fn a_preferred_address_is_first_once() {
        let mut addresses = Addresses::default();
        order(&mut addresses, &[1, 2]);
        fails_at(&mut addresses, 2);
        addresses.prefer(address(2));
        let both = [2, 1].map(address).to_vec();
        assert_eq!(order(&mut addresses, &[1, 2]), (both, vec![]));
        assert_eq!(order(&mut addresses, &[1, 2]).0, [address(1)]);
        addresses.prefer(address(3));
        assert_eq!(order(&mut addresses, &[1, 2]).0, [address(1)]);
    }

    #[test]
    fn an_attempt_at_one_address_tries_no_other() {
        let mut addresses = Addresses::default().only(address(2));
        assert_eq!(order(&mut addresses, &[1, 2, 3]).0, [address(2)]);
        assert_eq!(order(&mut addresses, &[1, 3]), (vec![], vec![]));
        assert_eq!(addresses.count(), 2);
        let mut addresses = Addresses::default().pinned(address(2));
        for found in [&[1, 2, 3][..], &[1, 3], &[]] {
            assert_eq!(order(&mut addresses, found).0, [address(2)]);
        }
    }

    /// Guards: P29.
    #[test]
    fn addresses_no_longer_resolved_are_dropped() {
        let mut addresses = Addresses::default();
        for n in 0..100 {
            order(&mut addresses, &[n, n + 1]);
            fails_at(&mut addresses, n);
        }
        assert!(addresses.tried.len() <= 2 && addresses.failed.len() <= 2);
        let mut addresses = addresses.for_another_attempt();
        assert_eq!(addresses.current(), None);
        order(&mut addresses, &[]);
        assert_eq!(addresses, Addresses::default());
        assert_eq!(addresses.count(), 1);
    }
}

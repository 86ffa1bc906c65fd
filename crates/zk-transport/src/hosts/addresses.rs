//! Which address of a host to try next.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

/// The most addresses of one host that a round counts.
const MAX_COUNTED: usize = 16;

/// The addresses of one host, and how the attempts to connect to them went.
///
/// An address that accepts connections and then fails the handshake would hide all others if every
/// attempt began with it. So each attempt begins with the address that was tried least recently, and
/// the addresses that failed after they had accepted come last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The latest answer of the resolver.
    known: Vec<SocketAddr>,
    /// The addresses that have been tried, the least recent first.
    tried: Vec<SocketAddr>,
    /// The addresses that accepted a connection which then failed. Cleared when the host serves a session,
    /// and when an attempt finds that none of its addresses accepts.
    failed: Vec<SocketAddr>,
    /// The address that the latest attempt is connected to.
    current: Option<SocketAddr>,
    /// Whether that connection has served a session.
    served: bool,
    /// The address to begin the next attempt with.
    preferred: Option<SocketAddr>,
    /// How long an attempt may take.
    budget: Option<Duration>,
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

    /// How long the attempt may take; `None` without a limit.
    pub fn budget(&self) -> Option<Duration> {
        self.budget
    }

    /// The name has been resolved to `found` for this attempt.
    pub fn begin(&mut self, mut found: Vec<SocketAddr>) -> Order {
        let mut seen = HashSet::new();
        found.retain(|address| seen.insert(*address));
        self.tried.retain(|address| seen.contains(address));
        self.failed.retain(|address| seen.contains(address));
        self.known.clone_from(&found);
        // Addresses that were never tried have no position and come first, in the resolver's order.
        found.sort_by_key(|address| self.tried.iter().position(|tried| tried == address));
        let preferred = self.preferred.take();
        let preferred = preferred.filter(|address| found.contains(address));
        found.retain(|address| Some(*address) != preferred);
        let (failed, others): (Vec<_>, Vec<_>) = found
            .into_iter()
            .partition(|address| self.failed.contains(address));
        let fresh = preferred.into_iter().chain(others).collect();
        Order { fresh, failed }
    }

    /// Makes the next attempt begin with this address.
    pub fn prefer(&mut self, address: SocketAddr) {
        self.preferred = Some(address);
    }

    /// The attempt tries this address now.
    pub fn handle_tried(&mut self, address: SocketAddr) {
        self.tried.retain(|tried| *tried != address);
        self.tried.push(address);
    }

    /// The address has accepted the attempt's connection.
    pub fn handle_connected(&mut self, address: SocketAddr) {
        self.current = Some(address);
    }

    /// The connection serves a session.
    pub fn handle_served(&mut self) {
        self.failed.clear();
        self.served = true;
    }

    /// The attempt has failed. The address that it was connected to is tried last from now on, unless the
    /// connection served a session. If no address has accepted, earlier failures are forgotten.
    pub fn handle_failed(&mut self) {
        match self.current {
            None => self.failed.clear(),
            Some(address) if !self.served && !self.failed.contains(&address) => {
                self.failed.push(address);
            }
            Some(_) => {}
        }
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

    /// How many attempts it takes to try all known addresses: 1 to 16.
    pub fn count(&self) -> usize {
        self.known.len().clamp(1, MAX_COUNTED)
    }
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
        addresses.handle_failed();
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
        assert_eq!((fresh, failed), ([2, 3, 1].map(address).into(), vec![]));
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
        addresses.handle_failed();
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

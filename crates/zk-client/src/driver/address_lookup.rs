//! Looks the names of the servers up while the client is connected.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use tracing::{debug, info};
use zk_proto::HostPort;
use zk_transport::Dial;

use crate::shared::{Shared, now};

/// How long the lookup of one name may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// An address is gone once so many lookups in a row have not found it: a resolver may return a part of the
/// addresses, another one each time.
const GONE_AFTER: u8 = 3;

/// The addresses of a name that lookups have found.
#[derive(Debug, Default)]
struct Seen(Vec<SeenAddress>);

#[derive(Debug)]
struct SeenAddress {
    address: SocketAddr,
    /// How many lookups in a row have not found it.
    missing: u8,
}

/// What has become of the addresses of a name.
struct Change {
    before: Vec<SocketAddr>,
    now: Vec<SocketAddr>,
    /// The address that the client is connected to is gone.
    leaves: bool,
}

impl Seen {
    /// A lookup has found these. The client is connected to the address `connected` of the name.
    fn update(&mut self, found: &[SocketAddr], connected: Option<SocketAddr>) -> Change {
        let is_first = self.0.is_empty();
        self.0
            .extend(connected.filter(|at| !self.has(at)).map(seen));
        if is_first {
            self.add(found);
        }
        let before = self.known();
        for it in &mut self.0 {
            it.missing = match found.contains(&it.address) {
                true => 0,
                false => it.missing.saturating_add(1),
            };
        }
        self.add(found);
        (self.0).retain(|it| it.missing < GONE_AFTER || Some(it.address) == connected);
        let now = self.known();
        Change {
            before,
            leaves: connected.is_some_and(|at| !now.contains(&at)),
            now,
        }
    }

    fn has(&self, address: &SocketAddr) -> bool {
        self.0.iter().any(|it| it.address == *address)
    }

    fn add(&mut self, found: &[SocketAddr]) {
        for address in found {
            if !self.has(address) {
                self.0.push(seen(*address));
            }
        }
    }

    /// Those that are not gone, sorted.
    fn known(&self) -> Vec<SocketAddr> {
        let known = self.0.iter().filter(|it| it.missing < GONE_AFTER);
        let mut known: Vec<_> = known.map(|it| it.address).collect();
        known.sort();
        known
    }
}

fn seen(address: SocketAddr) -> SeenAddress {
    SeenAddress {
        address,
        missing: 0,
    }
}

/// Looks each name up every `interval`. When the addresses of a name have changed, the client may move, so
/// that each address has its share of the clients. A lookup that fails or finds no address changes
/// nothing.
///
/// Polled by the driver.
pub(super) async fn look_up_addresses(
    shared: &Shared,
    dial: &dyn Dial,
    interval: Duration,
) -> Infallible {
    let mut seen: HashMap<HostPort, Seen> = HashMap::new();
    loop {
        let hosts: Vec<_> = shared.with(|core| core.relocation.hosts.iter().cloned().collect());
        seen.retain(|host, _| hosts.contains(host));
        for host in hosts {
            let lookup = tokio::time::timeout(LOOKUP_TIMEOUT, dial.addresses(&host));
            let found = match lookup.await {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => {
                    debug!(server = %host, %error, "cannot look up the addresses");
                    continue;
                }
                Err(_elapsed) => {
                    debug!(server = %host, "the lookup of the addresses takes too long");
                    continue;
                }
            };
            if found.is_empty() {
                continue;
            }
            let connected = shared.with(|core| core.connected_address(&host));
            let seen = seen.entry(host.clone()).or_default();
            let Change {
                before,
                now: found,
                leaves,
            } = seen.update(&found, connected);
            if before != found {
                info!(server = %host, addresses = found.len(), "the addresses have changed");
            }
            if before != found || leaves {
                shared.with(|core| core.update_addresses(now(), &host, &before, found));
            }
        }
        tokio::time::sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[u8]) -> Vec<SocketAddr> {
        let address = |n: &u8| SocketAddr::from(([192, 0, 2, *n], 2181));
        ids.iter().map(address).collect()
    }

    /// A resolver returns two addresses of four, in turn.
    #[test]
    fn a_part_of_the_addresses_is_no_change() {
        let mut seen = Seen::default();
        for _ in 0..3 {
            seen.update(&of(&[1, 2]), None);
            seen.update(&of(&[4, 3]), None);
        }
        for found in [[1, 2], [3, 4], [1, 2]] {
            let change = seen.update(&of(&found), of(&[3]).pop());
            assert_eq!(
                (change.before, change.now),
                (of(&[1, 2, 3, 4]), of(&[1, 2, 3, 4]))
            );
            assert!(!change.leaves);
        }
    }

    #[test]
    fn an_address_is_gone_after_three_lookups() {
        let mut seen = Seen::default();
        let own = of(&[9]).pop();
        // The client has reached an address that the first lookup does not find.
        for _ in 0..2 {
            let change = seen.update(&of(&[1]), own);
            assert_eq!((change.before, change.now), (of(&[1, 9]), of(&[1, 9])));
            assert!(!change.leaves);
        }
        let change = seen.update(&of(&[1]), own);
        assert_eq!((change.before, change.now), (of(&[1, 9]), of(&[1])));
        assert!(change.leaves);
        // The client could not leave it yet.
        let change = seen.update(&of(&[1]), own);
        assert_eq!((change.before, change.now), (of(&[1]), of(&[1])));
        assert!(change.leaves);
        seen.update(&of(&[1]), of(&[1]).pop());
        assert_eq!(seen.0.len(), 1);
    }
}

//! The way back to a preferred server, while the client is connected to another.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use tracing::{debug, info};
use zk_proto::HostPort;
use zk_transport::reconnect::rank_servers;
use zk_transport::{Addresses, Backoff, BackoffPolicy, Dial, HostOrder};

use super::endpoint::CoreEndpoint;
use super::probe::has_quorum;
use crate::shared::{Shared, now};

/// The delays between searches.
const SEARCHES: BackoffPolicy = BackoffPolicy::new(Duration::from_secs(2), Duration::from_secs(60));
/// A connection to a preferred server that lasted this long is proven: the next search begins soon after it.
/// A preferred server that drops the client earlier cannot make it go back and forth.
const PROVEN: Duration = Duration::from_secs(10);
/// The longest time for a server to answer.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(2);

/// Moves the client to a server that is preferred to its own, whenever there is one that serves.
///
/// Polled by the driver together with the connection.
pub(super) async fn search_preferred(shared: &Shared, dial: &dyn Dial, seed: u64) -> Infallible {
    let mut backoff = Backoff::new(SEARCHES, seed);
    let mut connection = Watched::of(shared);
    let mut addresses_of = HashMap::new();
    loop {
        if let Some(before) = connection.next_or(backoff.next_delay()).await {
            let hosts = |host: &HostPort| shared.with(|core| core.relocation.hosts.is_better(host));
            if before.lasted >= PROVEN && before.server.as_ref().is_some_and(hosts) {
                backoff.reset();
            }
            continue;
        }
        rank_servers(&mut CoreEndpoint::new(shared));
        if shared.with(|core| measures(core.relocation.hosts.order()) && core.may_move()) {
            measure(shared, dial).await;
        }
        let preferred = shared.with(|core| core.preferred_servers(now()));
        addresses_of.retain(|host, _| preferred.contains(host));
        for host in preferred {
            let addresses: &mut Addresses = addresses_of.entry(host.clone()).or_default();
            if let Some(address) = serves(shared, dial, &host, addresses).await {
                if shared.with(|core| core.return_to(now(), &host, address)) {
                    info!(server = %host, "returning to a server that is preferred");
                }
                break;
            }
        }
    }
}

fn measures(order: &HostOrder) -> bool {
    matches!(order, HostOrder::Nearest)
}

/// Whether the server at one of its addresses has a quorum, and at which. Each address is queried until one
/// has; one at which the client's own connections have failed does not count for a while.
async fn serves(
    shared: &Shared,
    dial: &dyn Dial,
    host: &HostPort,
    addresses: &mut Addresses,
) -> Option<Option<SocketAddr>> {
    let mut queries = 0;
    loop {
        *addresses = (addresses.for_another_attempt().at(now())).within(MAX_ANSWER_TIME);
        let asked = tokio::time::timeout(MAX_ANSWER_TIME, has_quorum(dial, host, addresses));
        match asked.await {
            Ok(Ok(true)) => {
                let at = addresses.current();
                let put_back =
                    at.is_some_and(|at| shared.with(|core| core.is_put_back(now(), host, at)));
                if !put_back {
                    return Some(at);
                }
                debug!(server = %host, "is preferred, and has failed lately");
            }
            Ok(Ok(false)) => debug!(server = %host, "is preferred, and read-only"),
            Ok(Err(problem)) => debug!(server = %host, problem, "is preferred, and does not serve"),
            Err(_elapsed) => debug!(server = %host, "is preferred, and does not answer"),
        }
        addresses.handle_failed(now());
        queries += 1;
        if addresses.current().is_none() || queries >= addresses.count() {
            return None;
        }
    }
}

/// Measures how long each server takes to accept a connection and to answer.
async fn measure(shared: &Shared, dial: &dyn Dial) {
    let hosts: Vec<_> = shared.with(|core| core.relocation.hosts.iter().cloned().collect());
    for host in hosts {
        let begun = now();
        let mut addresses = Addresses::default().at(begun).within(MAX_ANSWER_TIME);
        let asked = has_quorum(dial, &host, &mut addresses);
        let answered = matches!(
            tokio::time::timeout(MAX_ANSWER_TIME, asked).await,
            Ok(Ok(true))
        );
        let took = match answered {
            true => now().saturating_duration_since(begun),
            false => Duration::MAX,
        };
        shared.with(|core| core.relocation.hosts.set_distance(&host, took));
    }
}

/// The connections of the client, one after the other.
struct Watched<'a> {
    shared: &'a Shared,
    /// The number of changes that have been looked at.
    changes: u64,
    connections: u64,
    since: Instant,
    /// When the latest connection ended.
    ended: Option<Instant>,
    /// The server of the latest connection.
    server: Option<HostPort>,
}

/// A connection that has ended.
struct Before {
    server: Option<HostPort>,
    lasted: Duration,
}

impl<'a> Watched<'a> {
    fn of(shared: &'a Shared) -> Self {
        Watched {
            shared,
            changes: shared.changes(),
            connections: 0,
            since: now(),
            ended: None,
            server: None,
        }
    }

    /// Waits for the next connection, but no longer than `delay`: then `None`. Otherwise the connection before
    /// it.
    async fn next_or(&mut self, delay: Duration) -> Option<Before> {
        let mut timer = pin!(tokio::time::sleep(delay));
        poll_fn(|cx| {
            // Every change of the state wakes the driver's task.
            let changes = self.shared.changes();
            if changes != self.changes {
                self.changes = changes;
                if let Some(before) = self.look() {
                    return Poll::Ready(Some(before));
                }
            }
            timer.as_mut().poll(cx).map(|()| None)
        })
        .await
    }

    /// The state has changed. Returns the connection before this one if this one is new.
    fn look(&mut self) -> Option<Before> {
        let now = now();
        let (connections, server) =
            (self.shared).with(|core| (core.connections(), core.server().cloned()));
        if connections == self.connections {
            if server.is_none() {
                self.ended.get_or_insert(now);
            }
            return None;
        }
        let ended = self.ended.take().unwrap_or(now);
        let before = Before {
            server: self.server.take(),
            lasted: ended.saturating_duration_since(self.since),
        };
        self.ended = server.is_none().then_some(now);
        (self.connections, self.since, self.server) = (connections, now, server);
        Some(before)
    }
}

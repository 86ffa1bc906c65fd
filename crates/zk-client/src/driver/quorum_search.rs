//! The search for a server with a quorum while a read-only one serves.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

use tracing::debug;
use zk_proto::HostPort;
use zk_transport::{Addresses, Backoff, BackoffPolicy, Dial};

use super::endpoint::timing;
use super::probe::has_quorum;
use crate::session::state::State;
use crate::shared::{Shared, now};

/// The delays between rounds.
const ROUNDS: BackoffPolicy =
    BackoffPolicy::new(Duration::from_millis(100), Duration::from_secs(60));
/// A connection to a server with a quorum that lasted this long is proven: the next search starts with
/// short delays again. A server that drops the client earlier cannot make it go back and forth.
const PROVEN: Duration = Duration::from_secs(10);
/// The longest time for a server to answer whether it is read-only.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(2);

/// Moves the client from a read-only server to one with a quorum, whenever it is on one.
///
/// Polled by the driver together with the connection, so that it sees every state.
pub(super) async fn search_quorum(shared: &Shared, dial: &dyn Dial, seed: u64) -> Infallible {
    let mut backoff = Backoff::new(ROUNDS, seed);
    let mut addresses_of = HashMap::new();
    loop {
        let kept = until_read_only(shared).await;
        if kept.is_some_and(|kept| kept >= PROVEN) {
            backoff.reset();
        }
        while shared.with(|core| core.wants_read_write()) {
            tokio::time::sleep(backoff.next_delay()).await;
            if let Some((host, address)) = round(shared, dial, &mut addresses_of).await {
                debug!(server = %host, "found a server with a quorum");
                shared.with(|core| core.move_to(now(), host, address));
            }
        }
    }
}

/// Waits for a connection to a read-only server. Returns how long a server with a quorum served before.
async fn until_read_only(shared: &Shared) -> Option<Duration> {
    let elapsed = |since: Instant| now().saturating_duration_since(since);
    let mut since: Option<Instant> = None;
    let mut kept = None;
    poll_fn(|_| {
        let (wanted, state) = shared.with(|core| (core.wants_read_write(), core.state()));
        if !wanted && matches!(state, State::Connected { .. }) {
            since.get_or_insert_with(now);
        } else {
            kept = since.take().map(elapsed).or(kept);
        }
        if wanted {
            return Poll::Ready(kept);
        }
        // Every change of the state wakes the driver's task.
        Poll::Pending
    })
    .await
}

/// Queries every other server once, one after the other, at each of its addresses, which `addresses_of`
/// keeps. The server of this connection is queried if it has other addresses. Returns the first that has
/// a quorum.
async fn round(
    shared: &Shared,
    dial: &dyn Dial,
    addresses_of: &mut HashMap<HostPort, Addresses>,
) -> Option<(HostPort, Option<SocketAddr>)> {
    let (hosts, limit) = shared.with(|core| {
        let current = core.server().cloned();
        let several = |host| {
            core.relocation
                .hosts
                .addresses_of(host)
                .is_some_and(|of| of.known().len() > 1)
        };
        let others = core
            .relocation
            .hosts
            .iter()
            .filter(|host| Some(*host) != current.as_ref() || several(host));
        let hosts: Vec<_> = others.cloned().collect();
        let budget = core.relocation.hosts.budget(timing(core, now()));
        (hosts, budget.min(MAX_ANSWER_TIME))
    });
    addresses_of.retain(|host, _| hosts.contains(host));
    for host in hosts {
        let addresses = addresses_of.entry(host.clone()).or_insert_with(|| {
            // The address of the present connection comes last.
            let known = shared.with(|core| core.relocation.hosts.addresses_of(&host).cloned());
            known.unwrap_or_default()
        });
        let mut queries = 0;
        loop {
            if !shared.with(|core| core.wants_read_write()) {
                return None;
            }
            *addresses = addresses.for_another_attempt().at(now()).within(limit);
            match tokio::time::timeout(limit, has_quorum(dial, &host, addresses)).await {
                Ok(Ok(true)) => {
                    let at = addresses.current();
                    let put_back =
                        at.is_some_and(|at| shared.with(|core| core.is_put_back(now(), &host, at)));
                    if !put_back {
                        return Some((host, at));
                    }
                    debug!(server = %host, "has a quorum, and has failed lately");
                }
                Ok(Ok(false)) => debug!(server = %host, "is read-only as well"),
                Ok(Err(problem)) => {
                    debug!(server = %host, problem, "does not say if it has a quorum");
                }
                Err(_elapsed) => debug!(server = %host, "does not answer isro"),
            }
            addresses.handle_failed(now());
            queries += 1;
            // None of them accepts, or each has been queried.
            if addresses.current().is_none() || queries >= addresses.count() {
                break;
            }
        }
    }
    None
}

//! The search for a server with a quorum while a read-only one serves.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

use tracing::debug;
use zk_proto::HostPort;
use zk_proto::admin::{AdminError, ServerMode, ServerStatus, isro};
use zk_transport::{Addresses, Backoff, BackoffPolicy, Dial, four_letter};

use super::endpoint::timing;
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
    let mut since: Option<Instant> = None;
    poll_fn(|_| {
        let (wanted, state) = shared.with(|core| (core.wants_read_write(), core.state()));
        if wanted {
            return Poll::Ready(since.map(|since| now().saturating_duration_since(since)));
        }
        if matches!(state, State::Connected { .. }) {
            since.get_or_insert_with(now);
        }
        // Every change of the state wakes the driver's task.
        Poll::Pending
    })
    .await
}

/// Queries every other server once, one after the other, each at the next of its addresses, which
/// `addresses_of` keeps. The server of this connection is queried if it has other addresses. Returns the
/// first that has a quorum.
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
        let budget = core.relocation.hosts.budget(timing(core));
        (hosts, budget.min(MAX_ANSWER_TIME))
    });
    addresses_of.retain(|host, _| hosts.contains(host));
    for host in hosts {
        if !shared.with(|core| core.wants_read_write()) {
            return None;
        }
        let addresses = addresses_of.entry(host.clone()).or_insert_with(|| {
            // The address of the present connection comes last.
            let known = shared.with(|core| core.relocation.hosts.addresses_of(&host).cloned());
            known.unwrap_or_default()
        });
        *addresses = addresses.for_another_attempt().within(limit);
        match tokio::time::timeout(limit, has_quorum(dial, &host, addresses)).await {
            Ok(Ok(true)) => return Some((host, addresses.current())),
            Ok(Ok(false)) => debug!(server = %host, "is read-only as well"),
            Ok(Err(problem)) => debug!(server = %host, problem, "does not say if it has a quorum"),
            Err(_elapsed) => debug!(server = %host, "does not answer isro"),
        }
        addresses.handle_failed();
    }
    None
}

/// Whether the server at the next of the addresses is part of a quorum.
async fn has_quorum(
    dial: &dyn Dial,
    host: &HostPort,
    addresses: &mut Addresses,
) -> Result<bool, String> {
    let text = |error: AdminError| error.to_string();
    let answer = four_letter::ask_next(dial, host, addresses, "isro").await;
    match isro(&answer.map_err(|e| e.to_string())?) {
        Ok(read_only) => Ok(!read_only),
        // A server with read-only mode answers this word whatever its whitelist is; one without the mode
        // may be part of a quorum, too. Every server answers `srvr`.
        Err(AdminError::NotAllowed | AdminError::Empty) => {
            if let Some(same) = addresses.current() {
                addresses.prefer(same);
            }
            let status = four_letter::ask_next(dial, host, addresses, "srvr").await;
            let status = status.map_err(|e| e.to_string())?;
            let status: ServerStatus = status.parse().map_err(text)?;
            match status.mode {
                Some(ServerMode::ReadOnly | ServerMode::Other(_)) => Ok(false),
                Some(_) => Ok(true),
                None => Err("srvr has no line that begins with Mode:".to_owned()),
            }
        }
        Err(other) => Err(text(other)),
    }
}

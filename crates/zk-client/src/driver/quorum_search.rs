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

use crate::driver::budget;
use crate::session::state::State;
use crate::shared::{Shared, now};

/// The delays between rounds.
const ROUNDS: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(100),
    max: Duration::from_secs(60),
};
/// A server with a quorum that kept the client this long was a good one; the next search starts
/// with short delays again. One that does not keep it cannot make the client go back and forth.
const PROVEN: Duration = Duration::from_secs(10);
/// No server is given longer to say whether it is read-only.
const MOST_PATIENCE: Duration = Duration::from_secs(2);

/// Moves the client from a read-only server to one with a quorum, whenever it is on one.
///
/// Polled by the driver together with the connection, so that it sees every state.
pub(crate) async fn seek(shared: &Shared, dial: &dyn Dial, seed: u64) -> Infallible {
    let mut backoff = Backoff::new(ROUNDS, seed);
    let mut asked = HashMap::new();
    loop {
        let kept = until_read_only(shared).await;
        if kept.is_some_and(|kept| kept >= PROVEN) {
            backoff.reset();
        }
        while shared.with(|core| core.wants_read_write()) {
            tokio::time::sleep(backoff.next_delay()).await;
            if let Some((host, address)) = round(shared, dial, &mut asked).await {
                debug!(server = %host, "found a server with a quorum");
                shared.with(|core| core.move_to(now(), host, address));
            }
        }
    }
}

/// Waits until a read-only server serves the client. Returns how long a server with a quorum had served
/// it before.
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
        // The driver's task is woken by whatever changes this.
        Poll::Pending
    })
    .await
}

/// Asks every other server once, one after the other, each at the next of its addresses; `asked` says
/// which those are. The server of this connection is asked if it has other addresses.
async fn round(
    shared: &Shared,
    dial: &dyn Dial,
    asked: &mut HashMap<HostPort, Addresses>,
) -> Option<(HostPort, Option<SocketAddr>)> {
    let (hosts, timeout) = shared.with(|core| {
        let current = core.server().cloned();
        let several = |host| {
            core.hosts
                .addresses_of(host)
                .is_some_and(|of| of.known().len() > 1)
        };
        let others = core
            .hosts
            .iter()
            .filter(|host| Some(*host) != current.as_ref() || several(host));
        let hosts: Vec<_> = others.cloned().collect();
        (hosts, budget(core).min(MOST_PATIENCE))
    });
    asked.retain(|host, _| hosts.contains(host));
    for host in hosts {
        if !shared.with(|core| core.wants_read_write()) {
            return None;
        }
        let addresses = asked.entry(host.clone()).or_insert_with(|| {
            // Where this connection is comes last.
            let known = shared.with(|core| core.hosts.addresses_of(&host).cloned());
            known.unwrap_or_default()
        });
        *addresses = addresses.for_another_attempt().within(timeout);
        match tokio::time::timeout(timeout, has_quorum(dial, &host, addresses)).await {
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
        // One with read-only mode answers this, whatever it is configured to; but one that has not
        // may be a member too. Every server answers the other word.
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

//! The loop, and one attempt to connect: from the choice of the server to the end of the connection.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use zk_proto::HostPort;

use super::connection::Connection;
use super::endpoint::{Closed, Opening, Reconnect};
use super::options::ReconnectOptions;
use super::standby::{Waited, now, sleep, wait};
use crate::error::Disconnect;
use crate::hosts::{Hosts, MAX_CONNECT_TIME, Timing};
use crate::pump::{Ended, pump};
use crate::sasl::{Mechanism, SaslError};

/// Connects the endpoint to one server after the other until it says
/// [`stop`](super::Standby::stop).
///
/// # Cancel safety
/// Dropping the future drops the connection, after one last write
/// ([`last_output`](Reconnect::last_output)). [`handle_closed`](Reconnect::handle_closed) is not called.
pub async fn stay_connected<E: Reconnect>(endpoint: &mut E, options: &ReconnectOptions) {
    while let Some(attempt) = next_attempt(endpoint).await {
        if connect(endpoint, options, attempt).await.is_none() {
            break;
        }
    }
}

/// An attempt that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planned {
    /// The server to try.
    pub host: HostPort,
    /// How long the server has to accept the connection and answer the handshake.
    pub budget: Duration,
}

/// Waits until there is a server to try and backing off allows it. `None` if the endpoint has stopped
/// the loop.
///
/// # Cancel safety
/// Dropping the future skips the attempt.
pub async fn next_attempt<E: Reconnect>(endpoint: &mut E) -> Option<Planned> {
    loop {
        let known = |endpoint: &mut E| !endpoint.with_hosts(|hosts| hosts.is_empty());
        let found = wait(endpoint, false, |endpoint, _| match known(endpoint) {
            true => Poll::Ready(()),
            // The endpoint wakes the task when it has servers.
            false => Poll::Pending,
        });
        if let Waited::Stop = found.await {
            return None;
        }
        rank_servers(endpoint);
        let attempt = endpoint.next_attempt()?;
        let timing = endpoint.timing();
        let budget = endpoint.with_hosts(|hosts: &mut Hosts| hosts.budget(timing));
        let mut pause = pin!(sleep(timing.pause(attempt.delay)));
        match wait(endpoint, true, |_, cx| pause.as_mut().poll(cx)).await {
            Waited::Done(()) => {
                return Some(Planned {
                    host: attempt.host,
                    budget,
                });
            }
            Waited::Leave => {}
            Waited::Stop => return None,
        }
    }
}

/// Has the function of the order rank the servers that are new in the list. It is the program's, so it
/// does not run while the endpoint's list is borrowed.
pub fn rank_servers<E: Reconnect>(endpoint: &mut E) {
    if let Some((rank, new)) = endpoint.with_hosts(|hosts| hosts.unranked()) {
        let ranked: Vec<_> = new.iter().map(|host| (host, rank(host))).collect();
        endpoint.with_hosts(|hosts| {
            ranked
                .iter()
                .for_each(|(host, rank)| hosts.set_rank(host, *rank))
        });
    }
}

/// Makes one attempt: prepares a login, dials, and runs the connection until it ends. Returns why it
/// ended, or `None` if the endpoint has stopped the loop before there was a connection.
///
/// # Cancel safety
/// As of [`stay_connected`].
pub async fn connect<E: Reconnect>(
    endpoint: &mut E,
    options: &ReconnectOptions,
    attempt: Planned,
) -> Option<Disconnect> {
    let Planned { host, budget } = attempt;
    // Not a part of the budget: a slow ticket is no slow server (ZOOKEEPER-4275).
    let mechanism = match prepare(endpoint, options, &host).await? {
        Ok(mechanism) => mechanism,
        Err(reason) => return Some(not_connected(endpoint, &host, reason)),
    };
    let started = now();
    let mut addresses = endpoint.with_hosts(|hosts| hosts.begin_dialling(started, budget));
    let dialled = {
        let dialling = options.dial.dial_next(&host, &mut addresses);
        let mut dialling = pin!(tokio::time::timeout(budget, dialling));
        wait(endpoint, true, |_, cx| dialling.as_mut().poll(cx)).await
    };
    if let Waited::Stop = dialled {
        return None;
    }
    let accepted = addresses.current().is_some();
    endpoint.with_hosts(|hosts| hosts.handle_dialled(addresses));
    let stream = match dialled {
        Waited::Done(Ok(Ok(stream))) => stream,
        other => {
            let reason = match other {
                Waited::Done(Ok(Err(error))) => Disconnect::from(error),
                // What follows the connection, as TLS does, is part of dialling.
                Waited::Done(Err(_elapsed)) if accepted => Disconnect::HandshakeTimeout(budget),
                Waited::Done(_) => {
                    Disconnect::Dial(format!("cannot connect within {} ms", budget.as_millis()))
                }
                Waited::Leave | Waited::Stop => Disconnect::Moving,
            };
            return Some(not_connected(endpoint, &host, reason));
        }
    };
    let spent = now().saturating_duration_since(started);
    let opening = Opening {
        host: &host,
        budget: Timing::handshake_budget(budget, spent),
        mechanism,
    };
    if !endpoint.handle_dialled(now(), opening) {
        return None;
    }
    let mut connection = Connection::new(stream, endpoint);
    let (stream, pumped) = connection.parts();
    let ended = pump(stream, pumped, options.frame_limit).await;
    let (endpoint, established) = connection.end();
    let Ended {
        reason,
        offered,
        rest,
        ..
    } = ended;
    let reason = match reason {
        Disconnect::ClosedByServer | Disconnect::Reset(_) if !established => {
            Disconnect::ClosedInHandshake
        }
        reason => reason,
    };
    let closed = Closed {
        host: &host,
        reason: reason.clone(),
        established,
        offered,
        rest,
    };
    close(endpoint, closed);
    Some(reason)
}

/// Has the login prepare for a connection, if there is one. `None` if the endpoint has stopped the loop.
async fn prepare<E: Reconnect>(
    endpoint: &mut E,
    options: &ReconnectOptions,
    host: &HostPort,
) -> Option<Result<Option<Box<dyn Mechanism>>, Disconnect>> {
    let Some(login) = options.login.as_deref() else {
        return Some(Ok(None));
    };
    let mut begun = pin!(tokio::time::timeout(MAX_CONNECT_TIME, login.begin(host)));
    let cause = match wait(endpoint, false, |_, cx| begun.as_mut().poll(cx)).await {
        Waited::Done(Ok(Ok(mechanism))) => return Some(Ok(Some(mechanism))),
        Waited::Done(Ok(Err(cause))) => cause,
        Waited::Done(Err(_elapsed)) => SaslError::Unavailable(format!(
            "the mechanism was not ready within {} ms",
            MAX_CONNECT_TIME.as_millis()
        )),
        Waited::Leave | Waited::Stop => return None,
    };
    Some(Err(endpoint.handle_login_failed(
        host,
        login.mechanism(),
        cause,
    )))
}

/// The attempt has ended before there was a connection.
fn not_connected<E: Reconnect>(
    endpoint: &mut E,
    host: &HostPort,
    reason: Disconnect,
) -> Disconnect {
    let closed = Closed {
        host,
        reason: reason.clone(),
        established: false,
        offered: 0,
        rest: bytes::BytesMut::new(),
    };
    close(endpoint, closed);
    reason
}

fn close<E: Reconnect>(endpoint: &mut E, closed: Closed<'_>) {
    let now = now();
    endpoint.with_hosts(|hosts| hosts.handle_ended(now, &closed.reason));
    endpoint.handle_closed(now, closed);
}

//! The one task of a client: connect, pump, back off, again.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tracing::{debug, info, warn};
use zk_proto::HostPort;
use zk_transport::{Dial, Disconnect, Endpoint, FrameReader, Hosts, pump};

use crate::shared::{Shared, now};

/// No server is given less than this to accept and to answer the handshake.
const LEAST_BUDGET: Duration = Duration::from_millis(200);
/// Nor more than this, however long the session is.
const MOST_BUDGET: Duration = Duration::from_secs(30);
/// How many attempts a session has time for at least.
const LEAST_ATTEMPTS: u32 = 3;

/// Runs until the client is over.
pub(crate) async fn drive(gone: Gone, mut hosts: Hosts, dial: Arc<dyn Dial>, frame_limit: usize) {
    let shared = &gone.0;
    while let Some(attempt) = hosts.next_attempt() {
        // A session that may live must not be slept away.
        let (most, timeout) = shared.with(|core| {
            let timeout = core.session.timeout();
            let most = core.session.exists().then(|| timeout / 8);
            (most.unwrap_or(Duration::MAX), timeout)
        });
        let delay = attempt.delay.min(most);
        if shared.meanwhile(tokio::time::sleep(delay)).await.is_none() {
            break;
        }
        // A server that does not answer must leave time for others, or for itself at a second try.
        let attempts = u32::try_from(hosts.len())
            .unwrap_or(u32::MAX)
            .max(LEAST_ATTEMPTS);
        let budget = (timeout / attempts).clamp(LEAST_BUDGET, MOST_BUDGET);
        let Some(ended) = connect(shared, &*dial, &attempt.host, budget, frame_limit).await else {
            break;
        };
        if let Some(opened_at) = ended.opened_at {
            hosts.handle_connected(opened_at);
        }
        hosts.handle_disconnected(now());
        if ended.reason == Disconnect::SessionExpired {
            hosts.handle_proven();
        }
        shared.with(|core| core.note_failure(&attempt.host, ended.reason));
    }
}

/// How a connection went.
struct Connection {
    reason: Disconnect,
    /// When the session was established over it.
    opened_at: Option<Instant>,
}

/// One connection, from dialling to its end. `None` if the client was over before it was open.
async fn connect(
    shared: &Shared,
    dial: &dyn Dial,
    host: &HostPort,
    budget: Duration,
    frame_limit: usize,
) -> Option<Connection> {
    let started = now();
    let dialled = shared
        .meanwhile(tokio::time::timeout(budget, dial.dial(host)))
        .await?;
    let failed = match dialled {
        Ok(Ok(stream)) => {
            let left = (started + budget)
                .saturating_duration_since(now())
                .max(LEAST_BUDGET);
            if !shared.with(|core| core.begin(now(), left)) {
                return None;
            }
            let mut endpoint = CoreEndpoint {
                shared,
                host,
                opened_at: None,
            };
            let ended = pump(stream, &mut endpoint, frame_limit).await;
            let opened_at = endpoint.opened_at;
            let reason = match ended.reason {
                Disconnect::ClosedByServer if opened_at.is_none() => Disconnect::ClosedInHandshake,
                reason => reason,
            };
            shared.with(|core| core.disconnected(now(), &reason, ended.written, &ended.rest));
            match (&reason, opened_at) {
                (Disconnect::Local, _) => debug!(server = %host, "connection closed"),
                (_, Some(_)) => warn!(server = %host, %reason, "connection lost"),
                (_, None) => debug!(server = %host, %reason, "no connection"),
            }
            return Some(Connection { reason, opened_at });
        }
        Ok(Err(error)) => Disconnect::Dial(error.to_string()),
        Err(_elapsed) => {
            Disconnect::Dial(format!("cannot connect within {} ms", budget.as_millis()))
        }
    };
    debug!(server = %host, reason = %failed, "no connection");
    Some(Connection {
        reason: failed,
        opened_at: None,
    })
}

/// Ends the client if the driver ends for any reason, its runtime's shutdown among them, be it before
/// the driver ran.
pub(crate) struct Gone(pub(crate) Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.with(|core| core.handle_driver_gone(now()));
    }
}

impl Shared {
    /// Waits for `future` while deadlines and expiries go on. `None` once the client is over.
    async fn meanwhile<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        let mut timer = pin!(tokio::time::sleep(Duration::ZERO));
        poll_fn(|cx| {
            loop {
                let (over, due) = self.with(|core| {
                    core.handle_timeout(now());
                    core.register_driver(cx.waker());
                    (core.is_over(), core.poll_timeout())
                });
                if over {
                    return Poll::Ready(None);
                }
                if let Poll::Ready(value) = future.as_mut().poll(cx) {
                    return Poll::Ready(Some(value));
                }
                let Some(due) = due else { return Poll::Pending };
                timer.as_mut().reset(due.into());
                if timer.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

/// The core, as the pump sees it.
struct CoreEndpoint<'a> {
    shared: &'a Shared,
    host: &'a HostPort,
    opened_at: Option<Instant>,
}

impl Endpoint for CoreEndpoint<'_> {
    fn poll_output(&mut self, waker: &Waker, out: &mut BytesMut) {
        self.shared.with(|core| {
            core.register_driver(waker);
            if out.is_empty() {
                core.poll_output(out);
            }
        });
    }

    fn handle_input(&mut self, now: Instant, frames: &mut FrameReader) -> Result<(), Disconnect> {
        let (result, opened) = self.shared.with(|core| {
            let result = core.handle_input(now, frames);
            (
                result,
                Some(core.state()).filter(|state| state.is_connected()),
            )
        });
        if let Some(state) = opened
            && self.opened_at.is_none()
        {
            self.opened_at = Some(now);
            info!(server = %self.host, "{state}");
        }
        result
    }

    fn poll_timeout(&mut self) -> Instant {
        self.shared.with(|core| {
            let link = core.poll_link_timeout().unwrap_or_else(now);
            core.poll_timeout().map_or(link, |due| due.min(link))
        })
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        self.shared.with(|core| {
            core.handle_timeout(now);
            core.handle_link_timeout(now)
        })
    }
}

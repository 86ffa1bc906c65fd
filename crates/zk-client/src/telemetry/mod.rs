//! What a client tells those who look on: events and spans of `tracing`, and `metrics`.
//!
//! A subscriber is the user's, so nothing here runs under the core's lock. What happens there is
//! noticed after the driver's task has been polled, by what has changed.

#[cfg(feature = "metrics")]
mod metrics;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing::{Level, Span, debug, error, field, info, info_span, trace, warn};
use zk_proto::{HostPort, OpCode, SessionId};

use crate::error::{Error, PATH_SEPARATOR};
use crate::session::requests::Seen;
use crate::session::state::{ReaderId, State};
use crate::session::statistics::Noticed;
use crate::shared::{Shared, now};

/// Runs a client's driver, and tells what it does.
pub(crate) async fn observed(
    shared: Arc<Shared>,
    chroot: String,
    driver: impl Future<Output = ()>,
) {
    static CLIENTS: AtomicU64 = AtomicU64::new(1);
    let id = CLIENTS.fetch_add(1, Ordering::Relaxed);
    let span = info_span!("zk.client", id, session = field::Empty, chroot);
    let reader = shared.with(|core| {
        let state = core.state();
        core.readers.add(state)
    });
    let mut narrator = Narrator {
        shared,
        reader,
        session: SessionId::NONE,
        unreachable: false,
        noticed: Noticed::default(),
        #[cfg(feature = "metrics")]
        connected: metrics::Connected::new(),
    };
    let mut driver = pin!(driver);
    poll_fn(|cx| {
        let _entered = span.enter();
        let polled = driver.as_mut().poll(cx);
        narrator.tell(&span);
        polled
    })
    .await;
}

/// An attempt to connect to a server, from dialling to the end of the connection.
pub(crate) fn attempt(shared: &Shared, host: &HostPort) -> Span {
    let attempt = shared.with(|core| core.note_attempt(host));
    info_span!("zk.connection", server = %host, attempt)
}

/// Follows the states of a client.
struct Narrator {
    shared: Arc<Shared>,
    reader: ReaderId,
    /// The one that was told last.
    session: SessionId,
    /// Whether it has been told that no connection could be made.
    unreachable: bool,
    noticed: Noticed,
    #[cfg(feature = "metrics")]
    connected: metrics::Connected,
}

impl Drop for Narrator {
    fn drop(&mut self) {
        self.shared.with(|core| core.forget_reader(self.reader));
    }
}

impl Narrator {
    fn tell(&mut self, span: &Span) {
        loop {
            let news = self
                .shared
                .with(|core| core.news(self.reader, &self.noticed));
            let Some((state, noticed)) = news else { return };
            let before = std::mem::replace(&mut self.noticed, noticed);
            self.tell_of_watches(&before);
            self.tell_of_outage(&before);
            #[cfg(feature = "metrics")]
            metrics::noticed(&before, &self.noticed);
            let Some(state) = state else { return };
            #[cfg(feature = "metrics")]
            self.connected.set(state.is_connected());
            self.tell_of_state(state, span);
        }
    }

    fn tell_of_watches(&self, before: &Noticed) {
        let now = &self.noticed;
        let (traffic, was) = (&now.traffic, &before.traffic);
        if traffic.rearm_batches != was.rearm_batches {
            let batches = traffic.rearm_batches - was.rearm_batches;
            let watches = traffic.rearmed_watches - was.rearmed_watches;
            debug!(batches, watches, "arming watches again");
        }
        if now.told.gaps != before.told.gaps {
            debug!(gaps = now.told.gaps - before.told.gaps, "watches have gaps");
        }
        if now.told.dropped != before.told.dropped {
            let events = now.told.dropped - before.told.dropped;
            debug!(events, "events dropped: their reader is too slow");
        }
        if traffic.pings != was.pings
            && let Some(ping) = now.ping
        {
            trace!(?ping, "ping answered");
        }
    }

    /// Once for each: an ensemble that is away for a night fills no disk.
    fn tell_of_outage(&mut self, before: &Noticed) {
        let (now, was) = (&self.noticed.traffic, &before.traffic);
        if now.connections != was.connections {
            self.unreachable = false;
        }
        if now.failed_connections != was.failed_connections && !self.unreachable {
            self.unreachable = true;
            let failures = self.shared.with(|core| core.failures());
            warn!(failures, "cannot connect, and keeps trying");
        }
    }

    fn tell_of_state(&mut self, state: State, span: &Span) {
        let timeout = self.noticed.timeout;
        match state {
            State::Connecting => debug!("connecting"),
            State::Connected { session, epoch } => {
                if session != self.session {
                    span.record("session", field::display(session));
                }
                self.session = session;
                info!(%session, epoch, ?timeout, server = self.server(), "connected");
            }
            State::ConnectedReadOnly { epoch } => {
                info!(
                    epoch,
                    ?timeout,
                    server = self.server(),
                    "connected read-only"
                );
            }
            State::Suspended { until } => {
                let left = until.saturating_duration_since(now());
                info!(session = %self.session, ?left, "suspended");
            }
            State::Expired { epoch } => {
                warn!(session = %self.session, epoch, "session expired");
            }
            State::AuthFailed => error!("authentication failed"),
            State::Closed => info!(session = %self.session, "closed"),
        }
    }

    fn server(&self) -> String {
        self.shared.with(|core| core.server_name())
    }
}

/// Whether anybody wants to hear of each request. Costs next to nothing if not.
fn hears_requests() -> bool {
    tracing::enabled!(Level::TRACE)
}

/// A request that is being watched on its way, if anybody wants to hear of it.
#[derive(Debug)]
pub(crate) struct Observed {
    path: Option<Box<str>>,
    #[cfg(feature = "metrics")]
    outstanding: metrics::Outstanding,
}

impl Observed {
    #[inline]
    pub(crate) fn submitted(op: OpCode, path: &str) -> Self {
        Observed {
            path: hears_requests().then(|| tell_submitted(op, path)),
            #[cfg(feature = "metrics")]
            outstanding: metrics::Outstanding::new(),
        }
    }

    /// It has been answered, or has failed.
    #[inline]
    pub(crate) fn done(
        &mut self,
        op: OpCode,
        submitted: Instant,
        seen: Option<Seen>,
        failed: Option<&Error>,
    ) {
        #[cfg(feature = "metrics")]
        self.outstanding.done(op, submitted, failed);
        if let Some(path) = self.path.take() {
            tell_done(op, &path, submitted, seen, failed);
        }
    }

    /// Nobody waits for it any more.
    #[inline]
    pub(crate) fn dropped(&mut self, op: OpCode) {
        #[cfg(feature = "metrics")]
        self.outstanding.dropped(op);
        if let Some(path) = self.path.take() {
            tell_dropped(op, &path);
        }
    }
}

#[cold]
fn tell_submitted(op: OpCode, path: &str) -> Box<str> {
    let path = path.replace(PATH_SEPARATOR, ", ").into_boxed_str();
    trace!(op = op.name(), path, "submitted");
    path
}

#[cold]
fn tell_done(
    op: OpCode,
    path: &str,
    submitted: Instant,
    seen: Option<Seen>,
    failed: Option<&Error>,
) {
    let latency = now().saturating_duration_since(submitted);
    let op = op.name();
    let (xid, zxid) = (
        seen.map(|seen| seen.xid),
        seen.map(|seen| field::display(seen.zxid)),
    );
    match failed {
        None => trace!(op, path, xid, zxid, ?latency, "answered"),
        Some(error) => {
            let code = error.code().map(|code| code.code());
            let (kind, outcome) = (error.kind(), error.outcome());
            trace!(
                op,
                path,
                xid,
                zxid,
                code,
                ?kind,
                ?outcome,
                ?latency,
                "failed"
            );
        }
    }
}

#[cold]
fn tell_dropped(op: OpCode, path: &str) {
    trace!(op = op.name(), path, "given up by its caller");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_nobody_hears_of_costs_no_allocation() {
        let mut heard = true;
        let counted = allocation_counter::measure(|| {
            let observed = Observed::submitted(OpCode::GetData, "/a");
            heard = observed.path.is_some();
            std::mem::forget(observed);
        });
        assert!(!heard);
        assert_eq!(counted.count_total, 0);
    }
}

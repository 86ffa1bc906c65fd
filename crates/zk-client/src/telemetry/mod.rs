//! What an operator sees of a client: spans and events of `tracing`, and `metrics`.
//!
//! A subscriber is the user's, so nothing here runs under the core's lock. What has happened under the
//! lock is reported after the driver's task has been polled, from the counters that have changed.

#[cfg(feature = "metrics")]
mod metrics;
pub(crate) mod request;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{Span, debug, error, field, info, info_span, trace, warn};
use zk_proto::{HostPort, SessionId};

use crate::session::counters::CounterSnapshot;
use crate::session::state::State;
use crate::session::state_readers::ReaderId;
use crate::shared::{Shared, now};

/// Runs a client's driver, and reports what it does.
pub(crate) async fn observed(
    shared: Arc<Shared>,
    chroot: String,
    driver: impl Future<Output = ()>,
) {
    static CLIENTS: AtomicU64 = AtomicU64::new(1);
    let id = CLIENTS.fetch_add(1, Ordering::Relaxed);
    let name = shared.name();
    let span = info_span!("zk.client", id, name, session = field::Empty, chroot);
    let mut emitter = EventEmitter::new(shared);
    let mut driver = pin!(driver);
    poll_fn(|cx| {
        let _entered = span.enter();
        let polled = driver.as_mut().poll(cx);
        emitter.emit(&span);
        polled
    })
    .await;
}

/// An attempt to connect to a server, from dialling to the end of the connection.
pub(crate) fn attempt(shared: &Shared, host: &HostPort) -> Span {
    let attempt = shared.with(|core| core.note_attempt(host));
    info_span!("zk.connection", server = %host, attempt)
}

/// Turns changes of a client's state and counters into events.
struct EventEmitter {
    shared: Arc<Shared>,
    reader: ReaderId,
    /// The number of changes that have been reported.
    changes: u64,
    counters: CounterSnapshot,
    /// The session in the last event about one.
    session: SessionId,
    /// Whether it has been reported that no server can be reached.
    unreachable: bool,
    #[cfg(feature = "metrics")]
    connected: metrics::Connected,
}

impl Drop for EventEmitter {
    fn drop(&mut self) {
        self.shared.with(|core| core.forget_reader(self.reader));
    }
}

impl EventEmitter {
    fn new(shared: Arc<Shared>) -> Self {
        EventEmitter {
            reader: shared.with(|core| core.add_reader()),
            #[cfg(feature = "metrics")]
            connected: metrics::Connected::new(shared.clone()),
            shared,
            changes: u64::MAX,
            counters: CounterSnapshot::default(),
            session: SessionId::NONE,
            unreachable: false,
        }
    }

    /// Reports what has changed. Takes the lock only if something has.
    #[inline]
    fn emit(&mut self, span: &Span) {
        let changes = self.shared.changes();
        if changes != self.changes {
            // What changes from here on is reported the next time.
            self.changes = changes;
            self.emit_changes(span);
        }
    }

    fn emit_changes(&mut self, span: &Span) {
        loop {
            let changes = self
                .shared
                .with(|core| core.poll_changes(self.reader, &self.counters));
            let Some((state, counters)) = changes else {
                return;
            };
            let before = std::mem::replace(&mut self.counters, counters);
            self.emit_watches(&before);
            self.emit_outage(&before);
            #[cfg(feature = "metrics")]
            metrics::record(&self.shared, &before, &self.counters);
            let Some(state) = state else { return };
            #[cfg(feature = "metrics")]
            self.connected.set(state.is_connected());
            self.emit_state(state, span);
        }
    }

    fn emit_watches(&self, before: &CounterSnapshot) {
        let now = &self.counters;
        let (traffic, was) = (&now.traffic, &before.traffic);
        if traffic.rearm_batches != was.rearm_batches {
            let batches = traffic.rearm_batches - was.rearm_batches;
            let watches = traffic.rearmed_watches - was.rearmed_watches;
            debug!(batches, watches, "arming watches again");
        }
        if now.watches.gaps != before.watches.gaps {
            let gaps = now.watches.gaps - before.watches.gaps;
            debug!(gaps, "watches have gaps");
        }
        if now.watches.dropped != before.watches.dropped {
            let events = now.watches.dropped - before.watches.dropped;
            debug!(events, "events dropped: their reader is too slow");
        }
        if traffic.pings != was.pings
            && let Some(ping) = now.ping
        {
            trace!(?ping, "ping answered");
        }
    }

    /// Warns once for each outage: an ensemble that cannot be reached for a night fills no disk.
    fn emit_outage(&mut self, before: &CounterSnapshot) {
        let (now, was) = (&self.counters.traffic, &before.traffic);
        if now.connections != was.connections {
            self.unreachable = false;
        }
        if now.failed_connections != was.failed_connections && !self.unreachable {
            self.unreachable = true;
            let failures = self.shared.with(|core| core.failures());
            warn!(failures, "cannot connect, and keeps trying");
        }
    }

    fn emit_state(&mut self, state: State, span: &Span) {
        let timeout = self.counters.timeout;
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

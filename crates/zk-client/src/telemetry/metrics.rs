//! What a client reports to the recorder of `metrics`.
//!
//! A recorder is the user's, so none of this runs under the core's lock.

use std::sync::Arc;
use std::time::Instant;

use metrics::{Label, Unit, counter, gauge, histogram};
use metrics::{describe_counter, describe_gauge, describe_histogram};
use zk_proto::OpCode;

use crate::error::{Error, Outcome};
use crate::session::counters::CounterSnapshot;
use crate::shared::{Shared, now};

const REQUESTS: &str = "zk_requests_total";
const REQUEST_SECONDS: &str = "zk_request_seconds";
const OUTSTANDING: &str = "zk_outstanding_requests";
const CONNECTED: &str = "zk_connected_clients";
const PING_SECONDS: &str = "zk_ping_seconds";

/// A counter that is reported by how much it has grown: name, unit, description, and its value.
type Counter = (
    &'static str,
    Unit,
    &'static str,
    fn(&CounterSnapshot) -> u64,
);

const COUNTERS: [Counter; 13] = [
    (
        "zk_connections_total",
        Unit::Count,
        "Connections over which a session was established or resumed",
        |n| n.traffic.connections,
    ),
    (
        "zk_connection_failures_total",
        Unit::Count,
        "Attempts to connect that failed before that",
        |n| n.traffic.failed_connections,
    ),
    (
        "zk_connections_lost_total",
        Unit::Count,
        "Connections lost after that",
        |n| n.traffic.lost_connections,
    ),
    (
        "zk_sessions_total",
        Unit::Count,
        "Sessions established",
        |n| n.traffic.sessions,
    ),
    (
        "zk_session_resumed_total",
        Unit::Count,
        "Sessions resumed over another connection",
        |n| n.traffic.resumptions,
    ),
    (
        "zk_session_expired_total",
        Unit::Count,
        "Sessions that expired",
        |n| n.traffic.expiries,
    ),
    (
        "zk_watch_events_total",
        Unit::Count,
        "Events of znodes queued for handles of watches",
        |n| n.watches.events,
    ),
    (
        "zk_watch_events_dropped_total",
        Unit::Count,
        "Events dropped because their reader was too slow",
        |n| n.watches.dropped,
    ),
    (
        "zk_watch_gaps_total",
        Unit::Count,
        "Gaps that handles of watches were notified of",
        |n| n.watches.gaps,
    ),
    (
        "zk_rearm_batches_total",
        Unit::Count,
        "Requests sent to arm watches again",
        |n| n.traffic.rearm_batches,
    ),
    (
        "zk_rearmed_watches_total",
        Unit::Count,
        "Watches in those requests",
        |n| n.traffic.rearmed_watches,
    ),
    (
        "zk_sent_bytes_total",
        Unit::Bytes,
        "Bytes handed to connections",
        |n| n.volume.sent,
    ),
    (
        "zk_received_bytes_total",
        Unit::Bytes,
        "Bytes received in whole frames",
        |n| n.volume.received,
    ),
];

fn describe() {
    describe_counter!(
        REQUESTS,
        Unit::Count,
        "Requests by operation and outcome: ok, rejected, not_sent, unknown, or dropped by the caller"
    );
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "From the submission of a request until its answer is taken, by operation"
    );
    describe_gauge!(
        OUTSTANDING,
        Unit::Count,
        "Requests whose answer has not been taken"
    );
    describe_gauge!(CONNECTED, Unit::Count, "Clients whose session is served");
    describe_histogram!(
        PING_SECONDS,
        Unit::Seconds,
        "How long a server takes to answer a ping"
    );
    for (name, unit, description, _) in COUNTERS {
        describe_counter!(name, unit, description);
    }
}

/// The given labels and, of a client with a name, that name.
fn labels<const N: usize>(shared: &Shared, fixed: [(&'static str, &'static str); N]) -> Vec<Label> {
    let fixed = fixed.map(|(key, value)| Label::from_static_parts(key, value));
    let client = shared.shared_name().map(|name| Label::new("client", name));
    client.into_iter().chain(fixed).collect()
}

/// Makes the series exist before their first event: `increase` of Prometheus does not see the first step
/// of a counter that begins with it.
fn register(shared: &Shared) {
    gauge!(CONNECTED, labels(shared, [])).increment(0);
    gauge!(OUTSTANDING, labels(shared, [])).increment(0);
    for (name, ..) in COUNTERS {
        counter!(name, labels(shared, [])).increment(0);
    }
}

/// Reports how much the counters have grown.
pub(super) fn record(shared: &Shared, before: &CounterSnapshot, now: &CounterSnapshot) {
    for (name, _, _, value) in COUNTERS {
        let more = value(now).saturating_sub(value(before));
        if more > 0 {
            counter!(name, labels(shared, [])).increment(more);
        }
    }
    if now.traffic.pings != before.traffic.pings
        && let Some(ping) = now.ping
    {
        histogram!(PING_SECONDS, labels(shared, [])).record(ping.as_secs_f64());
    }
}

/// Whether this client counts among the connected.
pub(super) struct Connected {
    shared: Arc<Shared>,
    connected: bool,
}

impl Connected {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        describe();
        register(&shared);
        Connected {
            shared,
            connected: false,
        }
    }

    pub(super) fn set(&mut self, connected: bool) {
        match (self.connected, connected) {
            (false, true) => gauge!(CONNECTED, labels(&self.shared, [])).increment(1),
            (true, false) => gauge!(CONNECTED, labels(&self.shared, [])).decrement(1),
            _ => {}
        }
        self.connected = connected;
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// A request that counts among the outstanding.
#[derive(Debug)]
pub(super) struct Outstanding(bool);

impl Outstanding {
    pub(super) fn new(shared: &Shared) -> Self {
        gauge!(OUTSTANDING, labels(shared, [])).increment(1);
        Outstanding(true)
    }

    fn end(&mut self, shared: &Shared, op: OpCode, outcome: &'static str) -> bool {
        let outstanding = std::mem::take(&mut self.0);
        if outstanding {
            gauge!(OUTSTANDING, labels(shared, [])).decrement(1);
            let of = labels(shared, [("op", op.name()), ("outcome", outcome)]);
            counter!(REQUESTS, of).increment(1);
        }
        outstanding
    }

    pub(super) fn done(
        &mut self,
        shared: &Shared,
        op: OpCode,
        submitted: Instant,
        failed: Option<&Error>,
    ) {
        let outcome = match failed.map(Error::outcome) {
            None => "ok",
            Some(Outcome::Rejected) => "rejected",
            Some(Outcome::NotSent) => "not_sent",
            Some(Outcome::Unknown) => "unknown",
        };
        if self.end(shared, op, outcome) {
            let took = now().saturating_duration_since(submitted);
            histogram!(REQUEST_SECONDS, labels(shared, [("op", op.name())]))
                .record(took.as_secs_f64());
        }
    }

    pub(super) fn dropped(&mut self, shared: &Shared, op: OpCode) {
        self.end(shared, op, "dropped");
    }
}

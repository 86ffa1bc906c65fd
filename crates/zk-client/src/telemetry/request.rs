//! The span, the events and the metrics of one request.

use std::time::Instant;

use tracing::{Level, Span, debug_span, field, trace};
use zk_proto::OpCode;

use crate::error::Error;
use crate::session::requests::ReplyIds;
use crate::shared::{Shared, now};
#[cfg(feature = "metrics")]
use crate::telemetry::metrics;

/// The target of the spans, by which a subscriber can have them or leave them out.
const TARGET: &str = "zk_client::request";

/// Whether a subscriber takes spans or events of single requests. Costs next to nothing if none does.
fn traces_requests() -> bool {
    tracing::span_enabled!(target: TARGET, Level::DEBUG) || tracing::enabled!(Level::TRACE)
}

/// The span, the events and the metrics of one request.
#[derive(Debug)]
pub(crate) struct Observed {
    /// Only if a subscriber takes them.
    traced: Option<Box<Traced>>,
    #[cfg(feature = "metrics")]
    outstanding: metrics::Outstanding,
}

#[derive(Debug)]
struct Traced {
    path: Box<str>,
    /// Begun in the span of the caller.
    span: Span,
}

impl Observed {
    #[inline]
    pub(crate) fn submitted(shared: &Shared, op: OpCode, path: &str) -> Self {
        // Only metrics have a label of the client.
        #[cfg(not(feature = "metrics"))]
        let _ = shared;
        Observed {
            traced: traces_requests().then(|| Traced::submitted(op, path)),
            #[cfg(feature = "metrics")]
            outstanding: metrics::Outstanding::new(shared),
        }
    }

    /// The request has been answered, or has failed.
    #[inline]
    pub(crate) fn done(
        &mut self,
        shared: &Shared,
        op: OpCode,
        submitted: Instant,
        seen: Option<ReplyIds>,
        failed: Option<&Error>,
    ) {
        #[cfg(not(feature = "metrics"))]
        let _ = shared;
        #[cfg(feature = "metrics")]
        self.outstanding.done(shared, op, submitted, failed);
        if let Some(traced) = self.traced.take() {
            traced.done(op, submitted, seen, failed);
        }
    }

    /// The caller has dropped the request.
    #[inline]
    pub(crate) fn dropped(&mut self, shared: &Shared, op: OpCode) {
        #[cfg(not(feature = "metrics"))]
        let _ = shared;
        #[cfg(feature = "metrics")]
        self.outstanding.dropped(shared, op);
        if let Some(traced) = self.traced.take() {
            traced.dropped(op);
        }
    }
}

impl Traced {
    #[cold]
    fn submitted(op: OpCode, path: &str) -> Box<Self> {
        let op = op.name();
        let span = debug_span!(
            target: TARGET,
            "zk.request",
            otel.kind = "client",
            otel.name = op,
            otel.status_code = field::Empty,
            op,
            path,
            xid = field::Empty,
            zxid = field::Empty,
            kind = field::Empty,
            outcome = field::Empty,
        );
        span.in_scope(|| trace!(op, path, "submitted"));
        let path = path.into();
        Box::new(Traced { path, span })
    }

    #[cold]
    fn done(self, op: OpCode, submitted: Instant, seen: Option<ReplyIds>, failed: Option<&Error>) {
        let latency = now().saturating_duration_since(submitted);
        let (op, path, span) = (op.name(), &*self.path, &self.span);
        let xid = seen.map(|seen| seen.xid);
        let zxid = seen.map(|seen| field::display(seen.zxid));
        span.record("xid", xid).record("zxid", &zxid);
        let _entered = span.enter();
        match failed {
            None => trace!(op, path, xid, zxid, ?latency, "answered"),
            Some(error) => {
                let code = error.code().map(|code| code.code());
                let (kind, outcome) = (error.kind(), error.outcome());
                span.record("otel.status_code", "ERROR")
                    .record("kind", field::debug(kind))
                    .record("outcome", field::debug(outcome));
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
    fn dropped(self, op: OpCode) {
        let (op, path) = (op.name(), &*self.path);
        self.span.record("outcome", "dropped");
        (self.span).in_scope(|| trace!(op, path, "given up by its caller"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_subscriber_costs_no_allocation() {
        let client = crate::Client::builder("127.0.0.1:1").start().unwrap();
        let shared = client.shared();
        let mut traced = true;
        let counted = allocation_counter::measure(|| {
            let observed = Observed::submitted(shared, OpCode::GetData, "/a");
            traced = observed.traced.is_some();
            std::mem::forget(observed);
        });
        assert!(!traced);
        assert_eq!(counted.count_total, 0);
    }
}

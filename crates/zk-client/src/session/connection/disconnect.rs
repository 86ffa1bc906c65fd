//! What becomes of requests when the connection is lost.

use std::collections::VecDeque;
use std::time::Instant;

use zk_transport::{Disconnect, Lost, Sent};

use crate::error::Outcome;
use crate::session::abilities::Unanswered;
use crate::session::connection::ReplyTarget;
use crate::session::failure::{Failure, MAX_LOSSES};
use crate::session::requests::SlotKey;
use crate::session::state::State;
use crate::session::{Core, OpSet};

/// Whether a connection may have ended like this because of the request that was to be answered next:
/// the server, or a proxy before it, cannot process the request or its reply.
fn may_be_due_to_a_request(reason: &Disconnect) -> bool {
    match reason {
        Disconnect::ClosedByServer
        | Disconnect::Reset(_)
        | Disconnect::Io(_)
        | Disconnect::NegativeLength(_)
        | Disconnect::XidMismatch { .. }
        | Disconnect::Malformed(_) => true,
        #[cfg(feature = "tls-no-provider")]
        Disconnect::Tls(_) => true,
        _ => false,
    }
}

/// The requests of a lost connection, while it is decided for each whether it is kept or fails.
struct Losses {
    /// The requests that are sent again, in submission order.
    kept: VecDeque<SlotKey>,
    /// Whether an earlier write has failed. A later one must not be executed, as the earlier one may not
    /// have been.
    write_lost: bool,
    /// Whether a write was in flight that may be executed, or may have been.
    write_sent: bool,
    /// The operations for which the connection may have been closed.
    suspected: OpSet,
}

impl Core {
    /// The connection has ended, or could not be made. `offered` bytes of the output may have been sent;
    /// `rest` certainly was not.
    pub(crate) fn disconnected(
        &mut self,
        now: Instant,
        reason: &Disconnect,
        offered: u64,
        rest: &[u8],
    ) {
        self.outage.begin(now);
        let Some(link) = self.connection.link.take() else {
            return;
        };
        if !link.is_open() || !(self.session.exists() || self.connection.is_read_only) {
            return;
        }
        self.counters.traffic_mut().lost_connections += 1;
        self.note_contact(link.last_received().min(now), link.acknowledged());
        if let Some(intent) = self.config.handle_disconnected() {
            self.registry.end_arming(&intent);
        }
        self.registry.handle_disconnect(self.session.last_zxid());
        let parked = self.requests.take_parked();
        let slots = &self.requests;
        let is_first = |key: &SlotKey| slots.get(*key).is_some_and(|slot| slot.goes_first);
        let (kept, parked): (VecDeque<_>, VecDeque<_>) = parked.into_iter().partition(is_first);
        let in_flight: Vec<_> = link.into_lost(offered, rest).collect();
        let suspected = self.note_closed(now, reason, &in_flight);
        let is_answer = self.is_closed_by_keeper(reason, &in_flight);
        let mut losses = Losses {
            kept,
            write_lost: false,
            write_sent: self.has_sent_write(&in_flight),
            suspected,
        };
        for (lost, index) in in_flight.into_iter().zip(0..) {
            if let ReplyTarget::Call(key) = lost.token {
                // The oldest request was to be answered next.
                let is_next = index == 0;
                self.handle_lost(key, &lost.sent, is_next, reason, &mut losses);
            }
        }
        // What was held back for the next connection comes after what was in flight.
        for key in parked {
            let slot = self.requests.get(key);
            if losses.write_lost && slot.is_some_and(|slot| slot.is_write()) {
                let outcome = Outcome::NotSent;
                self.fail(key, Failure::ConnectionLost(reason.clone(), outcome));
            } else {
                losses.kept.push_back(key);
            }
        }
        self.requests.set_parked(losses.kept);
        self.after_disconnect(is_answer);
    }

    /// Decides what becomes of one request that was in flight. `is_next` if it was to be answered next.
    fn handle_lost(
        &mut self,
        key: SlotKey,
        sent: &Sent,
        is_next: bool,
        reason: &Disconnect,
        losses: &mut Losses,
    ) {
        let slot = self.requests.get(key);
        let refused = slot.is_some_and(|slot| self.is_refused(slot));
        let Some(slot) = self.requests.get_mut(key) else {
            return;
        };
        let is_whole = matches!(sent, Sent::Nothing(_));
        if !slot.is_awaited() {
            // Without a caller it ends here, but a write that follows must not skip it either.
            losses.write_lost |= slot.is_write() && (!is_whole || slot.has_failed());
            self.requests.let_go(key, &mut self.registry);
            return;
        }
        if let Disconnect::ReplyTooLarge { len, limit } = reason
            && is_next
        {
            losses.write_lost |= slot.is_write();
            let (size, limit) = (*len, *limit);
            self.fail(key, Failure::ReplyTooLarge { size, limit });
            return;
        }
        let costs_it = is_next && may_be_due_to_a_request(reason) && *sent == Sent::All;
        slot.losses += u32::from(costs_it);
        if !slot.is_write() && slot.losses >= MAX_LOSSES {
            let outcome = Outcome::Unknown;
            self.fail(key, Failure::ConnectionLost(reason.clone(), outcome));
            return;
        }
        if refused {
            // In its other form it would come after a write that was submitted later.
            match losses.write_sent || losses.write_lost {
                false => losses.kept.push_back(key),
                true => self.fail(key, Failure::Unimplemented(Outcome::Rejected)),
            }
            return;
        }
        if !slot.is_write() {
            slot.was_sent |= *sent == Sent::All;
            losses.kept.push_back(key);
            return;
        }
        let outcome = match sent {
            Sent::Nothing(record) if !losses.write_lost => {
                slot.record.clear();
                slot.record.extend_from_slice(record);
                losses.kept.push_back(key);
                return;
            }
            Sent::Nothing(_) | Sent::Part => Outcome::NotSent,
            Sent::All => Outcome::Unknown,
        };
        losses.write_lost = true;
        let is_suspect = !slot.sent_ops.and(losses.suspected).is_empty();
        let failure = match outcome {
            Outcome::Unknown if is_suspect => Failure::ClosedOn(reason.clone()),
            _ => Failure::ConnectionLost(reason.clone(), outcome),
        };
        self.fail(key, failure);
    }

    /// The state after the connection has been lost. `is_answer` if its end was the answer to the end of
    /// the session.
    fn after_disconnect(&mut self, is_answer: bool) {
        let proven = self.shutdown.end_is_proven();
        if is_answer {
            let failure = Failure::Closed(Outcome::Unknown);
            self.finish(State::Closed, &failure, proven);
        } else if self.session.exists() {
            if self.state.is_announced(self.session.epoch()) {
                let until = self.session.expires_at();
                self.set_state(State::Suspended { until });
            }
        } else if !self.is_closing() {
            self.set_state(State::Connecting);
        } else {
            // A connection without a session ends with itself.
            let failure = Failure::Closed(Outcome::NotSent);
            self.finish(State::Closed, &failure, proven);
        }
    }

    /// Concludes from the end of the connection what its server may lack. Returns the operations that the
    /// connection may have ended for.
    fn note_closed(
        &mut self,
        now: Instant,
        reason: &Disconnect,
        in_flight: &[Lost<ReplyTarget>],
    ) -> OpSet {
        let slots = &self.requests;
        let unanswered = in_flight.iter().map(|lost| Unanswered {
            op: lost.op,
            submitted: lost.submitted,
            ops: match (&lost.sent, &lost.token) {
                (Sent::All, ReplyTarget::Call(key)) => {
                    slots.get(*key).map_or(OpSet::NONE, |slot| slot.sent_ops)
                }
                (Sent::All, _) => OpSet::of(lost.op),
                _ => OpSet::NONE,
            },
        });
        let timeout = self.session.timeout();
        (self.abilities).handle_closed(now, timeout, reason, unanswered)
    }

    /// Whether any of these is a write that may be executed, or may have been.
    fn has_sent_write(&self, in_flight: &[Lost<ReplyTarget>]) -> bool {
        let slots = &self.requests;
        in_flight.iter().any(|lost| match lost.token {
            ReplyTarget::Call(key) if !matches!(lost.sent, Sent::Nothing(_)) => {
                (slots.get(key)).is_some_and(|slot| slot.is_write() && !self.is_refused(slot))
            }
            _ => false,
        })
    }
}

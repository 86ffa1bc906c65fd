//! What becomes of requests when the connection is lost.

use std::collections::VecDeque;
use std::time::Instant;

use zk_transport::{Disconnect, Lost, Unsent};

use crate::error::Outcome;
use crate::ops::retry::repetition::MAX_LOSSES;
use crate::session::failure::Failure;
use crate::session::requests::SlotKey;
use crate::session::state::State;
use crate::session::{Closing, Core, Token};

/// Whether a connection may have ended like this because of the request that was to be answered next:
/// the server, or what is between, cannot bear the request or its reply.
fn may_be_due_to_a_request(reason: &Disconnect) -> bool {
    match reason {
        Disconnect::ClosedByServer
        | Disconnect::Reset(_)
        | Disconnect::Io(_)
        | Disconnect::NegativeLength(_)
        | Disconnect::XidMismatch { .. }
        | Disconnect::Malformed(_) => true,
        #[cfg(feature = "tls")]
        Disconnect::Tls(_) => true,
        _ => false,
    }
}

impl Core {
    /// The connection has ended, or could not be made. `offered` and `rest` are what the pump says of
    /// the output: how much may have left, and what certainly did not.
    pub(crate) fn disconnected(
        &mut self,
        now: Instant,
        reason: &Disconnect,
        offered: u64,
        rest: &[u8],
    ) {
        let Some(link) = self.link.take() else { return };
        if !link.is_open() || !(self.session.exists() || self.on_read_only) {
            return;
        }
        self.traffic.lost_connections += 1;
        self.heard(link.last_received().min(now), link.acknowledged());
        self.stop_reading();
        self.registry.handle_disconnect(self.session.last_zxid());
        let parked = std::mem::take(&mut self.parked);
        let is_first = |key: &SlotKey| self.slots.get(*key).is_some_and(|slot| slot.goes_first);
        let (mut kept, parked): (VecDeque<_>, VecDeque<_>) = parked.into_iter().partition(is_first);
        let mut write_lost = false;
        let mut culprit = true;
        let in_flight: Vec<_> = link.into_lost(offered, rest).collect();
        let suspected = self.note_closed(now, reason, &in_flight);
        let is_answer = self.is_closed_by_keeper(reason, &in_flight);
        let mut writes = self.writes_sent(&in_flight);
        for lost in in_flight {
            // It is the turn of the oldest request.
            let culprit = std::mem::take(&mut culprit);
            let too_large = match reason {
                Disconnect::ReplyTooLarge { len, limit } if culprit => Some((*len, *limit)),
                _ => None,
            };
            let costs_it =
                culprit && may_be_due_to_a_request(reason) && lost.unsent == Unsent::Nothing;
            let Token::Call(key) = lost.token else {
                continue;
            };
            let refused = self
                .slots
                .get(key)
                .is_some_and(|slot| self.is_refused(slot));
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            if !slot.is_wanted() {
                // Nobody waits for it, but what follows must not skip it either.
                let whole = matches!(lost.unsent, Unsent::Whole(_));
                write_lost |= slot.is_write() && (!whole || slot.has_failed());
                self.let_go(key);
                continue;
            }
            if let Some((size, limit)) = too_large {
                write_lost |= slot.is_write();
                self.fail(key, Failure::ReplyTooLarge { size, limit });
                continue;
            }
            slot.losses += u32::from(costs_it);
            if !slot.is_write() && slot.losses >= MAX_LOSSES {
                let outcome = Outcome::Unknown;
                self.fail(key, Failure::ConnectionLost(reason.clone(), outcome));
                continue;
            }
            if refused {
                // In its other form it would come after a write that was submitted later.
                match writes == 0 && !write_lost {
                    true => kept.push_back(key),
                    false => self.fail(key, Failure::Unimplemented(Outcome::Rejected)),
                }
                continue;
            }
            let is_sent = !matches!(lost.unsent, Unsent::Whole(_));
            writes = writes.saturating_sub(usize::from(slot.is_write() && is_sent));
            if !slot.is_write() || zk_proto::seeded_bug!("A52") {
                slot.was_sent |= lost.unsent == Unsent::Nothing;
                kept.push_back(key);
                continue;
            }
            let outcome = match lost.unsent {
                Unsent::Whole(record) if !write_lost => {
                    slot.record.clear();
                    slot.record.extend_from_slice(&record);
                    kept.push_back(key);
                    continue;
                }
                // Executing it could skip the write before it, whose fate is unknown.
                Unsent::Whole(_) | Unsent::Tail => Outcome::NotSent,
                Unsent::Nothing => Outcome::Unknown,
            };
            write_lost = true;
            let is_suspect = !slot.asks.and(suspected).is_empty();
            let failure = match outcome {
                Outcome::Unknown if is_suspect => Failure::ClosedOn(reason.clone()),
                _ => Failure::ConnectionLost(reason.clone(), outcome),
            };
            self.fail(key, failure);
        }
        // What was held back for the next connection comes after what was in flight.
        for key in parked {
            if write_lost && self.slots.get(key).is_some_and(|slot| slot.is_write()) {
                let outcome = Outcome::NotSent;
                self.fail(key, Failure::ConnectionLost(reason.clone(), outcome));
            } else {
                kept.push_back(key);
            }
        }
        for key in &kept {
            if let Some(slot) = self.slots.get_mut(*key) {
                slot.held_back = true;
            }
        }
        self.parked = kept;
        if is_answer {
            let failure = Failure::Closed(Outcome::Unknown);
            self.finish(State::Closed, &failure, self.end_is_proven);
            return;
        }
        if self.session.exists() {
            if self.announced == self.session.epoch() {
                self.set_state(State::Suspended {
                    until: self.session.expires_at(),
                });
            }
        } else if self.closing == Closing::No {
            self.set_state(State::Connecting);
        } else {
            // A connection without a session ends with itself.
            let failure = Failure::Closed(Outcome::NotSent);
            self.finish(State::Closed, &failure, self.end_is_proven);
        }
    }

    /// How many of these are writes that may be executed, or may have been.
    fn writes_sent(&self, in_flight: &[Lost<Token>]) -> usize {
        let is_sent = |lost: &&Lost<Token>| match lost.token {
            Token::Call(key) if !matches!(lost.unsent, Unsent::Whole(_)) => {
                (self.slots.get(key)).is_some_and(|slot| slot.is_write() && !self.is_refused(slot))
            }
            _ => false,
        };
        in_flight.iter().filter(is_sent).count()
    }
}

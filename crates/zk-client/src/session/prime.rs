//! The first words over a new connection: credentials, then watches, then requests. A server
//! delivers events only to who may read, and a request must not overtake the watch that it was to
//! be seen by.
//!
//! A million watches take hundreds of batches. A few are on their way at a time, so that neither
//! they nor a ping waits behind all that is to be said; requests are held back until the last batch
//! is on the wire.

use std::time::Instant;

use bytes::BytesMut;
use zk_proto::records::{SetWatches2Request, SetWatchesRequest};
use zk_proto::{Encode, OpCode, WirePath};

use crate::error::Outcome;
use crate::session::failure::Failure;
use crate::session::leader_contact::is_decided_by_quorum;
use crate::session::watches::{Batch, WatchKind};
use crate::session::{Closing, Core, Token};

/// Batches that a server is asked to arm before it has answered the first of them: enough for it
/// never to wait for us.
const BATCHES: usize = 4;

impl Core {
    /// The connection is open for requests.
    pub(super) fn prime(&mut self, now: Instant) {
        if self.lacks(OpCode::SetWatches2) {
            self.registry.abandon_lasting(&mut self.wakes);
        }
        self.registry.begin_rearming(&mut self.wakes);
        self.rearming = 0;
        let Some(link) = &mut self.link else { return };
        let forgotten = match zk_proto::seeded_bug!("B73") {
            true => self.credentials.len().saturating_sub(1),
            false => 0,
        };
        for (credential, index) in self.credentials.iter().zip(0..).skip(forgotten) {
            link.submit_auth(
                &credential.scheme,
                &credential.secret,
                Token::Credential(index),
            );
        }
        match self.awaits_features {
            true => self.ask_for_features(now),
            false => self.rearm_more(now),
        }
    }

    /// A server has armed a batch.
    pub(super) fn handle_rearmed(&mut self, now: Instant, batch: &Batch) {
        self.rearming = self.rearming.saturating_sub(1);
        for unwatch in self.registry.rearmed(batch, &mut self.wakes) {
            self.send_unwatch(now, unwatch);
        }
        if self.registry.is_rearming() && self.again.due().is_none() {
            self.rearm_more(now);
        }
    }

    /// The server does not know the request that arms lasting watches.
    pub(super) fn handle_rearm_unknown(&mut self, now: Instant) {
        self.rearming = self.rearming.saturating_sub(1);
        self.registry.abandon_lasting(&mut self.wakes);
        self.rearm_more(now);
    }

    /// Asks for as many batches as may be on their way; after the last, requests may follow.
    pub(super) fn rearm_more(&mut self, now: Instant) {
        while self.rearming < BATCHES
            && let Some(batch) = self.registry.next_batch()
        {
            self.send_batch(now, batch);
        }
        // What waits for another server goes on to wait.
        if !self.registry.is_rearming() && self.moving.is_none() {
            self.release(now);
        }
    }

    fn send_batch(&mut self, now: Instant, batch: Batch) {
        let Some(link) = &mut self.link else { return };
        self.rearming += 1;
        self.traffic.rearm_batches += 1;
        self.traffic.rearmed_watches += batch.watches.len() as u64;
        let op = if batch.is_lasting() {
            OpCode::SetWatches2
        } else {
            OpCode::SetWatches
        };
        let batch = Box::new(batch);
        let mut record = BytesMut::new();
        encode_batch(&batch, &mut record);
        // A batch is bounded by its making; a single path longer than that was accepted once.
        let _ = link.submit(now, op, Token::Rearm(batch), usize::MAX, |out| {
            out.extend_from_slice(&record);
        });
    }

    /// Sends what has waited for a connection whose watches are armed.
    pub(super) fn release(&mut self, now: Instant) {
        self.forget_unwanted();
        for key in std::mem::take(&mut self.parked) {
            let Some(slot) = self.slots.get_mut(key) else {
                continue;
            };
            if !slot.is_wanted() {
                self.let_go(key);
                continue;
            }
            let (op, needs, was_sent) = (slot.stage(), slot.needs, slot.was_sent);
            let Some(form) = self.form(op, needs) else {
                let outcome = match was_sent {
                    true => Outcome::Rejected,
                    false => Outcome::NotSent,
                };
                self.fail(key, Failure::Unimplemented(outcome));
                continue;
            };
            let (lacking, session) = (self.abilities.lacking(), self.session.id());
            let keeps = !needs.without(self.abilities.having()).is_empty();
            let (Some(link), Some(slot)) = (&mut self.link, self.slots.get_mut(key)) else {
                continue;
            };
            slot.held_back = false;
            slot.goes_first = false;
            slot.asks = form.asks;
            if form.is_adapted {
                slot.plain = form.adapt(op, lacking, session, &mut slot.record, 0);
            }
            let record = &slot.record;
            // Its size was checked when it was parked.
            let _ = link.submit(now, form.op, Token::Call(key), usize::MAX, |out| {
                out.extend_from_slice(record);
            });
            if is_decided_by_quorum(form.op) {
                self.session.handle_written(now);
            }
            if slot.is_write() && !keeps {
                slot.record.clear();
            }
        }
        if matches!(self.closing, Closing::Requested { .. }) {
            self.send_close(now);
        }
    }
}

fn encode_batch(batch: &Batch, out: &mut BytesMut) {
    let paths = |kind| batch.paths(kind).map(WirePath::from).collect::<Vec<_>>();
    let (data, exist, child) = (
        paths(WatchKind::Data),
        paths(WatchKind::Exist),
        paths(WatchKind::Child),
    );
    let relative_zxid = batch.since;
    if batch.is_lasting() {
        let (persistent, recursive) = (paths(WatchKind::Persistent), paths(WatchKind::Recursive));
        SetWatches2Request {
            relative_zxid,
            data,
            exist,
            child,
            persistent,
            recursive,
        }
        .encode(out);
    } else {
        SetWatchesRequest {
            relative_zxid,
            data,
            exist,
            child,
        }
        .encode(out);
    }
}

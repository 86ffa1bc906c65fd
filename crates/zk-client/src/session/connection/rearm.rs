//! What a new connection begins with: credentials, then watches, then requests. A server delivers
//! events only to clients that may read the znode, and a request must not overtake the watch that is to
//! report its effect.
//!
//! A million watches take hundreds of batches. A few are in flight at a time, so that neither a
//! batch nor a ping waits behind all of them; requests are held back until the last batch is on the
//! wire.

use std::time::Instant;

use bytes::BytesMut;
use zk_proto::records::{SetWatches2Request, SetWatchesRequest};
use zk_proto::{Encode, OpCode, WirePath};

use crate::session::Core;
use crate::session::connection::ReplyTarget;
use crate::session::watches::{Batch, WatchKind};

/// The number of batches in flight: enough for the server never to wait for the client.
const BATCHES: usize = 4;

impl Core {
    /// The connection is open for requests.
    pub(in crate::session) fn begin_requests(&mut self, now: Instant) {
        if self.lacks(OpCode::SetWatches2) {
            self.registry.abandon_lasting(&mut self.wakeups.wakers);
        }
        self.registry.begin_rearming(&mut self.wakeups.wakers);
        self.connection.batches = 0;
        let Some(link) = &mut self.connection.link else {
            return;
        };
        self.auth.send_all(link);
        match self.abilities.awaits_features() {
            true => self.read_features(now),
            false => self.rearm_more(now),
        }
    }

    /// A server has armed a batch.
    pub(in crate::session) fn handle_rearmed(&mut self, now: Instant, batch: &Batch) {
        self.connection.batch_answered();
        for unwatch in self.registry.rearmed(batch, &mut self.wakeups.wakers) {
            self.send_unwatch(now, unwatch);
        }
        if self.registry.is_rearming() && self.connection.throttled.due.is_none() {
            self.rearm_more(now);
        }
    }

    /// The server does not know the request that arms lasting watches.
    pub(in crate::session) fn handle_rearm_unknown(&mut self, now: Instant) {
        self.connection.batch_answered();
        self.registry.abandon_lasting(&mut self.wakeups.wakers);
        self.rearm_more(now);
    }

    /// Sends as many batches as may be in flight; after the last one, the parked requests.
    pub(in crate::session) fn rearm_more(&mut self, now: Instant) {
        while self.connection.batches < BATCHES
            && let Some(batch) = self.registry.next_batch()
        {
            self.send_batch(now, batch);
        }
        // If the client is leaving the server, requests are parked for the next one.
        if !self.registry.is_rearming() && !self.relocation.is_moving() {
            self.release(now);
        }
    }

    fn send_batch(&mut self, now: Instant, batch: Batch) {
        let Some(link) = &mut self.connection.link else {
            return;
        };
        self.connection.batches += 1;
        let traffic = self.counters.traffic_mut();
        traffic.rearm_batches += 1;
        traffic.rearmed_watches += batch.watches.len() as u64;
        let op = if batch.is_lasting() {
            OpCode::SetWatches2
        } else {
            OpCode::SetWatches
        };
        let batch = Box::new(batch);
        let mut record = BytesMut::new();
        encode_batch(&batch, &mut record);
        // The registry bounds a batch; a longer single path was within the limit once.
        let _ = link.submit(now, op, ReplyTarget::Rearm(batch), usize::MAX, |out| {
            out.extend_from_slice(&record);
        });
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

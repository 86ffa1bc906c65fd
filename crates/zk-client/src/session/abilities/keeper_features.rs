//! The features of a ClickHouse Keeper.
//!
//! A Keeper ends the session on an operation that it does not know or has switched off, so the client
//! must not try. The handshake identifies a Keeper at no cost. Then the client reads the znode of the
//! Keeper's feature flags before it sends anything else; a Keeper without that znode is of a version
//! before the flags.

use std::time::Instant;

use bytes::Bytes;
use zk_proto::records::GetDataRequest;
use zk_proto::{Encode, ErrorCode, OpCode};
use zk_transport::{Disconnect, Lost, Sent};

use crate::session::Core;
use crate::session::abilities::keeper_flags::FEATURE_FLAGS;
use crate::session::connection::ReplyTarget;

impl Core {
    /// Reads a Keeper's feature flags. Requests wait for the answer.
    pub(in crate::session) fn read_features(&mut self, now: Instant) {
        let Some(link) = self.connection.link.as_mut() else {
            return;
        };
        let request = GetDataRequest {
            path: FEATURE_FLAGS.into(),
            watch: false,
        };
        // No request can be shorter, so no limit applies.
        let target = ReplyTarget::Features;
        let _ = link.submit(now, OpCode::GetData, target, usize::MAX, |out| {
            request.encode(out);
        });
    }

    /// A Keeper has answered the read of its feature flags.
    pub(in crate::session) fn handle_features(
        &mut self,
        now: Instant,
        result: &Result<Bytes, ErrorCode>,
    ) {
        self.abilities.handle_features(result);
        self.abilities_changed();
        self.rearm_more(now);
    }

    /// Whether the end of the connection is the answer to the end of the session: a Keeper sends no
    /// other. A Keeper answers in order, so earlier requests have their answers by then; and unless the
    /// Keeper closed the connection, nothing is known of the session. A Keeper that is killed at this
    /// moment looks the same.
    pub(in crate::session) fn is_closed_by_keeper(
        &self,
        reason: &Disconnect,
        lost: &[Lost<ReplyTarget>],
    ) -> bool {
        let is_close = |lost: &Lost<ReplyTarget>| {
            matches!(lost.token, ReplyTarget::Close) && lost.sent == Sent::All
        };
        self.abilities.is_keeper()
            && *reason == Disconnect::ClosedByServer
            && lost.first().is_some_and(is_close)
    }
}

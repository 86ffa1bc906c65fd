//! ClickHouse Keeper, which says what it has.
//!
//! It ends the session on an operation that it does not know or has switched off, so it must not be
//! asked. Its handshake tells it apart at no cost: it leaves out the last byte, and its passwords are
//! zeros. Then the znode of its feature flags is read before anything else is sent, and its absence
//! says that this is a Keeper from before there were any.

use std::time::Instant;

use bytes::Bytes;
use zk_proto::records::{ConnectResponse, GetDataRequest, GetDataResponse};
use zk_proto::{Encode, ErrorCode, OpCode, SessionPassword, decode_frame};
use zk_transport::{Disconnect, Link, Lost, Unsent};

use crate::session::abilities::OpSet;
use crate::session::{Core, Token};

const FEATURE_FLAGS: &str = "/keeper/feature_flags";

/// The numbers of its flags, and the operations that each stands for (`KeeperFeatureFlags.h`,
/// `ZooKeeperConstants.cpp`).
const FLAGS: [(usize, &[OpCode]); 3] = [
    (1, &[OpCode::MultiRead]),
    (
        7,
        &[
            OpCode::CheckWatches,
            OpCode::RemoveWatches,
            OpCode::SetWatches2,
            OpCode::AddWatch,
        ],
    ),
    (8, &[OpCode::Create2]),
];

/// Whether a flag is set: the first is the highest bit of the first byte.
fn is_set(flags: &[u8], number: usize) -> bool {
    let byte = flags.get(number / 8).copied().unwrap_or(0);
    byte & (0x80 >> (number % 8)) != 0
}

/// What a Keeper with these flags has. No flag stands for `reconfig`.
pub(super) fn features(flags: &[u8]) -> OpSet {
    let set = FLAGS.iter().filter(|(number, _)| is_set(flags, *number));
    set.fold(OpSet::NONE, |all, (_, ops)| all.with(OpSet::of_all(ops)))
}

impl Core {
    /// A server has answered the handshake.
    pub(super) fn recognize(&mut self, response: &ConnectResponse) {
        let is_short = self.link.as_ref().is_some_and(Link::is_short_handshake);
        self.on_keeper = is_short && response.password == SessionPassword::zero();
        self.awaits_features = self.on_keeper;
        if self.on_keeper {
            self.registry.set_nameless();
        }
    }

    /// Asks a Keeper for what it has. Requests wait for the answer.
    pub(super) fn ask_for_features(&mut self, now: Instant) {
        let Some(link) = self.link.as_mut() else {
            return;
        };
        let request = GetDataRequest {
            path: FEATURE_FLAGS.into(),
            watch: false,
        };
        // As short as a request can be.
        let _ = link.submit(now, OpCode::GetData, Token::Features, usize::MAX, |out| {
            request.encode(out);
        });
    }

    pub(super) fn handle_features(&mut self, now: Instant, result: &Result<Bytes, ErrorCode>) {
        self.awaits_features = false;
        let all = OpSet::ALL;
        let known = match result {
            Ok(body) => decode_frame::<GetDataResponse>(body, 0).ok().map(|node| {
                let has = features(&node.data.unwrap_or_default());
                let unsaid = OpSet::of(OpCode::Reconfig);
                (has, all.without(has).without(unsaid))
            }),
            Err(ErrorCode::NoNode) => Some((OpSet::NONE, all)),
            Err(_) => None,
        };
        if let Some((has, lacks)) = known {
            let new = self.abilities.learn(has, lacks);
            self.report(new, "is a ClickHouse Keeper whose feature flags say so");
            self.heed_abilities();
        }
        self.rearm_more(now);
    }

    /// Whether the end of the connection is the answer to the end of the session: a Keeper sends no
    /// other. It answers in order, so earlier requests have their answers by then; and a connection that
    /// did not end as a closed one does says nothing of the session. A Keeper that is killed at this moment
    /// looks the same.
    pub(super) fn is_closed_by_keeper(&self, reason: &Disconnect, lost: &[Lost<Token>]) -> bool {
        let is_close = |lost: &Lost<Token>| {
            matches!(lost.token, Token::Close) && lost.unsent == Unsent::Nothing
        };
        self.on_keeper
            && *reason == Disconnect::ClosedByServer
            && lost.first().is_some_and(is_close)
    }
}

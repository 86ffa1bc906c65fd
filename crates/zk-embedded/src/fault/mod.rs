//! What can go wrong, on demand.

use std::time::Duration;

use bytes::Bytes;
use zk_proto::jute::Decoder;
use zk_proto::records::{MultiOp, MultiRequest};
use zk_proto::{Decode, ErrorCode, OpCode, RequestHeader, SessionId};

/// Which requests a [`Rule`] is about. Made with [`on`], [`on_any`] or [`on_connect`]; what is not
/// narrowed down matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    kind: Kind,
    path: Option<String>,
    session: Option<SessionId>,
    skip: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    Connect,
    Op(OpCode),
}

/// Requests for an operation.
pub fn on(op: OpCode) -> Matcher {
    Matcher::new(Kind::Op(op))
}

/// Every request, except the handshake, pings and `auth`.
pub fn on_any() -> Matcher {
    Matcher::new(Kind::Any)
}

/// The handshake.
pub fn on_connect() -> Matcher {
    Matcher::new(Kind::Connect)
}

impl Matcher {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            path: None,
            session: None,
            skip: 0,
        }
    }

    /// Only those that name this node; of a multi, any of its operations.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Only those of this session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Lets the first `skip` pass.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// The rule that does `action` to the first request that matches.
    #[must_use]
    pub fn then(self, action: Action) -> Rule {
        Rule {
            on: self,
            action,
            times: Some(1),
        }
    }

    fn matches(&self, request: &Seen<'_>) -> bool {
        let kind = match (self.kind, request.op) {
            (Kind::Connect, op) => op.is_none(),
            (Kind::Any, op) => op.is_some_and(|op| !matches!(op, OpCode::Ping | OpCode::Auth)),
            (Kind::Op(op), other) => Some(op) == other,
        };
        kind && self
            .session
            .is_none_or(|session| request.session == Some(session))
            && self.path.as_deref().is_none_or(|path| request.names(path))
    }
}

/// What is done to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It is executed, and the connection closed instead of answering.
    DropReply,
    /// The connection is closed, and it is not executed.
    Close,
    /// It is executed and never answered; the connection stays open.
    Swallow,
    /// It is not executed, and answered with this code.
    Refuse(ErrorCode),
    /// It is executed, and answered with this code instead of its result, the way servers answer that
    /// have lost sight of a transaction before it was committed
    /// ([`OperationTimeout`](ErrorCode::OperationTimeout), [`ConnectionLoss`](ErrorCode::ConnectionLoss)).
    /// Watch events that the request triggers are sent as usual.
    Misreport(ErrorCode),
    /// It is executed, and answered after this time; what comes behind it waits.
    Delay(Duration),
    /// It is not executed, and these bytes, whatever they are, are sent instead of a frame.
    Respond(Bytes),
    /// As [`Action::Respond`], and then the connection is closed.
    RespondAndClose(Bytes),
    /// It is executed, and its reply is sent this often.
    Repeat(u32),
    /// From here on the connection is dead, and the client is not told: nothing more is executed or
    /// answered.
    HalfOpen,
}

/// One line of a script: what to do, to what, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    on: Matcher,
    action: Action,
    times: Option<u32>,
}

impl Rule {
    /// For this many requests instead of one.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Until the faults are [cleared](crate::Faults::clear).
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Replies and events.
    ToClient,
}

/// A place at which a connection is cut, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    direction: Direction,
    frame: u64,
    byte: usize,
    reset: bool,
}

impl Cut {
    /// After `byte` bytes of the `frame`-th frame that a connection sends in this direction. Frames
    /// are counted from 0, which is the handshake; bytes include the four of the length.
    pub fn new(direction: Direction, frame: u64, byte: usize) -> Self {
        Self {
            direction,
            frame,
            byte,
            reset: false,
        }
    }

    /// With a reset instead of an orderly end, where the transport has such a thing.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.reset = true;
        self
    }

    pub(crate) fn byte(self) -> usize {
        self.byte
    }

    pub(crate) fn is_reset(self) -> bool {
        self.reset
    }
}

/// A request as the rules see it.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    /// `None` for the handshake.
    pub(crate) op: Option<OpCode>,
    pub(crate) session: Option<SessionId>,
    pub(crate) frame: &'a Bytes,
}

impl Seen<'_> {
    fn names(&self, path: &str) -> bool {
        let mut body = Decoder::at(self.frame, RequestHeader::LEN);
        match self.op {
            None | Some(OpCode::Auth | OpCode::Sasl) => false,
            Some(OpCode::Reconfig) => path == "/zookeeper/config",
            Some(OpCode::SetWatches | OpCode::SetWatches2) => false,
            Some(OpCode::Multi | OpCode::MultiRead) => MultiRequest::decode(&mut body)
                .is_ok_and(|multi| multi.ops.iter().any(|op| op_names(op, path))),
            Some(_) => body.str("path").is_ok_and(|named| named == path),
        }
    }
}

fn op_names(op: &MultiOp<'_>, path: &str) -> bool {
    match op {
        MultiOp::Create(op) | MultiOp::Create2(op) | MultiOp::CreateContainer(op) => {
            op.path == path
        }
        MultiOp::CreateTtl(op) => op.path == path,
        MultiOp::Delete(op) => op.path == path,
        MultiOp::SetData(op) => op.path == path,
        MultiOp::Check(op) => op.path == path,
        MultiOp::GetData(op) => op.path == path,
        MultiOp::GetChildren(op) => op.path == path,
    }
}

/// The rules in force, in the order in which they were given.
#[derive(Debug, Default)]
pub(crate) struct Script {
    rules: Vec<(Vec<usize>, Rule)>,
    cuts: Vec<(Vec<usize>, Cut)>,
}

impl Script {
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.cuts.is_empty()
    }

    pub(crate) fn add(&mut self, members: Vec<usize>, rule: Rule) {
        if rule.times != Some(0) {
            self.rules.push((members, rule));
        }
    }

    pub(crate) fn add_cut(&mut self, members: Vec<usize>, cut: Cut) {
        self.cuts.push((members, cut));
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn pending(&self) -> usize {
        self.rules.len() + self.cuts.len()
    }

    /// What is to be done to a request. The first rule that matches decides.
    pub(crate) fn decide(&mut self, member: usize, request: &Seen<'_>) -> Option<Action> {
        for index in 0..self.rules.len() {
            let Some((members, rule)) = self.rules.get_mut(index) else {
                break;
            };
            if !members.contains(&member) || !rule.on.matches(request) {
                continue;
            }
            if let Some(left) = rule.on.skip.checked_sub(1) {
                rule.on.skip = left;
                continue;
            }
            let action = rule.action.clone();
            if let Some(times) = &mut rule.times {
                *times = times.saturating_sub(1);
                if *times == 0 {
                    self.rules.remove(index);
                }
            }
            return Some(action);
        }
        None
    }

    /// Takes the cut that falls into the given frame, once `available` bytes of it are there.
    pub(crate) fn cut(
        &mut self,
        member: usize,
        direction: Direction,
        frame: u64,
        available: usize,
    ) -> Option<Cut> {
        let falls = |(members, cut): &(Vec<usize>, Cut)| {
            members.contains(&member)
                && cut.direction == direction
                && cut.frame == frame
                && cut.byte <= available
        };
        let index = self.cuts.iter().position(falls)?;
        Some(self.cuts.remove(index).1)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use zk_proto::Encode;
    use zk_proto::records::{DeleteRequest, ExistsRequest};

    use super::*;

    fn exists(path: &str) -> Bytes {
        let mut out = BytesMut::new();
        RequestHeader::new(1, OpCode::Exists).encode(&mut out);
        let watch = false;
        let path = path.into();
        ExistsRequest { path, watch }.encode(&mut out);
        out.freeze()
    }

    fn seen(frame: &Bytes) -> Seen<'_> {
        Seen {
            op: Some(OpCode::Exists),
            session: Some(SessionId(7)),
            frame,
        }
    }

    #[test]
    fn a_rule_applies_as_often_as_it_says_and_after_as_many_as_it_says() {
        let mut script = Script::default();
        script.add(
            vec![0],
            on(OpCode::Exists).after(1).then(Action::Close).times(2),
        );
        let frame = exists("/a");
        let decisions: Vec<_> = (0..4).map(|_| script.decide(0, &seen(&frame))).collect();
        let close = Some(Action::Close);
        assert_eq!(decisions, [None, close.clone(), close, None]);
        assert!(script.is_empty());
    }

    #[test]
    fn rules_match_by_operation_path_session_and_member() {
        let frame = exists("/a");
        let decided = |on: Matcher| {
            let mut script = Script::default();
            script.add(vec![0], on.then(Action::Close));
            (
                script.decide(1, &seen(&frame)),
                script.decide(0, &seen(&frame)),
            )
                .1
                .is_some()
        };
        assert!(decided(on_any()) && decided(on(OpCode::Exists).path("/a")));
        assert!(decided(on_any().session(SessionId(7))));
        assert!(!decided(on_any().session(SessionId(8))));
        assert!(!decided(on(OpCode::Exists).path("/b")) && !decided(on(OpCode::Delete)));
        assert!(!decided(on_connect()));
    }

    #[test]
    fn a_multi_is_known_by_any_of_its_nodes() {
        let delete = |path| MultiOp::Delete(DeleteRequest { path, version: -1 });
        let ops = vec![delete("/a".into()), delete("/b".into())];
        let mut out = BytesMut::new();
        RequestHeader::new(1, OpCode::Multi).encode(&mut out);
        MultiRequest { ops }.encode(&mut out);
        let frame = out.freeze();
        let multi = Seen {
            op: Some(OpCode::Multi),
            session: None,
            frame: &frame,
        };
        assert!(on_any().path("/b").matches(&multi));
        assert!(!on_any().path("/c").matches(&multi));
    }
}

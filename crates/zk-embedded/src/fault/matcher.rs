//! Which requests a rule applies to.

use bytes::Bytes;
use zk_proto::jute::Decoder;
use zk_proto::records::{MultiOp, MultiRequest};
use zk_proto::{Decode, OpCode, RequestHeader, SessionId};

/// Which requests a [`Rule`](super::Rule) applies to. Made with [`on`], [`on_any`] or [`on_connect`];
/// without further conditions it matches all of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    kind: Kind,
    path: Option<String>,
    session: Option<SessionId>,
    pub(super) skip: u32,
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

    /// Only requests that name this node; a multi matches by any of its operations.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Only requests of this session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// Skips the first `skip` requests that match.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    pub(super) fn matches(&self, request: &RequestView<'_>) -> bool {
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

/// A request as matchers see it.
#[derive(Debug)]
pub(crate) struct RequestView<'a> {
    /// `None` for the handshake.
    pub(crate) op: Option<OpCode>,
    pub(crate) session: Option<SessionId>,
    pub(crate) frame: &'a Bytes,
}

impl RequestView<'_> {
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

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use zk_proto::Encode;
    use zk_proto::records::DeleteRequest;

    use super::*;

    #[test]
    fn a_multi_matches_by_any_of_its_nodes() {
        let delete = |path| MultiOp::Delete(DeleteRequest { path, version: -1 });
        let ops = vec![delete("/a".into()), delete("/b".into())];
        let mut out = BytesMut::new();
        RequestHeader::new(1, OpCode::Multi).encode(&mut out);
        MultiRequest { ops }.encode(&mut out);
        let frame = out.freeze();
        let multi = RequestView {
            op: Some(OpCode::Multi),
            session: None,
            frame: &frame,
        };
        assert!(on_any().path("/b").matches(&multi));
        assert!(!on_any().path("/c").matches(&multi));
    }
}

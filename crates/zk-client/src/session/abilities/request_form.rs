//! Requests in the form that an older server knows.
//!
//! `create`, `create2` and `createContainer` have one record; only the operation and the flags, which
//! are the record's last four bytes, differ. So a server without the newer two is sent a `create`. Its
//! answer lacks the stat, for which the client then reads the znode; meanwhile the request counts as
//! a read, since the creation itself has been answered.

use bytes::{Bytes, BytesMut};
use zk_proto::records::{Create2Response, CreateRequest, MultiOp, MultiRequest};
use zk_proto::{CreateMode, Encode, OpCode, SessionId, Stat, Zxid, decode_frame};

use crate::session::abilities::op_set::OpSet;
use crate::session::requests::reply::ReplyIds;

/// A creation that was sent as `create`.
#[derive(Debug)]
pub(crate) struct PlainCreate {
    data_length: i32,
    /// The session that owns the znode if the znode is ephemeral, else none.
    owner: SessionId,
    created: Option<(String, ReplyIds)>,
}

impl PlainCreate {
    /// For a request with this record, made in this session.
    fn of(record: &[u8], session: SessionId) -> Self {
        let record = Bytes::copy_from_slice(record);
        let request = decode_frame::<CreateRequest<'_>>(&record, 0).ok();
        let flags = request.as_ref().map_or(0, |request| request.flags);
        let is_ephemeral = CreateMode::from_flags(flags).is_some_and(CreateMode::is_ephemeral);
        let data = request.and_then(|request| request.data.map(<[u8]>::len));
        PlainCreate {
            data_length: i32::try_from(data.unwrap_or(0)).unwrap_or(i32::MAX),
            owner: if is_ephemeral {
                session
            } else {
                SessionId::NONE
            },
            created: None,
        }
    }

    /// The server has created the znode at `path`; its stat is to be read.
    pub(crate) fn set_created(&mut self, path: String, seen: ReplyIds) {
        self.created = Some((path, seen));
    }

    /// Whether the znode has been created, and its stat is being read.
    pub(crate) fn is_created(&self) -> bool {
        self.created.is_some()
    }

    /// The answer to the creation; `read` is the znode's stat if it could be read. The answer has the
    /// stat of a znode without changes, as that of `create2` has: with the version that another
    /// client's write has left, the caller could overwrite data that it never saw. So only what is not
    /// known otherwise is taken from `read`.
    pub(crate) fn answer(&self, read: Option<Stat>) -> Option<(Bytes, ReplyIds)> {
        let (path, seen) = self.created.as_ref()?;
        let zxid = seen.zxid;
        // The znode may have been deleted, and another created at its path.
        let is_it = |stat: &Stat| zxid <= Zxid::ZERO || stat.czxid == zxid;
        let read = read.filter(is_it).unwrap_or_default();
        let czxid = if zxid > Zxid::ZERO { zxid } else { read.czxid };
        let mut stat = Stat::default();
        (stat.czxid, stat.mzxid, stat.pzxid) = (czxid, czxid, czxid);
        (stat.ctime, stat.mtime) = (read.ctime, read.ctime);
        stat.ephemeral_owner = self.owner.0;
        stat.data_length = self.data_length;
        let mut body = BytesMut::new();
        let path = path.clone();
        Create2Response { path, stat }.encode(&mut body);
        Some((body.freeze(), *seen))
    }
}

/// The form in which a request is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Form {
    pub(crate) op: OpCode,
    /// The operations in it that not every server has.
    pub(crate) ops: OpSet,
    /// Whether the record has to be changed, or the answer.
    pub(crate) is_adapted: bool,
}

impl Form {
    /// The form for a server that lacks `lacks` of what the request `needs`; `None` if nothing can
    /// replace one of them.
    #[cold]
    pub(super) fn adapted(op: OpCode, needs: OpSet, lacks: OpSet, having: OpSet) -> Option<Self> {
        if !lacks.without(replaceable()).is_empty() {
            return None;
        }
        let (op, ops) = match op {
            OpCode::Multi => (op, needs.without(lacks)),
            // Only if the server has shown to have it: it may lack `create2`, too.
            OpCode::CreateContainer if having.contains(OpCode::Create2) => {
                (OpCode::Create2, OpSet::of(OpCode::Create2))
            }
            _ => (OpCode::Create, OpSet::NONE),
        };
        Some(Form {
            op,
            ops,
            is_adapted: true,
        })
    }

    /// Changes the record of a request for `op` to this form. The record is what `out` has from `from`
    /// on.
    pub(crate) fn adapt(
        self,
        op: OpCode,
        lacking: OpSet,
        session: SessionId,
        out: &mut BytesMut,
        from: usize,
    ) -> Option<Box<PlainCreate>> {
        match op {
            OpCode::Multi => adapt_multi(lacking, out, from),
            OpCode::CreateContainer => set_persistent(out),
            _ => {}
        }
        let record = out.get(from..).unwrap_or_default();
        (self.op == OpCode::Create).then(|| Box::new(PlainCreate::of(record, session)))
    }
}

/// The operations for which another can be sent.
pub(crate) fn replaceable() -> OpSet {
    OpSet::of_all(&[OpCode::Create2, OpCode::CreateContainer])
}

/// Turns the record of a creation into that of a persistent znode.
fn set_persistent(record: &mut BytesMut) {
    let flags = CreateMode::Persistent.flags().to_be_bytes();
    let at = record.len().saturating_sub(flags.len());
    if let Some(last) = record.get_mut(at..) {
        last.copy_from_slice(&flags);
    }
}

/// Replaces the operations of a transaction that the server lacks.
fn adapt_multi(lacking: OpSet, out: &mut BytesMut, from: usize) {
    let record = out.split_off(from).freeze();
    let Ok(mut request) = decode_frame::<MultiRequest<'_>>(&record, 0) else {
        out.extend_from_slice(&record);
        return;
    };
    for op in &mut request.ops {
        let create = match op {
            MultiOp::Create2(create) if lacking.contains(OpCode::Create2) => create.clone(),
            MultiOp::CreateContainer(create) if lacking.contains(OpCode::CreateContainer) => {
                CreateRequest {
                    flags: CreateMode::Persistent.flags(),
                    ..create.clone()
                }
            }
            _ => continue,
        };
        *op = MultiOp::Create(create);
    }
    request.encode(out);
}

#[cfg(test)]
mod tests {
    use zk_proto::Acl;
    use zk_proto::records::DeleteRequest;

    use super::*;

    fn create(path: &'static str, mode: CreateMode) -> CreateRequest<'static> {
        CreateRequest {
            path: path.into(),
            data: Some(b"data"),
            acl: Acl::open().into(),
            flags: mode.flags(),
        }
    }

    /// Those that the server has stay as they are, and so does what is in the buffer before the record.
    #[test]
    fn a_multi_has_only_what_the_server_has() {
        let (two, container) = (OpCode::Create2, OpCode::CreateContainer);
        for lacks in [&[two][..], &[container], &[two, container]] {
            let lacks = OpSet::of_all(lacks);
            let delete = MultiOp::Delete(DeleteRequest {
                path: "/d".into(),
                version: 3,
            });
            let plain = create("/a", CreateMode::EphemeralSequential);
            let ops = vec![
                MultiOp::Create2(plain.clone()),
                delete.clone(),
                MultiOp::CreateContainer(create("/c", CreateMode::Container)),
            ];
            let first = match lacks.contains(two) {
                true => MultiOp::Create(plain.clone()),
                false => MultiOp::Create2(plain.clone()),
            };
            let last = match lacks.contains(container) {
                true => MultiOp::Create(create("/c", CreateMode::Persistent)),
                false => MultiOp::CreateContainer(create("/c", CreateMode::Container)),
            };
            let needs = OpSet::of_all(&[two, container]);
            let form = Form::adapted(OpCode::Multi, needs, lacks, OpSet::NONE).unwrap();
            assert_eq!((form.op, form.ops), (OpCode::Multi, needs.without(lacks)));
            let mut out = BytesMut::from(&b"before"[..]);
            MultiRequest { ops }.encode(&mut out);
            let of_create = form.adapt(OpCode::Multi, lacks, SessionId(1), &mut out, 6);
            assert!(of_create.is_none());
            let out = out.freeze();
            assert_eq!(&out[..6], b"before");
            let sent: MultiRequest<'_> = decode_frame(&out, 6).unwrap();
            assert_eq!(sent.ops, [first, delete, last]);
        }
    }
}

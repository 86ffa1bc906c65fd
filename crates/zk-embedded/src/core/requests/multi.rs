//! `multi`: several writes as one transaction.

use zk_proto::records::{
    CreateRequest, CreateTtlRequest, MultiOp, MultiRequest, MultiResponse, MultiResult,
};
use zk_proto::{CreateMode, ErrorCode, OpCode, Request as Body, Stat};

use crate::core::pose::Behaviour;
use crate::core::requests::Request;
use crate::core::state::State;
use crate::core::tree::Applied;
use crate::core::tree::txn::Change;

impl State {
    pub(crate) fn multi(&mut self, request: &Request<'_>) {
        let behaviour = self.options.behaviour();
        let possible = |asked: &MultiRequest<'_>| {
            let mut ops = asked.ops.iter();
            ops.all(|op| is_possible(op, behaviour))
        };
        let asked = match request.body() {
            Ok(Body::Multi(asked)) if possible(&asked) => asked,
            body => {
                let code = body.err().unwrap_or(ErrorCode::MarshallingError);
                let txn = self.txn(
                    request.now,
                    request.session,
                    request.xid,
                    request.op,
                    Err(code),
                );
                self.commit(txn, Some(request.member));
                return self.reply(request, Err(code));
            }
        };
        let prepared = self.prepare_multi(request, &asked.ops);
        let failure = prepared.as_ref().err().copied();
        let changes = prepared.map_err(|failure| failure.code);
        let paths: Vec<String> = changes
            .iter()
            .flatten()
            .map(|c| c.path().to_owned())
            .collect();
        let txn = self.txn(
            request.now,
            request.session,
            request.xid,
            request.op,
            changes,
        );
        let applied = self.commit(txn, Some(request.member));
        let results = match failure {
            Some(Failure { at: None, code }) => return self.reply(request, Err(code)),
            Some(Failure { at: Some(at), code }) => refused(asked.ops.len(), at, code),
            None => {
                let done = asked.ops.iter().zip(paths).zip(&applied);
                done.map(|((op, path), applied)| result(op, path, applied, behaviour))
                    .collect()
            }
        };
        self.reply(request, Ok(&MultiResponse { results }));
    }

    fn prepare_multi(
        &self,
        request: &Request<'_>,
        ops: &[MultiOp<'_>],
    ) -> Result<Vec<Change>, Failure> {
        let behaviour = self.options.behaviour();
        let mut checks = self.checks(request).map_err(Failure::of_all)?;
        let mut changes = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            let change = match op {
                MultiOp::Create(asked)
                | MultiOp::Create2(asked)
                | MultiOp::CreateContainer(asked) => {
                    if behaviour.mode(asked.flags).is_some_and(CreateMode::has_ttl) {
                        // 3.8 takes it for a record of another class and gives up on the whole,
                        // but not before it comes to it.
                        return Err(Failure::of_all(ErrorCode::MarshallingError));
                    }
                    checks.create(creation(op.op_code(), asked.flags, behaviour), asked)
                }
                MultiOp::CreateTtl(request) => match untimed(request) {
                    Some(asked) => {
                        checks.create(creation(OpCode::Create, asked.flags, behaviour), &asked)
                    }
                    None => checks.create_ttl(request),
                },
                MultiOp::Delete(request) => checks.delete(request),
                MultiOp::SetData(request) => checks.set_data(request),
                MultiOp::Check(request) => checks.check(request),
                MultiOp::GetData(_) | MultiOp::GetChildren(_) => Err(ErrorCode::MarshallingError),
            };
            changes.push(change.map_err(|code| Failure {
                at: Some(index),
                code,
            })?);
        }
        Ok(changes)
    }
}

/// Why a multi is refused, and which of its operations that is because of, if it is one.
#[derive(Debug, Clone, Copy)]
struct Failure {
    at: Option<usize>,
    code: ErrorCode,
}

impl Failure {
    fn of_all(code: ErrorCode) -> Self {
        Self { at: None, code }
    }
}

/// Whether the server can read the operation as part of a multi: one that it knows there, with flags
/// that it knows and that go without a time to live where none is sent.
fn is_possible(op: &MultiOp<'_>, behaviour: &Behaviour) -> bool {
    behaviour.ops_in_multi.has(op.op_code())
        && match op {
            // Where the flags decide, they are looked at when the operation is executed.
            MultiOp::Create(op) | MultiOp::Create2(op) | MultiOp::CreateContainer(op) => {
                let mode = behaviour.mode(op.flags);
                behaviour.flags_decide_in_multi || mode.is_some_and(|mode| !mode.has_ttl())
            }
            _ => true,
        }
}

/// What the server makes of a creation in a multi: the flags can make it one of a container, and
/// decide alone on some servers.
fn creation(op: OpCode, flags: i32, behaviour: &Behaviour) -> OpCode {
    match behaviour.mode(flags) {
        Some(CreateMode::Container) => OpCode::CreateContainer,
        _ if behaviour.flags_decide_in_multi => OpCode::Create,
        _ => op,
    }
}

/// What the server makes of a `createTTL` in a multi whose flags are those of a node without a time
/// to live: a `create`.
fn untimed<'a>(asked: &CreateTtlRequest<'a>) -> Option<CreateRequest<'a>> {
    let mode = CreateMode::from_flags(asked.flags);
    (!mode.is_some_and(CreateMode::has_ttl)).then(|| CreateRequest {
        path: asked.path,
        data: asked.data,
        acl: asked.acl.clone(),
        flags: asked.flags,
    })
}

/// Nothing was done: success before the failure, its code, and an error of their own for those
/// after it.
fn refused(count: usize, failed: usize, code: ErrorCode) -> Vec<MultiResult> {
    let codes = (0..count).map(|index| match index.cmp(&failed) {
        std::cmp::Ordering::Less => 0,
        std::cmp::Ordering::Equal => code.code(),
        std::cmp::Ordering::Greater => ErrorCode::RuntimeInconsistency.code(),
    });
    codes.map(MultiResult::Error).collect()
}

fn result(op: &MultiOp<'_>, path: String, applied: &Applied, behaviour: &Behaviour) -> MultiResult {
    let stat: Stat = applied.stat.unwrap_or_default();
    let created = |op, flags, path| match creation(op, flags, behaviour) {
        OpCode::Create => MultiResult::Create { path },
        _ => MultiResult::Create2 { path, stat },
    };
    match op {
        MultiOp::Create(asked) | MultiOp::Create2(asked) | MultiOp::CreateContainer(asked) => {
            created(op.op_code(), asked.flags, path)
        }
        MultiOp::CreateTtl(asked) if untimed(asked).is_some() => {
            created(OpCode::Create, asked.flags, path)
        }
        MultiOp::CreateTtl(_) => MultiResult::Create2 { path, stat },
        MultiOp::SetData(_) => MultiResult::SetData { stat },
        MultiOp::Delete(_) => MultiResult::Delete,
        MultiOp::Check(_) | MultiOp::GetData(_) | MultiOp::GetChildren(_) => MultiResult::Check,
    }
}

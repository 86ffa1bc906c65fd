//! `multi`: several writes as one transaction.

use zk_proto::records::{
    CreateRequest, CreateTtlRequest, MultiOp, MultiRequest, MultiResponse, MultiResult,
};
use zk_proto::{CreateMode, ErrorCode, OpCode, Request as Body, Stat};

use crate::core::pose::behaviour::Behaviour;
use crate::core::requests::Request;
use crate::core::state::State;
use crate::core::tree::Applied;
use crate::core::tree::txn::Change;

impl State {
    pub(crate) fn multi(&mut self, request: &Request<'_>) {
        let behaviour = self.options.behaviour();
        let possible = |args: &MultiRequest<'_>| {
            let mut ops = args.ops.iter();
            ops.all(|op| is_possible(op, behaviour))
        };
        let args = match request.body() {
            Ok(Body::Multi(args)) if possible(&args) => args,
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
        let prepared = self.prepare_multi(request, &args.ops);
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
            Some(Failure { at: Some(at), code }) => refused(args.ops.len(), at, code),
            None => {
                let done = args.ops.iter().zip(paths).zip(&applied);
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
                MultiOp::Create(args) | MultiOp::Create2(args) | MultiOp::CreateContainer(args) => {
                    if behaviour.mode(args.flags).is_some_and(CreateMode::has_ttl) {
                        // 3.8 casts it to a record of another class and fails the whole multi when it
                        // comes to this operation.
                        return Err(Failure::of_all(ErrorCode::MarshallingError));
                    }
                    checks.create(creation(op.op_code(), args.flags, behaviour), args)
                }
                MultiOp::CreateTtl(request) => match untimed(request) {
                    Some(args) => {
                        checks.create(creation(OpCode::Create, args.flags, behaviour), &args)
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

/// Why a multi is refused, and the index of the operation that is the reason, if there is one.
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

/// Whether the server can read the operation as part of a multi: it knows the operation there, it knows
/// the flags, and the flags need no time to live where none is sent.
fn is_possible(op: &MultiOp<'_>, behaviour: &Behaviour) -> bool {
    behaviour.ops_in_multi.has(op.op_code())
        && match op {
            // Servers on which the flags decide check them when they execute the operation.
            MultiOp::Create(op) | MultiOp::Create2(op) | MultiOp::CreateContainer(op) => {
                let mode = behaviour.mode(op.flags);
                behaviour.flags_decide_in_multi || mode.is_some_and(|mode| !mode.has_ttl())
            }
            _ => true,
        }
}

/// The operation that a creation in a multi is executed as: the flags can turn it into that of a
/// container, and on some servers they decide alone.
fn creation(op: OpCode, flags: i32, behaviour: &Behaviour) -> OpCode {
    match behaviour.mode(flags) {
        Some(CreateMode::Container) => OpCode::CreateContainer,
        _ if behaviour.flags_decide_in_multi => OpCode::Create,
        _ => op,
    }
}

/// The `create` as which a server executes a `createTTL` in a multi whose flags are those of a node
/// without a time to live.
fn untimed<'a>(args: &CreateTtlRequest<'a>) -> Option<CreateRequest<'a>> {
    let mode = CreateMode::from_flags(args.flags);
    (!mode.is_some_and(CreateMode::has_ttl)).then(|| CreateRequest {
        path: args.path,
        data: args.data,
        acl: args.acl.clone(),
        flags: args.flags,
    })
}

/// The results of a multi that failed: 0 for the operations before the failed one, its code, and
/// `RuntimeInconsistency` for those after it.
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
        MultiOp::Create(args) | MultiOp::Create2(args) | MultiOp::CreateContainer(args) => {
            created(op.op_code(), args.flags, path)
        }
        MultiOp::CreateTtl(args) if untimed(args).is_some() => {
            created(OpCode::Create, args.flags, path)
        }
        MultiOp::CreateTtl(_) => MultiResult::Create2 { path, stat },
        MultiOp::SetData(_) => MultiResult::SetData { stat },
        MultiOp::Delete(_) => MultiResult::Delete,
        MultiOp::Check(_) | MultiOp::GetData(_) | MultiOp::GetChildren(_) => MultiResult::Check,
    }
}

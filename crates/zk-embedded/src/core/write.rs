//! Writes: checked on the leader's tree, numbered, applied everywhere, answered by the member that
//! was asked.

use zk_proto::jute::Encode;
use zk_proto::records::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTtlRequest,
    DeleteContainerRequest, DeleteRequest, MultiOp, MultiRequest, MultiResponse, MultiResult,
    SetAclRequest, SetDataRequest, StatResponse, SyncRequest, SyncResponse,
};
use zk_proto::{CreateMode, ErrorCode, OpCode, Stat};

use super::lenient::Lenient;
use super::pose::{Behaviour, Unreadable};
use super::prepare::Preparation;
use super::request::{Nothing, Request};
use super::state::State;
use super::tree::Applied;
use super::txn::Change;

impl State {
    pub(super) fn write(&mut self, request: &Request<'_>) {
        let local = match self.sessions.get(request.session) {
            Some(session) if session.owner == Some(request.connection) => session.local,
            // The session has moved to another connection: what arrives late on this one is not
            // done.
            _ => return self.connections.close(request.connection),
        };
        if request.op == OpCode::CloseSession && local == Some(request.member) {
            return self.close_session(request);
        }
        if self.is_read_only(request.member) {
            return self.reply(request, Err(ErrorCode::NotReadOnly));
        }
        match request.op {
            OpCode::CloseSession => self.close_session(request),
            OpCode::Sync => self.sync(request),
            OpCode::Multi => self.multi(request),
            OpCode::Reconfig => self.reconfig(request),
            _ => self.single(request),
        }
    }

    fn close_session(&mut self, request: &Request<'_>) {
        self.end_session(request.now, request.session, request.xid);
        if self.options.behaviour().answers_close {
            self.reply(request, Ok(&Nothing));
        }
        self.connections.close(request.connection);
    }

    pub(super) fn sync(&mut self, request: &Request<'_>) {
        let asked = request.body::<SyncRequest<'_>>();
        if let Some(member) = self.members.get_mut(request.member) {
            member.catch_up(&mut self.connections);
        }
        match asked {
            Ok(asked) => {
                let path = asked.path.to_string();
                self.reply(request, Ok(&SyncResponse { path }));
            }
            Err(code) => self.reply(request, Err(code)),
        }
    }

    fn single(&mut self, request: &Request<'_>) {
        let prepared = self.prepare(request);
        let unread = prepared.as_ref().is_err_and(|refusal| refusal.unread);
        if unread && self.options.behaviour().unreadable != Unreadable::TakesZxid {
            return self.reply(request, Err(ErrorCode::MarshallingError));
        }
        let change = prepared.map_err(|refusal| refusal.code);
        let error = change.as_ref().err().copied();
        let path = change.as_ref().map(|change| change.path().to_owned());
        let path = path.unwrap_or_default();
        let changes = change.map(|change| vec![change]);
        let txn = self.txn(
            request.now,
            request.session,
            request.xid,
            request.op,
            changes,
        );
        let results = self.commit(txn, Some(request.member));
        if let Some(code) = error {
            return self.reply(request, Err(code));
        }
        let stat = results.into_iter().next().and_then(|applied| applied.stat);
        let body: Box<dyn Encode> = match (request.op, stat) {
            (OpCode::Create, _) => Box::new(CreateResponse { path }),
            // Apache's servers before 3.9 execute a `check` by itself, and answer only if it fails.
            (OpCode::Check, _) if !self.options.behaviour().answers_check => return,
            (OpCode::Delete | OpCode::DeleteContainer | OpCode::Check, _) => Box::new(Nothing),
            (OpCode::SetData | OpCode::SetAcl, Some(stat)) => Box::new(StatResponse { stat }),
            (_, Some(stat)) => Box::new(Create2Response { path, stat }),
            (_, None) => return self.reply(request, Err(ErrorCode::SystemError)),
        };
        self.reply(request, Ok(&*body));
    }

    fn prepare(&self, request: &Request<'_>) -> Result<Change, Refusal> {
        let mut checks = self.checks(request)?;
        Ok(match request.op {
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => {
                let Lenient(asked): Lenient<CreateRequest<'_>> =
                    request.body().map_err(Refusal::unread)?;
                checks.create(request.op, &asked)?
            }
            OpCode::CreateTtl => {
                let Lenient(asked): Lenient<CreateTtlRequest<'_>> =
                    request.body().map_err(Refusal::unread)?;
                checks.create_ttl(&asked)?
            }
            OpCode::Delete => {
                let asked: DeleteRequest<'_> = request.body().map_err(Refusal::unread)?;
                checks.delete(&asked)?
            }
            // Before 3.9 the server takes the whole frame for the path.
            OpCode::DeleteContainer if !self.options.behaviour().reads_delete_container => {
                return Err(ErrorCode::BadArguments.into());
            }
            OpCode::DeleteContainer => {
                let asked: DeleteContainerRequest<'_> = request.body().map_err(Refusal::unread)?;
                checks.delete_container(&asked.path.to_string())?
            }
            OpCode::SetData => {
                let asked: SetDataRequest<'_> = request.body().map_err(Refusal::unread)?;
                checks.set_data(&asked)?
            }
            OpCode::SetAcl => {
                let Lenient(asked): Lenient<SetAclRequest<'_>> =
                    request.body().map_err(Refusal::unread)?;
                checks.set_acl(&asked)?
            }
            OpCode::Check => {
                let asked: CheckVersionRequest<'_> = request.body().map_err(Refusal::unread)?;
                checks.check(&asked)?
            }
            _ => return Err(ErrorCode::Unimplemented.into()),
        })
    }

    fn checks(&self, request: &Request<'_>) -> Result<Preparation<'_>, ErrorCode> {
        let leader = self.members.get(self.leader);
        let connection = self.connections.all.get(&request.connection);
        let (Some(leader), Some(connection)) = (leader, connection) else {
            return Err(ErrorCode::SystemError);
        };
        let auth = &connection.auth;
        let (tree, options) = (&leader.tree, &self.options);
        Ok(Preparation::new(
            tree,
            options,
            request.session,
            auth,
            false,
        ))
    }

    fn multi(&mut self, request: &Request<'_>) {
        let asked = request.body::<Lenient<MultiRequest<'_>>>();
        let asked = asked.and_then(|Lenient(asked)| {
            if asked
                .ops
                .iter()
                .all(|op| is_possible(op, self.options.behaviour()))
            {
                Ok(asked)
            } else {
                Err(ErrorCode::MarshallingError)
            }
        });
        let asked = match asked {
            Ok(asked) => asked,
            Err(code) => {
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
                let behaviour = self.options.behaviour();
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

/// Why a write is refused, and whether that is because it cannot be read.
#[derive(Debug)]
struct Refusal {
    code: ErrorCode,
    unread: bool,
}

impl Refusal {
    fn unread(code: ErrorCode) -> Self {
        Self { code, unread: true }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self {
            code,
            unread: false,
        }
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

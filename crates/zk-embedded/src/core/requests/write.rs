//! Writes: checked against the leader's tree, numbered, applied on every member, answered by the member
//! that received them.

use zk_proto::jute::Encode;
use zk_proto::records::{Create2Response, CreateResponse, StatResponse, SyncRequest, SyncResponse};
use zk_proto::{ErrorCode, OpCode, Request as Body};

use crate::core::pose::behaviour::Unreadable;
use crate::core::requests::prepare::Preparation;
use crate::core::requests::{EmptyBody, Request};
use crate::core::state::State;
use crate::core::tree::txn::Change;

impl State {
    pub(crate) fn write(&mut self, request: &Request<'_>) {
        let local = match self.sessions.get(request.session) {
            Some(session) if session.owner == Some(request.connection) => session.local,
            // The session has moved to another connection: late requests on this one are not
            // executed.
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
            self.reply(request, Ok(&EmptyBody));
        }
        self.connections.close(request.connection);
    }

    pub(crate) fn sync(&mut self, request: &Request<'_>) {
        let args = request.record::<SyncRequest<'_>>();
        if let Some(member) = self.members.get_mut(request.member) {
            member.catch_up(&mut self.connections);
        }
        match args {
            Ok(args) => {
                let path = args.path.to_string();
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
            // Apache's servers before 3.9 execute a `check` outside a multi, and answer it only if it
            // fails.
            (OpCode::Check, _) if !self.options.behaviour().answers_check => return,
            (OpCode::Delete | OpCode::DeleteContainer | OpCode::Check, _) => Box::new(EmptyBody),
            (OpCode::SetData | OpCode::SetAcl, Some(stat)) => Box::new(StatResponse { stat }),
            (_, Some(stat)) => Box::new(Create2Response { path, stat }),
            (_, None) => return self.reply(request, Err(ErrorCode::SystemError)),
        };
        self.reply(request, Ok(&*body));
    }

    fn prepare(&self, request: &Request<'_>) -> Result<Change, Refusal> {
        let mut checks = self.checks(request)?;
        // Before 3.9 the server takes the whole frame for the path.
        if request.op == OpCode::DeleteContainer && !self.options.behaviour().reads_delete_container
        {
            return Err(ErrorCode::BadArguments.into());
        }
        Ok(match request.body().map_err(Refusal::unread)? {
            Body::Create(args) | Body::Create2(args) | Body::CreateContainer(args) => {
                checks.create(request.op, &args)?
            }
            Body::CreateTtl(args) => checks.create_ttl(&args)?,
            Body::Delete(args) => checks.delete(&args)?,
            Body::DeleteContainer(args) => checks.delete_container(&args.path.to_string())?,
            Body::SetData(args) => checks.set_data(&args)?,
            Body::SetAcl(args) => checks.set_acl(&args)?,
            Body::Check(args) => checks.check(&args)?,
            _ => return Err(ErrorCode::Unimplemented.into()),
        })
    }

    pub(crate) fn checks(&self, request: &Request<'_>) -> Result<Preparation<'_>, ErrorCode> {
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
}

/// Why a write is refused, and whether that is because it is unreadable.
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

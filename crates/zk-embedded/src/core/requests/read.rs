//! Reads, answered from the member's own tree.

use zk_proto::jute::Encode;
use zk_proto::records::{
    Children, ExistsResponse, GetAclResponse, GetAllChildrenNumberResponse, GetChildren2Response,
    GetChildrenResponse, GetDataRequest, GetEphemeralsResponse, MultiOp, MultiResponse,
    MultiResult,
};
use zk_proto::{ErrorCode, Id, OpCode, Permissions, ReplyHeader, Request as Body};

use crate::core::ensemble::member::Member;
use crate::core::pose::behaviour::AclRules;
use crate::core::requests::Request;
use crate::core::state::State;
use crate::core::tree::acl;
use crate::core::tree::{Node, saturate};
use crate::core::watch::Modes;

type Reply = Result<Box<dyn Encode>, ErrorCode>;

impl State {
    pub(crate) fn read(&mut self, request: &Request<'_>) {
        if request.op == OpCode::GetData {
            return self.get_data(request);
        }
        if request.op == OpCode::MultiRead {
            return self.multi_read(request);
        }
        let reply = self.answer(request);
        match reply {
            Ok(body) => self.reply(request, Ok(&*body)),
            Err(code) => self.reply(request, Err(code)),
        }
    }

    fn answer(&mut self, request: &Request<'_>) -> Reply {
        let behaviour = self.options.behaviour();
        let id = request.connection;
        let connection = self
            .connections
            .all
            .get(&id)
            .ok_or(ErrorCode::SystemError)?;
        let auth = &connection.auth;
        let member = self.members.get_mut(request.member);
        let member = member.ok_or(ErrorCode::SystemError)?;
        match request.body()? {
            Body::Exists(args) => {
                let path = args.path.to_string();
                if path.contains('\0') {
                    return Err(ErrorCode::BadArguments);
                }
                let guarded = behaviour.exists_checks_acl;
                if let Some(node) = member.tree.get(&path).filter(|_| guarded) {
                    acl::check(&node.acl, Permissions::READ, auth)?;
                }
                // A watch on a node that does not exist is one on its creation.
                if args.watch {
                    member.data.add(&path, id, Modes::STANDARD);
                }
                let node = member.tree.get(&path).ok_or(ErrorCode::NoNode)?;
                Ok(Box::new(ExistsResponse { stat: node.stat() }))
            }
            Body::GetAcl(args) => {
                let node = member.tree.get(&args.path.to_string());
                let node = node.ok_or(ErrorCode::NoNode)?;
                acl::check(&node.acl, Permissions::READ | Permissions::ADMIN, auth)?;
                let shown = behaviour.acls != AclRules::Apache;
                let acl = if shown || acl::allows(&node.acl, Permissions::ADMIN, auth) {
                    node.acl.to_vec()
                } else {
                    acl::masked(&node.acl)
                };
                let stat = node.stat();
                Ok(Box::new(GetAclResponse { acl, stat }))
            }
            Body::GetChildren(args) => {
                let path = args.path.to_string();
                let node = readable(member, &path, auth)?;
                let (children, stat) = (names(node), node.stat());
                if args.watch {
                    member.child.add(&path, id, Modes::STANDARD);
                }
                if behaviour.stat_with_children {
                    return Ok(Box::new(GetChildren2Response { children, stat }));
                }
                Ok(Box::new(GetChildrenResponse { children }))
            }
            Body::GetChildren2(args) => {
                let path = args.path.to_string();
                let node = readable(member, &path, auth)?;
                let (children, stat) = (names(node), node.stat());
                if args.watch {
                    member.child.add(&path, id, Modes::STANDARD);
                }
                Ok(Box::new(GetChildren2Response { children, stat }))
            }
            Body::GetAllChildrenNumber(args) => {
                let path = args.path.to_string();
                readable(member, &path, auth)?;
                let total = saturate(member.tree.descendants(&path));
                Ok(Box::new(GetAllChildrenNumberResponse { total }))
            }
            Body::GetEphemerals(args) => {
                let prefix = args.prefix.filter(|p| !matches!(p.trim(), "" | "/"));
                let prefix = prefix.unwrap_or_default();
                let all = member.tree.ephemerals(request.session);
                let paths = all.filter(|path| path.starts_with(prefix)).collect();
                Ok(Box::new(GetEphemeralsResponse { paths }))
            }
            _ => Err(ErrorCode::Unimplemented),
        }
    }

    fn multi_read(&mut self, request: &Request<'_>) {
        let args = match request.body() {
            Ok(Body::MultiRead(args)) => args,
            Ok(_) => return self.reply(request, Err(ErrorCode::Unimplemented)),
            Err(code) => return self.reply(request, Err(code)),
        };
        let reads = args.ops.iter().filter(|op| op.is_read()).count();
        if reads != 0 && reads != args.ops.len() {
            // A real server cannot decode a mixture.
            return self.reply(request, Err(ErrorCode::MarshallingError));
        }
        let connection = self.connections.all.get(&request.connection);
        let (Some(connection), Some(member)) = (connection, self.members.get(request.member))
        else {
            return;
        };
        let mut response = MultiResponse::default();
        let mut error = None;
        for op in &args.ops {
            match read_one(member, op, &connection.auth) {
                Ok(result) => response.results.push(result),
                Err(code) => {
                    error = Some(code);
                    break;
                }
            }
        }
        // If there are writes in it, the reply has an error and an empty body.
        self.reply_with(request, error, &response);
    }

    /// Separate from `answer` so that the payload is not copied.
    fn get_data(&mut self, request: &Request<'_>) {
        let body = request.record::<GetDataRequest<'_>>();
        let id = request.connection;
        let (Some(connection), Some(member)) = (
            self.connections.all.get_mut(&id),
            self.members.get_mut(request.member),
        ) else {
            return;
        };
        let zxid = zk_proto::Zxid(member.zxid);
        let header = ReplyHeader {
            xid: request.xid,
            zxid,
            err: 0,
        };
        let found = body.and_then(|args| {
            let whole;
            let path = if args.path.prefix.is_empty() {
                args.path.rest
            } else {
                whole = args.path.to_string();
                &whole
            };
            let node = readable(member, path, &connection.auth)?;
            let found = (node.data.clone(), node.stat());
            if args.watch {
                member.data.add(path, id, Modes::STANDARD);
            }
            Ok(found)
        });
        match found {
            Ok((data, stat)) => {
                connection.output.frame_with_payload(
                    |out| header.encode(out),
                    data.as_ref(),
                    |out| stat.encode(out),
                );
                connection.stats.traffic.sent += 1;
            }
            Err(code) => self.reply(request, Err(code)),
        }
    }
}

fn readable<'a>(member: &'a Member, path: &str, auth: &[Id]) -> Result<&'a Node, ErrorCode> {
    let node = member.tree.get(path).ok_or(ErrorCode::NoNode)?;
    acl::check(&node.acl, Permissions::READ, auth)?;
    Ok(node)
}

fn names(node: &Node) -> Children {
    node.children.iter().collect()
}

/// One operation of a `multiRead`. An `Err` is the error of the whole request.
fn read_one(member: &Member, op: &MultiOp<'_>, auth: &[Id]) -> Result<MultiResult, ErrorCode> {
    let result = match op {
        MultiOp::GetData(op) => readable(member, &op.path.to_string(), auth).map(|node| {
            let (data, stat) = (node.data.clone(), node.stat());
            MultiResult::GetData { data, stat }
        }),
        MultiOp::GetChildren(op) => readable(member, &op.path.to_string(), auth).map(|node| {
            let children = names(node);
            MultiResult::Children { children }
        }),
        _ => return Err(ErrorCode::MarshallingError),
    };
    Ok(result.unwrap_or_else(|code| MultiResult::Error(code.code())))
}

//! [`Request`] and [`Reply`]: the body of any request and of any reply, chosen by the operation.

use bytes::{Bytes, BytesMut};

use super::auth::{AuthRequest, SaslRequest, SaslResponse, WhoAmIResponse};
use super::children::{
    GetAllChildrenNumberRequest, GetAllChildrenNumberResponse, GetChildren2Request,
    GetChildren2Response, GetChildrenRequest, GetChildrenResponse, GetEphemeralsRequest,
    GetEphemeralsResponse,
};
use super::header::{ReplyHeader, RequestHeader};
use super::multi::{MultiRequest, MultiResponse};
use super::node::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTtlRequest,
    DeleteContainerRequest, DeleteRequest, ExistsRequest, GetAclRequest, GetAclResponse,
    GetDataRequest, GetDataResponse, SetAclRequest, SetDataRequest, StatResponse, SyncRequest,
    SyncResponse,
};
use super::reconfig::ReconfigRequest;
use super::watch::{
    AddWatchRequest, AddWatchResponse, CheckWatchesRequest, RemoveWatchesRequest,
    SetWatches2Request, SetWatchesRequest,
};
use crate::error_code::ErrorCode;
use crate::event::WatcherEvent;
use crate::ids::xid;
use crate::jute::{Decode, DecodeError, DecodeProblem, Decoder, Encode, decode_frame};
use crate::op::OpCode;
use crate::path::WirePath;

/// Defines [`Request`] and [`Reply`] from one table: operation, request body, reply body. `()` is a
/// body without fields.
macro_rules! exchanges {
    ($($(#[$doc:meta])* $op:ident: $request:tt $(<$lt:lifetime>)? => $reply:tt;)*) => {
        /// The body of a request that a client sends after the handshake.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Request<'a> {
            $($(#[$doc])* $op(exchanges!(@type $request $(<$lt>)?)),)*
        }

        /// The body of a reply without an error.
        ///
        /// A reply whose header has an error has no body, except that of a failed `sasl` (a
        /// [`SaslResponse`]) and that of a failed `multiRead` (a [`MultiResponse`]).
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Reply {
            $($(#[$doc])* $op(exchanges!(@type $reply)),)*
        }

        impl<'a> Request<'a> {
            /// Reads the body of a request for `op`.
            ///
            /// # Errors
            /// Those of the body's record; [`DecodeProblem::BadValue`] for an operation that clients
            /// do not send.
            pub fn decode(op: OpCode, input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
                match op {
                    $(OpCode::$op => exchanges!(@decode $request, input).map(Self::$op),)*
                    other => Err(no_exchange(other, input)),
                }
            }

            /// The operation.
            pub fn op_code(&self) -> OpCode {
                match self {
                    $(Self::$op(_) => OpCode::$op,)*
                }
            }
        }

        impl Reply {
            /// Reads the body of a reply without an error to a request for `op`.
            ///
            /// # Errors
            /// Those of the body's record; [`DecodeProblem::BadValue`] for an operation that clients
            /// do not send.
            pub fn decode(op: OpCode, input: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                match op {
                    $(OpCode::$op => exchanges!(@decode $reply, input).map(Self::$op),)*
                    other => Err(no_exchange(other, input)),
                }
            }

            /// The operation of the request that this reply answers.
            pub fn op_code(&self) -> OpCode {
                match self {
                    $(Self::$op(_) => OpCode::$op,)*
                }
            }
        }

        impl Encode for Request<'_> {
            fn encode(&self, out: &mut BytesMut) {
                match self {
                    $(Self::$op(_body) => exchanges!(@encode $request, _body, out),)*
                }
            }
        }

        impl Encode for Reply {
            fn encode(&self, out: &mut BytesMut) {
                match self {
                    $(Self::$op(_body) => exchanges!(@encode $reply, _body, out),)*
                }
            }
        }
    };
    (@type ()) => { () };
    (@type $name:ident $(<$lt:lifetime>)?) => { $name $(<$lt>)? };
    (@decode (), $input:ident) => { Ok::<(), DecodeError>(()) };
    (@decode $name:ident, $input:ident) => { $name::decode($input) };
    (@encode (), $body:ident, $out:ident) => { () };
    (@encode $name:ident, $body:ident, $out:ident) => { $body.encode($out) };
}

exchanges! {
    /// `create`.
    Create: CreateRequest<'a> => CreateResponse;
    /// `create2`.
    Create2: CreateRequest<'a> => Create2Response;
    /// `createContainer`.
    CreateContainer: CreateRequest<'a> => Create2Response;
    /// `createTTL`.
    CreateTtl: CreateTtlRequest<'a> => Create2Response;
    /// `delete`.
    Delete: DeleteRequest<'a> => ();
    /// `deleteContainer`.
    DeleteContainer: DeleteContainerRequest<'a> => ();
    /// `exists`.
    Exists: ExistsRequest<'a> => StatResponse;
    /// `getData`.
    GetData: GetDataRequest<'a> => GetDataResponse;
    /// `setData`.
    SetData: SetDataRequest<'a> => StatResponse;
    /// `getACL`.
    GetAcl: GetAclRequest<'a> => GetAclResponse;
    /// `setACL`.
    SetAcl: SetAclRequest<'a> => StatResponse;
    /// `getChildren`.
    GetChildren: GetChildrenRequest<'a> => GetChildrenResponse;
    /// `getChildren2`.
    GetChildren2: GetChildren2Request<'a> => GetChildren2Response;
    /// `getEphemerals`.
    GetEphemerals: GetEphemeralsRequest<'a> => GetEphemeralsResponse;
    /// `getAllChildrenNumber`.
    GetAllChildrenNumber: GetAllChildrenNumberRequest<'a> => GetAllChildrenNumberResponse;
    /// `sync`.
    Sync: SyncRequest<'a> => SyncResponse;
    /// `check` outside a multi.
    Check: CheckVersionRequest<'a> => ();
    /// `multi`.
    Multi: MultiRequest<'a> => MultiResponse;
    /// `multiRead`.
    MultiRead: MultiRequest<'a> => MultiResponse;
    /// `reconfig`.
    Reconfig: ReconfigRequest<'a> => GetDataResponse;
    /// `addWatch`.
    AddWatch: AddWatchRequest<'a> => AddWatchResponse;
    /// `checkWatches`.
    CheckWatches: CheckWatchesRequest<'a> => ();
    /// `removeWatches`.
    RemoveWatches: RemoveWatchesRequest<'a> => ();
    /// `setWatches`.
    SetWatches: SetWatchesRequest => ();
    /// `setWatches2`.
    SetWatches2: SetWatches2Request => ();
    /// `auth`.
    Auth: AuthRequest<'a> => ();
    /// `sasl`.
    Sasl: SaslRequest<'a> => SaslResponse;
    /// `whoAmI`.
    WhoAmI: () => WhoAmIResponse;
    /// `ping`.
    Ping: () => ();
    /// `closeSession`.
    CloseSession: () => ();
}

impl<'a> Request<'a> {
    /// Reads a frame from a client: the header and the body it announces.
    ///
    /// # Errors
    /// Those of the header and of [`Request::decode`]; [`DecodeProblem::BadValue`] for an operation
    /// that is not known.
    pub fn decode_frame(frame: &'a Bytes) -> Result<(RequestHeader, Self), DecodeError> {
        let header: RequestHeader = decode_frame(frame, 0)?;
        let mut input = Decoder::at(frame, RequestHeader::LEN);
        let op = header
            .op_code()
            .ok_or_else(|| unknown_op(header.op, &mut input))?;
        Ok((header, Self::decode(op, &mut input)?))
    }

    /// The path of the node that the request names; `None` if it names none or several.
    pub fn path(&self) -> Option<WirePath<'a>> {
        match self {
            Self::Create(body) | Self::Create2(body) | Self::CreateContainer(body) => {
                Some(body.path)
            }
            Self::CreateTtl(body) => Some(body.path),
            Self::Delete(body) => Some(body.path),
            Self::DeleteContainer(body) => Some(body.path),
            Self::Exists(body) => Some(body.path),
            Self::GetData(body) => Some(body.path),
            Self::SetData(body) => Some(body.path),
            Self::GetAcl(body) => Some(body.path),
            Self::SetAcl(body) => Some(body.path),
            Self::GetChildren(body) => Some(body.path),
            Self::GetChildren2(body) => Some(body.path),
            Self::GetAllChildrenNumber(body) => Some(body.path),
            Self::Sync(body) => Some(body.path),
            Self::Check(body) => Some(body.path),
            Self::AddWatch(body) => Some(body.path),
            Self::CheckWatches(body) => Some(body.path),
            Self::RemoveWatches(body) => Some(body.path),
            Self::GetEphemerals(_)
            | Self::Multi(_)
            | Self::MultiRead(_)
            | Self::Reconfig(_)
            | Self::SetWatches(_)
            | Self::SetWatches2(_)
            | Self::Auth(_)
            | Self::Sasl(_)
            | Self::WhoAmI(())
            | Self::Ping(())
            | Self::CloseSession(()) => None,
        }
    }
}

/// A frame from a server, handshake aside.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerFrame<'a> {
    /// A watch event.
    Event(WatcherEvent<'a>),
    /// A reply without an error.
    Reply(Reply),
    /// A reply with an error.
    Error(ErrorCode),
}

impl<'a> ServerFrame<'a> {
    /// Reads a frame from a server. `op` is the operation of the request with the frame's xid, which
    /// only the reader of both directions knows.
    ///
    /// # Errors
    /// Those of the header, of [`Reply::decode`] and of [`WatcherEvent`].
    pub fn decode(frame: &'a Bytes, op: OpCode) -> Result<(ReplyHeader, Self), DecodeError> {
        let header: ReplyHeader = decode_frame(frame, 0)?;
        let mut input = Decoder::at(frame, ReplyHeader::LEN);
        let body = match header.error() {
            _ if header.xid == xid::NOTIFICATION => Self::Event(Decode::decode(&mut input)?),
            Some(code) => Self::Error(code),
            None => Self::Reply(Reply::decode(op, &mut input)?),
        };
        Ok((header, body))
    }
}

fn no_exchange(op: OpCode, input: &mut Decoder<'_>) -> DecodeError {
    unknown_op(op.code(), input)
}

fn unknown_op(op: i32, input: &mut Decoder<'_>) -> DecodeError {
    input.record("RequestHeader");
    input.error("op", 4, DecodeProblem::BadValue(op.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Zxid;
    use crate::stat::Stat;

    fn encode(record: &impl Encode) -> Bytes {
        let mut out = BytesMut::new();
        record.encode(&mut out);
        out.freeze()
    }

    #[test]
    fn every_client_operation_has_both_bodies() {
        use OpCode::{CreateSession, Error, Notification};
        let zeros = Bytes::from_static(&[0; 256]);
        let mut ends_multi = BytesMut::new();
        super::super::MultiHeader::END.encode(&mut ends_multi);
        let ends_multi = ends_multi.freeze();
        for &op in OpCode::ALL {
            let body = match op {
                OpCode::Multi | OpCode::MultiRead => &ends_multi,
                _ => &zeros,
            };
            let request = Request::decode(op, &mut Decoder::new(body));
            let reply = Reply::decode(op, &mut Decoder::new(body));
            if matches!(op, Notification | CreateSession | Error) {
                let problem = DecodeProblem::BadValue(op.code().into());
                assert_eq!(request.unwrap_err().problem, problem);
                assert_eq!(reply.unwrap_err().problem, problem);
                continue;
            }
            let (request, reply) = (request.unwrap(), reply.unwrap());
            assert_eq!((request.op_code(), reply.op_code()), (op, op));
            let written = encode(&request);
            assert_eq!(written, body.slice(..written.len()), "{op}");
            let again = Request::decode(op, &mut Decoder::new(&written));
            assert_eq!(again.as_ref(), Ok(&request));
            let written = encode(&reply);
            let again = Reply::decode(op, &mut Decoder::new(&written));
            assert_eq!(again, Ok(reply));
        }
    }

    #[test]
    fn a_frame_is_decoded_by_its_header() {
        let mut frame = BytesMut::new();
        RequestHeader::new(7, OpCode::SetData).encode(&mut frame);
        let data = Some(&b"on\n"[..]);
        let version = -1;
        let path = "/a".into();
        let body = SetDataRequest {
            path,
            data,
            version,
        };
        body.encode(&mut frame);
        let frame = frame.freeze();
        let (header, request) = Request::decode_frame(&frame).unwrap();
        assert_eq!((header.xid, request.op_code()), (7, OpCode::SetData));
        assert_eq!(request.path(), Some("/a".into()));
        assert_eq!(
            format!("{request:?}"),
            r#"SetData(SetDataRequest { path: "/a", data: Some(b"on\n"), version: -1 })"#
        );
        let unknown = encode(&RequestHeader { xid: 1, op: 99 });
        let error = Request::decode_frame(&unknown).unwrap_err();
        assert_eq!(
            error.to_string(),
            "RequestHeader.op at byte 4: unexpected value 99"
        );
    }

    #[test]
    fn a_server_frame_is_event_reply_or_error() {
        let frame = |xid, err, body: &dyn Encode| {
            let mut out = BytesMut::new();
            let zxid = Zxid(3);
            ReplyHeader { xid, zxid, err }.encode(&mut out);
            body.encode(&mut out);
            out.freeze()
        };
        let stat = Stat::default();
        let reply = frame(1, 0, &StatResponse { stat });
        let (_, body) = ServerFrame::decode(&reply, OpCode::Exists).unwrap();
        assert_eq!(
            body,
            ServerFrame::Reply(Reply::Exists(StatResponse { stat }))
        );
        let refusal = frame(1, -101, &Reply::Ping(()));
        let (_, body) = ServerFrame::decode(&refusal, OpCode::Exists).unwrap();
        assert_eq!(body, ServerFrame::Error(ErrorCode::NoNode));
        let event = WatcherEvent {
            kind: crate::EventType::NodeCreated,
            state: crate::KeeperState::SyncConnected,
            path: "/a",
        };
        let pushed = frame(xid::NOTIFICATION, 0, &event);
        let (header, body) = ServerFrame::decode(&pushed, OpCode::Exists).unwrap();
        assert_eq!((header.xid, body), (-1, ServerFrame::Event(event)));
    }
}

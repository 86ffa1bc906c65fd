//! A client of frames only, to check every byte that a server sends.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zk_embedded::Server;
use zk_proto::records::*;
use zk_proto::*;

pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

pub(crate) struct Raw {
    wire: Box<dyn Wire>,
    pub(crate) session: ConnectResponse,
    pub(crate) handshake_len: usize,
    xid: i32,
    /// Events that came before the last reply: zxid, kind, path.
    pub(crate) events: Vec<(i64, EventType, String)>,
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) xid: i32,
    pub(crate) zxid: i64,
    pub(crate) err: i32,
    frame: Bytes,
}

impl Reply {
    pub(crate) fn body<'a, T: Decode<'a>>(&'a self) -> T {
        assert_eq!(self.err, 0, "{self:?}");
        decode_frame(&self.frame, ReplyHeader::LEN).unwrap()
    }
    pub(crate) fn body_len(&self) -> usize {
        self.frame.len() - ReplyHeader::LEN
    }
}

pub(crate) fn ask() -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: 10_000,
        session_id: SessionId::NONE,
        password: SessionPassword::zero(),
        read_only: Some(false),
    }
}

/// A request for a node with four bytes of data.
pub(crate) fn create(path: &str, mode: CreateMode) -> CreateRequest<'_> {
    CreateRequest {
        path: path.into(),
        data: Some(b"data"),
        acl: Acl::open().into(),
        flags: mode.flags(),
    }
}

pub(crate) fn framed(record: &dyn Encode) -> Vec<u8> {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    let mut framed = i32::try_from(out.len()).unwrap().to_be_bytes().to_vec();
    framed.extend(&out);
    framed
}

impl Raw {
    pub(crate) async fn new(server: &Server) -> Self {
        Self::on(server, 0).await
    }

    pub(crate) async fn on(server: &Server, member: usize) -> Self {
        Self::with(server, member, &ask()).await.expect("a session")
    }

    /// Does the handshake in memory; `None` if the server closes instead of answering.
    pub(crate) async fn with(server: &Server, member: usize, ask: &ConnectRequest) -> Option<Self> {
        let wire = server.connect_in_memory_to(member).unwrap();
        Self::over(wire, ask).await
    }

    pub(crate) async fn over(wire: impl Wire + 'static, ask: &ConnectRequest) -> Option<Self> {
        let mut raw = Self {
            wire: Box::new(wire),
            session: ConnectResponse {
                protocol_version: 0,
                timeout_ms: 0,
                session_id: SessionId::NONE,
                password: SessionPassword::zero(),
                read_only: false,
            },
            handshake_len: 0,
            xid: 0,
            events: Vec::new(),
        };
        raw.wire.write_all(&framed(ask)).await.unwrap();
        let frame = raw.frame().await?;
        raw.handshake_len = frame.len();
        raw.session = decode_frame(&frame, 0).unwrap();
        Some(raw)
    }

    pub(crate) fn id(&self) -> SessionId {
        self.session.session_id
    }

    pub(crate) fn resume(&self) -> ConnectRequest {
        ConnectRequest {
            session_id: self.session.session_id,
            password: self.session.password.clone(),
            ..ask()
        }
    }

    /// The next frame; `None` at the end of the stream.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        let len = self.wire.read_i32().await.ok()?;
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        self.wire.read_exact(&mut frame).await.ok()?;
        Some(frame.into())
    }

    pub(crate) async fn closed(&mut self) -> bool {
        self.frame().await.is_none()
    }

    /// Reads the rest of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.wire.read_to_end(&mut rest).await.unwrap();
        rest
    }

    pub(crate) async fn bytes(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn send(&mut self, xid: i32, op: i32, body: &dyn Encode) {
        let mut out = BytesMut::new();
        RequestHeader { xid, op }.encode(&mut out);
        body.encode(&mut out);
        let mut framed = i32::try_from(out.len()).unwrap().to_be_bytes().to_vec();
        framed.extend(&out);
        // The server may close the connection during this write; then there is no reply.
        drop(self.wire.write_all(&framed).await);
    }

    /// The next reply; events before it are kept.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        loop {
            let frame = self.frame().await?;
            let header: ReplyHeader = decode_frame(&frame, 0).unwrap();
            if header.xid == xid::NOTIFICATION {
                let event: WatcherEvent<'_> = decode_frame(&frame, ReplyHeader::LEN).unwrap();
                assert_eq!(event.state, KeeperState::SyncConnected);
                let event = (header.zxid.0, event.kind, event.path.to_owned());
                self.events.push(event);
                continue;
            }
            return Some(Reply {
                xid: header.xid,
                zxid: header.zxid.0,
                err: header.err,
                frame,
            });
        }
    }

    /// Sends a request and waits for the reply; `None` if the connection closes without one.
    pub(crate) async fn try_call(&mut self, op: OpCode, body: &dyn Encode) -> Option<Reply> {
        self.xid += 1;
        let xid = self.xid;
        self.send(xid, op.code(), body).await;
        let reply = self.reply().await?;
        if op != OpCode::Ping {
            assert_eq!(reply.xid, xid);
        }
        Some(reply)
    }

    pub(crate) async fn call(&mut self, op: OpCode, body: &dyn Encode) -> Reply {
        self.try_call(op, body).await.expect("a reply")
    }

    /// Events so far, without their zxids.
    pub(crate) fn take_events(&mut self) -> Vec<(EventType, String)> {
        let events = std::mem::take(&mut self.events);
        events
            .into_iter()
            .map(|(_, kind, path)| (kind, path))
            .collect()
    }

    pub(crate) async fn make(&mut self, path: &str, mode: CreateMode) -> String {
        let reply = self.call(OpCode::Create, &create(path, mode)).await;
        reply.body::<CreateResponse>().path
    }

    pub(crate) async fn get(&mut self, path: &str, watch: bool) -> Reply {
        let path = path.into();
        self.call(OpCode::GetData, &GetDataRequest { path, watch })
            .await
    }

    pub(crate) async fn exists(&mut self, path: &str, watch: bool) -> Reply {
        let path = path.into();
        self.call(OpCode::Exists, &ExistsRequest { path, watch })
            .await
    }

    pub(crate) async fn children(&mut self, path: &str, watch: bool) -> Reply {
        let path = path.into();
        self.call(OpCode::GetChildren, &GetChildrenRequest { path, watch })
            .await
    }

    pub(crate) async fn set(&mut self, path: &str, data: &[u8], version: i32) -> Reply {
        let (path, data) = (path.into(), Some(data));
        let request = SetDataRequest {
            path,
            data,
            version,
        };
        self.call(OpCode::SetData, &request).await
    }

    pub(crate) async fn delete(&mut self, path: &str) -> Reply {
        let (path, version) = (path.into(), -1);
        self.call(OpCode::Delete, &DeleteRequest { path, version })
            .await
    }

    pub(crate) async fn add_watch(&mut self, path: &str, mode: AddWatchMode) -> Reply {
        let path = path.into();
        self.call(OpCode::AddWatch, &AddWatchRequest { path, mode })
            .await
    }

    pub(crate) async fn ping(&mut self) -> Option<Reply> {
        self.send(xid::PING, OpCode::Ping.code(), &Nothing).await;
        self.reply().await
    }

    pub(crate) async fn auth(&mut self, scheme: &str, auth: &[u8]) -> Reply {
        let auth_type = 0;
        let auth = Some(auth);
        let request = AuthRequest {
            auth_type,
            scheme,
            auth,
        };
        self.send(xid::AUTH, OpCode::Auth.code(), &request).await;
        self.reply().await.expect("a reply")
    }
}

pub(crate) struct Nothing;

impl Encode for Nothing {
    fn encode(&self, _: &mut BytesMut) {}
}

pub(crate) struct Literal(pub(crate) Vec<u8>);

impl Encode for Literal {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }
}

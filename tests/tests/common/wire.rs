//! A connection of frames: no queue, no state of a session, nothing in which a bug could hide.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use bytes::{Bytes, BytesMut};
use zk_proto::records::{ConnectRequest, ConnectResponse};
use zk_proto::{Encode, OpCode, ReplyHeader, RequestHeader, WatcherEvent, decode_frame, xid};
use zk_tests::Wait;

pub(crate) struct Wire {
    stream: BufReader<TcpStream>,
    xid: i32,
}

/// What comes in on a connection.
pub(crate) enum Received {
    Event {
        zxid: i64,
        text: String,
        path: String,
    },
    Reply {
        header: ReplyHeader,
        frame: Bytes,
    },
    Closed,
}

impl Wire {
    /// Shakes hands. The length of the answer counts: not every client gets the same.
    pub(crate) fn connect(
        address: SocketAddr,
        ask: &ConnectRequest,
    ) -> io::Result<Option<(Self, ConnectResponse, usize)>> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let stream = BufReader::with_capacity(64 * 1024, stream);
        let mut wire = Self { stream, xid: 0 };
        wire.write(std::slice::from_ref(ask))?;
        let Some(frame) = wire.frame()? else {
            return Ok(None);
        };
        let response = decode_frame(&frame, 0).map_err(io::Error::other)?;
        Ok(Some((wire, response, frame.len())))
    }

    fn write(&mut self, records: &[impl Encode]) -> io::Result<()> {
        let mut out = BytesMut::new();
        for record in records {
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            record.encode(&mut out);
            let len = i32::try_from(out.len() - start - 4).map_err(io::Error::other)?;
            out[start..start + 4].copy_from_slice(&len.to_be_bytes());
        }
        match self.stream.get_mut().write_all(&out) {
            // The server has closed, which the next read reports.
            Err(error) if is_end(&error) => Ok(()),
            outcome => outcome,
        }
    }

    /// Sends a request several times, at once.
    pub(crate) fn send_many(&mut self, op: i32, body: &[u8], times: usize) -> io::Result<()> {
        let requests: Vec<_> = (0..times)
            .map(|_| {
                self.xid += 1;
                let xid = self.xid;
                Request { xid, op, body }
            })
            .collect();
        self.write(&requests)
    }

    /// Sends a request, with the xid that its kind has.
    pub(crate) fn send(&mut self, op: i32, body: &[u8]) -> io::Result<()> {
        let xid = match OpCode::from_i32(op) {
            Some(OpCode::Ping) => xid::PING,
            Some(OpCode::Auth) => xid::AUTH,
            Some(OpCode::SetWatches) => xid::SET_WATCHES,
            _ => {
                self.xid += 1;
                self.xid
            }
        };
        self.write(&[Request { xid, op, body }])
    }

    pub(crate) fn receive(&mut self) -> io::Result<Received> {
        let Some(frame) = self.frame()? else {
            return Ok(Received::Closed);
        };
        let header: ReplyHeader = decode_frame(&frame, 0).map_err(io::Error::other)?;
        if header.xid != xid::NOTIFICATION {
            return Ok(Received::Reply { header, frame });
        }
        let event: WatcherEvent<'_> =
            decode_frame(&frame, ReplyHeader::LEN).map_err(io::Error::other)?;
        Ok(Received::Event {
            zxid: header.zxid.0,
            text: format!(
                "{:?} {:?} err {} {}",
                event.kind, event.state, header.err, event.path
            ),
            path: event.path.to_owned(),
        })
    }

    /// Hangs up, and waits until the server has noticed: Apache's forgets which connection is its
    /// session's when it notices after the next one has come.
    pub(crate) fn end(mut self) -> io::Result<()> {
        match self.stream.get_mut().shutdown(Shutdown::Write) {
            Err(error) if error.kind() != ErrorKind::NotConnected => return Err(error),
            _ => {}
        }
        while self.frame()?.is_some() {}
        Ok(())
    }

    fn frame(&mut self) -> io::Result<Option<Bytes>> {
        let _wait = Wait::begin("a frame");
        let mut prefix = [0; 4];
        if !self.fill(&mut prefix)? {
            return Ok(None);
        }
        let len = usize::try_from(i32::from_be_bytes(prefix)).map_err(io::Error::other)?;
        let mut frame = vec![0; len];
        Ok(self.fill(&mut frame)?.then(|| frame.into()))
    }

    /// Whether the stream had that many bytes left.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        match self.stream.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(error) if is_end(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A server that closes with bytes unread sends a reset; to us it is the same.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

struct Request<'a> {
    xid: i32,
    op: i32,
    body: &'a [u8],
}

impl Encode for Request<'_> {
    fn encode(&self, out: &mut BytesMut) {
        let (xid, op) = (self.xid, self.op);
        RequestHeader { xid, op }.encode(out);
        out.extend_from_slice(self.body);
    }
}

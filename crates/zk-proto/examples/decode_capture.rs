//! Decodes a captured connection: one line for each request, reply and event.
//!
//! ```console
//! $ cargo run -p zk-proto --example decode_capture
//! > connect: session 0x0, timeout 10000 ms
//! < connected: session 0x3e80000, timeout 10000 ms
//! > 1 Create2(CreateRequest { path: "/example", data: Some(b"v1"), …
//! < 1 zxid 0x2: Create2(Create2Response { path: "/example", …
//! < event: NodeDataChanged at /example
//! < 4 zxid 0x3: error NoNode
//! ```
//!
//! These are some of the lines of `capture.txt`, a connection of `zk-client` to `zk-embedded`. It has the format
//! in which `tshark` prints a TCP stream: hexadecimal, with a tab before the bytes of the server. So of your own:
//!
//! ```console
//! $ tcpdump -w zk.pcap port 2181
//! $ tshark -r zk.pcap -q -z follow,tcp,raw,0 > stream.txt
//! $ cargo run -p zk-proto --example decode_capture -- stream.txt
//! ```
//!
//! The capture has to begin with the connection, since a reply does not name its operation. A connection with
//! TLS cannot be decoded.
#![allow(clippy::print_stdout, reason = "an example shows what it decodes")]

use std::collections::HashMap;
use std::error::Error;

use bytes::BytesMut;
use zk_proto::records::{ConnectRequest, ConnectResponse};
use zk_proto::{OpCode, ReplyHeader, Request, ServerFrame, decode_frame, split_frame};

/// Of a frame, in bytes. Larger ones are taken for the bytes of another protocol.
const LIMIT: usize = 64 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let capture = match std::env::args().nth(1) {
        Some(file) => std::fs::read_to_string(file)?,
        None => include_str!("capture.txt").to_owned(),
    };
    let mut connection = Connection::default();
    for line in capture.lines() {
        for frame in connection.decode_line(line)? {
            println!("{frame}");
        }
    }
    Ok(())
}

/// What is known of a connection in the middle of its capture.
#[derive(Debug, Default)]
pub struct Connection {
    client: BytesMut,
    server: BytesMut,
    has_requested_session: bool,
    has_session: bool,
    /// By the number of the request, which its reply repeats.
    operations: HashMap<i32, OpCode>,
}

impl Connection {
    /// Decodes the frames that end in this line of the capture.
    ///
    /// # Errors
    /// The bytes are not those of a ZooKeeper connection.
    pub fn decode_line(&mut self, line: &str) -> Result<Vec<String>, Box<dyn Error>> {
        let (buffer, text) = match line.strip_prefix('\t') {
            Some(text) => (&mut self.server, text),
            None => (&mut self.client, line),
        };
        // The others are tshark's header and footer.
        if let Some(bytes) = from_hex(text) {
            buffer.extend_from_slice(&bytes);
        }
        let mut lines = Vec::new();
        while let Some(line) = self.next_request()? {
            lines.push(format!("> {line}"));
        }
        while let Some(line) = self.next_from_server()? {
            lines.push(format!("< {line}"));
        }
        Ok(lines)
    }

    fn next_request(&mut self) -> Result<Option<String>, Box<dyn Error>> {
        let Some(frame) = split_frame(&mut self.client, LIMIT)? else {
            return Ok(None);
        };
        if !self.has_requested_session {
            self.has_requested_session = true;
            let connect: ConnectRequest = decode_frame(&frame, 0)?;
            let (session, timeout) = (connect.session_id, connect.timeout_ms);
            return Ok(Some(format!(
                "connect: session {session}, timeout {timeout} ms"
            )));
        }
        let (header, request) = Request::decode_frame(&frame)?;
        self.operations.insert(header.xid, request.op_code());
        Ok(Some(format!("{} {request:?}", header.xid)))
    }

    fn next_from_server(&mut self) -> Result<Option<String>, Box<dyn Error>> {
        let Some(frame) = split_frame(&mut self.server, LIMIT)? else {
            return Ok(None);
        };
        if !self.has_session {
            self.has_session = true;
            let connected: ConnectResponse = decode_frame(&frame, 0)?;
            let (session, timeout) = (connected.session_id, connected.timeout_ms);
            return Ok(Some(format!(
                "connected: session {session}, timeout {timeout} ms"
            )));
        }
        let header: ReplyHeader = decode_frame(&frame, 0)?;
        // An event has the number -1, and no request has it.
        let operation = self.operations.remove(&header.xid);
        let operation = operation.unwrap_or(OpCode::Notification);
        let (header, body) = ServerFrame::decode(&frame, operation)?;
        Ok(Some(match body {
            ServerFrame::Event(event) => format!("event: {:?} at {}", event.kind, event.path),
            ServerFrame::Reply(reply) => format!("{} zxid {}: {reply:?}", header.xid, header.zxid),
            ServerFrame::Error(code) => {
                format!("{} zxid {}: error {code:?}", header.xid, header.zxid)
            }
            other => format!("{} zxid {}: {other:?}", header.xid, header.zxid),
        }))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = (0..text.len()).step_by(2);
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    pairs.map(byte).collect()
}

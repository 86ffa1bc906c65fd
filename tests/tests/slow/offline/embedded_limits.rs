//! What the embedded server does with peers that mean no good, or are many: it closes the
//! connection or answers as Apache ZooKeeper does, in bounded memory, and never panics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::common::child::{self, Child};
use crate::common::embedded::Embedded;
use crate::common::status::status;
use crate::common::wire::{Received, Wire};
use bytes::BytesMut;
use zk_embedded::Options;
use zk_proto::records::*;
use zk_proto::{
    Acl, CreateMode, Encode, ErrorCode, OpCode, ReplyHeader, RequestHeader, SessionId,
    SessionPassword, Zxid, decode_frame,
};

/// `jute.maxbuffer`, as servers have it by default.
const MAX_FRAME: usize = 0xf_ffff;
const LONGEST_SESSION_MS: i32 = 40_000;
const SESSIONS: usize = 10_000;
/// What a process needs beside a descriptor for each connection.
const OTHER_DESCRIPTORS: usize = 100;
const FEW_DESCRIPTORS: u64 = 40;
const MANY: usize = 100;
const MIB: usize = 1024 * 1024;

fn server() -> Embedded {
    Embedded::start(Options::default())
}

fn ask() -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: LONGEST_SESSION_MS,
        session_id: SessionId::NONE,
        password: SessionPassword::zero(),
        read_only: Some(false),
    }
}

fn connect(server: SocketAddr) -> Wire {
    Wire::connect(server, &ask()).unwrap().expect("a session").0
}

fn encoded(record: &impl Encode) -> Vec<u8> {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    out.into()
}

fn framed(body: &[u8]) -> Vec<u8> {
    let len = i32::try_from(body.len()).unwrap();
    [&len.to_be_bytes(), body].concat()
}

fn request(xid: i32, op: OpCode, record: &impl Encode) -> Vec<u8> {
    let header = encoded(&RequestHeader::new(xid, op));
    framed(&[header, encoded(record)].concat())
}

fn creation<'a>(path: &'a str, data: &'a [u8]) -> CreateRequest<'a> {
    CreateRequest {
        path: path.into(),
        data: Some(data),
        acl: Acl::open().into(),
        flags: CreateMode::Persistent.flags(),
    }
}

/// The error of the reply to a request, or `None` if the connection is closed instead.
fn answer(wire: &mut Wire, op: OpCode, record: &impl Encode) -> Option<i32> {
    wire.send(op.code(), &encoded(record)).unwrap();
    loop {
        match wire.receive().unwrap() {
            Received::Reply { header, .. } => return Some(header.err),
            Received::Event { .. } => {}
            Received::Closed => return None,
        }
    }
}

/// Sends bytes and hangs up; returns what came back. That it ends is the point.
fn talk(server: SocketAddr, bytes: &[u8], hang_up: bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream
        .set_read_timeout(Some(crate::common::NO_LIMIT))
        .unwrap();
    match stream.write_all(bytes) {
        Err(error) if !is_closed(error.kind()) => panic!("{error}"),
        _ => {}
    }
    if hang_up {
        // It may have been closed already.
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut received = Vec::new();
    match stream.read_to_end(&mut received) {
        Err(error) if !is_closed(error.kind()) => panic!("{error} after {bytes:?}"),
        _ => received,
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Whether the server still does what it should.
fn assert_well(server: &Embedded) {
    let mut wire = connect(server.address());
    let path = "/zookeeper".into();
    let exists = ExistsRequest { path, watch: false };
    assert_eq!(answer(&mut wire, OpCode::Exists, &exists), Some(0));
}

#[test]
fn garbage_ends_in_a_closed_connection() {
    let server = server();
    let mut random = fastrand::Rng::with_seed(1);
    let handshake = framed(&encoded(&ask()));
    for round in 0..1_000 {
        let len = random.usize(..2_000);
        let mut garbage: Vec<u8> = (0..len).map(|_| random.u8(..)).collect();
        if random.bool() {
            garbage = framed(&garbage);
        }
        if random.bool() {
            garbage.splice(..0, handshake.iter().copied());
        }
        if round % 3 == 0 && garbage.len() > 60 {
            // A request of some kind, whatever follows.
            let op = OpCode::ALL[random.usize(..OpCode::ALL.len())];
            let header = encoded(&RequestHeader::new(1, op));
            let body = [&header, &garbage[60..]].concat();
            garbage = [&handshake[..], &framed(&body)].concat();
        }
        talk(server.address(), &garbage, true);
    }
    assert_well(&server);
}

#[test]
fn truncated_frame_is_not_executed() {
    let server = server();
    let handshake = framed(&encoded(&ask()));
    let create = request(1, OpCode::Create, &creation("/cut", b"x"));
    let both = [&handshake[..], &create].concat();
    for len in 0..both.len() {
        let received = talk(server.address(), &both[..len], true);
        let expected = if len < handshake.len() { 0 } else { 4 + 37 };
        assert_eq!(received.len(), expected, "{len} bytes");
    }
    let mut wire = connect(server.address());
    let exists = ExistsRequest {
        path: "/cut".into(),
        watch: false,
    };
    let no_node = Some(ErrorCode::NoNode.code());
    assert_eq!(answer(&mut wire, OpCode::Exists, &exists), no_node);
}

#[test]
fn invalid_length_closes_the_connection() {
    let server = server();
    let handshake = framed(&encoded(&ask()));
    for length in [
        -1,
        i32::MIN,
        i32::MAX,
        i32::try_from(MAX_FRAME).unwrap() + 1,
    ] {
        // The connection stays open on this side: the server does not wait for the rest.
        assert_eq!(
            talk(server.address(), &length.to_be_bytes(), false),
            [0_u8; 0]
        );
        let after = [&handshake[..], &length.to_be_bytes()].concat();
        assert_eq!(talk(server.address(), &after, false).len(), 4 + 37);
    }
    assert_well(&server);
}

#[test]
fn longest_frame_is_taken_a_longer_is_not() {
    let server = server();
    let rest = encoded(&creation("/long", b"")).len() + RequestHeader::LEN;
    for (len, expected) in [(MAX_FRAME, Some(0)), (MAX_FRAME + 1, None)] {
        let mut wire = connect(server.address());
        let data = vec![7; len - rest];
        let got = answer(&mut wire, OpCode::Create, &creation("/long", &data));
        assert_eq!(got, expected, "{len} bytes");
    }
    assert_well(&server);
}

#[test]
fn a_path_of_a_million_bytes_is_a_path() {
    let server = server();
    let mut wire = connect(server.address());
    let flat = format!("/{}", "a".repeat(999_999));
    let deep = "/a".repeat(500_000);
    let no_node = Some(ErrorCode::NoNode.code());
    let mode = AddWatchMode::PersistentRecursive;
    let watch = AddWatchRequest {
        path: "/".into(),
        mode,
    };
    assert_eq!(answer(&mut wire, OpCode::AddWatch, &watch), Some(0));
    for (path, there) in [(&flat, Some(0)), (&deep, no_node)] {
        let create = creation(path, b"x");
        assert_eq!(answer(&mut wire, OpCode::Create, &create), there);
        let path = path.into();
        let exists = ExistsRequest { path, watch: true };
        assert_eq!(answer(&mut wire, OpCode::Exists, &exists), there);
        let kind = WatcherType::Any;
        let check = CheckWatchesRequest { path, kind };
        assert_eq!(answer(&mut wire, OpCode::CheckWatches, &check), Some(0));
        let mode = AddWatchMode::PersistentRecursive;
        let watch = AddWatchRequest { path, mode };
        assert_eq!(answer(&mut wire, OpCode::AddWatch, &watch), Some(0));
        let count = GetAllChildrenNumberRequest { path };
        assert_eq!(
            answer(&mut wire, OpCode::GetAllChildrenNumber, &count),
            there
        );
        let delete = DeleteRequest { path, version: -1 };
        assert_eq!(answer(&mut wire, OpCode::Delete, &delete), there);
    }
    assert_well(&server);
}

/// Events for a client that does not read them are kept for it, but not without end.
#[test]
fn a_client_that_never_reads_is_given_up() {
    let mut options = Options::default();
    options.max_pending_output = 4 * MIB;
    let server = Embedded::start(options);
    let path = format!("/{}", "w".repeat(500_000));
    let (mut writer, mut idler) = (connect(server.address()), connect(server.address()));
    assert_eq!(
        answer(&mut writer, OpCode::Create, &creation(&path, b"")),
        Some(0)
    );
    let mode = AddWatchMode::Persistent;
    let watch = AddWatchRequest {
        path: (&path).into(),
        mode,
    };
    assert_eq!(answer(&mut idler, OpCode::AddWatch, &watch), Some(0));
    // More than its allowance and the system's buffers hold.
    let events = 100;
    for _ in 0..events {
        let path = (&path).into();
        let set = SetDataRequest {
            path,
            data: None,
            version: -1,
        };
        assert_eq!(answer(&mut writer, OpCode::SetData, &set), Some(0));
    }
    let mut received = 0;
    loop {
        match idler.receive().unwrap() {
            Received::Event { .. } => received += 1,
            Received::Reply { .. } => panic!("nothing was asked"),
            Received::Closed => break,
        }
    }
    assert!(received < events, "all {received} events were kept");
    assert_well(&server);
}

/// What the child logs, for the parent to read.
struct Logged;

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        child::say(&format!(
            "logs {}",
            String::from_utf8_lossy(bytes).trim_end()
        ));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Serves with so few descriptors that [`MANY`] connections are too many.
fn serve_with_few_descriptors() {
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::DEBUG);
    let subscriber = subscriber.with_writer(|| Logged).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let server = server();
    let (_, hard) = rlimit::Resource::NOFILE.get().unwrap();
    rlimit::Resource::NOFILE.set(FEW_DESCRIPTORS, hard).unwrap();
    child::say(&format!("listens {}", server.address()));
    loop {
        std::thread::park();
    }
}

/// Guards: L12. The server reports it, and continues when there are descriptors again.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn out_of_descriptors_the_server_waits() {
    if child::orders().is_some() {
        return serve_with_few_descriptors();
    }
    let mut child = Child::start(
        module_path!(),
        "out_of_descriptors_the_server_waits",
        "serve",
    );
    let address: SocketAddr = child.receive("listens").await.parse().unwrap();
    // Those that are not accepted wait in the kernel.
    let many: Vec<_> = (0..MANY)
        .map(|_| TcpStream::connect(address).unwrap())
        .collect();
    crate::common::until("the server has warned", || {
        let said = logged(&child, "cannot accept connections");
        async move { said == 1 }
    })
    .await;
    drop(many);
    let mut wire = connect(address);
    wire.send(OpCode::Ping.code(), &[]).unwrap();
    assert!(matches!(wire.receive().unwrap(), Received::Reply { header, .. } if header.err == 0));
    assert_eq!(logged(&child, "WARN"), 1);
    crate::common::until("the server says that it accepts again", || {
        let said = logged(&child, "accepts connections again");
        async move { said >= 1 }
    })
    .await;
}

/// How many lines of the child's log say this.
fn logged(child: &Child, text: &str) -> usize {
    let said = child.said();
    let lines = said.iter().filter(|line| line.starts_with("logs "));
    lines.filter(|line| line.contains(text)).count()
}

fn serve_until_killed() {
    let server = server();
    child::say(&format!("listens {}", server.address()));
    loop {
        std::thread::park();
    }
}

/// Descriptors this process may have.
fn descriptor_limit() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits
        .lines()
        .find(|line| line.starts_with("Max open files"))
        .unwrap();
    let soft = line.split_whitespace().nth(3).unwrap();
    soft.parse().unwrap_or(usize::MAX)
}

fn resident(pid: u32) -> usize {
    status(&pid.to_string(), "VmRSS").unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn ten_thousand_sessions_fit_in_200_mib() {
    if child::orders().is_some() {
        return serve_until_killed();
    }
    let sessions = SESSIONS.min(descriptor_limit() - OTHER_DESCRIPTORS);
    assert!(
        sessions > 500,
        "at least as many as have room in 1,024 descriptors"
    );
    let mut child = Child::start(
        module_path!(),
        "ten_thousand_sessions_fit_in_200_mib",
        "serve",
    );
    let address: SocketAddr = child.receive("listens").await.parse().unwrap();
    let before = resident(child.pid());
    let mut wires: Vec<_> = (0..sessions).map(|_| connect(address)).collect();
    let ping = OpCode::Ping.code();
    for wire in &mut wires {
        wire.send(ping, &[]).unwrap();
    }
    for wire in &mut wires {
        assert!(
            matches!(wire.receive().unwrap(), Received::Reply { header, .. } if header.err == 0)
        );
    }
    let after = resident(child.pid());
    eprintln!(
        "{sessions} sessions: {} MiB, {} of them for the sessions",
        after / MIB,
        (after - before) / MIB,
    );
    // Fewer sessions have less room.
    let room = 190 * MIB * sessions / SESSIONS;
    assert!(after < 200 * MIB && after - before < room, "{after} bytes");
}

/// A reply is the same, whatever other connections there are.
#[test]
fn a_crowd_does_not_mix_its_replies() {
    let server = server();
    let mut wires: Vec<_> = (0..200).map(|_| connect(server.address())).collect();
    for (number, wire) in wires.iter_mut().enumerate() {
        let (path, data) = (format!("/n{number}"), number.to_string());
        let create = encoded(&creation(&path, data.as_bytes()));
        wire.send(OpCode::Create.code(), &create).unwrap();
        let get = GetDataRequest {
            path: (&path).into(),
            watch: false,
        };
        wire.send(OpCode::GetData.code(), &encoded(&get)).unwrap();
    }
    for (number, wire) in wires.iter_mut().enumerate() {
        assert!(
            matches!(wire.receive().unwrap(), Received::Reply { header, .. } if header.err == 0)
        );
        let Received::Reply { header, frame } = wire.receive().unwrap() else {
            panic!("no reply");
        };
        assert_eq!((header.xid, header.err), (2, 0));
        let reply: GetDataResponse = decode_frame(&frame, ReplyHeader::LEN).unwrap();
        assert_eq!(reply.data.unwrap(), number.to_string());
    }
}

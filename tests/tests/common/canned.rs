//! A server inside the process that answers every request from a constant and remembers nothing, so
//! that whatever grows is the client's.

#![allow(dead_code, unreachable_pub, reason = "each suite uses a part of this")]

use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use zk_client::{BackoffPolicy, Client, ClientBuilder, Dial, Dialing, HostPort, Transport, Watch};
use zk_proto::records::{ConnectResponse, GetDataResponse};
use zk_proto::{Encode, OpCode, ReplyHeader, SessionId, SessionPassword, Stat, Zxid, xid};

/// A frame as it came.
#[derive(Debug, Clone, Copy)]
pub struct Received {
    pub at: Instant,
    pub op: OpCode,
    pub bytes: usize,
}

/// The server; cloning gives another handle to the same.
#[derive(Debug, Clone)]
pub struct Canned(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    session: Duration,
    /// How long it takes to arm a batch of watches again.
    rearming: Duration,
    /// Whether requests are read and not answered.
    mute: AtomicBool,
    /// What came since [`Canned::record`].
    received: Mutex<Option<Vec<Received>>>,
    /// Connections end when it changes.
    cut: watch::Sender<()>,
}

impl Canned {
    /// Sessions of this length.
    pub fn new(session: Duration) -> Self {
        Canned::that_rearms_in(session, Duration::ZERO)
    }

    /// One that takes its time for each batch of watches.
    pub fn that_rearms_in(session: Duration, rearming: Duration) -> Self {
        Canned(Arc::new(Inner {
            session,
            rearming,
            mute: AtomicBool::new(false),
            received: Mutex::new(None),
            cut: watch::Sender::new(()),
        }))
    }

    /// Options for a client of it that reconnects soon and has no time limits.
    pub fn builder(&self) -> ClientBuilder {
        let impatient = BackoffPolicy::new(Duration::from_millis(1), Duration::from_millis(1));
        Client::builder("canned")
            .session_timeout(self.0.session)
            .deadline(None)
            .backoff(impatient)
            .dial(self.clone())
    }

    /// Serves on a loopback port, too, and returns its number.
    pub async fn listen(&self) -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.0.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(server.clone(), stream));
            }
        });
        port
    }

    /// Leaves requests unanswered, pings aside.
    pub fn mute(&self) {
        self.0.mute.store(true, Ordering::Relaxed);
    }

    /// Ends all connections.
    pub fn cut(&self) {
        self.0.cut.send_replace(());
    }

    /// Writes down what comes from now on.
    pub fn record(&self) {
        *self.0.received.lock().unwrap() = Some(Vec::new());
    }

    /// What has come since, handshakes aside.
    pub fn received(&self) -> Vec<Received> {
        self.0.received.lock().unwrap().take().unwrap_or_default()
    }
}

impl Dial for Canned {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let (near, far) = tokio::io::duplex(64 * 1024);
            tokio::spawn(serve(self.0.clone(), far));
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

/// Watches znodes on paths of 64 bytes, some at a time.
pub async fn watch_many(zk: &Client, znodes: Range<usize>, watches: &mut Vec<Watch>) {
    const AT_A_TIME: usize = 1_000;
    for first in znodes.clone().step_by(AT_A_TIME) {
        let some = first..znodes.end.min(first + AT_A_TIME);
        let reads = some.map(|n| zk.get(&format!("/{n:0>63}")).watch().submit());
        for read in reads.collect::<Vec<_>>() {
            watches.push(read.await.unwrap().2);
        }
    }
}

async fn serve(server: Arc<Inner>, wire: impl AsyncRead + AsyncWrite) {
    let mut cut = server.cut.subscribe();
    let (input, output) = tokio::io::split(wire);
    let (asked, answered) = mpsc::unbounded_channel();
    tokio::select! {
        _ = cut.changed() => {}
        () = read(&server, input, &asked) => {}
        () = write(&server, output, answered) => {}
    }
}

/// Reads all the time, as a server does that is slow to answer.
async fn read(
    server: &Inner,
    mut input: impl AsyncRead + Unpin,
    asked: &mpsc::UnboundedSender<Option<(i32, OpCode)>>,
) {
    let mut buffer = BytesMut::new();
    let mut open = false;
    while input.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
        while let Some(prefix) = buffer.first_chunk::<4>() {
            let len = u32::from_be_bytes(*prefix) as usize;
            if buffer.len() < 4 + len {
                break;
            }
            let mut frame = buffer.split_to(4 + len);
            if !std::mem::replace(&mut open, true) {
                let _ = asked.send(None);
                continue;
            }
            frame.advance(4);
            let (xid, op) = (frame.get_i32(), OpCode::from_i32(frame.get_i32()).unwrap());
            if let Some(received) = &mut *server.received.lock().unwrap() {
                let at = Instant::now();
                received.push(Received { at, op, bytes: len });
            }
            if op == OpCode::Ping || !server.mute.load(Ordering::Relaxed) {
                let _ = asked.send(Some((xid, op)));
            }
        }
    }
}

async fn write(
    server: &Inner,
    mut output: impl AsyncWrite + Unpin,
    mut asked: mpsc::UnboundedReceiver<Option<(i32, OpCode)>>,
) {
    let mut out = BytesMut::new();
    while let Some(request) = asked.recv().await {
        match request {
            None => {
                frame(&mut out, |out| granted(server.session).encode(out));
            }
            Some((xid, op)) => {
                if matches!(op, OpCode::SetWatches | OpCode::SetWatches2) {
                    sleep(server.rearming).await;
                }
                let zxid = if xid == xid::PING { Zxid(-1) } else { Zxid(1) };
                frame(&mut out, |out| {
                    ReplyHeader { xid, zxid, err: 0 }.encode(out);
                    if op == OpCode::GetData {
                        let (data, stat) = (None, Stat::default());
                        GetDataResponse { data, stat }.encode(out);
                    }
                });
            }
        }
        if asked.is_empty() || out.len() >= 16 * 1024 {
            if output.write_all(&out).await.is_err() {
                return;
            }
            out.clear();
        }
    }
}

/// All connections are of one session.
fn granted(session: Duration) -> ConnectResponse {
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: i32::try_from(session.as_millis()).unwrap(),
        session_id: SessionId(7),
        password: SessionPassword::zero(),
        read_only: false,
    }
}

fn frame(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let from = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let len = u32::try_from(out.len() - from - 4).unwrap();
    out[from..from + 4].copy_from_slice(&len.to_be_bytes());
}

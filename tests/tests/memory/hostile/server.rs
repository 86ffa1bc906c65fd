//! A server that does what its script says, and a network with a good one beside it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zk_client::{Dial, DialError, Dialing, HostPort, Transport};
use zk_embedded::Server;
use zk_proto::records::ConnectResponse;
use zk_proto::{Encode, ReplyHeader, SessionId, SessionPassword, Zxid, xid};

/// The first host of every client here; all others are good.
pub const HOSTILE: &str = "hostile";

/// How much of either direction is on its way at once, in bytes.
const BUFFER: usize = 16 * 1024;

/// What the server does. After the last of its acts it closes the connection.
#[derive(Debug, Clone)]
pub enum Act {
    /// Waits for a request; pings are passed over.
    Receive,
    /// Sends these bytes.
    Say(Vec<u8>),
    /// Answers the last request received.
    Reply { zxid: i64, err: i32, body: Vec<u8> },
    /// Sends these bytes so often.
    Repeat(Vec<u8>, usize),
    /// Sends these bytes one by one, over and over, until the client goes.
    Dribble(Vec<u8>, Duration),
    /// Sends these bytes again and again, so far apart, until the client goes.
    Every(Duration, Vec<u8>),
    /// Says nothing until the client goes.
    Hold,
}

/// Plays a script to one connection. How that ends is the client's affair.
async fn play(script: &[Act], wire: &mut DuplexStream) -> io::Result<()> {
    let mut received = 0;
    for act in script {
        match act {
            Act::Receive => received = receive(wire).await?,
            Act::Say(bytes) => wire.write_all(bytes).await?,
            Act::Reply { zxid, err, body } => {
                wire.write_all(&reply(received, *zxid, *err, body)).await?;
            }
            Act::Repeat(bytes, times) => {
                for _ in 0..*times {
                    wire.write_all(bytes).await?;
                }
            }
            Act::Dribble(bytes, apart) => {
                for byte in bytes.iter().cycle() {
                    wire.write_all(&[*byte]).await?;
                    tokio::time::sleep(*apart).await;
                }
            }
            Act::Every(apart, bytes) => loop {
                wire.write_all(bytes).await?;
                tokio::time::sleep(*apart).await;
            },
            Act::Hold => {
                tokio::io::copy(wire, &mut tokio::io::sink()).await?;
            }
        }
    }
    Ok(())
}

/// The xid of the next request; of the handshake, which has none, its first integer.
async fn receive(wire: &mut DuplexStream) -> io::Result<i32> {
    loop {
        let len = wire.read_i32().await?;
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        wire.read_exact(&mut frame).await?;
        let received = i32::from_be_bytes(*frame.first_chunk().unwrap());
        if received != xid::PING {
            return Ok(received);
        }
    }
}

/// A length, and then these bytes.
pub fn framed(body: &[u8]) -> Vec<u8> {
    let len = i32::try_from(body.len()).unwrap();
    [&len.to_be_bytes(), body].concat()
}

pub fn encoded(record: &dyn Encode) -> Vec<u8> {
    let mut out = BytesMut::new();
    record.encode(&mut out);
    out.into()
}

/// A whole reply.
pub fn reply(xid: i32, zxid: i64, err: i32, body: &[u8]) -> Vec<u8> {
    let zxid = Zxid(zxid);
    let header = encoded(&ReplyHeader { xid, zxid, err });
    framed(&[header, body.to_vec()].concat())
}

/// A session, as a server grants it.
pub fn grant() -> ConnectResponse {
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: 3000,
        session_id: SessionId(0x666),
        password: SessionPassword::new(Bytes::from_static(&[7; 16])),
        read_only: false,
    }
}

/// The only hostile server, and the only good one.
#[derive(Debug, Clone)]
pub struct Network {
    script: Arc<[Act]>,
    good: Arc<Server>,
    /// Whether the script is for the first connection only; others are closed at once.
    once: bool,
    attempts: Arc<AtomicUsize>,
}

impl Network {
    pub fn new(script: Vec<Act>, good: Arc<Server>) -> Self {
        Network {
            script: script.into(),
            good,
            once: false,
            attempts: Arc::default(),
        }
    }

    pub fn once(self, once: bool) -> Self {
        Network { once, ..self }
    }

    /// Connections to the hostile server.
    pub fn attempts(&self) -> usize {
        self.attempts.load(Ordering::Relaxed)
    }
}

impl Dial for Network {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            if host.host != HOSTILE {
                let near = self.good.connect_in_memory().map_err(DialError::Other)?;
                return Ok(Box::new(near) as Box<dyn Transport>);
            }
            let before = self.attempts.fetch_add(1, Ordering::Relaxed);
            let (near, mut far) = tokio::io::duplex(BUFFER);
            if before == 0 || !self.once {
                let script = self.script.clone();
                tokio::spawn(async move { play(&script, &mut far).await });
            }
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

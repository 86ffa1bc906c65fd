//! A socket without a client, that writes frames encoded before and counts the bytes that come back:
//! the limit.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Outcome, PATH};
use crate::measure::Runs;
use crate::workload::{Kind, Workload};

const STAT: usize = 68;
const HEADER: usize = 16;

/// What is done without a client, and where.
pub struct Bare {
    pub workload: &'static Workload,
    pub address: String,
}

impl Runs for Bare {
    async fn run(&mut self, operations: usize) -> Outcome<Duration> {
        run(self.workload, &self.address, operations).await
    }
}

async fn run(workload: &Workload, address: &str, operations: usize) -> Outcome<Duration> {
    if workload.kind == Kind::Connect {
        let started = Instant::now();
        for _ in 0..operations {
            close(connect(address).await?).await?;
        }
        return Ok(started.elapsed());
    }
    let mut stream = connect(address).await?;
    let batch = request(workload).repeat(workload.in_flight);
    let expected = (4 + HEADER + reply(workload)) * workload.in_flight;
    let mut buffer = vec![0; 256 * 1024];
    let started = Instant::now();
    for _ in 0..operations.div_ceil(workload.in_flight) {
        stream.write_all(&batch).await?;
        let mut read = 0;
        while read < expected {
            match stream.read(&mut buffer).await? {
                0 => return Err("the server has closed the connection".into()),
                more => read += more,
            }
        }
    }
    let elapsed = started.elapsed();
    close(stream).await?;
    Ok(elapsed)
}

async fn connect(address: &str) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let timeout = 10_000_i32.to_be_bytes();
    let password = [buffer_length(16), vec![0; 16]].concat();
    let request = [&[0; 12][..], &timeout, &[0; 8], &password, &[0]].concat();
    stream.write_all(&framed(&request)).await?;
    let mut granted = [0; 4 + 37];
    stream.read_exact(&mut granted).await?;
    Ok(stream)
}

async fn close(mut stream: TcpStream) -> Outcome<()> {
    const CLOSE: i32 = -11;
    stream.write_all(&framed(&header(CLOSE))).await?;
    stream.read_exact(&mut [0; 4 + HEADER]).await?;
    Ok(())
}

fn request(workload: &Workload) -> Vec<u8> {
    let path = buffer(PATH.as_bytes());
    let data = buffer(&vec![b'x'; workload.size]);
    let any_version = (-1_i32).to_be_bytes().to_vec();
    let open_acl = [
        buffer_length(1),
        31_i32.to_be_bytes().to_vec(),
        buffer(b"world"),
        buffer(b"anyone"),
    ]
    .concat();
    let body = match workload.kind {
        Kind::Set => [header(5), path, data, any_version].concat(),
        Kind::Create => [header(15), path, data, open_acl, vec![0; 4]].concat(),
        _ => [header(4), path, vec![0]].concat(),
    };
    framed(&body)
}

/// The length of what answers it, behind the header.
fn reply(workload: &Workload) -> usize {
    match workload.kind {
        Kind::Set => STAT,
        Kind::Create => 4 + PATH.len() + STAT,
        _ => 4 + workload.size + STAT,
    }
}

/// All have the same xid: the xids of the replies are not read.
fn header(op: i32) -> Vec<u8> {
    [1_i32.to_be_bytes(), op.to_be_bytes()].concat()
}

fn framed(body: &[u8]) -> Vec<u8> {
    buffer(body)
}

fn buffer(bytes: &[u8]) -> Vec<u8> {
    [&buffer_length(bytes.len()), bytes].concat()
}

fn buffer_length(length: usize) -> Vec<u8> {
    i32::try_from(length)
        .unwrap_or(i32::MAX)
        .to_be_bytes()
        .to_vec()
}

//! Thousands of sessions in one process, and a million watches of one session: what the process takes,
//! which does nothing else, and what an idle session does. The server is in another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::PEAK;
use crate::common::canned::{Canned, watch_many};
use crate::common::child::{self, Child};
use crate::common::counting::alone;
use crate::common::status::status;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, sleep};
use zk_client::{Client, Dial, Dialing, HostPort, State, Transport};
use zk_proto::OpCode;

const SESSION: Duration = Duration::from_secs(30);
/// Short, so that pings come soon, and long enough for twenty thousand requests on a busy machine.
const BUSY_SESSION: Duration = Duration::from_secs(6);
/// Connections that are made at a time, for the sake of the server's backlog.
const AT_A_TIME: usize = 100;

/// Bytes that a session allocates, connected and idle: 8,862 are measured, with all features.
const PER_SESSION: usize = 9_200;
/// Ten thousand in 250 MiB, all that the process has taken for them.
const RESIDENT: usize = 250 * 1024 * 1024 / 10_000;

/// What the system reports about this process.
fn own(figure: &str) -> usize {
    status("self", figure).unwrap()
}

/// Lets this process have so many descriptors, and some; or says how many it may have.
fn room_for(count: usize) -> Result<(), u64> {
    let wanted = count as u64 + 200;
    let may = rlimit::increase_nofile_limit(wanted).unwrap();
    if may < wanted { Err(may) } else { Ok(()) }
}

async fn connect(hosts: &str, count: usize) -> Vec<Client> {
    let mut clients = Vec::with_capacity(count);
    for first in (0..count).step_by(AT_A_TIME) {
        let some = first..count.min(first + AT_A_TIME);
        let some = some.map(|_| {
            Client::builder(hosts)
                .session_timeout(SESSION)
                .start()
                .unwrap()
        });
        clients.extend(some);
        for zk in &clients[first..] {
            zk.connected().await.unwrap();
        }
    }
    clients
}

/// The environment's `ZK_TESTS_SESSIONS` sets their number.
/// Guards: R1.
#[tokio::test]
async fn idle_sessions_are_small() {
    let _alone = alone();
    if let Some(orders) = child::orders() {
        let (port, count) = orders.split_once(' ').unwrap();
        return hold(&format!("127.0.0.1:{port}"), count.parse().unwrap()).await;
    }
    let count = std::env::var("ZK_TESTS_SESSIONS").map_or(2_000, |count| count.parse().unwrap());
    // Each has a descriptor there and another here.
    if let Err(few) = room_for(count) {
        eprintln!("skipped: {few} descriptors are all that this process may have");
        return;
    }
    let server = Canned::new(SESSION);
    let port = server.listen().await;
    let name = "idle_sessions_are_small";
    let mut holder = Child::start(module_path!(), name, &format!("{port} {count}"));
    let reported = holder.receive("took").await;
    let reported: Vec<usize> = reported
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    let [bytes, resident, threads] = reported[..] else {
        unreachable!("{reported:?}");
    };
    eprintln!(
        "{count} sessions: {} bytes allocated each, {} resident, {threads} more threads",
        bytes / count,
        resident / count
    );
    assert_eq!(threads, 0);
    assert!(bytes <= count * PER_SESSION);
    assert!(resident <= count * RESIDENT);
}

/// The process that has the sessions, and nothing else.
async fn hold(hosts: &str, count: usize) {
    room_for(count).unwrap();
    // For what is made once.
    drop(connect(hosts, 1).await);
    let (bytes, resident, threads) = (PEAK.current_usage(), own("VmRSS"), own("Threads"));
    let clients = connect(hosts, count).await;
    let bytes = PEAK.current_usage() - bytes;
    let resident = (own("VmRSS") - resident) * 1024;
    let threads = own("Threads") - threads;
    child::say(&format!("took {bytes} {resident} {threads}"));
    // Until the parent has read it.
    std::future::pending::<()>().await;
    drop(clients);
}

/// The environment's `ZK_TESTS_WATCHES` sets their number. The time is
/// printed and not compared with a limit.
/// Guards: R2.
#[tokio::test]
async fn million_watches_take_250_megabytes() {
    let _alone = alone();
    if let Some(orders) = child::orders() {
        let (port, count) = orders.split_once(' ').unwrap();
        return hold_watches(&format!("127.0.0.1:{port}"), count.parse().unwrap()).await;
    }
    let count = std::env::var("ZK_TESTS_WATCHES").map_or(200_000, |count| count.parse().unwrap());
    let server = Canned::new(SESSION);
    let port = server.listen().await;
    let name = "million_watches_take_250_megabytes";
    let mut watcher = Child::start(module_path!(), name, &format!("{port} {count}"));
    let set: usize = watcher.receive("set").await.parse().unwrap();
    server.record();
    server.cut();
    let rearmed = watcher.receive("rearmed").await;
    let (most, took) = rearmed.split_once(' ').unwrap();
    let most: usize = most.parse().unwrap();
    let received = server.received();
    let batches = received
        .iter()
        .filter(|received| received.op == OpCode::SetWatches)
        .count();
    eprintln!(
        "{count} watches: {} bytes resident each; armed again in {took} with {batches} requests, \
         {} bytes at most",
        set / count,
        most / count
    );
    assert!(most <= count * 250, "{} bytes each", most / count);
    // They are not sent behind one another, so nothing that is to be said waits for them all.
    let rearming = received
        .iter()
        .position(|received| received.op == OpCode::Sync)
        .unwrap();
    assert_eq!(rearming, batches);
}

/// The process that has the watches, and nothing else.
async fn hold_watches(hosts: &str, count: usize) {
    let builder = Client::builder(hosts)
        .session_timeout(SESSION)
        .deadline(None);
    let zk = builder.connect().await.unwrap();
    let mut watches = Vec::with_capacity(count);
    // For what is made once.
    watch_many(&zk, 0..1_000, &mut watches).await;
    let before = own("VmRSS");
    watch_many(&zk, 1_000..count, &mut watches).await;
    child::say(&format!("set {}", (own("VmRSS") - before) * 1024));
    let mut states = zk.states();
    while !matches!(states.next().await, Some(State::Suspended { .. })) {}
    let started = Instant::now();
    zk.sync("/").await.unwrap();
    let took = started.elapsed();
    assert_eq!(zk.statistics().rearmed_watches, count as u64);
    let most = (own("VmHWM") - before) * 1024;
    child::say(&format!("rearmed {most} {took:?}"));
    std::future::pending::<()>().await;
    drop(watches);
}

/// Buffers that grew under load are released when the session is idle.
/// Guards: R1.
#[tokio::test]
async fn busy_session_shrinks_when_idle() {
    let _alone = alone();
    // Of 30 MB. A reconnect, which a busy machine brings about, leaves a few more kilobytes.
    const SLACK: usize = 64 * 1024;
    if let Some(port) = child::orders() {
        return be_busy(&format!("127.0.0.1:{port}"), SLACK).await;
    }
    // Pings, and the rest with them, come soon.
    let server = Canned::new(BUSY_SESSION);
    let port = server.listen().await;
    let name = "busy_session_shrinks_when_idle";
    let mut busy = Child::start(module_path!(), name, &port.to_string());
    eprintln!("idle, busy, and idle again: {}", busy.receive("took").await);
}

async fn be_busy(hosts: &str, slack: usize) {
    const REQUESTS: usize = 20_000;
    let builder = Client::builder(hosts).session_timeout(BUSY_SESSION);
    let builder = builder.max_outstanding(REQUESTS).deadline(None);
    let zk = builder.connect().await.unwrap();
    crate::common::until("a ping is answered", || async {
        zk.statistics().ping.is_some()
    })
    .await;
    let before = PEAK.current_usage();
    for _ in 0..2 {
        let reads = (0..REQUESTS).map(|n| zk.get(&format!("/{n:0>500}")).watch().submit());
        let mut watches = Vec::new();
        for read in reads.collect::<Vec<_>>() {
            watches.push(read.await.unwrap().2);
        }
        drop(watches);
    }
    zk.sync("/").await.unwrap();
    let busy = PEAK.current_usage();
    let rested = || async { PEAK.current_usage() <= before + slack };
    crate::common::until("room for many is given back", rested).await;
    child::say(&format!("took {before} {busy} {}", PEAK.current_usage()));
}

/// Counts what would be system calls.
#[derive(Debug, Clone)]
struct Counted {
    server: Canned,
    calls: Arc<AtomicUsize>,
}

impl Dial for Counted {
    fn dial<'a>(&'a self, host: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let stream = self.server.dial(host).await?;
            let calls = self.calls.clone();
            Ok(Box::new(Counting { stream, calls }) as Box<dyn Transport>)
        })
    }
}

struct Counting {
    stream: Box<dyn Transport>,
    calls: Arc<AtomicUsize>,
}

impl Counting {
    fn counted(&mut self) -> Pin<&mut dyn Transport> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut *self.stream)
    }
}

impl AsyncRead for Counting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.counted().poll_read(cx, into)
    }
}

impl AsyncWrite for Counting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.counted().poll_write(cx, bytes)
    }

    // Not a system call of a TCP stream.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.counted().poll_shutdown(cx)
    }
}

/// The task of an idle session runs only to send pings and to read their replies.
/// Guards: R1.
#[tokio::test(start_paused = true)]
async fn idle_session_only_pings() {
    let _alone = alone();
    const SESSIONS: usize = 500;
    const INTERVALS: u32 = 20;
    let server = Canned::new(SESSION);
    let calls = Arc::new(AtomicUsize::new(0));
    let (dial, wire) = (calls.clone(), server.clone());
    let mut clients = Vec::new();
    for _ in 0..SESSIONS {
        let (server, calls) = (wire.clone(), dial.clone());
        let builder = server.builder().dial(Counted { server, calls });
        clients.push(builder.connect().await.unwrap());
    }
    // Between the first ping, before which a timer of the handshake rings, and the second.
    sleep(SESSION / 8).await;
    server.record();
    calls.store(0, Ordering::Relaxed);
    sleep(SESSION / 12 * INTERVALS).await;
    let received = server.received();
    let pings = SESSIONS * INTERVALS as usize;
    assert_eq!(received.len(), pings);
    assert!(
        received
            .iter()
            .all(|received| (received.op, received.bytes) == (OpCode::Ping, 8))
    );
    // A look before the timer rings; the ping, a look; the answer, a look. Looks that find nothing
    // are no system calls of a TCP stream: tokio knows what its sockets have.
    let calls = calls.load(Ordering::Relaxed);
    eprintln!("{} calls for each ping", calls as f64 / pings as f64);
    assert!(calls <= 5 * pings, "{calls} calls for {pings} pings");
}

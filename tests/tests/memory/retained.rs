//! What a watch, an idle session, a request in flight and a znode of the embedded server take, counted
//! by the allocator.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a failed expectation is a failed test"
)]

use std::time::Duration;

use crate::PEAK;
use crate::common::canned::{Canned, watch_many};
use crate::common::counting::{alone, virtually};
use bytes::BytesMut;
use tokio::time::{Instant, sleep};
use zk_client::{Client, State};
use zk_embedded::Options;
use zk_embedded::core::{ConnectionId, Peer, State as ServerState};
use zk_proto::records::{ConnectRequest, CreateRequest, DeleteRequest};
use zk_proto::{Encode, OpCode, RequestHeader};

const SESSION: Duration = Duration::from_secs(30);
/// Requests that are answered before more are made.
const AT_A_TIME: usize = 1_000;

/// Bytes of a watch on a path of 64 bytes, with the handle that its owner holds: 200 are measured.
/// A million take less than 250 MB, and do so while they are armed again.
const PER_WATCH: usize = 210;
const PER_WATCH_REARMED: usize = 240;
/// Bytes of a `get` in flight on a path of 64 bytes, with the future that waits for it: 593 are
/// measured, with all features.
const PER_REQUEST: usize = 625;

/// Numbers from the environment are for the forms that take long.
fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |number| number.parse().unwrap())
}

/// Returns when everything is armed again.
async fn reconnect(zk: &Client, server: &Canned) {
    let mut states = zk.states();
    server.cut();
    while !matches!(states.next().await, Some(State::Suspended { .. })) {}
    zk.sync("/").await.unwrap();
}

/// Guards: R2.
#[test]
fn watch_memory_within_budget() {
    let count = number("ZK_TESTS_WATCHES", 200_000);
    let _alone = alone();
    virtually(async {
        let server = Canned::new(SESSION);
        let zk = server.builder().connect().await.unwrap();
        let mut watches = Vec::with_capacity(count);
        // For what is made once.
        watch_many(&zk, 0..AT_A_TIME, &mut watches).await;
        watches.clear();
        zk.sync("/").await.unwrap();
        drop(watches);

        PEAK.reset_peak_usage();
        let before = PEAK.current_usage();
        let mut watches = Vec::with_capacity(count);
        watch_many(&zk, 0..count, &mut watches).await;
        let (held, most) = (PEAK.current_usage() - before, PEAK.peak_usage() - before);
        assert_eq!(zk.statistics().watches, count);

        PEAK.reset_peak_usage();
        reconnect(&zk, &server).await;
        let rearmed = PEAK.peak_usage() - before;
        assert_eq!(zk.statistics().rearmed_watches, count as u64);
        eprintln!(
            "{count} watches: {} bytes each, {} at most while they were set, {} while they were \
             armed again",
            held / count,
            most / count,
            rearmed / count
        );
        assert!(held <= count * PER_WATCH, "{} bytes each", held / count);
        let each = rearmed / count;
        assert!(each <= PER_WATCH_REARMED, "{each} bytes each, armed again");
    });
}

#[test]
fn request_memory_within_budget() {
    let count = number("ZK_TESTS_REQUESTS", 50_000);
    let _alone = alone();
    virtually(async {
        let server = Canned::new(SESSION);
        let zk = server.builder().max_outstanding(count).connect().await;
        let zk = zk.unwrap();
        zk.sync("/").await.unwrap();
        server.mute();
        let paths: Vec<_> = (0..AT_A_TIME).map(|n| format!("/{n:0>63}")).collect();
        let mut reads = Vec::with_capacity(count);
        let before = PEAK.current_usage();
        while reads.len() < count {
            reads.extend(paths.iter().map(|path| zk.get(path).submit()));
            // Until they are with the server.
            sleep(Duration::from_millis(1)).await;
        }
        let there = zk.statistics();
        assert_eq!((there.outstanding, there.queue_bytes), (count, 0));
        let held = PEAK.current_usage() - before + count * size_of_val(&reads[0]);
        eprintln!("{count} requests: {} bytes each", held / count);
        assert!(held <= count * PER_REQUEST, "{} bytes each", held / count);
    });
}

/// A server that takes a fifteenth of the session's time for each batch. What counts is the longest
/// time, by the paused clock, in which it receives nothing.
/// Guards: R2, I13.
#[test]
fn pings_continue_while_rearming_slowly() {
    const WATCHES: usize = 100_000;
    let slow = SESSION / 15;
    let _alone = alone();
    virtually(async {
        let server = Canned::that_rearms_in(SESSION, slow);
        let zk = server.builder().connect().await.unwrap();
        let mut watches = Vec::with_capacity(WATCHES);
        watch_many(&zk, 0..WATCHES, &mut watches).await;
        let before = Instant::now();
        server.record();
        reconnect(&zk, &server).await;
        let took = before.elapsed();
        let received = server.received();
        let batches = received
            .iter()
            .filter(|received| received.op == OpCode::SetWatches);
        let batches = batches.count();
        assert_eq!(zk.statistics().rearm_batches, batches as u64);
        assert!(took >= slow * u32::try_from(batches).unwrap() && took > SESSION * 3);
        let idle_times = received.windows(2).map(|pair| pair[1].at - pair[0].at);
        assert!(idle_times.max().unwrap() <= SESSION / 3);
        let last = received
            .iter()
            .rfind(|received| received.op != OpCode::Ping);
        assert_eq!(last.map(|last| last.op), Some(OpCode::Sync));
        assert_eq!(zk.session().epoch, 1);
    });
}

/// Bytes of a znode of the embedded server with a path of 20 bytes and data of 4: 361 are measured.
const PER_ZNODE: usize = 380;

/// A client of an embedded server, without sockets.
struct Driven {
    server: ServerState,
    client: ConnectionId,
    now: std::time::Instant,
}

impl Driven {
    fn new() -> Self {
        let now = std::time::Instant::now();
        let mut options = Options::default();
        options.log_limit = 0;
        let mut server = ServerState::new(options, now);
        let client = server.open(now, 0, Peer::Memory).unwrap();
        let mut driven = Driven {
            server,
            client,
            now,
        };
        let mut out = BytesMut::new();
        let hello = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: zk_proto::Zxid(0),
            timeout_ms: 40_000,
            session_id: zk_proto::SessionId::NONE,
            password: zk_proto::SessionPassword::zero(),
            read_only: Some(false),
        };
        hello.encode(&mut out);
        driven.send(out);
        driven
    }

    fn send(&mut self, frame: BytesMut) {
        let (now, client) = (self.now, self.client);
        self.server.handle_frame(now, client, &frame.freeze());
        // The replies are not looked at: what the nodes are says whether the requests were executed.
        drop(self.server.take_output(client));
    }

    fn request(&mut self, op: OpCode, body: &dyn Encode) {
        let mut out = BytesMut::new();
        RequestHeader::new(1, op).encode(&mut out);
        body.encode(&mut out);
        self.send(out);
    }

    fn create(&mut self, path: &str) {
        let request = CreateRequest {
            path: path.into(),
            data: Some(b"data"),
            acl: zk_proto::Acl::open().into(),
            flags: 0,
        };
        self.request(OpCode::Create, &request);
    }

    fn delete(&mut self, path: &str) {
        let (path, version) = (path.into(), -1);
        self.request(OpCode::Delete, &DeleteRequest { path, version });
    }

    fn znodes(&self) -> i32 {
        self.server.node("/all").unwrap().stat.num_children
    }
}

#[test]
fn deleted_znodes_take_no_memory() {
    const LEFT: usize = 10_000;
    const DELETED: usize = 90_000;
    let path = |number: usize| format!("/all/{number:0>15}");
    let _alone = alone();
    let before = PEAK.current_usage();
    let mut server = Driven::new();
    server.create("/all");
    (0..LEFT).for_each(|number| server.create(&path(number)));
    let held = PEAK.current_usage() - before;
    eprintln!("{LEFT} znodes: {} bytes each", held / LEFT);
    assert!(held <= LEFT * PER_ZNODE, "{} bytes each", held / LEFT);
    let more = LEFT..LEFT + DELETED;
    more.clone().for_each(|number| server.create(&path(number)));
    assert_eq!(server.znodes(), 100_000);
    more.for_each(|number| server.delete(&path(number)));
    assert_eq!(server.znodes(), 10_000);
    let left = PEAK.current_usage() - before;
    eprintln!("{left} bytes are left of {held}");
    // The hash table may have twice the places that it had at first.
    assert!(left <= held * 2, "{left} bytes are left of {held}");
}

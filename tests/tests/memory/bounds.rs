//! What the client holds has limits, whatever its callers do: requests, events, tasks,
//! the time a close takes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::PEAK;
use crate::common::counting::{alone, virtually};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};
use zk_client::{
    Client, ClientBuilder, Dial, DialError, Dialing, ErrorKind, HostPort, State, Transport,
    WatchEvent, WatchMode,
};
use zk_embedded::Server;
use zk_proto::records::{ConnectResponse, ErrorResponse, GetDataResponse};
use zk_proto::{
    Encode, EventType, KeeperState, ReplyHeader, SessionId, SessionPassword, Stat, WatcherEvent,
    Zxid, xid,
};
use zk_recipes::{DataWatch, Lock};

const SESSION: Duration = Duration::from_secs(6);
/// `jute.maxbuffer`, as servers have it by default.
const SERVER_LIMIT: usize = 0xf_ffff;

/// Tasks that have not ended.
fn tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

pub(super) async fn until(what: &str, fact: impl Fn() -> bool) {
    let waited = timeout(Duration::from_secs(60), async {
        while !fact() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    waited.await.expect(what);
}

/// How connections are made.
#[derive(Debug, Clone)]
enum Network {
    To(Arc<Server>),
    /// Never done.
    Hangs,
    Refuses,
    /// Accepts and never says a word.
    Mute,
    /// Grants a session and never says another word.
    MuteAfterGrant,
}

impl Dial for Network {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        Box::pin(async move {
            let near = match self {
                Network::To(server) => server.connect_in_memory().map_err(DialError::Other)?,
                Network::Hangs => std::future::pending().await,
                Network::Refuses => return Err(DialError::NoAddresses),
                Network::Mute => played(async |mut wire| {
                    let _ = wire.read_to_end(&mut Vec::new()).await;
                }),
                Network::MuteAfterGrant => played(async |mut wire| {
                    grant(&mut wire).await;
                    let _ = wire.read_to_end(&mut Vec::new()).await;
                }),
            };
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

fn played<F>(play: impl FnOnce(DuplexStream) -> F) -> DuplexStream
where
    F: Future<Output = ()> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(play(far));
    near
}

/// A frame with what is given in it.
fn frame(parts: &[&(dyn Encode + Sync)]) -> BytesMut {
    let mut frame = BytesMut::zeroed(4);
    for part in parts {
        part.encode(&mut frame);
    }
    let len = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&len.to_be_bytes());
    frame
}

async fn receive(wire: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let len = wire.read_u32().await.unwrap();
    let mut frame = vec![0; usize::try_from(len).unwrap()];
    wire.read_exact(&mut frame).await.unwrap();
    frame
}

async fn grant(wire: &mut DuplexStream) {
    receive(wire).await;
    let granted = ConnectResponse {
        protocol_version: 0,
        timeout_ms: i32::try_from(SESSION.as_millis()).unwrap(),
        session_id: SessionId(7),
        password: SessionPassword::zero(),
        read_only: false,
    };
    wire.write_all(&frame(&[&granted])).await.unwrap();
}

fn builder(network: Network) -> ClientBuilder {
    Client::builder("memory")
        .session_timeout(SESSION)
        .dial(network)
}

async fn embedded() -> Arc<Server> {
    Arc::new(Server::builder().in_memory().start().await.unwrap())
}

/// Guards: R4.
#[test]
fn slow_watcher_lags_alone() {
    let _alone = alone();
    const EVENTS: u64 = 10_000;
    const HELD: u64 = 100;
    virtually(async {
        let server = embedded().await;
        let zk = builder(Network::To(server.clone()));
        let zk = zk.max_watch_events(100).connect().await.unwrap();
        let writer = builder(Network::To(server)).connect().await.unwrap();
        zk.create("/a", "").await.unwrap();
        let mut slow = zk.watch("/a", WatchMode::Persistent).await.unwrap();
        let mut quick = zk.watch("/a", WatchMode::Persistent).await.unwrap();
        let reader = tokio::spawn(async move {
            let mut read = 0;
            while read < EVENTS {
                assert!(matches!(quick.next().await, Some(WatchEvent::Node(_))));
                read += 1;
            }
        });
        for _ in 0..EVENTS {
            writer.set("/a", "").await.unwrap();
            // Answered all the time.
            zk.exists("/a").await.unwrap();
        }
        timeout(Duration::from_secs(10), reader)
            .await
            .unwrap()
            .unwrap();
        for _ in 0..HELD {
            assert!(matches!(slow.next().await, Some(WatchEvent::Node(_))));
        }
        let dropped = EVENTS - HELD;
        assert_eq!(slow.next().await, Some(WatchEvent::Lagged { dropped }));
        writer.set("/a", "").await.unwrap();
        assert!(matches!(slow.next().await, Some(WatchEvent::Node(_))));
        assert_eq!(zk.session().epoch, 1);
    });
}

/// Guards: M4.
#[test]
fn unread_events_are_bounded_in_bytes() {
    const EVENTS: u64 = 20;
    let _alone = alone();
    virtually(async {
        for (length, held) in [(300 * 1024, 3), (4 * 1024 * 1024, 0), (10, EVENTS)] {
            let (near, mut far) = tokio::io::duplex(1024 * 1024);
            tokio::spawn(async move {
                grant(&mut far).await;
                receive(&mut far).await;
                let (xid, zxid, err) = (1, Zxid(1), 0);
                let watched = frame(&[&ReplyHeader { xid, zxid, err }, &ErrorResponse { err }]);
                far.write_all(&watched).await.unwrap();
                let path = &*format!("/{}", "x".repeat(length - 1));
                let (kind, state) = (EventType::NodeCreated, KeeperState::SyncConnected);
                let event = WatcherEvent { kind, state, path };
                let xid = xid::NOTIFICATION;
                let event = frame(&[&ReplyHeader { xid, zxid, err }, &event]);
                for _ in 0..EVENTS {
                    far.write_all(&event).await.unwrap();
                }
                let _ = far.read_to_end(&mut Vec::new()).await;
            });
            let zk = builder(Network::Hangs).dial(Once(Mutex::new(Some(near))));
            let zk = zk.connect().await.unwrap();
            let mut events = zk.watch("/", WatchMode::PersistentRecursive).await.unwrap();
            until("not all events were received", || {
                let reported = zk.statistics();
                reported.watch_events + reported.watch_events_dropped == EVENTS
            })
            .await;
            for _ in 0..held {
                assert!(matches!(events.next().await, Some(WatchEvent::Node(_))));
            }
            if held < EVENTS {
                let dropped = EVENTS - held;
                assert_eq!(events.next().await, Some(WatchEvent::Lagged { dropped }));
            }
        }
    });
}

/// Guards: L9.
#[test]
fn parked_requests_are_bounded_in_bytes() {
    const LIMIT: usize = 128 << 20;
    let _alone = alone();
    virtually(async {
        let zk = builder(Network::Hangs).deadline(None).start().unwrap();
        let data = vec![0; 1_000_000];
        // What was held the first time is given up and makes room.
        for _ in 0..2 {
            let mut held = Vec::new();
            let refused = loop {
                let mut write = zk.set("/x", &data).submit();
                // Ready at once, if it is refused.
                match timeout(Duration::ZERO, &mut write).await {
                    Ok(refused) => break refused.unwrap_err(),
                    Err(_) => held.push(write),
                }
            };
            assert_eq!(refused.kind(), ErrorKind::QueueFull);
            assert!(
                refused.to_string().contains("max_outstanding_bytes"),
                "{refused}"
            );
            assert_eq!(held.len(), LIMIT / data.len() + 1);
            assert!(zk.statistics().queue_bytes < LIMIT + 2 * data.len());
        }
    });
}

/// However many events there are to read, their subscriber runs before the buffer for a thousand is
/// full.
/// Guards: G8, R4.
#[test]
fn prompt_watcher_does_not_lag() {
    let _alone = alone();
    const EVENTS: usize = 100_000;
    virtually(async {
        let (near, mut far) = tokio::io::duplex(1024 * 1024);
        tokio::spawn(async move {
            grant(&mut far).await;
            receive(&mut far).await;
            let (xid, zxid, err) = (1, Zxid(1), 0);
            let watched = frame(&[&ReplyHeader { xid, zxid, err }, &ErrorResponse { err }]);
            far.write_all(&watched).await.unwrap();
            let event = WatcherEvent {
                kind: EventType::NodeDataChanged,
                state: KeeperState::SyncConnected,
                path: "/a",
            };
            let xid = xid::NOTIFICATION;
            let event = frame(&[&ReplyHeader { xid, zxid, err }, &event]);
            far.write_all(&event.repeat(EVENTS)).await.unwrap();
            let _ = far.read_to_end(&mut Vec::new()).await;
        });
        let zk = builder(Network::Hangs).dial(Once(Mutex::new(Some(near))));
        let zk = zk.connect().await.unwrap();
        let mut events = zk.watch("/a", WatchMode::Persistent).await.unwrap();
        for n in 0..EVENTS {
            let event = events.next().await;
            assert!(
                matches!(event, Some(WatchEvent::Node(_))),
                "{event:?} after {n}"
            );
        }
    });
}

/// R5, with and without a connection.
/// Guards: R5.
#[test]
fn unawaited_requests_are_bounded() {
    const REQUESTS: usize = 1_000_000;
    const LIMIT: usize = 10_000;
    let _alone = alone();
    for connected in [false, true] {
        virtually(async {
            let server = embedded().await;
            let zk = builder(Network::To(server.clone())).max_outstanding(LIMIT);
            let zk = zk.deadline(None).start().unwrap();
            if connected {
                zk.connected().await.unwrap();
            }
            PEAK.reset_peak_usage();
            let before = PEAK.current_usage();
            let mut accepted = Vec::with_capacity(LIMIT);
            let mut refused = 0;
            for n in 0..REQUESTS {
                let mut pending = Box::pin(zk.create(&format!("/n{n}"), "x").submit());
                if n < LIMIT {
                    accepted.push(pending);
                } else {
                    let now = std::future::poll_fn(|cx| {
                        std::task::Poll::Ready(pending.as_mut().poll(cx))
                    });
                    let std::task::Poll::Ready(Err(error)) = now.await else {
                        panic!("request {n} was accepted");
                    };
                    assert_eq!(error.kind(), ErrorKind::QueueFull);
                    refused += 1;
                }
            }
            assert_eq!(
                (zk.statistics().outstanding, refused),
                (LIMIT, REQUESTS - LIMIT)
            );
            let grown = PEAK.peak_usage() - before;
            assert!(grown < LIMIT * 2048, "{grown} bytes for {LIMIT} requests");
            let mut last = Zxid(0);
            for pending in accepted {
                let created = pending.await.unwrap();
                assert!(created.stat.czxid > last, "out of order");
                last = created.stat.czxid;
            }
            assert_eq!(zk.statistics().outstanding, 0);
            assert_eq!(zk.session().epoch, 1);
        });
    }
}

/// Replies come all the time, and pings go out on time, no more than needed.
/// Guards: B25, R6.
#[test]
fn pings_pass_a_flood_of_replies() {
    let _alone = alone();
    const REQUESTS: i32 = 3_000;
    let apart = Duration::from_millis(20);
    virtually(async {
        let pings = Arc::new(Mutex::new(Vec::new()));
        let arrived = pings.clone();
        let (near, mut far) = tokio::io::duplex(256 * 1024);
        tokio::spawn(async move {
            grant(&mut far).await;
            let (mut input, mut output) = tokio::io::split(far);
            tokio::spawn(async move {
                let data = Some(vec![7; 16 * 1024].into());
                let stat = Stat::default();
                let body = GetDataResponse { data, stat };
                for xid in 1..=REQUESTS {
                    sleep(apart).await;
                    let zxid = Zxid(1);
                    let header = ReplyHeader { xid, zxid, err: 0 };
                    output.write_all(&frame(&[&header, &body])).await.unwrap();
                }
                std::future::pending::<()>().await;
            });
            loop {
                let request = receive(&mut input).await;
                if request.starts_with(&xid::PING.to_be_bytes()) {
                    arrived.lock().unwrap().push(Instant::now());
                }
            }
        });
        let zk = builder(Network::To(embedded().await)).dial(Once(Mutex::new(Some(near))));
        let zk = zk.deadline(None).connect().await.unwrap();
        let started = Instant::now();
        let reads: Vec<_> = (0..REQUESTS).map(|_| zk.get("/a").submit()).collect();
        for read in reads {
            read.await.unwrap();
        }
        let took = started.elapsed();
        assert!(took >= apart * REQUESTS.unsigned_abs(), "{took:?}");
        let pings = pings.lock().unwrap();
        let mut last = started;
        for ping in &*pings {
            let idle_time = *ping - last;
            let due = SESSION / 12;
            assert!(
                (due..due + apart).contains(&idle_time),
                "a ping after {idle_time:?}"
            );
            last = *ping;
        }
        assert!(took - (last - started) <= SESSION / 12 + apart);
        assert_eq!(zk.session().epoch, 1);
    });
}

/// One connection, and no other.
#[derive(Debug)]
struct Once(Mutex<Option<DuplexStream>>);

impl Dial for Once {
    fn dial<'a>(&'a self, _: &'a HostPort) -> Dialing<'a> {
        let near = self.0.lock().unwrap().take();
        Box::pin(async move {
            let near = near.ok_or(DialError::NoAddresses)?;
            Ok(Box::new(near) as Box<dyn Transport>)
        })
    }
}

/// What is exactly as large as allowed passes, both ways; one byte more is refused
/// here, and the connection does not suffer.
/// Guards: A17, B2, R7.
#[test]
fn size_limits_are_exact() {
    let _alone = alone();
    virtually(async {
        let server = embedded().await;
        let zk = builder(Network::To(server.clone()))
            .connect()
            .await
            .unwrap();
        zk.create("/a", "").await.unwrap();
        // Header, path and version of the request; and the length of the data.
        let largest = SERVER_LIMIT - 8 - (4 + 2) - 4 - 4;
        for (size, passes) in [(largest - 1, true), (largest, true), (largest + 1, false)] {
            let set = zk.set("/a", vec![1; size]).await;
            match set {
                Ok(_) => assert!(passes, "{size}"),
                Err(error) => {
                    assert!(!passes, "{size}: {error}");
                    assert_eq!(error.kind(), ErrorKind::RequestTooLarge);
                }
            }
        }
        // The reply: header, length, data, stat.
        let reply = 16 + 4 + largest + 68;
        for (limit, passes) in [(reply + 1, true), (reply, true), (reply - 1, false)] {
            let zk = builder(Network::To(server.clone())).max_reply_bytes(limit);
            let zk = zk.connect().await.unwrap();
            match zk.get("/a").await {
                Ok((data, _)) => assert!(passes && data.len() == largest, "{limit}"),
                Err(error) => {
                    assert!(!passes, "{limit}: {error}");
                    assert_eq!(error.kind(), ErrorKind::ReplyTooLarge);
                }
            }
            // The same session continues.
            zk.exists("/a").await.unwrap();
            assert_eq!(zk.session().epoch, 1);
        }
    });
}

/// Guards: B40.
#[test]
fn thousand_expiries_leave_no_task() {
    let _alone = alone();
    virtually(async {
        let server = embedded().await;
        let zk = builder(Network::To(server.clone()))
            .connect()
            .await
            .unwrap();
        zk.create("/a", "").await.unwrap();
        let mut data = DataWatch::new(&zk, "/a");
        let mut states = zk.states();
        let lock = Lock::new(&zk, "/lock");
        let mut before = 0;
        for epoch in 1..=1_000 {
            let guard = lock.acquire().await.unwrap();
            if epoch == 1 {
                assert!(data.next().await.unwrap().is_ok());
            }
            until("its watches", || server.watch_counts().data == 1).await;
            if epoch == 10 {
                before = tasks();
            }
            assert!(server.expire_session(zk.session().id));
            let expired = State::Expired { epoch };
            while states.next().await != Some(expired) {}
            guard.check().unwrap_err();
            drop(guard);
            zk.connected().await.unwrap();
            assert_eq!(zk.session().epoch, epoch + 1);
        }
        until("its watches", || server.watch_counts().data == 1).await;
        assert!(tasks() <= before, "{} tasks, and {before} before", tasks());
        assert_eq!(server.sessions().len(), 1);
        assert_eq!(zk.statistics().subscribers, 1);
    });
}

/// ZOOKEEPER-3706, ZOOKEEPER-846: wherever it is, a close comes to its end, and nothing stays.
/// Guards: A22, B31.
#[test]
fn close_ends_in_every_state() {
    let _alone = alone();
    let time_limit = Duration::from_secs(3);
    let networks = [
        (Network::Hangs, false),
        (Network::Refuses, false),
        (Network::Mute, false),
        (Network::MuteAfterGrant, true),
    ];
    for (network, session) in networks {
        for wait in [0, 1, 700, 5_000] {
            virtually(async {
                let zk = builder(network.clone()).close_timeout(time_limit);
                let zk = zk.start().unwrap();
                let waiting = zk.get("/a").submit();
                sleep(Duration::from_millis(wait)).await;
                let started = Instant::now();
                let closed = zk.close().await;
                let took = started.elapsed();
                // Only a server that knows of the session can be asked to end it.
                let most = if session { time_limit } else { Duration::ZERO };
                assert!(took <= most, "{network:?} after {wait} ms: {took:?}");
                assert!(session || closed.is_ok(), "{closed:?}");
                waiting.await.unwrap_err();
                until("no task", || tasks() == 0).await;
            });
        }
    }
}

/// The same for handles that are dropped, and while watches are armed again.
/// Guards: A22, B31.
#[test]
fn close_ends_while_rearming() {
    let _alone = alone();
    virtually(async {
        let server = embedded().await;
        let without = tasks();
        let zk = builder(Network::To(server.clone()))
            .connect()
            .await
            .unwrap();
        zk.create("/a", "").await.unwrap();
        let (_, _, watch) = zk.get("/a").watch().await.unwrap();
        let rearmed = zk_embedded::fault::on(zk_proto::OpCode::SetWatches);
        let swallowed = zk_embedded::fault::Action::Swallow;
        server.faults().rule(rearmed.then(swallowed).always());
        server.faults().disconnect_all();
        until("the connection is back", || {
            server.connection_count() == 1 && zk.state().is_connected()
        })
        .await;
        let started = Instant::now();
        let closed = zk.close().await;
        assert!(started.elapsed() <= SESSION, "{closed:?}");
        assert_eq!(watch.await, WatchEvent::SessionEnded);
        until("no task", || tasks() <= without).await;

        server.faults().clear();
        let zk = builder(Network::To(server.clone()))
            .connect()
            .await
            .unwrap();
        drop(zk);
        until("no task", || tasks() <= without).await;
        assert!(server.sessions().is_empty());
    });
}

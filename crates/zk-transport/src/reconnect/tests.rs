use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use zk_proto::records::{ConnectRequest, ConnectResponse};
use zk_proto::{Encode, HostPort, OpCode, ReplyHeader, SessionId, SessionPassword, Zxid};

use std::sync::Arc;

use super::*;
use crate::dial::dial_fn;
use crate::error::Disconnect;
use crate::frame::FrameReader;
use crate::hosts::{Hosts, Timing};
use crate::link::{Link, Received, Sent};
use crate::pump::Endpoint;
use crate::sasl::{Beginning, Login, Mechanism, SaslError, Step};
use crate::{BackoffPolicy, Lost};

const TIMEOUT: Duration = Duration::from_secs(6);

fn request() -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 6000,
        session_id: SessionId::default(),
        password: SessionPassword::zero(),
        read_only: Some(false),
    }
}

/// An endpoint that makes requests 0, 1, 2 … on every connection, until it has `wanted` replies.
struct Counter {
    hosts: Hosts,
    link: Option<Link<u32>>,
    next: u32,
    replies: Vec<u32>,
    wanted: usize,
    lost: Vec<Lost<u32>>,
    ends: Vec<(String, Disconnect)>,
    max_ends: usize,
    alive: bool,
    /// Leave the attempt this long after the loop began to wait.
    leave_after: Option<Duration>,
    waits_since: Option<Instant>,
    last_words: &'static [u8],
}

impl Counter {
    fn new(servers: &[&str], wanted: usize) -> Self {
        let hosts = servers.iter().map(|host| host.parse().unwrap()).collect();
        Counter {
            hosts: Hosts::new(hosts, BackoffPolicy::default(), 7),
            link: None,
            next: 0,
            replies: Vec::new(),
            wanted,
            lost: Vec::new(),
            ends: Vec::new(),
            max_ends: usize::MAX,
            alive: false,
            leave_after: None,
            waits_since: None,
            last_words: b"",
        }
    }

    fn is_done(&self) -> bool {
        self.replies.len() >= self.wanted || self.ends.len() >= self.max_ends
    }

    fn reasons(&self) -> Vec<&Disconnect> {
        self.ends.iter().map(|(_, reason)| reason).collect()
    }
}

impl Endpoint for Counter {
    fn poll_output(&mut self, _: &Waker, out: &mut BytesMut) -> Instant {
        let link = self.link.as_mut().unwrap();
        if out.is_empty() {
            link.poll_output(out);
        }
        link.poll_timeout()
    }

    fn handle_input(&mut self, now: Instant, frames: &mut FrameReader) -> Result<(), Disconnect> {
        let link = self.link.as_mut().unwrap();
        link.handle_received(now);
        while let Some(frame) = frames.next_frame()? {
            match link.handle_frame(frame)? {
                Received::Connected(_) => self.alive = true,
                Received::Reply { token, .. } => self.replies.push(token),
                _ => continue,
            }
            link.submit(now, OpCode::GetData, self.next, 1024, |_| {})
                .unwrap();
            self.next += 1;
        }
        match self.replies.len() >= self.wanted {
            true => Err(Disconnect::Local),
            false => Ok(()),
        }
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
        self.link.as_mut().unwrap().handle_timeout(now)
    }
}

impl Reconnect for Counter {
    fn with_hosts<R>(&mut self, f: impl FnOnce(&mut Hosts) -> R) -> R {
        f(&mut self.hosts)
    }

    fn timing(&mut self) -> Timing {
        match self.alive {
            true => Timing::of_session(TIMEOUT),
            false => Timing::before_session(TIMEOUT),
        }
    }

    fn poll_standby(&mut self, now: Instant, _: &Waker) -> Standby {
        let due = self
            .leave_after
            .map(|after| *self.waits_since.get_or_insert(now) + after);
        Standby {
            stop: self.is_done(),
            leave: due.is_some_and(|due| due <= now),
            due,
        }
    }

    fn handle_dialled(&mut self, now: Instant, opening: Opening<'_>) -> bool {
        self.link = Some(Link::new(now, &request(), opening.budget));
        true
    }

    fn is_established(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_open)
    }

    fn handle_closed(&mut self, _: Instant, closed: Closed<'_>) {
        self.ends.push((closed.host.to_string(), closed.reason));
        self.leave_after = None;
        if let Some(link) = self.link.take() {
            self.lost
                .extend(link.into_lost(closed.offered, &closed.rest));
        }
    }

    fn last_output(&mut self, _: Instant, written: u64) -> BytesMut {
        assert_eq!(self.link.as_ref().unwrap().taken(), written);
        self.last_words.into()
    }
}

async fn write_frame(stream: &mut DuplexStream, encode: impl FnOnce(&mut BytesMut)) {
    let mut frame = BytesMut::from(&[0; 4][..]);
    encode(&mut frame);
    let length = i32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    // The client may be gone.
    let _ = stream.write_all(&frame).await;
}

async fn read_frame(stream: &mut DuplexStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()?;
    let mut frame = vec![0; length.try_into().unwrap()];
    stream.read_exact(&mut frame).await.ok()?;
    Some(frame)
}

/// Answers the handshake and so many requests, and closes the connection at the next one.
async fn serve(mut stream: DuplexStream, replies: usize) -> DuplexStream {
    read_frame(&mut stream).await;
    let response = ConnectResponse {
        protocol_version: 0,
        timeout_ms: 6000,
        session_id: SessionId(7),
        password: SessionPassword::zero(),
        read_only: false,
    };
    write_frame(&mut stream, |out| response.encode(out)).await;
    let mut answered = 0;
    while let Some(frame) = read_frame(&mut stream).await {
        let xid = i32::from_be_bytes(frame[..4].try_into().unwrap());
        if xid > 0 && answered == replies {
            break;
        }
        answered += usize::from(xid > 0);
        let zxid = Zxid(1);
        let header = ReplyHeader { xid, zxid, err: 0 };
        write_frame(&mut stream, |out| header.encode(out)).await;
    }
    stream
}

/// Runs the loop with servers that answer so many requests for each connection.
async fn run(counter: &mut Counter, replies: usize) {
    let dial = dial_fn(move |_| async move {
        let (near, far) = duplex(4096);
        tokio::spawn(serve(far, replies));
        std::io::Result::Ok(near)
    });
    stay_connected(counter, &ReconnectOptions::new(dial)).await;
}

#[tokio::test(start_paused = true)]
async fn it_reconnects_until_it_is_stopped() {
    let mut counter = Counter::new(&["zk1:2181", "zk2:2181"], 5);
    run(&mut counter, 2).await;
    assert_eq!(counter.replies, [0, 1, 3, 4, 6]);
    // The request at which a server closes the connection may have been executed; the last one was
    // submitted and not sent.
    let lost: Vec<_> = counter.lost.iter().map(|it| (it.token, &it.sent)).collect();
    let unsent = Sent::Nothing(Bytes::new());
    assert_eq!(lost, [(2, &Sent::All), (5, &Sent::All), (7, &unsent)]);
    let closed = Disconnect::ClosedByServer;
    assert_eq!(counter.reasons(), [&closed, &closed, &Disconnect::Local]);
    assert_ne!(counter.ends[0].0, counter.ends[1].0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_pinged_and_kept() {
    let mut counter = Counter::new(&["zk1:2181"], 1);
    counter.max_ends = 1;
    let dial = dial_fn(|_| async {
        let (near, far) = duplex(4096);
        tokio::spawn(async move {
            let mut far = serve(far, 0).await;
            // The request stays unanswered for ten seconds; pings are answered.
            let until = tokio::time::Instant::now() + Duration::from_secs(10);
            let mut pings = 0;
            while tokio::time::Instant::now() < until {
                let frame = read_frame(&mut far).await.expect("the client left");
                assert_eq!(frame[..4], (-2i32).to_be_bytes());
                pings += 1;
                let (xid, zxid) = (-2, Zxid(1));
                let header = ReplyHeader { xid, zxid, err: 0 };
                write_frame(&mut far, |out| header.encode(out)).await;
            }
            assert!(pings > 10);
            let (xid, zxid) = (1, Zxid(1));
            let header = ReplyHeader { xid, zxid, err: 0 };
            write_frame(&mut far, |out| header.encode(out)).await;
            read_frame(&mut far).await;
        });
        std::io::Result::Ok(near)
    });
    stay_connected(&mut counter, &ReconnectOptions::new(dial)).await;
    assert_eq!(counter.replies, [0]);
    assert_eq!(counter.reasons(), [&Disconnect::Local]);
}

/// A third of the session's time is the budget of one server.
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_left() {
    let mut counter = Counter::new(&["zk1:2181"], 1);
    counter.max_ends = 1;
    let mute = dial_fn(|_| async {
        let (near, far) = duplex(4096);
        std::mem::forget(far);
        std::io::Result::Ok(near)
    });
    let begun = tokio::time::Instant::now();
    stay_connected(&mut counter, &ReconnectOptions::new(mute)).await;
    let budget = TIMEOUT / 3;
    assert_eq!(begun.elapsed(), budget);
    assert_eq!(counter.reasons(), [&Disconnect::HandshakeTimeout(budget)]);
}

#[tokio::test(start_paused = true)]
async fn dialling_is_given_up_in_time() {
    let mut counter = Counter::new(&["zk1:2181"], 1);
    counter.max_ends = 2;
    let dials = Arc::new(AtomicUsize::new(0));
    let counted = dials.clone();
    let hanging = dial_fn(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<std::io::Result<DuplexStream>>()
    });
    stay_connected(&mut counter, &ReconnectOptions::new(hanging)).await;
    assert_eq!(dials.load(Ordering::Relaxed), 2);
    for reason in counter.reasons() {
        assert_eq!(reason.to_string(), "cannot connect within 2000 ms");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_closes_in_the_handshake() {
    let mut counter = Counter::new(&["zk1:2181"], 1);
    counter.max_ends = 1;
    let closing = dial_fn(|_| async { std::io::Result::Ok(duplex(4096).0) });
    stay_connected(&mut counter, &ReconnectOptions::new(closing)).await;
    assert_eq!(counter.reasons(), [&Disconnect::ClosedInHandshake]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_left_while_it_dials() {
    let mut counter = Counter::new(&["zk1:2181", "zk2:2181"], 1);
    counter.leave_after = Some(Duration::from_millis(500));
    counter.max_ends = 2;
    let hanging = dial_fn(|_| std::future::pending::<std::io::Result<DuplexStream>>());
    let begun = tokio::time::Instant::now();
    stay_connected(&mut counter, &ReconnectOptions::new(hanging)).await;
    assert_eq!(counter.reasons()[0], &Disconnect::Moving);
    assert_ne!(counter.reasons()[1], &Disconnect::Moving);
    assert_eq!(begun.elapsed(), Duration::from_millis(500) + TIMEOUT / 3);
}

/// With no server to try, the loop waits for one; the endpoint can stop it.
#[tokio::test(start_paused = true)]
async fn an_empty_list_is_waited_out() {
    struct Stopping(Counter);
    impl Endpoint for Stopping {
        fn poll_output(&mut self, waker: &Waker, out: &mut BytesMut) -> Instant {
            self.0.poll_output(waker, out)
        }
        fn handle_input(&mut self, now: Instant, from: &mut FrameReader) -> Result<(), Disconnect> {
            self.0.handle_input(now, from)
        }
        fn handle_timeout(&mut self, now: Instant) -> Result<(), Disconnect> {
            self.0.handle_timeout(now)
        }
    }
    impl Reconnect for Stopping {
        fn with_hosts<R>(&mut self, f: impl FnOnce(&mut Hosts) -> R) -> R {
            self.0.with_hosts(f)
        }
        fn timing(&mut self) -> Timing {
            self.0.timing()
        }
        fn handle_dialled(&mut self, now: Instant, opening: Opening<'_>) -> bool {
            self.0.handle_dialled(now, opening)
        }
        fn is_established(&self) -> bool {
            self.0.is_established()
        }
        fn handle_closed(&mut self, now: Instant, closed: Closed<'_>) {
            self.0.handle_closed(now, closed);
        }
        fn poll_standby(&mut self, now: Instant, _: &Waker) -> Standby {
            let since = *self.0.waits_since.get_or_insert(now);
            let due = since + Duration::from_secs(60);
            Standby {
                stop: due <= now,
                // It has no effect: there is nothing to leave.
                leave: true,
                due: Some(due),
            }
        }
    }
    let mut stopping = Stopping(Counter::new(&[], 1));
    let begun = tokio::time::Instant::now();
    let unused = dial_fn(|_| std::future::pending::<std::io::Result<DuplexStream>>());
    stay_connected(&mut stopping, &ReconnectOptions::new(unused)).await;
    assert_eq!(begun.elapsed(), Duration::from_secs(60));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_loop_writes_its_last_output() {
    let (near, mut far) = duplex(4096);
    let near = std::sync::Mutex::new(Some(near));
    let dial = dial_fn(move |_| {
        let stream = near.lock().unwrap().take();
        async move { stream.ok_or_else(|| std::io::Error::other("once")) }
    });
    let mut counter = Counter::new(&["zk1:2181"], 1);
    counter.last_words = b"bye";
    let options = ReconnectOptions::new(dial);
    tokio::select! {
        biased;
        () = stay_connected(&mut counter, &options) => panic!("it ended"),
        read = read_frame(&mut far) => assert!(read.is_some()),
    }
    let mut rest = Vec::new();
    far.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"bye");
    assert!(counter.ends.is_empty());
}

/// Prepares for ever, or fails.
#[derive(Debug)]
struct Kerberos {
    ready: bool,
}

impl Login for Kerberos {
    fn mechanism(&self) -> &str {
        "GSSAPI"
    }

    fn begin<'a>(&'a self, _: &'a HostPort) -> Beginning<'a> {
        let ready = self.ready;
        Box::pin(async move {
            if !ready {
                std::future::pending::<()>().await;
            }
            Err(SaslError::Unusable("no ticket".to_owned()))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_cannot_prepare_is_a_reason() {
    for (ready, waited) in [(true, 0), (false, 30)] {
        let mut counter = Counter::new(&["zk1:2181"], 1);
        counter.max_ends = 1;
        let unused = dial_fn(|_| std::future::pending::<std::io::Result<DuplexStream>>());
        let login: Arc<dyn Login> = Arc::new(Kerberos { ready });
        let options = ReconnectOptions::new(unused).login(Some(login));
        let begun = tokio::time::Instant::now();
        stay_connected(&mut counter, &options).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(waited));
        let [Disconnect::LoginFailed { mechanism, cause }] = counter.reasons()[..] else {
            panic!("the login succeeded")
        };
        assert_eq!(mechanism, "GSSAPI");
        assert_eq!(cause.is_temporary(), !ready);
    }
}

/// A login that is ready.
#[derive(Debug)]
struct Ready;

impl Login for Ready {
    fn mechanism(&self) -> &str {
        "PLAIN"
    }

    fn begin<'a>(&'a self, _: &'a HostPort) -> Beginning<'a> {
        Box::pin(async { Ok(Box::new(Ready) as Box<dyn Mechanism>) })
    }
}

impl Mechanism for Ready {
    fn step(&mut self, _: Option<&[u8]>) -> Result<Step, SaslError> {
        Ok(Step::Done)
    }
}

/// Collects why connections have ended.
#[derive(Debug, Default)]
struct Ends(Vec<Disconnect>);

impl LinkHandler for Ends {
    type Token = ();

    fn connect_request(&mut self) -> ConnectRequest {
        request()
    }

    fn handle_received(
        &mut self,
        _: Instant,
        _: &mut Link<()>,
        _: Received<()>,
    ) -> Result<(), Disconnect> {
        Ok(())
    }

    fn handle_closed(&mut self, _: &HostPort, reason: &Disconnect, _: Vec<Lost<()>>) -> bool {
        self.0.push(reason.clone());
        true
    }
}

/// Its requests would be those of an anonymous client.
#[tokio::test(start_paused = true)]
async fn a_bare_link_with_a_login_sends_nothing() {
    let (near, mut far) = duplex(4096);
    let near = std::sync::Mutex::new(Some(near));
    let dial = dial_fn(move |_| {
        let near = near.lock().unwrap().take();
        async move { near.ok_or_else(|| std::io::Error::other("no")) }
    });
    let options = ReconnectOptions::new(dial).login(Some(Arc::new(Ready)));
    let hosts = vec!["zk1:2181".parse().unwrap()];
    let hosts = Hosts::new(hosts, BackoffPolicy::default(), 7);
    let mut endpoint = LinkEndpoint::new(hosts, Ends::default());
    stay_connected(&mut endpoint, &options).await;
    let ends = endpoint.into_handler().0;
    assert!(
        matches!(ends[..], [Disconnect::LoginFailed { .. }]),
        "{ends:?}"
    );
    drop(options);
    let mut sent = Vec::new();
    far.read_to_end(&mut sent).await.unwrap();
    assert!(sent.is_empty());
}

/// A session that exists is not slept away, however long the backoff.
#[tokio::test(start_paused = true)]
async fn the_session_bounds_the_pause() {
    for (alive, longest) in [(true, TIMEOUT / 8), (false, Duration::from_secs(5))] {
        let mut counter = Counter::new(&["zk1:2181"], 1);
        counter.alive = alive;
        counter.max_ends = 12;
        let refused = dial_fn(|_| async { Err::<DuplexStream, _>(std::io::Error::other("no")) });
        let options = ReconnectOptions::new(refused);
        let mut most = Duration::ZERO;
        let mut last = tokio::time::Instant::now();
        while let Some(attempt) = next_attempt(&mut counter).await {
            most = most.max(last.elapsed());
            assert_eq!(attempt.budget, TIMEOUT / 3);
            connect(&mut counter, &options, attempt).await;
            last = tokio::time::Instant::now();
        }
        // A timer may be a millisecond late.
        assert!(most <= longest + Duration::from_millis(2), "{most:?}");
        assert!(most > longest / 2, "{most:?}");
    }
}

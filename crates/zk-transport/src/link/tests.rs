use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use zk_proto::records::{ConnectRequest, ConnectResponse};
use zk_proto::{
    Encode, ErrorCode, EventType, KeeperState, OpCode, ReplyHeader, SessionId, SessionPassword,
    WatcherEvent, Xid, Zxid, xid,
};

use super::wire::PREAMBLE;
use super::*;
use crate::error::Disconnect;

const BUDGET: Duration = Duration::from_secs(1);

fn connect_request() -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 6000,
        session_id: SessionId::default(),
        password: SessionPassword::zero(),
        read_only: Some(false),
    }
}

fn connect_response(timeout_ms: i32) -> Bytes {
    let mut out = BytesMut::new();
    ConnectResponse {
        protocol_version: 0,
        timeout_ms,
        session_id: SessionId(7),
        password: SessionPassword::zero(),
        read_only: false,
    }
    .encode(&mut out);
    out.freeze()
}

fn reply(xid: Xid, zxid: i64, err: i32, body: &[u8]) -> Bytes {
    let mut out = BytesMut::new();
    ReplyHeader {
        xid,
        zxid: Zxid(zxid),
        err,
    }
    .encode(&mut out);
    out.extend_from_slice(body);
    out.freeze()
}

/// An open link with a session of 6 s, its handshake already taken from the output.
fn open(now: Instant) -> Link<u32> {
    let mut link = Link::new(now, &connect_request(), BUDGET);
    link.poll_output(&mut BytesMut::new());
    link.handle_frame(connect_response(6000)).unwrap();
    link
}

fn written(link: &Link<u32>) -> u64 {
    link.taken
}

/// The requests in flight are not lost.
/// Guards: A12, B17.
#[test]
fn a_reply_to_another_xid_ends_the_link() {
    let now = Instant::now();
    let mut link = open(now);
    for token in 0..3 {
        link.submit(now, OpCode::GetData, token, usize::MAX, |_| {})
            .unwrap();
    }
    assert_eq!(
        link.handle_frame(reply(2, 5, 0, b"")).unwrap_err(),
        Disconnect::XidMismatch {
            got: 2,
            expected: 1
        }
    );
    let tokens: Vec<u32> = link.into_lost(0, &[]).map(|lost| lost.token).collect();
    assert_eq!(tokens, [0, 1, 2]);
}

/// Guards: A16, B19.
#[test]
fn unsolicited_ping_replies_are_tolerated() {
    let mut link = open(Instant::now());
    for _ in 0..3 {
        assert!(matches!(
            link.handle_frame(reply(xid::PING, 1, 0, b"")),
            Ok(Received::Pong)
        ));
    }
}

/// Guards: A13, B16.
#[test]
fn xids_wrap_to_one() {
    let now = Instant::now();
    let mut link = open(now);
    link.next_xid = i32::MAX - 1;
    for (token, expected) in [(0, i32::MAX - 1), (1, i32::MAX), (2, 1), (3, 2)] {
        link.submit(now, OpCode::Exists, token, usize::MAX, |_| {})
            .unwrap();
        assert_eq!(link.in_flight.back().unwrap().xid, expected);
    }
}

/// Guards: A17.
#[test]
fn an_oversize_request_leaves_no_trace() {
    let now = Instant::now();
    let mut link = open(now);
    let record = |out: &mut BytesMut| out.put_bytes(1, 100);
    assert_eq!(link.submit(now, OpCode::Create, 1, 107, record), Err(108));
    assert_eq!((link.pending_output(), link.in_flight()), (0, 0));
    assert_eq!(link.submit(now, OpCode::Create, 1, 108, record), Ok(()));
    assert_eq!(link.in_flight.back().unwrap().xid, 1);
}

#[test]
fn replies_carry_token_op_and_refusal() {
    let now = Instant::now();
    let mut link = open(now);
    link.submit(now, OpCode::GetData, 4, usize::MAX, |_| {})
        .unwrap();
    let later = now + Duration::from_secs(1);
    link.submit(later, OpCode::Delete, 5, usize::MAX, |_| {})
        .unwrap();
    let Received::Reply {
        token: 4,
        op: OpCode::GetData,
        zxid,
        result: Ok(body),
        submitted,
    } = link.handle_frame(reply(1, 9, 0, b"abc")).unwrap()
    else {
        panic!("not the reply")
    };
    assert_eq!(submitted, now);
    assert_eq!((zxid, &body[..]), (Zxid(9), &b"abc"[..]));
    assert!(matches!(
        link.handle_frame(reply(2, 10, -101, b"")).unwrap(),
        Received::Reply {
            token: 5,
            result: Err(ErrorCode::NoNode),
            ..
        }
    ));
}

/// kazoo's C1: the auth reply must not be taken for the oldest request's.
/// Guards: C1.
#[test]
fn an_auth_reply_may_overtake_other_replies() {
    let now = Instant::now();
    let mut link = open(now);
    link.submit(now, OpCode::GetData, 1, usize::MAX, |_| {})
        .unwrap();
    link.submit_auth("digest", b"u:p", 2);
    assert!(matches!(
        link.handle_frame(reply(xid::AUTH, 0, 0, b"")).unwrap(),
        Received::Auth {
            token: 2,
            refused: None
        }
    ));
    assert!(matches!(
        link.handle_frame(reply(1, 3, 0, b"")).unwrap(),
        Received::Reply { token: 1, .. }
    ));
}

/// Guards: B24.
#[test]
fn an_idle_link_pings_then_gives_up() {
    let start = Instant::now();
    let mut link = open(start);
    assert_eq!(link.poll_timeout(), start + Duration::from_millis(500));
    link.handle_timeout(start + Duration::from_millis(500))
        .unwrap();
    let mut sent = BytesMut::new();
    link.poll_output(&mut sent);
    assert_eq!(&sent[..], [0, 0, 0, 8, 255, 255, 255, 254, 0, 0, 0, 11]);
    assert_eq!(link.poll_timeout(), start + Duration::from_secs(1));
    assert_eq!(
        link.handle_timeout(start + Duration::from_secs(4)),
        Err(Disconnect::ReadTimeout(Duration::from_secs(4)))
    );
}

/// A socket that takes nothing gets one ping, not one per interval.
/// Guards: D10, B23.
#[test]
fn a_stalled_output_buffer_holds_one_ping() {
    let start = Instant::now();
    let mut link = open(start);
    for second in 2..60 {
        let now = start + Duration::from_secs(second);
        link.handle_received(now);
        link.handle_timeout(now).unwrap();
    }
    assert_eq!(link.pending_output(), 12);
}

/// kazoo's C2: sending does not prove that the peer is alive.
/// Guards: C2.
#[test]
fn a_busy_sender_notices_a_dead_peer() {
    let start = Instant::now();
    let mut link = open(start);
    for ms in (0..4000).step_by(100) {
        let now = start + Duration::from_millis(ms);
        link.handle_timeout(now).unwrap();
        link.submit(now, OpCode::Exists, 0, usize::MAX, |_| {})
            .unwrap();
    }
    assert!(link.handle_timeout(start + Duration::from_secs(4)).is_err());
}

#[test]
fn the_acknowledged_time_is_that_of_sending() {
    let start = Instant::now();
    let mut link = open(start);
    assert_eq!(link.acknowledged(), start);
    let sent = start + Duration::from_secs(1);
    link.submit(sent, OpCode::Exists, 0, usize::MAX, |_| {})
        .unwrap();
    link.handle_received(start + Duration::from_secs(3));
    link.handle_frame(reply(1, 1, 0, b"")).unwrap();
    assert_eq!(link.acknowledged(), sent);
}

#[test]
fn a_handshake_has_a_deadline_of_its_own() {
    let start = Instant::now();
    let mut link: Link<u32> = Link::new(start, &connect_request(), BUDGET);
    link.handle_received(start + BUDGET / 2);
    assert_eq!(link.poll_timeout(), start + BUDGET);
    assert_eq!(
        link.handle_timeout(start + BUDGET),
        Err(Disconnect::HandshakeTimeout(BUDGET))
    );
}

#[test]
fn sent_and_unsent_differ_at_every_byte() {
    let now = Instant::now();
    let mut whole = 0;
    let frames = 3 * (PREAMBLE + 5) as u64;
    for accepted in 0..=frames {
        let mut link = open(now);
        let base = written(&link);
        for token in 0..2 {
            link.submit(now, OpCode::SetData, token, usize::MAX, |out| {
                out.put_slice(b"01234")
            })
            .unwrap();
        }
        let mut taken = BytesMut::new();
        link.poll_output(&mut taken);
        link.submit(now, OpCode::SetData, 2, usize::MAX, |out| {
            out.put_slice(b"abcde")
        })
        .unwrap();
        if accepted > taken.len() as u64 {
            break;
        }
        taken.advance(usize::try_from(accepted).unwrap());
        for (lost, n) in link.into_lost(base + accepted, &taken).zip(0u64..) {
            let (start, end) = (n * 17, (n + 1) * 17);
            match lost.sent {
                Sent::All => assert!(accepted >= end),
                Sent::Part => assert!(start < accepted && accepted < end),
                Sent::Nothing(record) => {
                    assert!(accepted <= start);
                    assert_eq!(&record[..], if n == 2 { b"abcde" } else { b"01234" });
                    whole += 1;
                }
            }
        }
    }
    assert!(whole > 0);
}

/// Answers that have arrived still count.
#[test]
fn a_link_that_is_given_up_ends_at_once() {
    let now = Instant::now();
    let mut link = open(now);
    link.submit(now, OpCode::Delete, 5, usize::MAX, |_| {})
        .unwrap();
    assert!(link.poll_timeout() > now);
    link.give_up();
    assert!(link.poll_timeout() <= now);
    assert!(link.handle_frame(reply(1, 9, 0, b"")).is_ok());
    assert!(matches!(link.handle_timeout(now), Err(Disconnect::GivenUp)));
}

/// Apache's server prolongs a session for requests and pings only (`ZooKeeperServer.processPacket`):
/// a link that only sends credentials must still ping, and their replies do not extend the lease.
#[test]
fn credentials_are_no_sign_of_life() {
    let now = Instant::now();
    let mut link = open(now);
    let due = link.poll_timeout();
    let later = now + Duration::from_millis(1500);
    link.submit_auth("digest", b"u:p", 2);
    assert_eq!(link.poll_timeout(), due);
    link.handle_received(later);
    link.handle_frame(reply(xid::AUTH, 0, 0, b"")).unwrap();
    assert_eq!(link.acknowledged(), now);
}

/// Servers omit the read-only byte for clients that they take for old ones.
/// Guards: B5.
#[test]
fn the_read_only_byte_may_be_missing() {
    let now = Instant::now();
    let whole = connect_response(6000);
    for answer in [whole.clone(), whole.slice(..whole.len() - 1)] {
        let mut link: Link<u32> = Link::new(now, &connect_request(), BUDGET);
        let received = link.handle_frame(answer).unwrap();
        assert!(matches!(received, Received::Connected(_)));
        assert!(link.is_open());
    }
    let mut link: Link<u32> = Link::new(now, &connect_request(), BUDGET);
    assert!(link.handle_frame(whole.slice(..whole.len() - 2)).is_err());
}

/// Unless they are refusals.
/// Guards: B19.
#[test]
fn unsolicited_auth_replies_are_tolerated() {
    let mut link = open(Instant::now());
    let verdict = |err| reply(xid::AUTH, 0, err, b"");
    assert!(matches!(link.handle_frame(verdict(0)), Ok(Received::Pong)));
    assert_eq!(
        link.handle_frame(verdict(-115)).unwrap_err(),
        Disconnect::Unsolicited(xid::AUTH)
    );
}

#[test]
fn an_absurd_session_is_refused() {
    let granted = |requested, granted| {
        let request = ConnectRequest {
            timeout_ms: requested,
            ..connect_request()
        };
        let mut link: Link<u32> = Link::new(Instant::now(), &request, BUDGET);
        link.handle_frame(connect_response(granted)).map(|_| ())
    };
    for absurd in [1, 9, 24 * 3600 * 1000 + 1, i32::MAX] {
        let refused = granted(6000, absurd).unwrap_err();
        let asked = format!("a session of {absurd} ms where 6000 ms were requested");
        assert!(refused.to_string().contains(&asked), "{refused}");
        assert_eq!(granted(absurd, absurd), Ok(()));
    }
    // The last two mean that a session has expired.
    for timeout in [10, 24 * 3600 * 1000, 0, -1] {
        assert_eq!(granted(6000, timeout), Ok(()));
    }
}

#[test]
fn a_handshake_of_a_mebibyte_is_refused() {
    let mut link: Link<u32> = Link::new(Instant::now(), &connect_request(), BUDGET);
    let mut response = BytesMut::new();
    ConnectResponse {
        protocol_version: 0,
        timeout_ms: 6000,
        session_id: SessionId(7),
        password: SessionPassword::new(vec![0; 1 << 20].into()),
        read_only: false,
    }
    .encode(&mut response);
    assert!(matches!(
        link.handle_frame(response.freeze()),
        Err(Disconnect::NotZooKeeper(_))
    ));
}

/// Frames that answer nothing hold neither the connection nor memory for ever.
#[test]
fn a_server_that_answers_nothing_is_left() {
    // The server answers no ping; then it answers pings and no request.
    for pongs in [false, true] {
        let start = Instant::now();
        let mut link = open(start);
        if pongs {
            link.submit(start, OpCode::GetData, 1, usize::MAX, |_| {})
                .unwrap();
        }
        let mut now = start;
        let reason = loop {
            now += Duration::from_millis(100);
            link.handle_received(now);
            if pongs {
                link.handle_frame(reply(xid::PING, 1, 0, b"")).unwrap();
            }
            if let Err(reason) = link.handle_timeout(now) {
                break reason;
            }
            link.poll_output(&mut BytesMut::new());
            assert!(link.pings.len() <= 12 * 10 + 1);
            assert!(now < start + Duration::from_secs(120));
        };
        assert!(matches!(reason, Disconnect::Unanswered(_)), "{reason:?}");
        assert!(now >= start + Duration::from_secs(60));
    }
}

/// Replies that keep coming are answers, however long the last of them takes.
/// Guards: B25.
#[test]
fn a_slow_server_is_not_left() {
    let mut now = Instant::now();
    let mut link = open(now);
    for token in 0..100 {
        link.submit(now, OpCode::GetData, token, usize::MAX, |_| {})
            .unwrap();
    }
    for xid in 1..=100 {
        now += Duration::from_secs(3);
        link.handle_received(now);
        link.handle_frame(reply(xid, 1, 0, b"")).unwrap();
        link.handle_frame(reply(xid::PING, 1, 0, b"")).unwrap();
        assert_eq!(link.handle_timeout(now), Ok(()));
        link.poll_output(&mut BytesMut::new());
    }
}

#[test]
fn an_unrequested_read_only_is_refused() {
    for (asked, accepted) in [(None, false), (Some(false), false), (Some(true), true)] {
        let request = ConnectRequest {
            read_only: asked,
            ..connect_request()
        };
        let mut link: Link<u32> = Link::new(Instant::now(), &request, BUDGET);
        let mut response = BytesMut::from(&connect_response(6000)[..]);
        *response.last_mut().unwrap() = 1;
        assert_eq!(link.handle_frame(response.freeze()).is_ok(), accepted);
    }
}

/// Apache ZooKeeper 3.8 answers like this without a quorum and without `localSessionsEnabled`: with an
/// ordinary reply's header, and the connection stays open.
/// Guards: A30.
#[test]
fn a_server_without_quorum_is_recognised() {
    let now = Instant::now();
    let refused = |err| {
        Link::<u32>::new(now, &connect_request(), BUDGET)
            .handle_frame(reply(0, 0, err, b""))
            .unwrap_err()
    };
    let not_read_only = ErrorCode::NotReadOnly.code();
    assert_eq!(refused(not_read_only), Disconnect::WithoutQuorum);
    assert!(matches!(refused(-5), Disconnect::NotZooKeeper(_)));
}

/// And only an open link decodes one.
#[test]
fn a_notification_changes_nothing() {
    let now = Instant::now();
    let mut event = BytesMut::new();
    WatcherEvent {
        kind: EventType::NodeDeleted,
        state: KeeperState::SyncConnected,
        path: "/a",
    }
    .encode(&mut event);
    for (zxid, known) in [(-1, None), (0, None), (7, Some(Zxid(7)))] {
        let frame = reply(xid::NOTIFICATION, zxid, 0, &event);
        let mut link = open(now);
        link.submit(now, OpCode::GetData, 1, usize::MAX, |_| {})
            .unwrap();
        let fired = link.notification(&frame).unwrap().expect("a notification");
        assert_eq!(
            (fired.zxid, fired.event.kind),
            (known, EventType::NodeDeleted)
        );
        assert_eq!(fired.event.path, "/a");
        assert_eq!(link.in_flight(), 1);
        // Truncated anywhere, the frame is a protocol error and no panic.
        for end in 4..frame.len() {
            assert!(link.notification(&frame[..end]).is_err(), "{end}");
        }
        let opening: Link<u32> = Link::new(now, &connect_request(), Duration::from_secs(1));
        assert!(opening.notification(&frame).unwrap().is_none());
    }
    let answer = reply(1, 7, 0, &event);
    assert!(open(now).notification(&answer).unwrap().is_none());
}

#[test]
fn the_longest_budget_has_an_end() {
    let now = Instant::now();
    let link: Link<u32> = Link::new(now, &connect_request(), Duration::MAX);
    assert!(link.poll_timeout() > now + BUDGET);
}

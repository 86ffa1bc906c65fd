//! The state machine without a runtime, on a virtual clock.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use zk_proto::records::{ConnectRequest, CreateRequest};
use zk_proto::{Acl, Encode, OpCode, RequestHeader, SessionId, SessionPassword, Zxid};

use crate::Options;
use crate::core::{ConnectionId, Peer, State};

fn connect() -> Bytes {
    let mut out = BytesMut::new();
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: 10_000,
        session_id: SessionId::NONE,
        password: SessionPassword::zero(),
        read_only: Some(false),
    }
    .encode(&mut out);
    out.freeze()
}

fn create(path: &str, flags: i32) -> Bytes {
    create_by(OpCode::Create, path, flags)
}

fn create_by(op: OpCode, path: &str, flags: i32) -> Bytes {
    let mut out = BytesMut::new();
    RequestHeader::new(1, op).encode(&mut out);
    let request = CreateRequest {
        path: path.into(),
        data: Some(b"data"),
        acl: Acl::open().into(),
        flags,
    };
    request.encode(&mut out);
    out.freeze()
}

fn open(state: &mut State, now: Instant) -> ConnectionId {
    let id = state.open(now, 0, Peer::Memory).unwrap();
    state.handle_frame(now, id, &connect());
    assert!(!state.take_output(id).0.is_empty());
    id
}

#[test]
fn a_session_ends_by_the_time_passed_in() {
    let start = Instant::now();
    let mut state = State::new(Options::default(), start);
    let id = open(&mut state, start);
    state.handle_frame(start, id, &create("/e", 1));
    let ends = start + Duration::from_secs(12);
    assert_eq!(state.poll_timeout(), ends);
    state.handle_timeout(ends - Duration::from_millis(1));
    assert!(state.node("/e").is_some());
    state.handle_timeout(ends);
    assert!(state.node("/e").is_none() && state.sessions().is_empty());
    assert!(state.take_output(id).1);
}

#[test]
fn the_log_keeps_the_last_transactions() {
    let now = Instant::now();
    let options = Options {
        log_limit: 3,
        ..Options::default()
    };
    let mut state = State::new(options, now);
    let id = open(&mut state, now);
    for path in ["/a", "/b", "/b", "/c"] {
        state.handle_frame(now, id, &create(path, 0));
    }
    let zxids = |after| {
        let log = state.log_after(Zxid(after));
        log.iter()
            .map(|txn| (txn.zxid.0, txn.error.is_some()))
            .collect::<Vec<_>>()
    };
    assert_eq!(zxids(0), [(3, false), (4, true), (5, false)]);
    assert_eq!(zxids(4), [(5, false)]);
    assert_eq!(state.zxid(), Zxid(5));
}

#[test]
fn a_client_that_does_not_read_is_closed() {
    let now = Instant::now();
    let options = Options {
        max_pending_output: 1_000,
        ..Options::default()
    };
    let mut state = State::new(options, now);
    let id = state.open(now, 0, Peer::Memory).unwrap();
    state.handle_frame(now, id, &connect());
    for _ in 0..100 {
        state.handle_frame(now, id, &create("/a", 0));
    }
    let (output, closing) = state.take_output(id);
    assert!(closing && output.len() < 1_100);
}

#[test]
fn a_disconnect_removes_watches() {
    let now = Instant::now();
    let mut state = State::new(Options::default(), now);
    let id = open(&mut state, now);
    let mut frame = BytesMut::new();
    RequestHeader::new(1, OpCode::Exists).encode(&mut frame);
    zk_proto::jute::put_str(&mut frame, "/a");
    frame.put_u8(1);
    state.handle_frame(now, id, &frame.freeze());
    assert_eq!(state.watches_on("/a").data, 1);
    state.handle_disconnect(id);
    assert_eq!(state.watch_counts(), Default::default());
    assert_eq!((state.connection_count(), state.sessions().len()), (0, 1));
}

/// Frames with a known operation and random bytes after it.
fn frame() -> impl Strategy<Value = Bytes> {
    let ops = prop::sample::select(OpCode::ALL.to_vec());
    let path = prop::sample::select(vec!["/", "", "/a", "/a/b", "nope", "/a/", "/zookeeper"]);
    let tail = prop::collection::vec(
        prop::sample::select(vec![0_u8, 0, 0, 1, 2, 4, 31, 255]),
        0..60,
    );
    (ops, path, any::<bool>(), tail).prop_map(|(op, path, with_path, tail)| {
        let mut out = BytesMut::new();
        RequestHeader::new(1, op).encode(&mut out);
        if with_path {
            zk_proto::jute::put_str(&mut out, path);
        }
        out.put_slice(&tail);
        out.freeze()
    })
}

#[test]
fn a_restore_keeps_what_persists() {
    let now = Instant::now();
    let options = Options {
        members: 3,
        ..Options::default()
    };
    let mut state = State::new(options, now);
    let id = open(&mut state, now);
    for (path, flags) in [("/a", 0), ("/a/b", 0), ("/a/e", 1), ("/gone", 0)] {
        state.handle_frame(now, id, &create(path, flags));
    }
    state.handle_frame(now, id, &create_by(OpCode::CreateContainer, "/c", 4));
    let before = state.node("/a").unwrap();
    state.restore(now, |nodes| {
        nodes.remove("/gone");
        nodes.insert("/a/new".to_owned(), Bytes::from_static(b"new"));
    });
    let ours = |path: &String| path.starts_with("/a") || path.starts_with("/c");
    let paths: Vec<_> = state.paths().into_iter().filter(ours).collect();
    assert_eq!(paths, ["/a", "/a/b", "/a/new", "/c"]);
    assert!(state.node("/gone").is_none() && state.sessions().is_empty());
    let after = state.node("/a").unwrap();
    assert_eq!((after.data, after.acl), (before.data, before.acl));
    assert_eq!(after.stat.num_children, 2);
    assert_eq!(state.node("/a/new").unwrap().data.unwrap(), "new");
    assert!(state.node("/c").unwrap().is_container);
    // They start over, in the first epoch of an ensemble.
    assert_eq!(after.stat.czxid.0 & 0xffff_ffff, 1);
    assert!(state.members.iter().all(|member| member.zxid == state.zxid));
}

#[test]
fn a_parents_pzxid_can_be_kept() {
    for keeps_pzxid in [false, true] {
        let now = Instant::now();
        let options = Options {
            keeps_pzxid,
            ..Options::default()
        };
        let mut state = State::new(options, now);
        let id = open(&mut state, now);
        state.handle_frame(now, id, &create("/a", 0));
        state.handle_frame(now, id, &create("/a/e", 1));
        let before = state.node("/a").unwrap().stat;
        let session = state.sessions()[0].id;
        assert!(state.expire_session(now, session));
        let after = state.node("/a").unwrap().stat;
        assert_eq!((before.num_children, after.num_children), (1, 0));
        assert_eq!(before.pzxid == after.pzxid, keeps_pzxid);
    }
}

proptest! {
    #[test]
    fn no_frame_panics(
        first in prop::collection::vec(any::<u8>(), 0..60),
        frames in prop::collection::vec(frame(), 0..40),
        raw in prop::collection::vec(any::<u8>(), 0..60),
        members in 1_usize..4,
    ) {
        let now = Instant::now();
        let options = Options { members, ..Options::default() };
        let mut state = State::new(options, now);
        let id = state.open(now, 0, Peer::Memory).unwrap();
        state.handle_frame(now, id, &Bytes::from(first));
        for frame in frames {
            let id = open(&mut state, now);
            state.handle_frame(now, id, &create("/a", 0));
            state.handle_frame(now, id, &frame);
            state.handle_frame(now, id, &Bytes::copy_from_slice(&raw));
        }
        state.handle_timeout(now + Duration::from_secs(100_000));
        prop_assert!(state.sessions().is_empty());
        for id in 0..1_000 {
            state.handle_disconnect(ConnectionId(id));
        }
        prop_assert_eq!(state.watch_counts(), Default::default());
    }

    /// Every member has the same tree, whichever member executed a write.
    #[test]
    fn members_agree(writes in prop::collection::vec(
        (0_usize..3, 0_i32..4, prop::sample::select(vec!["/a", "/b", "/a/b", "/a/c"])), 0..40,
    )) {
        let now = Instant::now();
        let options = Options { members: 3, ..Options::default() };
        let mut state = State::new(options, now);
        let connections: Vec<_> = (0..3).map(|member| {
            let id = state.open(now, member, Peer::Memory).unwrap();
            state.handle_frame(now, id, &connect());
            id
        }).collect();
        state.set_lag(0, true);
        for (member, flags, path) in writes {
            state.handle_frame(now, connections[member], &create(path, flags));
        }
        state.set_lag(0, false);
        let shown = |member: usize| {
            let tree = &state.members[member].tree;
            let mut nodes: Vec<_> = tree.paths().map(|(path, node)| (path, node.stat())).collect();
            nodes.sort_by_key(|(path, _)| *path);
            (nodes, state.members[member].zxid)
        };
        prop_assert_eq!(shown(0), shown(1));
        prop_assert_eq!(shown(1), shown(2));
    }
}

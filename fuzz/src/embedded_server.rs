//! The body of the target `embedded_server`. It is not in this package's library, because tests of
//! `zk-proto`, which does not depend on the server, replay that library.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use zk_embedded::Options;
use zk_embedded::core::{ConnectionId, Peer, State};
use zk_proto::records::ConnectResponse;
use zk_proto::{ReplyHeader, decode_frame, path};

const CONNECTIONS: usize = 3;
/// A request for a new session.
const HANDSHAKE: &[u8] = b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x27\x10\0\0\0\0\0\0\0\0\0\0\0\x10\
\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Feeds the server's state machine frames from a few peers, while time passes.
///
/// The data is a list of commands of one byte each. The upper half is the number of a connection, the
/// lower half the command: a frame, preceded by two bytes of length (0 to 9), a valid handshake (10,
/// 11), a new connection instead of the old one (12), a four-letter word (13), as many seconds as the
/// next byte says (14, 15).
///
/// Returns the number of transactions.
pub fn embedded_server(data: &[u8]) -> u32 {
    let mut now = Instant::now();
    let mut options = Options::default();
    options.enforce_quota = true;
    options.max_pending_output = 1 << 20;
    options.super_digest = Some("super:x".to_owned());
    options.container_check_interval = Duration::from_secs(5);
    if data.first().is_some_and(|&first| first >= 128) {
        options.pose = zk_embedded::Pose::V3_8;
        options.members = 3;
    }
    let mut state = State::new(options, now);
    let mut peers: Vec<_> = (0..CONNECTIONS).map(|_| open(&mut state, now)).collect();
    let mut input = data.get(1..).unwrap_or_default();
    while let Some((&command, rest)) = input.split_first() {
        input = rest;
        let peer = &mut peers[usize::from(command >> 4) % CONNECTIONS];
        match command & 15 {
            0..=9 => {
                let len = usize::from(take(&mut input)) << 8 | usize::from(take(&mut input));
                let (frame, rest) = input.split_at(len.min(input.len()));
                input = rest;
                state.handle_frame(now, peer.id, &Bytes::copy_from_slice(frame));
            }
            10..=11 => state.handle_frame(now, peer.id, &Bytes::from_static(HANDSHAKE)),
            12 => {
                state.handle_disconnect(peer.id);
                *peer = open(&mut state, now);
            }
            13 => {
                let word = [(); 4].map(|()| take(&mut input));
                // An answer or none: both are right.
                let _ = state.four_letter_word(now, 0, Peer::Memory, word);
            }
            _ => {
                now += Duration::from_secs(take(&mut input).into());
                state.handle_timeout(now);
                assert!(state.poll_timeout() > now);
            }
        }
        deliver(&mut state, &mut peers);
    }
    assert_sound(&state);
    state.zxid().counter()
}

struct Connected {
    id: ConnectionId,
    /// Whether the handshake was answered.
    greeted: bool,
}

fn open(state: &mut State, now: Instant) -> Connected {
    let id = state
        .open(now, 0, Peer::Memory)
        .expect("the member serves clients");
    Connected { id, greeted: false }
}

fn take(input: &mut &[u8]) -> u8 {
    let Some((&first, rest)) = input.split_first() else {
        return 0;
    };
    *input = rest;
    first
}

/// Everything a server sends is a frame that a client can read.
fn deliver(state: &mut State, peers: &mut [Connected]) {
    while let Some(id) = state.poll_ready() {
        let (output, closing) = state.take_output(id);
        let lengths = output.frames().to_vec();
        let stream: Vec<u8> = output.into_chunks().into_iter().flatten().collect();
        assert_eq!(stream.len(), lengths.iter().sum::<usize>());
        let mut stream = Bytes::from(stream);
        for len in lengths {
            let frame = stream.split_to(len).split_off(4);
            let Some(peer) = peers.iter_mut().find(|peer| peer.id == id) else {
                continue;
            };
            if peer.greeted {
                decode_frame::<ReplyHeader>(&frame, 0).expect("a reply");
            } else {
                decode_frame::<ConnectResponse>(&frame, 0).expect("a handshake");
                peer.greeted = true;
            }
        }
        if closing {
            state.handle_disconnect(id);
        }
    }
}

/// Every node has a parent, counts of children are right, and the sessions of ephemerals exist.
fn assert_sound(state: &State) {
    let paths = state.paths();
    let mut children: HashMap<&str, i32> = HashMap::new();
    for path in &paths {
        if let Some(parent) = path::parent(path) {
            assert!(state.node(parent).is_some(), "{path} has no parent");
            *children.entry(parent).or_default() += 1;
        }
    }
    let sessions = state.sessions();
    for path in &paths {
        let stat = state.node(path).expect("the path is listed").stat;
        let expected = children.get(&**path).copied().unwrap_or_default();
        assert_eq!(stat.num_children, expected, "{path}");
        if let Some(owner) = stat.owner() {
            assert!(sessions.iter().any(|session| session.id == owner), "{path}");
        }
    }
}

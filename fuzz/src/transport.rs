//! The bodies of the targets `frames` and `handshake`. No part of this package's library, because
//! tests of `zk-proto` replay that, and nothing there knows a connection.

use std::time::{Duration, Instant};

use bytes::Bytes;
use zk_proto::records::{ConnectRequest, ConnectResponse};
use zk_proto::{Decode, Decoder, SessionId, SessionPassword, Zxid};
use zk_transport::{Disconnect, FrameReader, Link, Received};

/// What a reader may hold beyond what has arrived.
const SLACK: usize = 64 * 1024;
/// No server answers a handshake with more bytes than this.
const ORDINARY: usize = 41;

/// Splits what follows the first bytes as those say: how many sizes, and these, which repeat.
fn chunks<'a>(sizes: &[u8], mut stream: &'a [u8]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while !stream.is_empty() {
        let size = sizes
            .next()
            .map_or(stream.len(), |size| usize::from(*size) + 1);
        let (chunk, rest) = stream.split_at(size.min(stream.len()));
        chunks.push(chunk);
        stream = rest;
    }
    chunks
}

/// The sizes and the stream.
fn parts(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((&count, rest)) = data.split_first() else {
        return (&[], &[]);
    };
    rest.split_at(usize::from(count % 8).min(rest.len()))
}

/// The frame decoder: the first byte is the limit, in fours; then [`parts`]. However the stream is
/// split, its frames are the same, and nothing is allocated for what has only been announced.
pub fn frames(data: &[u8]) {
    let Some((&limit, data)) = data.split_first() else {
        return;
    };
    let limit = usize::from(limit) * 4;
    let (sizes, stream) = parts(data);
    let expected = by_hand(limit, stream);
    assert_eq!(read(limit, &[stream]), expected);
    assert_eq!(read(limit, &chunks(sizes, stream)), expected);
}

fn read(limit: usize, chunks: &[&[u8]]) -> (Vec<Bytes>, Result<usize, Disconnect>) {
    let mut reader = FrameReader::new(limit);
    let mut frames = Vec::new();
    for chunk in chunks {
        assert!(reader.space().capacity() <= reader.pending().len() * 2 + SLACK);
        reader.extend(chunk);
        loop {
            let seen = reader.peek().map(|frame| frame.map(Bytes::copy_from_slice));
            assert_eq!(reader.next_frame(), seen);
            match seen {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(reason) => return (frames, Err(reason)),
            }
        }
    }
    let left = reader.pending().len();
    (frames, Ok(left))
}

/// What the format says, in few words.
fn by_hand(limit: usize, mut stream: &[u8]) -> (Vec<Bytes>, Result<usize, Disconnect>) {
    let mut frames = Vec::new();
    loop {
        let Some((prefix, rest)) = stream.split_first_chunk::<4>() else {
            return (frames, Ok(stream.len()));
        };
        let announced = i32::from_be_bytes(*prefix);
        let Ok(len) = usize::try_from(announced) else {
            return (frames, Err(Disconnect::NegativeLength(announced)));
        };
        if len > limit {
            return (frames, Err(Disconnect::FrameTooLarge { len, limit }));
        }
        let Some((frame, rest)) = rest.split_at_checked(len) else {
            return (frames, Ok(stream.len()));
        };
        frames.push(Bytes::copy_from_slice(frame));
        stream = rest;
    }
}

/// The handshake: [`parts`] of what a peer answers to the connect request. One session or one error,
/// and the frames behind the first are none of its business.
pub fn handshake(data: &[u8]) {
    let (sizes, stream) = parts(data);
    let alone = by_hand(1 << 16, stream).0.first().cloned();
    let answer = shake(&chunks(sizes, stream));
    let Some(frame) = alone else {
        assert!(!matches!(answer, Some(Ok(_))), "a session out of nothing");
        return;
    };
    let decoded = ConnectResponse::decode(&mut Decoder::new(&frame)).ok();
    match answer.expect("a whole frame is an answer") {
        Ok(response) => {
            assert_eq!(Some(&response), decoded.as_ref());
            // Without the last byte, as servers answer old clients, or with it.
            let password = response.password.as_bytes().len();
            let tail = frame.len().checked_sub(20 + password);
            assert!(tail.is_some(), "a field out of nothing");
            assert!(tail != Some(0) || !response.read_only);
        }
        Err(reason) => {
            // What no server grants is refused as well.
            let ordinary = decoded
                .as_ref()
                .is_some_and(|grant| (2_000..=10_000).contains(&grant.timeout_ms));
            assert!(!ordinary || frame.len() > ORDINARY, "{decoded:?}: {reason}");
            let named = matches!(
                reason,
                Disconnect::NotZooKeeper(_) | Disconnect::WithoutQuorum
            );
            assert!(named, "{reason}");
        }
    }
}

/// The answer to the handshake, if it has come.
fn shake(chunks: &[&[u8]]) -> Option<Result<ConnectResponse, Disconnect>> {
    let now = Instant::now();
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid::ZERO,
        timeout_ms: 10_000,
        session_id: SessionId::NONE,
        password: SessionPassword::zero(),
        read_only: Some(true),
    };
    let mut link: Link<()> = Link::new(now, &request, Duration::from_secs(1));
    let mut reader = FrameReader::new(1 << 16);
    for chunk in chunks {
        reader.extend(chunk);
        match reader.next_frame() {
            Ok(Some(frame)) => {
                let received = link.handle_frame(frame);
                assert_eq!(link.is_open(), received.is_ok());
                return Some(received.map(|received| match received {
                    Received::Connected(response) => response,
                    other => panic!("{other:?} before the handshake"),
                }));
            }
            Ok(None) => assert!(!link.is_open()),
            Err(reason) => return Some(Err(reason)),
        }
    }
    None
}

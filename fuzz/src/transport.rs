//! The bodies of the targets `frames` and `handshake`. They are not in this package's library, because
//! tests of `zk-proto`, which does not depend on the transport, replay that library.

use std::time::{Duration, Instant};

use bytes::Bytes;
use zk_proto::records::{ConnectRequest, ConnectResponse};
use zk_proto::{Decode, Decoder, SessionId, SessionPassword, Zxid};
use zk_transport::{Disconnect, FrameReader, Link, Received};

/// The memory that a reader may hold in addition to the bytes received.
const SLACK: usize = 64 * 1024;
/// The longest handshake of a real server.
const ORDINARY: usize = 41;

/// Splits the stream into chunks of these sizes, which repeat.
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

/// The sizes of chunks and the stream: the first byte is the number of sizes.
fn parts(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((&count, rest)) = data.split_first() else {
        return (&[], &[]);
    };
    rest.split_at(usize::from(count % 8).min(rest.len()))
}

/// The frame decoder. The first byte is a quarter of the limit, the rest are [`parts`]. However the
/// stream is split, its frames are the same, and nothing is allocated for bytes that were only
/// announced.
pub fn frames(data: &[u8]) {
    let Some((&limit, data)) = data.split_first() else {
        return;
    };
    let limit = usize::from(limit) * 4;
    let (sizes, stream) = parts(data);
    let expected = reference(limit, stream);
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

/// The frames of a stream, by a simpler implementation.
fn reference(limit: usize, mut stream: &[u8]) -> (Vec<Bytes>, Result<usize, Disconnect>) {
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

/// The handshake: [`parts`] of a peer's answer to the connect request. The result is one session or one
/// error, and does not depend on frames after the first.
pub fn handshake(data: &[u8]) {
    let (sizes, stream) = parts(data);
    let first = reference(1 << 16, stream).0.first().cloned();
    let answer = shake(&chunks(sizes, stream));
    let Some(frame) = first else {
        assert!(!matches!(answer, Some(Ok(_))), "a session without a frame");
        return;
    };
    let decoded = ConnectResponse::decode(&mut Decoder::new(&frame)).ok();
    match answer.expect("an answer to a whole frame") {
        Ok(response) => {
            assert_eq!(Some(&response), decoded.as_ref());
            // With the last byte, or without it as in answers to old clients.
            let password = response.password.as_bytes().len();
            let tail = frame.len().checked_sub(20 + password);
            assert!(tail.is_some(), "a field without its bytes");
            assert!(tail != Some(0) || !response.read_only);
        }
        Err(reason) => {
            // Timeouts that no server grants are refused too.
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

/// The result of the handshake, if there is one.
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

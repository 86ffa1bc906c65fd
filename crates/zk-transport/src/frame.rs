//! Splitting a byte stream into frames: `i32` length, then that many bytes (output: `link/wire.rs`).

use bytes::{Buf, Bytes, BytesMut};

use crate::error::Disconnect;

/// How many bytes to read at once when the size of the next frame is unknown.
const READ_CHUNK: usize = 16 * 1024;

/// The same on an idle connection, which mostly receives the answer to a ping: a process may have
/// thousands of connections that receive nothing else.
const IDLE_CHUNK: usize = 512;

/// A frame of which an eighth has arrived gets all the room it needs.
const GROWTH: usize = 8;

/// The largest frame in bytes that room is made for before it arrives, if the last frame was as large.
const MAX_EXPECTED: usize = 256 * 1024;

/// Collects received bytes and yields whole frames, without their length prefix.
///
/// Memory grows with what was received, not with what was announced: a peer that announces a large
/// frame and sends little of it causes a small allocation. A frame of the limit costs at most an eighth
/// more than the limit.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    /// Whole frames that were received together and have not been returned, prefixes included.
    whole: Bytes,
    limit: usize,
    /// Whether the buffer is the first since the connection was idle, or there is none yet.
    is_idle: bool,
    /// Size of the last frame, prefix included: the next is often as large, and is not copied if there
    /// is room for all of it from its first byte on.
    last: usize,
}

impl FrameReader {
    /// A reader that refuses frames of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        FrameReader {
            buffer: BytesMut::new(),
            whole: Bytes::new(),
            limit,
            is_idle: true,
            last: 0,
        }
    }

    /// The buffer to append received bytes to. It has room for at least one read.
    pub fn space(&mut self) -> &mut BytesMut {
        let held = self.buffer.len();
        let frame = self.announced().map_or(0, |len| len.saturating_add(4));
        if held == 0 && (2 * READ_CHUNK..=MAX_EXPECTED).contains(&self.last) {
            if self.buffer.capacity() < self.last {
                self.buffer = BytesMut::with_capacity(self.last);
            }
        } else if frame <= 2 * READ_CHUNK {
            let wanted = frame.saturating_sub(held).max(self.chunk() / 4);
            if self.buffer.capacity() - held < wanted {
                self.is_idle &= self.buffer.capacity() == 0;
                let room = wanted.max(self.chunk());
                if !self.buffer.try_reclaim(room) {
                    // Not by `reserve`, which would make it as large as any before.
                    let mut next = BytesMut::with_capacity(held + room);
                    next.extend_from_slice(&self.buffer);
                    self.buffer = next;
                }
            }
        } else if self.buffer.capacity() == held || held < READ_CHUNK / 4 {
            // To the byte, which `reserve` does not do, and no more than a multiple of the bytes that
            // arrived. The last buffer but one is an eighth of the frame.
            let earned = held.saturating_mul(GROWTH);
            let room = if earned >= frame {
                frame
            } else {
                earned.min(frame.div_ceil(GROWTH)).max(READ_CHUNK)
            };
            if self.buffer.capacity() < room.max(held + 1) {
                let mut grown = BytesMut::with_capacity(room.max(held + READ_CHUNK / 4));
                grown.extend_from_slice(&self.buffer);
                self.buffer = grown;
            }
        }
        &mut self.buffer
    }

    fn chunk(&self) -> usize {
        if self.is_idle { IDLE_CHUNK } else { READ_CHUNK }
    }

    /// Releases the buffer that grew under load. To be called when the connection is idle.
    pub fn shrink_idle(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.is_idle = true;
            self.last = 0;
        }
    }

    /// Adds received bytes; for callers that do not read into [`space`](Self::space).
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The received bytes of an incomplete frame, once [`peek`](Self::peek) has found no whole one.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    fn announced(&self) -> Option<usize> {
        let prefix = self.buffer.first_chunk::<4>()?;
        usize::try_from(i32::from_be_bytes(*prefix)).ok()
    }

    /// The next whole frame, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// [`Disconnect::NegativeLength`] and [`Disconnect::FrameTooLarge`], as soon as the length has
    /// arrived and the frames before it have been returned. The stream cannot be resynchronised after
    /// either.
    #[inline]
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, Disconnect> {
        let Some(len) = self.peek()?.map(<[u8]>::len) else {
            return Ok(None);
        };
        let mut frame = self.whole.split_to(4 + len);
        frame.advance(4);
        Ok(Some(frame))
    }

    /// The next whole frame, which stays in the reader until it is skipped or returned.
    ///
    /// # Errors
    /// As of [`next_frame`](Self::next_frame).
    #[inline]
    pub fn peek(&mut self) -> Result<Option<&[u8]>, Disconnect> {
        if self.whole.is_empty() {
            self.split_off_whole()?;
        }
        let next = self.whole.split_first_chunk::<4>();
        Ok(next.and_then(|(prefix, rest)| {
            rest.get(..usize::try_from(i32::from_be_bytes(*prefix)).ok()?)
        }))
    }

    /// Drops the next whole frame, if there is one.
    ///
    /// # Errors
    /// As of [`next_frame`](Self::next_frame).
    #[inline]
    pub fn skip(&mut self) -> Result<(), Disconnect> {
        if let Some(len) = self.peek()?.map(<[u8]>::len) {
            self.whole.advance(4 + len);
            if self.whole.is_empty() {
                // An empty `Bytes` would keep its buffer from being reused.
                self.whole = Bytes::new();
            }
        }
        Ok(())
    }

    /// Takes all whole frames out of the buffer, up to one whose length is invalid.
    fn split_off_whole(&mut self) -> Result<(), Disconnect> {
        let mut end = 0;
        while let Some((prefix, rest)) = self.buffer.get(end..).and_then(<[u8]>::split_first_chunk)
        {
            match self.length(*prefix) {
                Ok(len) if len <= rest.len() => {
                    self.last = 4 + len;
                    end += self.last;
                }
                Err(reason) if end == 0 => return Err(reason),
                _ => break,
            }
        }
        if end > 0 {
            self.whole = self.buffer.split_to(end).freeze();
        }
        Ok(())
    }

    fn length(&self, prefix: [u8; 4]) -> Result<usize, Disconnect> {
        let announced = i32::from_be_bytes(prefix);
        let limit = self.limit;
        match usize::try_from(announced) {
            Err(_) => Err(Disconnect::NegativeLength(announced)),
            Ok(len) if len > limit => Err(Disconnect::FrameTooLarge { len, limit }),
            Ok(len) => Ok(len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames_of(limit: usize, chunks: &[&[u8]]) -> Result<Vec<Bytes>, Disconnect> {
        let mut reader = FrameReader::new(limit);
        let mut frames = Vec::new();
        for chunk in chunks {
            reader.space();
            reader.extend(chunk);
            while let Some(frame) = reader.next_frame()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    /// ZOOKEEPER-4281: exactly the limit must pass.
    /// Guards: B2.
    #[test]
    fn a_frame_of_exactly_the_limit_passes() {
        let mut stream = 8i32.to_be_bytes().to_vec();
        stream.extend([7; 8]);
        assert_eq!(
            frames_of(8, &[&stream]).unwrap(),
            vec![Bytes::from(vec![7; 8])]
        );
        assert_eq!(
            frames_of(7, &[&stream]),
            Err(Disconnect::FrameTooLarge { len: 8, limit: 7 })
        );
        assert_eq!(frames_of(9, &[&stream]).unwrap().len(), 1);
    }

    #[test]
    fn frames_before_an_invalid_length_are_read() {
        let mut reader = FrameReader::new(8);
        reader.extend(&[0, 0, 0, 1, 7, 0, 0, 0, 9]);
        assert_eq!(reader.next_frame(), Ok(Some(Bytes::from_static(&[7]))));
        let refused = Disconnect::FrameTooLarge { len: 9, limit: 8 };
        assert_eq!(reader.next_frame(), Err(refused.clone()));
        assert_eq!(reader.peek(), Err(refused));
        assert_eq!(reader.pending(), [0, 0, 0, 9]);
    }

    #[test]
    fn room_of_consumed_frames_is_reused() {
        let take: [fn(&mut FrameReader); 2] = [
            |reader| drop(reader.next_frame().unwrap()),
            |reader| reader.skip().unwrap(),
        ];
        for take in take {
            let mut reader = FrameReader::new(1 << 20);
            reader.extend(&[0; 4 * READ_CHUNK]);
            while reader.peek().unwrap().is_some() {
                take(&mut reader);
            }
            let room = reader.space().as_ptr();
            for _ in 0..100 {
                let space = reader.space();
                assert_eq!(space.as_ptr(), room);
                let full = vec![0; (space.capacity() - space.len()) / 4 * 4];
                reader.extend(&full);
                while reader.peek().unwrap().is_some() {
                    take(&mut reader);
                }
            }
        }
    }

    /// Guards: C21.
    #[test]
    fn a_negative_length_is_refused() {
        assert_eq!(
            frames_of(9, &[&(-2i32).to_be_bytes()]),
            Err(Disconnect::NegativeLength(-2))
        );
    }

    /// Guards: B3.
    #[test]
    fn an_announced_length_allocates_a_chunk() {
        let mut reader = FrameReader::new(usize::MAX >> 1);
        reader.extend(&i32::MAX.to_be_bytes());
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.space().capacity() <= 2 * READ_CHUNK);
    }

    /// Answers to pings need little room. A connection that receives more gets larger buffers, until it
    /// is idle again.
    /// Guards: R1.
    #[test]
    fn an_idle_connection_holds_little() {
        let mut reader = FrameReader::new(1 << 20);
        for round in 0..3 {
            for _ in 0..3 {
                assert!(reader.space().capacity() <= 2 * IDLE_CHUNK, "round {round}");
                reader.extend(&[0, 0, 0, 2, 1, 1]);
                assert!(reader.next_frame().unwrap().is_some());
            }
            let full = reader.space();
            let room = full.capacity() - full.len();
            // Frames without a byte.
            reader.extend(&vec![0; room / 4 * 4]);
            while reader.next_frame().unwrap().is_some() {}
            assert!(reader.space().capacity() >= READ_CHUNK);
            // The begun frame is kept.
            reader.extend(&[0, 0, 0, 1]);
            reader.shrink_idle();
            reader.extend(&[7]);
            assert_eq!(reader.next_frame().unwrap().unwrap(), [7][..]);
            reader.shrink_idle();
        }
    }

    /// A frame costs no more than an eighth above its size while it arrives.
    #[test]
    fn a_frame_costs_little_more_than_its_size() {
        for limit in [100_000, 1 << 20, 8 << 20] {
            let mut reader = FrameReader::new(limit);
            let announced = i32::try_from(limit).unwrap();
            reader.extend(&announced.to_be_bytes());
            let (mut most, mut held) = (0, 0);
            let frame = loop {
                let before = reader.buffer.capacity();
                let space = reader.space();
                let after = space.capacity();
                // Two buffers at once while one is copied into the other.
                most = most.max(if after > before {
                    before + after
                } else {
                    after
                });
                let read = (after - space.len()).min(limit + 4 - space.len());
                assert!(read > 0, "no room at {held}");
                space.extend_from_slice(&vec![1; read]);
                held += read;
                if let Some(frame) = reader.next_frame().unwrap() {
                    break frame;
                }
            };
            assert_eq!(frame.len(), limit);
            assert!(
                most <= limit + limit / GROWTH + 2 * READ_CHUNK,
                "{most} for {limit}"
            );
        }
    }

    /// Room made after a part of the frame has arrived would cost a copy.
    #[test]
    fn a_frame_of_the_last_size_is_not_copied() {
        let mut reader = FrameReader::new(1 << 20);
        let mut stream = 100_000i32.to_be_bytes().to_vec();
        stream.resize(100_004, 7);
        for turn in 0..4 {
            let mut left = &stream[..];
            let room = reader.space().as_ptr();
            let frame = loop {
                let space = reader.space();
                let (read, rest) = left.split_at(left.len().min(space.capacity() - space.len()));
                space.extend_from_slice(read);
                left = rest;
                if let Some(frame) = reader.next_frame().unwrap() {
                    break frame;
                }
            };
            assert_eq!(frame.len(), 100_000);
            assert_eq!(frame.as_ptr() == room.wrapping_add(4), turn > 0, "{turn}");
        }
    }

    proptest! {
        #[test]
        fn frames_do_not_depend_on_how_bytes_arrive(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in prop::collection::vec(0usize..400, 0..12),
            skipped in any::<u8>(),
        ) {
            let mut stream = Vec::new();
            for body in &bodies {
                stream.extend(i32::try_from(body.len()).unwrap().to_be_bytes());
                stream.extend(body);
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
            let frames = frames_of(64, &chunks).unwrap();
            let bodies: Vec<_> = bodies.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(&frames, &bodies);
            // Some frames are skipped.
            let (mut reader, mut seen) = (FrameReader::new(64), Vec::new());
            for chunk in chunks {
                reader.extend(chunk);
                while let Some(frame) = reader.peek().unwrap().map(Bytes::copy_from_slice) {
                    match skipped >> seen.len() & 1 {
                        0 => prop_assert_eq!(reader.next_frame().unwrap(), Some(frame.clone())),
                        _ => reader.skip().unwrap(),
                    }
                    seen.push(frame);
                }
            }
            prop_assert_eq!(seen, bodies);
        }
    }
}

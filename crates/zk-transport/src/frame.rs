//! Splitting a byte stream into frames: `i32` length, then that many bytes.

use bytes::{Buf, Bytes, BytesMut};

use crate::Disconnect;

/// Bytes asked for when the size of what comes next is unknown.
const READ_CHUNK: usize = 16 * 1024;

/// The same after a silence, which is mostly followed by the answer to a ping: there may be thousands
/// of connections that hear nothing else.
const FIRST_CHUNK: usize = 512;

/// A frame that has brought this part of itself is given all its room.
const GROWTH: usize = 8;

/// Room for a whole frame is made before it comes, if the last one was as large, up to this size.
const MOST_EXPECTED: usize = 256 * 1024;

/// Collects received bytes and yields whole frames, without their length prefix.
///
/// Memory follows what was received, not what was announced: a peer that announces a large frame
/// and sends little of it makes us hold little. All in all a frame of the limit costs an eighth
/// more than the limit.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    /// Whole frames that were received together and have not been returned, prefixes included.
    whole: Bytes,
    limit: usize,
    /// Whether the buffer is the first after a silence, or there is none yet.
    at_rest: bool,
    /// Size of the last frame, prefix included: the next is often as large, and not copied if it has
    /// its room from the first byte on.
    last: usize,
}

impl FrameReader {
    /// A reader that refuses frames of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        FrameReader {
            buffer: BytesMut::new(),
            whole: Bytes::new(),
            limit,
            at_rest: true,
            last: 0,
        }
    }

    /// Where received bytes go. Room for at least one more read has been made.
    pub fn space(&mut self) -> &mut BytesMut {
        let held = self.buffer.len();
        let frame = self.announced().map_or(0, |len| len.saturating_add(4));
        if held == 0 && (2 * READ_CHUNK..=MOST_EXPECTED).contains(&self.last) {
            if self.buffer.capacity() < self.last {
                self.buffer = BytesMut::with_capacity(self.last);
            }
        } else if frame <= 2 * READ_CHUNK {
            let wanted = frame.saturating_sub(held).max(self.chunk() / 4);
            if self.buffer.capacity() - held < wanted {
                self.at_rest &= self.buffer.capacity() == 0;
                let room = wanted.max(self.chunk());
                if !self.buffer.try_reclaim(room) {
                    // Not by `reserve`, which makes it as large as any before.
                    let mut next = BytesMut::with_capacity(held + room);
                    next.extend_from_slice(&self.buffer);
                    self.buffer = next;
                }
            }
        } else if self.buffer.capacity() == held || held < READ_CHUNK / 4 {
            // To the byte, which `reserve` does not do, and so that memory is paid for by bytes
            // that arrived. The last buffer but one is an eighth of the frame.
            let paid = held.saturating_mul(GROWTH);
            let room = if paid >= frame {
                frame
            } else {
                paid.min(frame.div_ceil(GROWTH)).max(READ_CHUNK)
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
        if self.at_rest {
            FIRST_CHUNK
        } else {
            READ_CHUNK
        }
    }

    /// Nothing has been received for a while, and little may come next.
    #[cfg(any(feature = "io", test))]
    pub(crate) fn rest(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
            self.at_rest = true;
            self.last = 0;
        }
    }

    /// Adds received bytes; for callers that do not read into [`space`](Self::space).
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes received that are no whole frame, once [`peek`](Self::peek) has found none.
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

    /// The next whole frame, which stays where it is until it is skipped or returned.
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
                // It would keep the buffer, which could not be used again.
                self.whole = Bytes::new();
            }
        }
        Ok(())
    }

    /// Takes all whole frames out of the buffer, up to one that must not be.
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
            Ok(len) if len > limit || (zk_proto::seeded_bug!("B2") && len == limit) => {
                Err(Disconnect::FrameTooLarge { len, limit })
            }
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

    /// ZOOKEEPER-4281 (B2): exactly the limit must pass.
    #[test]
    fn b2_a_frame_of_exactly_the_limit_passes_and_one_more_byte_does_not() {
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
    fn what_came_before_a_frame_that_must_not_be_is_read() {
        let mut reader = FrameReader::new(8);
        reader.extend(&[0, 0, 0, 1, 7, 0, 0, 0, 9]);
        assert_eq!(reader.next_frame(), Ok(Some(Bytes::from_static(&[7]))));
        let refused = Disconnect::FrameTooLarge { len: 9, limit: 8 };
        assert_eq!(reader.next_frame(), Err(refused.clone()));
        assert_eq!(reader.peek(), Err(refused));
        assert_eq!(reader.pending(), [0, 0, 0, 9]);
    }

    #[test]
    fn the_room_of_frames_that_are_gone_is_used_again() {
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

    #[test]
    fn c21_a_negative_length_is_refused() {
        assert_eq!(
            frames_of(9, &[&(-2i32).to_be_bytes()]),
            Err(Disconnect::NegativeLength(-2))
        );
    }

    #[test]
    fn b3_an_announced_length_alone_allocates_no_more_than_a_chunk() {
        let mut reader = FrameReader::new(usize::MAX >> 1);
        reader.extend(&i32::MAX.to_be_bytes());
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.space().capacity() <= 2 * READ_CHUNK);
    }

    /// Pongs need little room; whoever says more gets it, until the next silence.
    #[test]
    fn r1_a_connection_at_rest_holds_little() {
        let mut reader = FrameReader::new(1 << 20);
        for round in 0..3 {
            for _ in 0..3 {
                assert!(
                    reader.space().capacity() <= 2 * FIRST_CHUNK,
                    "round {round}"
                );
                reader.extend(&[0, 0, 0, 2, 1, 1]);
                assert!(reader.next_frame().unwrap().is_some());
            }
            let full = reader.space();
            let room = full.capacity() - full.len();
            // Frames without a byte.
            reader.extend(&vec![0; room / 4 * 4]);
            while reader.next_frame().unwrap().is_some() {}
            assert!(reader.space().capacity() >= READ_CHUNK);
            // What has come of the next frame is not forgotten.
            reader.extend(&[0, 0, 0, 1]);
            reader.rest();
            reader.extend(&[7]);
            assert_eq!(reader.next_frame().unwrap().unwrap(), [7][..]);
            reader.rest();
        }
    }

    /// What a frame costs while it comes: no more than an eighth above its size.
    #[test]
    fn a_frame_of_the_limit_costs_little_more_than_the_limit() {
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

    /// It would be copied if the room for it were made when a part of it has come.
    #[test]
    fn a_frame_as_large_as_the_last_is_read_in_place() {
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
        fn any_split_of_the_stream_yields_the_same_frames(
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
            // Some are only looked at.
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

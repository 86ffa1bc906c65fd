//! The frames that wait to be sent on a connection: small ones share a buffer, large payloads are the
//! tree's own bytes.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use zk_proto::jute::decode_frame;
use zk_proto::{Encode, ErrorCode, ReplyHeader, Xid};

/// Payloads above this many bytes are not copied.
const COPY_LIMIT: usize = 1024;

/// Frames that wait to be sent.
#[derive(Debug, Default)]
pub struct Output {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    /// Length of each frame, prefix included.
    frames: Vec<usize>,
    len: usize,
}

impl Output {
    /// Bytes waiting.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The lengths of the frames waiting, prefix included.
    pub fn frames(&self) -> &[usize] {
        &self.frames
    }

    /// The bytes, in order.
    pub fn into_chunks(mut self) -> VecDeque<Bytes> {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.freeze());
        }
        self.chunks
    }

    /// The same frames, with the reply to the request `xid` replaced by the error `code`.
    pub(crate) fn misreported(self, xid: Xid, code: ErrorCode) -> Self {
        let lens = self.frames.clone();
        let mut bytes = BytesMut::with_capacity(self.len);
        for chunk in self.into_chunks() {
            bytes.extend_from_slice(&chunk);
        }
        let mut output = Self::default();
        for len in lens {
            let mut frame = bytes.split_to(len.min(bytes.len())).freeze();
            frame.advance(frame.len().min(4));
            match decode_frame::<ReplyHeader>(&frame, 0) {
                Ok(header) if header.xid == xid => {
                    let err = code.code();
                    output.frame(|out| ReplyHeader { err, ..header }.encode(out));
                }
                _ => output.frame(|out| out.extend_from_slice(&frame)),
            }
        }
        output
    }

    /// Appends a frame whose body `write` appends.
    pub(crate) fn frame(&mut self, write: impl FnOnce(&mut BytesMut)) {
        let start = self.begin();
        write(&mut self.tail);
        let len = self.tail.len() - start - 4;
        self.end(start, len);
    }

    /// Appends a frame of `head`, `payload` as a buffer with its length in front, and `rest`.
    pub(crate) fn frame_with_payload(
        &mut self,
        head: impl FnOnce(&mut BytesMut),
        payload: Option<&Bytes>,
        rest: impl FnOnce(&mut BytesMut),
    ) {
        let Some(payload) = payload.filter(|payload| payload.len() > COPY_LIMIT) else {
            return self.frame(|out| {
                head(out);
                zk_proto::jute::put_buffer(out, payload.map(|payload| &payload[..]));
                rest(out);
            });
        };
        let mut body = BytesMut::with_capacity(128);
        rest(&mut body);
        let start = self.begin();
        head(&mut self.tail);
        zk_proto::jute::put_count(&mut self.tail, payload.len());
        let len = self.tail.len() - start - 4 + payload.len() + body.len();
        self.end(start, len);
        let front = self.tail.split().freeze();
        self.chunks.push_back(front);
        self.chunks.push_back(payload.clone());
        self.tail.put_slice(&body);
    }

    fn begin(&mut self) -> usize {
        let start = self.tail.len();
        self.tail.put_i32(0);
        start
    }

    fn end(&mut self, start: usize, len: usize) {
        // The length of a frame of 2 GiB or more does not fit; no client accepts such a frame.
        let prefix = i32::try_from(len).unwrap_or(i32::MAX).to_be_bytes();
        if let Some(place) = self.tail.get_mut(start..start + 4) {
            place.copy_from_slice(&prefix);
        }
        self.frames.push(len + 4);
        self.len += len + 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(output: Output) -> Vec<u8> {
        output.into_chunks().into_iter().flatten().collect()
    }

    #[test]
    fn frames_are_the_same_bytes_copied_or_not() {
        for len in [0, 1, COPY_LIMIT, COPY_LIMIT + 1, 100_000] {
            let payload = Bytes::from(vec![7; len]);
            let mut output = Output::default();
            output.frame(|out| out.put_u8(1));
            output.frame_with_payload(|out| out.put_u8(2), Some(&payload), |out| out.put_u8(3));
            output.frame(|out| out.put_u8(4));
            assert_eq!(output.frames(), [5, 4 + 1 + 4 + len + 1, 5]);
            let mut expected = vec![0, 0, 0, 1, 1];
            expected.extend(u32::try_from(len + 6).unwrap().to_be_bytes());
            expected.push(2);
            expected.extend(u32::try_from(len).unwrap().to_be_bytes());
            expected.extend(&payload);
            expected.extend([3, 0, 0, 0, 1, 4]);
            assert_eq!(output.len(), expected.len());
            assert_eq!(flat(output), expected);
        }
    }

    #[test]
    fn a_large_payload_is_the_trees_own_bytes() {
        let payload = Bytes::from(vec![7; 4096]);
        let mut output = Output::default();
        output.frame_with_payload(|_| {}, Some(&payload), |_| {});
        let chunks = output.into_chunks();
        assert!(
            chunks
                .iter()
                .any(|chunk| chunk.as_ptr() == payload.as_ptr())
        );
    }

    #[test]
    fn null_is_minus_one() {
        let mut output = Output::default();
        output.frame_with_payload(|_| {}, None, |_| {});
        assert_eq!(flat(output), [0, 0, 0, 4, 255, 255, 255, 255]);
    }
}

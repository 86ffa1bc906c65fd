//! Frames: an `i32` length, then so many bytes.

use bytes::{Buf, Bytes, BytesMut};

use super::error::{DecodeError, DecodeProblem};

/// Bytes of a frame's length.
const PREFIX: usize = 4;

/// The length of the frame at the front of `input`, without the four bytes that hold it; `None` while
/// these have not all been received.
///
/// # Errors
/// [`DecodeProblem::BadLength`] if the length is negative or above `limit`.
pub fn frame_len(input: &[u8], limit: usize) -> Result<Option<usize>, DecodeError> {
    let Some(prefix) = input.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let len = i32::from_be_bytes(*prefix);
    match usize::try_from(len) {
        Ok(len) if len <= limit => Ok(Some(len)),
        _ => Err(DecodeError {
            record: "frame",
            field: "length",
            offset: 0,
            problem: DecodeProblem::BadLength(len),
        }),
    }
}

/// Takes the frame at the front of `input` off, without its length; `None` while it has not been
/// received whole. The frame shares the buffer.
///
/// For captures and tests. A connection wants more: `zk_transport` grows its buffer with what was
/// received, not with what a peer announced.
///
/// # Errors
/// [`DecodeProblem::BadLength`] if the length is negative or above `limit`, in bytes. No later frame
/// can be found then.
pub fn split_frame(input: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, DecodeError> {
    let Some(len) = frame_len(input, limit)? else {
        return Ok(None);
    };
    if input.len() - PREFIX < len {
        return Ok(None);
    }
    input.advance(PREFIX);
    Ok(Some(input.split_to(len).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_split_wherever_they_were_cut() {
        let stream = [0, 0, 0, 2, b'a', b'b', 0, 0, 0, 0, 0, 0, 0, 1, b'c'];
        for cut in 0..=stream.len() {
            let mut input = BytesMut::new();
            let mut frames = Vec::new();
            for part in [&stream[..cut], &stream[cut..]] {
                input.extend_from_slice(part);
                while let Some(frame) = split_frame(&mut input, 2).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, [&b"ab"[..], b"", b"c"], "{cut}");
            assert!(input.is_empty());
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_an_error() {
        for len in [3, i32::MAX, -1, i32::MIN] {
            let mut input = BytesMut::from(&len.to_be_bytes()[..]);
            let error = split_frame(&mut input, 2).unwrap_err();
            assert_eq!(error.problem, DecodeProblem::BadLength(len));
            assert_eq!(input.len(), PREFIX);
        }
    }
}

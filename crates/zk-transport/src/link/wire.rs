//! Frames and headers.

use bytes::BytesMut;
use zk_proto::{Decode, Decoder, OpCode, ReplyHeader, Xid};

use crate::error::Disconnect;

/// The length prefix of a frame, and the header of a request.
pub(super) const PREAMBLE: usize = 4 + 8;

/// Appends a request, of which `record` appends what follows the header.
#[inline]
pub(super) fn framed(out: &mut BytesMut, xid: Xid, op: OpCode, record: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    let header = [[0; 4], xid.to_be_bytes(), op.code().to_be_bytes()];
    out.extend_from_slice(header.as_flattened());
    record(out);
    put_length(out, start);
}

/// Writes the length of the frame that begins at `start` into its first four bytes.
#[inline]
pub(super) fn put_length(out: &mut BytesMut, start: usize) {
    let Some((prefix, frame)) = out.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut) else {
        return;
    };
    *prefix = i32::try_from(frame.len()).unwrap_or(i32::MAX).to_be_bytes();
}

#[inline]
pub(super) fn decode_header(input: &mut Decoder<'_>) -> Result<ReplyHeader, Disconnect> {
    input.need("header", ReplyHeader::LEN)?;
    Ok(ReplyHeader::decode(input)?)
}

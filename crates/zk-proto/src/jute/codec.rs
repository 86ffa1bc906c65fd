//! Records that can be written and read.

use bytes::{Bytes, BytesMut};

use super::decoder::Decoder;
use super::error::DecodeError;

/// A record that can be written to the wire.
pub trait Encode {
    /// Appends the record to `out`.
    fn encode(&self, out: &mut BytesMut);
}

/// A record that can be read from the wire.
pub trait Decode<'a>: Sized {
    /// Reads the record at the cursor.
    ///
    /// # Errors
    /// [`DecodeError`] names the record, the field and the offset at which the bytes made no sense.
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError>;
}

/// Reads a record that starts `offset` bytes into a reply frame.
///
/// Bytes after the record are tolerated: newer servers may append fields. Where a record must fill
/// its frame, use a [`Decoder`] and [`Decoder::finish`].
///
/// # Errors
/// Those of the record's [`Decode`].
#[inline]
pub fn decode_frame<'a, T: Decode<'a>>(frame: &'a Bytes, offset: usize) -> Result<T, DecodeError> {
    T::decode(&mut Decoder::at(frame, offset))
}

//! Jute, ZooKeeper's serialization: a cursor for reading, `BytesMut` for writing.
//!
//! Integers are big-endian; strings, buffers and vectors carry an `i32` length in which −1 means
//! null. Null is not empty: `Option` says which. Nothing here allocates before the length has been
//! checked against the bytes that are left, and nothing panics on what a peer sends.
//!
//! Files: `decoder` is the cursor, `error` why it stops, `put` the writing, `frame` the length in
//! front of every frame, `record` the macro that defines records.

mod decoder;
mod error;
mod frame;
mod put;
pub(crate) mod record;

use bytes::BytesMut;

pub use decoder::{COPY_LIMIT, Decoder, decode_frame};
pub use error::{DecodeError, DecodeProblem};
pub use frame::{frame_len, split_frame};
pub use put::{put_bool, put_buffer, put_count, put_i32, put_i64, put_opt_str, put_str};

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

#[cfg(test)]
mod tests;

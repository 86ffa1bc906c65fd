//! Jute, ZooKeeper's serialization: a cursor for reading, `BytesMut` for writing.
//!
//! Integers are big-endian; strings, buffers and vectors carry an `i32` length in which −1 means
//! null. Null is not empty: it is `None`. Nothing here allocates before the length has been
//! checked against the bytes that are left, and nothing panics on what a peer sends.
//!
//! Files: `codec` is the two traits of records, `decoder` the cursor, `error` why it stops, `put` the writing, `frame` the length in
//! front of every frame, `record` the macro that defines records.

mod codec;
mod decoder;
mod error;
mod frame;
mod put;
pub(crate) mod record;

pub use codec::{Decode, Encode, decode_frame};
pub use decoder::{COPY_LIMIT, Decoder};
pub use error::{DecodeError, DecodeProblem};
pub use frame::{frame_len, split_frame};
pub use put::{put_bool, put_buffer, put_count, put_i32, put_i64, put_opt_str, put_str};

#[cfg(test)]
mod tests;

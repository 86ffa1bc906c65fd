//! Why bytes could not be read.

/// Why bytes could not be read as a record, or as a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{record}.{field} at byte {offset}: {problem}")]
#[non_exhaustive]
pub struct DecodeError {
    /// The record being read.
    pub record: &'static str,
    /// The field being read, by the name it has in this crate.
    pub field: &'static str,
    /// Offset of the field from the start of the frame, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub problem: DecodeProblem,
}

/// What is wrong with the bytes of a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeProblem {
    /// The frame ends inside the field.
    #[error("needs {needed} bytes, {left} left")]
    Truncated {
        /// Bytes the field needs.
        needed: usize,
        /// Bytes left in the frame.
        left: usize,
    },
    /// A length below −1, or of a vector longer than the bytes left could hold; of a frame, a negative
    /// one or one above the limit.
    #[error("impossible length {0}")]
    BadLength(i32),
    /// A string that is not UTF-8. Java writes characters outside the BMP as CESU-8, which
    /// [`Decoder::string`](super::Decoder::string) reads and [`Decoder::str`](super::Decoder::str) does
    /// not.
    #[error("text is not valid UTF-8")]
    NotUtf8,
    /// A null where the protocol has none.
    #[error("unexpected null")]
    Null,
    /// A value outside its domain.
    #[error("unexpected value {0}")]
    BadValue(i64),
    /// Bytes left over after the last field.
    #[error("{0} bytes left over")]
    Trailing(usize),
}

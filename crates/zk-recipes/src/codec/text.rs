//! Data that are text.

use std::fmt::Display;
use std::str::FromStr;

use bytes::Bytes;

use super::{Codec, CodecError};

/// Text in UTF-8, without white space removed: for `String`, numbers, and all other types with
/// `Display` and `FromStr`. kazoo's `Counter` writes integers like this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Text;

impl<T> Codec<T> for Text
where
    T: Display + FromStr,
    T::Err: Into<CodecError>,
{
    fn encode(&self, value: &T) -> Result<Bytes, CodecError> {
        Ok(value.to_string().into())
    }

    fn decode(&self, data: &Bytes) -> Result<T, CodecError> {
        std::str::from_utf8(data)?.parse().map_err(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_are_text() {
        let minus: Bytes = Text.encode(&-7_i64).unwrap();
        assert_eq!(minus, "-7");
        let number: i64 = Text.decode(&minus).unwrap();
        assert_eq!(number, -7);
        let same: String = Text.decode(&Bytes::from_static(b" x ")).unwrap();
        assert_eq!(same, " x ");
        let refused: Result<i64, _> = Text.decode(&Bytes::from_static(b"7 "));
        assert!(refused.is_err());
        let refused: Result<String, _> = Text.decode(&Bytes::from_static(b"\xff"));
        assert!(refused.is_err());
    }
}

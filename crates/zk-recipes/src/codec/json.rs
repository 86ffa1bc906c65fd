//! Data that are JSON.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Codec, CodecError};

/// JSON without white space, of types that serde can serialize and deserialize. Curator's
/// `JacksonModelSerializer` reads and writes the same for a class with the same fields. Needs the
/// feature `serde`.
///
/// Empty data, which a znode has that was created as a parent, are no JSON and cannot be decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json;

impl<T: Serialize + DeserializeOwned> Codec<T> for Json {
    fn encode(&self, value: &T) -> Result<Bytes, CodecError> {
        Ok(serde_json::to_vec(value)?.into())
    }

    fn decode(&self, data: &Bytes) -> Result<T, CodecError> {
        Ok(serde_json::from_slice(data)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_no_white_space() {
        let value = vec![Some(1), None];
        let data = Json.encode(&value).unwrap();
        assert_eq!(data, "[1,null]");
        let same: Vec<Option<i32>> = Json.decode(&data).unwrap();
        assert_eq!(same, value);
        let refused: Result<Vec<Option<i32>>, _> = Json.decode(&Bytes::new());
        assert!(refused.is_err());
    }
}

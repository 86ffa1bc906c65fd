//! Data as they are.

use bytes::Bytes;

use super::{Codec, CodecError};

/// The data as they are, as `Bytes`. Never fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    fn encode(&self, value: &Bytes) -> Result<Bytes, CodecError> {
        Ok(value.clone())
    }

    fn decode(&self, data: &Bytes) -> Result<Bytes, CodecError> {
        Ok(data.clone())
    }
}

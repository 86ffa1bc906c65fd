//! A value that was read from a znode.

use bytes::Bytes;
use zk_client::Stat;

use crate::codec::Codec;
use crate::error::{Error, Result};

/// A value, and the stat of the znode that contains it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TypedValue<T> {
    /// The value.
    pub value: T,
    /// The znode's stat.
    pub stat: Stat,
}

impl<T: 'static> TypedValue<T> {
    pub(super) fn new(value: T, stat: Stat) -> Self {
        TypedValue { value, stat }
    }

    /// Decodes what was read at `path`.
    pub(super) fn decode(
        codec: &dyn Codec<T>,
        path: &str,
        data: &Bytes,
        stat: Stat,
    ) -> Result<Self> {
        let value = codec.decode(data).map_err(|source| Error::Undecodable {
            path: path.to_owned(),
            version: stat.version,
            source,
        })?;
        Ok(TypedValue { value, stat })
    }
}

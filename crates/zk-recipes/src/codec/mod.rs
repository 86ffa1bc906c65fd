//! Values as the data of znodes.

#[cfg(feature = "gzip")]
mod gzip;
#[cfg(feature = "serde")]
mod json;
mod raw;
mod text;

use std::error::Error as StdError;

use bytes::Bytes;

#[cfg(feature = "gzip")]
pub use gzip::Gzip;
#[cfg(feature = "serde")]
pub use json::Json;
pub use raw::Raw;
pub use text::Text;

/// Why a value could not be encoded or decoded.
pub type CodecError = Box<dyn StdError + Send + Sync>;

/// Converts between values and the data of znodes. All recipes with typed data use a codec.
///
/// | codec | values | data |
/// |---|---|---|
/// | [`Raw`] | `Bytes` | as they are |
/// | [`Text`] | whatever has `Display` and `FromStr`, such as `String` and numbers | UTF-8 |
/// | `Json`, feature `serde` | whatever serde can serialize and deserialize | JSON |
/// | `Gzip`, feature `gzip` | those of another codec | the other codec's, compressed as Curator does |
///
/// Another format is an implementation of this trait. The type parameter is that of the value, so that
/// one codec can be for many types.
///
/// ```
/// use bytes::Bytes;
/// use zk_recipes::{Codec, CodecError};
///
/// /// Curator's `SharedCount`: four bytes, big-endian.
/// struct BigEndian;
///
/// impl Codec<i32> for BigEndian {
///     fn encode(&self, value: &i32) -> Result<Bytes, CodecError> {
///         Ok(Bytes::copy_from_slice(&value.to_be_bytes()))
///     }
///
///     fn decode(&self, data: &Bytes) -> Result<i32, CodecError> {
///         Ok(i32::from_be_bytes(data.as_ref().try_into()?))
///     }
/// }
///
/// assert_eq!(BigEndian.decode(&BigEndian.encode(&-2).unwrap()).unwrap(), -2);
/// assert!(BigEndian.decode(&Bytes::from_static(b"-2")).is_err());
/// ```
pub trait Codec<T>: Send + Sync + 'static {
    /// The data for a value.
    ///
    /// # Errors
    /// The value has no encoding.
    fn encode(&self, value: &T) -> Result<Bytes, CodecError>;

    /// The value in the data. A recipe passes on whatever another program has written, so a decoder
    /// must not panic.
    ///
    /// # Errors
    /// The data are not an encoding of a value.
    fn decode(&self, data: &Bytes) -> Result<T, CodecError>;
}

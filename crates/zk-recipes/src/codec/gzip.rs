//! Data that are compressed.

use std::io::{Error, ErrorKind, Read, Write};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

use super::{Codec, CodecError};

/// What Curator stores for empty data.
const EMPTY: [u8; 20] = [
    0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// The operating system in the header, as Java writes it.
const JAVA: u8 = 0;

/// The data of another codec, compressed: what Curator calls `compressed()`, with its
/// `GzipCompressionProvider`. Needs the feature `gzip`.
///
/// ```
/// use bytes::Bytes;
/// use zk_recipes::{Codec, Gzip, Text};
///
/// let codec = Gzip::new(Text);
/// let data: Bytes = codec.encode(&"x".repeat(10_000)).unwrap();
/// assert!(data.len() < 100);
/// ```
///
/// Empty data are encoded as the 20 bytes that Curator stores for them. Data of length 0 are decoded
/// as empty, although Curator refuses them: a znode that was created as a parent has such data.
#[doc(alias = "GzipCompressionProvider")]
#[derive(Debug, Clone, Copy)]
pub struct Gzip<C> {
    inner: C,
    max_bytes: usize,
}

impl<C> Gzip<C> {
    /// Compresses the data of `inner`.
    pub fn new(inner: C) -> Self {
        Gzip {
            inner,
            max_bytes: 64 << 20,
        }
    }

    /// The maximum length of data after decompression, in bytes; 64 MiB unless given. More cannot be
    /// decoded: a znode of a megabyte can contain a gigabyte.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }
}

impl<T, C: Codec<T>> Codec<T> for Gzip<C> {
    fn encode(&self, value: &T) -> Result<Bytes, CodecError> {
        Ok(compress(&self.inner.encode(value)?)?)
    }

    fn decode(&self, data: &Bytes) -> Result<T, CodecError> {
        self.inner.decode(&decompress(data, self.max_bytes)?)
    }
}

fn compress(data: &[u8]) -> std::io::Result<Bytes> {
    if data.is_empty() {
        return Ok(Bytes::from_static(&EMPTY));
    }
    let mut encoder = GzBuilder::new()
        .operating_system(JAVA)
        .write(Vec::new(), Compression::default());
    encoder.write_all(data)?;
    Ok(encoder.finish()?.into())
}

fn decompress(data: &[u8], max_bytes: usize) -> std::io::Result<Bytes> {
    let mut plain = Vec::new();
    if data.is_empty() {
        return Ok(Bytes::new());
    }
    let limit = u64::try_from(max_bytes).unwrap_or(u64::MAX);
    // One byte more than is allowed shows that there is more.
    let mut decoder = MultiGzDecoder::new(data).take(limit.saturating_add(1));
    decoder.read_to_end(&mut plain)?;
    if plain.len() > max_bytes {
        let text = format!("more than {max_bytes} bytes after decompression (raise max_bytes)");
        return Err(Error::new(ErrorKind::InvalidData, text));
    }
    Ok(plain.into())
}

#[cfg(test)]
mod tests {
    use super::super::Raw;
    use super::*;

    #[test]
    fn empty_data_have_one_fixed_encoding() {
        let codec = Gzip::new(Raw);
        let data = codec.encode(&Bytes::new()).unwrap();
        assert_eq!(*data, EMPTY);
        assert!(codec.decode(&data).unwrap().is_empty());
        assert!(codec.decode(&Bytes::new()).unwrap().is_empty());
        // The ninth byte depends on the release of Java.
        let mut newer = EMPTY;
        newer[9] = 0xff;
        let newer = Bytes::copy_from_slice(&newer);
        assert!(codec.decode(&newer).unwrap().is_empty());
    }

    #[test]
    fn compressed_data_are_decompressed() {
        let codec = Gzip::new(Raw);
        let plain = Bytes::from("line\n".repeat(10_000));
        let data = codec.encode(&plain).unwrap();
        assert_eq!(data[..10], EMPTY[..10], "Java's header");
        assert_eq!(codec.decode(&data).unwrap(), plain);
        // A file of two compressed files is one, as for Java.
        let twice = [&*data, &*data].concat();
        let twice = codec.decode(&twice.into()).unwrap();
        assert_eq!(twice.len(), 2 * plain.len());
    }

    #[test]
    fn what_is_not_compressed_is_an_error() {
        let codec = Gzip::new(Raw);
        let data = codec.encode(&Bytes::from("text")).unwrap();
        for length in 1..data.len() {
            assert!(codec.decode(&data.slice(..length)).is_err(), "{length}");
        }
        assert!(codec.decode(&Bytes::from_static(b"text")).is_err());
    }

    #[test]
    fn decompression_is_limited() {
        let bomb = Gzip::new(Raw).encode(&vec![0; 1 << 20].into()).unwrap();
        assert!(bomb.len() < 2048);
        let exact = Gzip::new(Raw).max_bytes(1 << 20);
        assert_eq!(exact.decode(&bomb).unwrap().len(), 1 << 20);
        let error = Gzip::new(Raw).max_bytes((1 << 20) - 1).decode(&bomb);
        assert!(error.unwrap_err().to_string().contains("raise max_bytes"));
    }
}

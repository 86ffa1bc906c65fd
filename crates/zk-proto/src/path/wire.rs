//! A path with its chroot in front, encoded without a copy.

use std::fmt;

use bytes::BytesMut;

use crate::jute::record::Field;
use crate::jute::{DecodeError, Decoder, put_count};

/// A path in two parts: a chroot and the path below it, written as one string.
#[derive(Clone, Copy)]
pub struct WirePath<'a> {
    /// The chroot without a trailing slash; empty for none.
    pub prefix: &'a str,
    /// What follows the chroot: the path below it, with its leading slash; empty for the chroot
    /// itself.
    pub rest: &'a str,
}

impl<'a> WirePath<'a> {
    /// Puts `rest` below `prefix`. The root below a chroot is the chroot itself.
    pub fn new(prefix: &'a str, rest: &'a str) -> Self {
        let is_root = rest == "/" && !prefix.is_empty();
        let rest = if is_root { "" } else { rest };
        Self { prefix, rest }
    }

    /// As [`new`](Self::new), for a path to which the server appends a number: the root becomes the
    /// prefix of a child of the chroot.
    pub fn numbered(prefix: &'a str, rest: &'a str) -> Self {
        Self { prefix, rest }
    }

    /// Length of the whole in bytes.
    pub fn len(&self) -> usize {
        self.prefix.len() + self.rest.len()
    }

    /// Whether the path is empty, and so not valid.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn bytes(&self) -> impl Iterator<Item = u8> + 'a {
        self.prefix.bytes().chain(self.rest.bytes())
    }
}

impl<'a> From<&'a str> for WirePath<'a> {
    fn from(path: &'a str) -> Self {
        Self {
            prefix: "",
            rest: path,
        }
    }
}

impl<'a> From<&'a String> for WirePath<'a> {
    fn from(path: &'a String) -> Self {
        Self::from(path.as_str())
    }
}

/// Two paths are equal if they are the same string, wherever it is divided.
impl PartialEq for WirePath<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.bytes().eq(other.bytes())
    }
}

impl Eq for WirePath<'_> {}

impl PartialEq<str> for WirePath<'_> {
    fn eq(&self, other: &str) -> bool {
        *self == WirePath::from(other)
    }
}

impl PartialEq<&str> for WirePath<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for WirePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.prefix)?;
        f.write_str(self.rest)
    }
}

/// As one string.
impl fmt::Debug for WirePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl<'a> Field<'a> for WirePath<'a> {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        input.str(name).map(Self::from)
    }
    #[inline]
    fn put(&self, out: &mut BytesMut) {
        put_count(out, self.len());
        if !self.prefix.is_empty() {
            out.extend_from_slice(self.prefix.as_bytes());
        }
        out.extend_from_slice(self.rest.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_written_as_one_string() {
        for (prefix, rest, whole) in [
            ("", "/", "/"),
            ("", "/a", "/a"),
            ("/app", "/a", "/app/a"),
            ("/app", "/", "/app"),
            ("/app", "", "/app"),
        ] {
            let path = WirePath::new(prefix, rest);
            assert_eq!(path.to_string(), whole);
            assert_eq!(path, whole);
            assert_eq!(path.len(), whole.len());
            let mut out = BytesMut::new();
            path.put(&mut out);
            let mut expected = BytesMut::new();
            crate::jute::put_str(&mut expected, whole);
            assert_eq!(out, expected);
        }
        assert_eq!(WirePath::numbered("/app", "/"), "/app/");
        assert_eq!(WirePath::numbered("", "/"), "/");
        assert_ne!(WirePath::new("/a", "/b"), WirePath::new("/a", "/c"));
        assert_ne!(WirePath::new("/a", "/b"), "/a/c");
        assert_ne!(WirePath::new("/a", "/b"), *"/a/c");
        assert!(WirePath::new("", "").is_empty());
        assert!(!WirePath::new("/app", "").is_empty());
    }
}

//! Lists of names: children, ephemerals, and the number of descendants.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::jute::record::{Field, record};
use crate::jute::{DecodeError, Decoder, put_count, put_str};
use crate::path::WirePath;
use crate::stat::Stat;

/// A list of names as received from the server: kept as the frame's bytes and returned as `&str`, so
/// that a thousand names cost no allocation.
#[derive(Clone, Default)]
pub struct Children {
    /// The names as in jute, each with its length in front. Checked on construction.
    body: Bytes,
    len: usize,
}

impl Children {
    /// Number of names.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The names, in the order of the server, which is not specified.
    pub fn iter(&self) -> ChildrenIter<'_> {
        ChildrenIter {
            rest: &self.body,
            left: self.len,
        }
    }

    /// The names as owned strings.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(str::to_owned).collect()
    }

    /// Whether `name` is among them.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|child| child == name)
    }

    /// Encoded size in bytes.
    pub(crate) fn encoded_len(&self) -> usize {
        4 + self.body.len()
    }
}

impl<'a> Field<'a> for Children {
    fn get(input: &mut Decoder<'a>, name: &'static str) -> Result<Self, DecodeError> {
        let len = input.count(name, 4)?.unwrap_or(0);
        let start = input.position();
        for _ in 0..len {
            input.str(name)?;
        }
        Ok(Self {
            body: input.own(input.since(start)),
            len,
        })
    }
    fn put(&self, out: &mut BytesMut) {
        put_count(out, self.len);
        out.put_slice(&self.body);
    }
}

impl<S: AsRef<str>> FromIterator<S> for Children {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut body = BytesMut::new();
        let mut len = 0;
        for name in names {
            put_str(&mut body, name.as_ref());
            len += 1;
        }
        Self {
            body: body.freeze(),
            len,
        }
    }
}

impl<'a> IntoIterator for &'a Children {
    type Item = &'a str;
    type IntoIter = ChildrenIter<'a>;
    fn into_iter(self) -> ChildrenIter<'a> {
        self.iter()
    }
}

impl IntoIterator for Children {
    type Item = String;
    type IntoIter = ChildrenIntoIter;
    fn into_iter(self) -> ChildrenIntoIter {
        ChildrenIntoIter {
            left: self.len,
            rest: self.body,
        }
    }
}

impl From<Children> for Vec<String> {
    fn from(children: Children) -> Self {
        children.into_iter().collect()
    }
}

/// The encoding is canonical, so the same names in the same order are the same bytes.
impl PartialEq for Children {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body
    }
}

impl Eq for Children {}

impl fmt::Debug for Children {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Children {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

/// The names of [`Children`].
#[derive(Debug, Clone)]
pub struct ChildrenIter<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Iterator for ChildrenIter<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let (name, rest) = split_name(self.rest)?;
        self.rest = rest;
        self.left -= 1;
        Some(name)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ChildrenIter<'_> {}
impl std::iter::FusedIterator for ChildrenIter<'_> {}

/// The names of [`Children`] as owned strings, made one at a time.
#[derive(Debug, Clone)]
pub struct ChildrenIntoIter {
    rest: Bytes,
    left: usize,
}

impl Iterator for ChildrenIntoIter {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let (name, rest) = split_name(&self.rest)?;
        let name = name.to_owned();
        let read = self.rest.len() - rest.len();
        self.rest.advance(read);
        self.left -= 1;
        Some(name)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for ChildrenIntoIter {}
impl std::iter::FusedIterator for ChildrenIntoIter {}

/// The first name of an encoded list, and the rest. `None` at the end of the list only, since the
/// list was checked when it was made.
fn split_name(list: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = list.split_first_chunk()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (name, rest) = rest.split_at_checked(len)?;
    Some((std::str::from_utf8(name).ok()?, rest))
}

record! {
    /// `getChildren`.
    #[derive(Copy)]
    pub struct GetChildrenRequest<'a> {
        /// The parent.
        pub path: WirePath<'a>,
        /// Whether to set a watch on its children.
        pub watch: bool,
    }
}

record! {
    /// Answers `getChildren`.
    pub struct GetChildrenResponse {
        /// The names of the children.
        pub children: Children,
    }
}

record! {
    /// `getChildren2`.
    #[derive(Copy)]
    pub struct GetChildren2Request<'a> {
        /// The parent.
        pub path: WirePath<'a>,
        /// Whether to set a watch on its children.
        pub watch: bool,
    }
}

record! {
    /// Answers `getChildren2`.
    pub struct GetChildren2Response {
        /// The names of the children.
        pub children: Children,
        /// The parent's metadata.
        pub stat: Stat,
    }
}

record! {
    /// `getEphemerals`.
    #[derive(Copy)]
    pub struct GetEphemeralsRequest<'a> {
        /// The text that the paths must begin with: `/a` also matches `/ab`. Null, empty and `/` match
        /// all.
        pub prefix: Option<&'a str>,
    }
}

record! {
    /// Answers `getEphemerals`.
    pub struct GetEphemeralsResponse {
        /// The paths of this session's ephemeral nodes.
        pub paths: Children,
    }
}

record! {
    /// `getAllChildrenNumber`.
    #[derive(Copy)]
    pub struct GetAllChildrenNumberRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
    }
}

record! {
    /// Answers `getAllChildrenNumber`.
    #[derive(Copy)]
    pub struct GetAllChildrenNumberResponse {
        /// The number of nodes below it, at any depth.
        pub total: i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::{COPY_LIMIT, DecodeProblem, Encode, decode_frame};

    fn encode(record: &impl Encode) -> Bytes {
        let mut out = BytesMut::new();
        record.encode(&mut out);
        out.freeze()
    }

    #[test]
    fn names_come_back_in_order() {
        let names = ["a", "", "日本", "lock-0000000001"];
        let children: Children = names.iter().collect();
        assert_eq!((children.len(), children.is_empty()), (4, false));
        assert_eq!(children.to_vec(), names);
        let mut borrowed = children.iter();
        assert_eq!((borrowed.next(), borrowed.len()), (Some("a"), 3));
        let mut owned = children.clone().into_iter();
        assert_eq!((owned.next().as_deref(), owned.len()), (Some("a"), 3));
        assert_eq!(Vec::<String>::from(children.clone()), names);
        assert!(children.contains("日本") && !children.contains("b"));
        assert_eq!(
            format!("{children:?}"),
            r#"["a", "", "日本", "lock-0000000001"]"#
        );
        assert_ne!(children, Children::default());
        assert_eq!(Children::default().iter().next(), None);
    }

    #[test]
    fn only_long_lists_share_the_frame() {
        let inside = |frame: &Bytes, children: &Children| {
            frame.as_ptr_range().contains(&children.body.as_ptr())
        };
        for (count, shared) in [(3, false), (COPY_LIMIT, true)] {
            let children = (0..count).map(|n| format!("n{n}")).collect();
            let frame = encode(&GetChildrenResponse { children });
            let read: GetChildrenResponse = decode_frame(&frame, 0).unwrap();
            assert_eq!(read.children.len(), count);
            assert_eq!(inside(&frame, &read.children), shared);
        }
    }

    #[test]
    fn a_null_name_is_an_error() {
        for (body, problem) in [
            (&[0, 0, 0, 1, 255, 255, 255, 255][..], DecodeProblem::Null),
            (&[0, 0, 0, 1, 0, 0, 0, 1, 0xff][..], DecodeProblem::NotUtf8),
        ] {
            let frame = Bytes::copy_from_slice(body);
            let error = decode_frame::<GetChildrenResponse>(&frame, 0).unwrap_err();
            assert_eq!(
                (error.problem, error.offset, error.field),
                (problem, 4, "children")
            );
        }
    }
}

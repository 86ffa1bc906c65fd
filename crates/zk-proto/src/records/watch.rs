//! Watches: adding, checking, removing, and setting them again after a reconnect.

use bytes::BytesMut;

use super::children::Children;
use crate::event::wire_enum;
use crate::ids::Zxid;
use crate::jute::record::{Field, record};
use crate::jute::{Decode, DecodeError, Decoder, Encode, put_count};
use crate::path::WirePath;

wire_enum! {
    /// The kind of a watch on the server, for `checkWatches` and `removeWatches`.
    pub enum WatcherType {
        /// On the children.
        Children = 1,
        /// On the data, or on the creation of a node that does not exist.
        Data = 2,
        /// Any kind.
        Any = 3,
        /// Persistent; servers before 3.9 do not know it.
        Persistent = 4,
        /// Persistent and recursive; servers before 3.9 do not know it.
        PersistentRecursive = 5,
    }
}

wire_enum! {
    /// The kind of watch to add.
    pub enum AddWatchMode {
        /// On the node and its children, until removed.
        Persistent = 0,
        /// On the node and everything below it, until removed.
        PersistentRecursive = 1,
    }
}

record! {
    /// `checkWatches`. Its reply has no body.
    #[derive(Copy)]
    pub struct CheckWatchesRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
        /// The kind of watch.
        pub kind: WatcherType,
    }
}

record! {
    /// `removeWatches`. Its reply has no body.
    #[derive(Copy)]
    pub struct RemoveWatchesRequest<'a> {
        /// The node.
        pub path: WirePath<'a>,
        /// The kind of watch.
        pub kind: WatcherType,
    }
}

record! {
    /// `addWatch`.
    #[derive(Copy)]
    pub struct AddWatchRequest<'a> {
        /// The node, which need not exist.
        pub path: WirePath<'a>,
        /// The kind of watch.
        pub mode: AddWatchMode,
    }
}

/// Answers `addWatch`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddWatchResponse {
    /// 0 for success. `None` from ClickHouse Keeper, which sends no body.
    pub err: Option<i32>,
}

impl Encode for AddWatchResponse {
    fn encode(&self, out: &mut BytesMut) {
        if let Some(err) = self.err {
            err.put(out);
        }
    }
}

impl<'a> Decode<'a> for AddWatchResponse {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let outer = input.record("AddWatchResponse");
        let err = match input.remaining() {
            0 => None,
            _ => Some(input.i32("err")?),
        };
        input.record(outer);
        Ok(Self { err })
    }
}

/// A list of paths that can be written: a slice of [`WirePath`], or [`Children`].
pub trait PathList {
    /// Appends the list as a vector of strings.
    fn put_list(&self, out: &mut BytesMut);
    /// The number of bytes that [`put_list`](Self::put_list) appends.
    fn encoded_len(&self) -> usize;
}

impl<T: PathList + ?Sized> PathList for &T {
    fn put_list(&self, out: &mut BytesMut) {
        (**self).put_list(out);
    }
    fn encoded_len(&self) -> usize {
        (**self).encoded_len()
    }
}

impl PathList for [WirePath<'_>] {
    fn put_list(&self, out: &mut BytesMut) {
        put_count(out, self.len());
        for path in self {
            path.put(out);
        }
    }
    fn encoded_len(&self) -> usize {
        4 + self.iter().map(|path| 4 + path.len()).sum::<usize>()
    }
}

impl PathList for Vec<WirePath<'_>> {
    fn put_list(&self, out: &mut BytesMut) {
        self.as_slice().put_list(out);
    }
    fn encoded_len(&self) -> usize {
        self.as_slice().encoded_len()
    }
}

impl PathList for Children {
    fn put_list(&self, out: &mut BytesMut) {
        self.put(out);
    }
    fn encoded_len(&self) -> usize {
        Self::encoded_len(self)
    }
}

/// `setWatches`: sets one-shot watches again after a reconnect. Its reply has no body.
///
/// The lists can be anything that is a [`PathList`]; read from the wire they are [`Children`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetWatchesRequest<L = Children> {
    /// The last transaction the client has seen; the server sends events for later changes at once.
    pub relative_zxid: Zxid,
    /// Nodes with a watch on the data.
    pub data: L,
    /// Nodes that did not exist, with a watch on their creation.
    pub exist: L,
    /// Nodes with a watch on the children.
    pub child: L,
}

impl<L: PathList> Encode for SetWatchesRequest<L> {
    fn encode(&self, out: &mut BytesMut) {
        self.relative_zxid.put(out);
        for list in [&self.data, &self.exist, &self.child] {
            list.put_list(out);
        }
    }
}

impl<'a> Decode<'a> for SetWatchesRequest {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let outer = input.record("SetWatchesRequest");
        let request = Self {
            relative_zxid: Field::get(input, "relative_zxid")?,
            data: Field::get(input, "data")?,
            exist: Field::get(input, "exist")?,
            child: Field::get(input, "child")?,
        };
        input.record(outer);
        Ok(request)
    }
}

/// `setWatches2`: [`SetWatchesRequest`] with persistent watches, which get no events for
/// missed changes. Servers before 3.6 do not know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetWatches2Request<L = Children> {
    /// The last transaction the client has seen; the server sends events for later changes at once.
    pub relative_zxid: Zxid,
    /// Nodes with a watch on the data.
    pub data: L,
    /// Nodes that did not exist, with a watch on their creation.
    pub exist: L,
    /// Nodes with a watch on the children.
    pub child: L,
    /// Nodes with a persistent watch.
    pub persistent: L,
    /// Nodes with a persistent recursive watch.
    pub recursive: L,
}

impl<L: PathList> Encode for SetWatches2Request<L> {
    fn encode(&self, out: &mut BytesMut) {
        self.relative_zxid.put(out);
        for list in [
            &self.data,
            &self.exist,
            &self.child,
            &self.persistent,
            &self.recursive,
        ] {
            list.put_list(out);
        }
    }
}

impl<'a> Decode<'a> for SetWatches2Request {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let outer = input.record("SetWatches2Request");
        let request = Self {
            relative_zxid: Field::get(input, "relative_zxid")?,
            data: Field::get(input, "data")?,
            exist: Field::get(input, "exist")?,
            child: Field::get(input, "child")?,
            persistent: Field::get(input, "persistent")?,
            recursive: Field::get(input, "recursive")?,
        };
        input.record(outer);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::jute::decode_frame;

    #[test]
    fn encoded_len_is_right() {
        let paths = [
            WirePath::new("/app", "/a"),
            WirePath::new("/app", "/"),
            "/é".into(),
        ];
        let mut out = BytesMut::new();
        paths.as_slice().put_list(&mut out);
        assert_eq!(out.len(), paths.as_slice().encoded_len());
        for list in [&paths.to_vec() as &dyn PathList, &&paths[..]] {
            let mut again = BytesMut::new();
            list.put_list(&mut again);
            assert_eq!((&again, list.encoded_len()), (&out, out.len()));
        }
        let owned: Children = paths.iter().map(ToString::to_string).collect();
        let mut again = BytesMut::new();
        owned.put_list(&mut again);
        assert_eq!((&again, PathList::encoded_len(&owned)), (&out, out.len()));
    }

    #[test]
    fn add_watch_is_answered_with_a_code() {
        let read = |body: &[u8]| {
            let frame = Bytes::copy_from_slice(body);
            decode_frame::<AddWatchResponse>(&frame, 0)
        };
        for err in [None, Some(0), Some(-4)] {
            let mut body = BytesMut::new();
            AddWatchResponse { err }.encode(&mut body);
            assert_eq!(read(&body), Ok(AddWatchResponse { err }));
        }
        let error = read(&[0, 0]).unwrap_err();
        assert_eq!((error.record, error.field), ("AddWatchResponse", "err"));
    }

    #[test]
    fn slices_are_written_as_what_is_read_back() {
        let data = [WirePath::new("/app", "/a"), WirePath::new("/app", "/b")];
        let none: &[WirePath<'_>] = &[];
        let request = SetWatchesRequest {
            relative_zxid: Zxid(9),
            data: data.as_slice(),
            exist: none,
            child: none,
        };
        let mut out = BytesMut::new();
        request.encode(&mut out);
        let read: SetWatchesRequest = decode_frame(&out.freeze(), 0).unwrap();
        assert_eq!(read.data.to_vec(), ["/app/a", "/app/b"]);
        assert!(read.exist.is_empty() && read.child.is_empty());
        assert_eq!(read.relative_zxid, Zxid(9));
    }
}

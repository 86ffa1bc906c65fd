//! Several operations in one request: `multi` (writes, all or none) and `multiRead`.

use bytes::{Bytes, BytesMut};

use super::children::{Children, GetChildrenRequest, GetChildrenResponse};
use super::node::{
    CheckVersionRequest, Create2Response, CreateRequest, CreateResponse, CreateTtlRequest,
    DeleteRequest, ErrorResponse, GetDataRequest, GetDataResponse, SetDataRequest, StatResponse,
};
use crate::error_code::ErrorCode;
use crate::jute::record::record;
use crate::jute::{Decode, DecodeError, DecodeProblem, Decoder, Encode};
use crate::op::OpCode;
use crate::stat::Stat;

record! {
    /// In front of every operation and every result of a multi, and, with `done`, at its end.
    #[derive(Copy)]
    pub struct MultiHeader {
        /// The operation; in a response, the kind of the result.
        pub op: i32,
        /// Whether this is the end.
        pub done: bool,
        /// In a response, the error code.
        pub err: i32,
    }
}

impl MultiHeader {
    /// Encoded size in bytes.
    pub const LEN: usize = 9;

    /// Ends a multi.
    pub const END: Self = Self {
        op: -1,
        done: true,
        err: -1,
    };
}

/// One operation of a multi. Writes and reads cannot be mixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiOp<'a> {
    /// Create a node.
    Create(CreateRequest<'a>),
    /// Create a node, and return its stat where the server can (3.9 and later).
    Create2(CreateRequest<'a>),
    /// Create a container.
    CreateContainer(CreateRequest<'a>),
    /// Create a node with a time to live.
    CreateTtl(CreateTtlRequest<'a>),
    /// Delete a node.
    Delete(DeleteRequest<'a>),
    /// Set a node's data.
    SetData(SetDataRequest<'a>),
    /// Require a version.
    Check(CheckVersionRequest<'a>),
    /// Read a node's data. The watch byte is ignored by servers.
    GetData(GetDataRequest<'a>),
    /// Read the names of a node's children. The watch byte is ignored by servers.
    GetChildren(GetChildrenRequest<'a>),
}

impl<'a> MultiOp<'a> {
    /// Reads the operation that follows its header.
    ///
    /// # Errors
    /// Those of the operation's record; [`DecodeProblem::BadValue`] for an operation that no multi
    /// has.
    pub fn decode(header: MultiHeader, input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Ok(match OpCode::from_i32(header.op) {
            Some(OpCode::Create) => Self::Create(Decode::decode(input)?),
            Some(OpCode::Create2) => Self::Create2(Decode::decode(input)?),
            Some(OpCode::CreateContainer) => Self::CreateContainer(Decode::decode(input)?),
            Some(OpCode::CreateTtl) => Self::CreateTtl(Decode::decode(input)?),
            Some(OpCode::Delete) => Self::Delete(Decode::decode(input)?),
            Some(OpCode::SetData) => Self::SetData(Decode::decode(input)?),
            Some(OpCode::Check) => Self::Check(Decode::decode(input)?),
            Some(OpCode::GetData) => Self::GetData(Decode::decode(input)?),
            Some(OpCode::GetChildren) => Self::GetChildren(Decode::decode(input)?),
            _ => {
                let offset = input.position().saturating_sub(MultiHeader::LEN);
                return Err(unexpected(input, header.op, offset));
            }
        })
    }

    /// The operation's code.
    pub fn op_code(&self) -> OpCode {
        match self {
            Self::Create(_) => OpCode::Create,
            Self::Create2(_) => OpCode::Create2,
            Self::CreateContainer(_) => OpCode::CreateContainer,
            Self::CreateTtl(_) => OpCode::CreateTtl,
            Self::Delete(_) => OpCode::Delete,
            Self::SetData(_) => OpCode::SetData,
            Self::Check(_) => OpCode::Check,
            Self::GetData(_) => OpCode::GetData,
            Self::GetChildren(_) => OpCode::GetChildren,
        }
    }

    /// Whether it belongs in a `multiRead`.
    pub fn is_read(&self) -> bool {
        matches!(self, Self::GetData(_) | Self::GetChildren(_))
    }
}

impl Encode for MultiOp<'_> {
    fn encode(&self, out: &mut BytesMut) {
        MultiHeader {
            op: self.op_code().code(),
            done: false,
            err: -1,
        }
        .encode(out);
        match self {
            Self::Create(op) | Self::Create2(op) | Self::CreateContainer(op) => op.encode(out),
            Self::CreateTtl(op) => op.encode(out),
            Self::Delete(op) => op.encode(out),
            Self::SetData(op) => op.encode(out),
            Self::Check(op) => op.encode(out),
            Self::GetData(op) => op.encode(out),
            Self::GetChildren(op) => op.encode(out),
        }
    }
}

/// `multi` and `multiRead`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MultiRequest<'a> {
    /// The operations, in order.
    pub ops: Vec<MultiOp<'a>>,
}

impl Encode for MultiRequest<'_> {
    fn encode(&self, out: &mut BytesMut) {
        for op in &self.ops {
            op.encode(out);
        }
        MultiHeader::END.encode(out);
    }
}

impl<'a> Decode<'a> for MultiRequest<'a> {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        let mut ops = Vec::new();
        while let Some((header, _)) = next_header(input)? {
            ops.push(MultiOp::decode(header, input)?);
        }
        Ok(Self { ops })
    }
}

/// The result of one operation of a multi.
///
/// Its kind is the *response's*: servers before 3.9 answer `create2` inside a multi as they answer
/// `create`, with the path only ([ZOOKEEPER-4026]).
///
/// [ZOOKEEPER-4026]: https://issues.apache.org/jira/browse/ZOOKEEPER-4026
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MultiResult {
    /// A node was created.
    Create {
        /// Its path.
        path: String,
    },
    /// A node was created, with its metadata.
    Create2 {
        /// Its path.
        path: String,
        /// Its metadata.
        stat: Stat,
    },
    /// A node's data was set.
    SetData {
        /// Its metadata.
        stat: Stat,
    },
    /// A node was deleted.
    Delete,
    /// A version matched.
    Check,
    /// A node's data.
    GetData {
        /// The data; null is not empty.
        data: Option<Bytes>,
        /// The node's metadata.
        stat: Stat,
    },
    /// The names of a node's children.
    Children {
        /// The names.
        children: Children,
    },
    /// The operation's error code. In a multi that failed, 0 stands for the operations before the
    /// one that failed and −2 for those after it: none of them was done.
    Error(i32),
}

impl MultiResult {
    /// The error, if it is one and not the 0 of an operation that was undone.
    pub fn error(&self) -> Option<ErrorCode> {
        match self {
            Self::Error(code) => ErrorCode::from_i32(*code),
            _ => None,
        }
    }
}

impl Encode for MultiResult {
    fn encode(&self, out: &mut BytesMut) {
        let (op, err) = match self {
            Self::Create { .. } => (OpCode::Create, 0),
            Self::Create2 { .. } => (OpCode::Create2, 0),
            Self::SetData { .. } => (OpCode::SetData, 0),
            Self::Delete => (OpCode::Delete, 0),
            Self::Check => (OpCode::Check, 0),
            Self::GetData { .. } => (OpCode::GetData, 0),
            Self::Children { .. } => (OpCode::GetChildren, 0),
            Self::Error(code) => (OpCode::Error, *code),
        };
        MultiHeader {
            op: op.code(),
            done: false,
            err,
        }
        .encode(out);
        match self {
            Self::Create { path } => crate::jute::put_str(out, path),
            Self::Create2 { path, stat } => {
                crate::jute::put_str(out, path);
                stat.encode(out);
            }
            Self::SetData { stat } => stat.encode(out),
            Self::Delete | Self::Check => {}
            Self::GetData { data, stat } => {
                crate::jute::put_buffer(out, data.as_deref());
                stat.encode(out);
            }
            Self::Children { children } => crate::jute::record::Field::put(children, out),
            Self::Error(err) => ErrorResponse { err: *err }.encode(out),
        }
    }
}

/// Answers `multi` and `multiRead`: one result for each operation.
///
/// The reply header of a `multi` that failed is a success; see [`MultiResponse::failure`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MultiResponse {
    /// The results, in the order of the operations.
    pub results: Vec<MultiResult>,
}

impl MultiResponse {
    /// The index and the error of the operation that failed in a `multi`. The operations before it have the 0
    /// of [`MultiResult::Error`], those after it have −2
    /// ([`RuntimeInconsistency`](ErrorCode::RuntimeInconsistency)), which is returned only if there is
    /// no other error.
    pub fn failure(&self) -> Option<(usize, ErrorCode)> {
        let numbered = self.results.iter().enumerate();
        let failures = numbered.filter_map(|(index, result)| Some((index, result.error()?)));
        let mut first = None;
        for failure in failures {
            if failure.1 != ErrorCode::RuntimeInconsistency {
                return Some(failure);
            }
            first.get_or_insert(failure);
        }
        first
    }

    /// Reads a response with at most `limit` results, the number of operations in the request.
    ///
    /// # Errors
    /// [`DecodeProblem::BadLength`] at the first result too many, and those of the results.
    pub fn decode_at_most(input: &mut Decoder<'_>, limit: usize) -> Result<Self, DecodeError> {
        let mut results = Vec::new();
        while let Some((header, offset)) = next_header(input)? {
            if results.len() >= limit {
                let count = i32::try_from(results.len())
                    .unwrap_or(i32::MAX)
                    .saturating_add(1);
                return Err(input.error("results", offset, DecodeProblem::BadLength(count)));
            }
            results.push(decode_result(input, header, offset)?);
        }
        Ok(Self { results })
    }
}

impl Encode for MultiResponse {
    fn encode(&self, out: &mut BytesMut) {
        for result in &self.results {
            result.encode(out);
        }
        MultiHeader::END.encode(out);
    }
}

impl<'a> Decode<'a> for MultiResponse {
    fn decode(input: &mut Decoder<'a>) -> Result<Self, DecodeError> {
        Self::decode_at_most(input, usize::MAX)
    }
}

fn decode_result(
    input: &mut Decoder<'_>,
    header: MultiHeader,
    offset: usize,
) -> Result<MultiResult, DecodeError> {
    Ok(match OpCode::from_i32(header.op) {
        Some(OpCode::Create) => {
            let CreateResponse { path } = Decode::decode(input)?;
            MultiResult::Create { path }
        }
        Some(OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
            let Create2Response { path, stat } = Decode::decode(input)?;
            MultiResult::Create2 { path, stat }
        }
        Some(OpCode::SetData) => {
            let StatResponse { stat } = Decode::decode(input)?;
            MultiResult::SetData { stat }
        }
        Some(OpCode::Delete) => MultiResult::Delete,
        Some(OpCode::Check) => MultiResult::Check,
        Some(OpCode::GetData) => {
            let GetDataResponse { data, stat } = Decode::decode(input)?;
            MultiResult::GetData { data, stat }
        }
        Some(OpCode::GetChildren) => {
            let GetChildrenResponse { children } = Decode::decode(input)?;
            MultiResult::Children { children }
        }
        Some(OpCode::Error) => {
            let ErrorResponse { err } = Decode::decode(input)?;
            MultiResult::Error(err)
        }
        _ => return Err(unexpected(input, header.op, offset)),
    })
}

/// The next header and its offset, or `None` at the end.
fn next_header(input: &mut Decoder<'_>) -> Result<Option<(MultiHeader, usize)>, DecodeError> {
    let offset = input.position();
    let header = MultiHeader::decode(input)?;
    Ok((!header.done).then_some((header, offset)))
}

fn unexpected(input: &mut Decoder<'_>, op: i32, offset: usize) -> DecodeError {
    input.record("MultiHeader");
    input.error("op", offset, DecodeProblem::BadValue(op.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jute::decode_frame;

    fn encode(record: &impl Encode) -> Bytes {
        let mut out = BytesMut::new();
        record.encode(&mut out);
        out.freeze()
    }

    /// A create2 as 3.8 answers it, and as 3.9 does.
    ///
    /// Guards: B9.
    #[test]
    fn the_result_is_of_the_responses_kind() {
        let old = MultiResult::Create {
            path: "/a".to_owned(),
        };
        let new = MultiResult::Create2 {
            path: "/a".to_owned(),
            stat: Stat::default(),
        };
        for (result, kind, len) in [(old, 1, 6), (new, 15, 74)] {
            let frame = encode(&MultiResponse {
                results: vec![result.clone()],
            });
            assert_eq!(&frame[..9], [0, 0, 0, kind, 0, 0, 0, 0, 0]);
            assert_eq!(frame.len(), 9 + len + 9);
            let read: MultiResponse = decode_frame(&frame, 0).unwrap();
            assert_eq!(read.results, [result]);
        }
    }

    #[test]
    fn only_reads_belong_in_a_multi_read() {
        let reads = [OpCode::GetData, OpCode::GetChildren];
        let writes = [
            OpCode::Create,
            OpCode::Create2,
            OpCode::CreateContainer,
            OpCode::CreateTtl,
            OpCode::Delete,
            OpCode::SetData,
            OpCode::Check,
        ];
        let body = Bytes::from_static(&[0; 64]);
        for op in reads.into_iter().chain(writes) {
            let header = MultiHeader {
                op: op.code(),
                done: false,
                err: -1,
            };
            let read = MultiOp::decode(header, &mut Decoder::new(&body)).unwrap();
            assert_eq!(read.is_read(), reads.contains(&op), "{op:?}");
        }
    }

    /// Guards: B10.
    #[test]
    fn a_failure_names_operation_and_code() {
        for failing in 0..5 {
            let results = (0..5).map(|index| match index {
                _ if index < failing => MultiResult::Error(0),
                _ if index == failing => MultiResult::Error(-103),
                _ => MultiResult::Error(-2),
            });
            let frame = encode(&MultiResponse {
                results: results.collect(),
            });
            let read: MultiResponse = decode_frame(&frame, 0).unwrap();
            assert_eq!(read.results.len(), 5);
            assert_eq!(read.failure(), Some((failing, ErrorCode::BadVersion)));
        }
        let done = MultiResponse {
            results: vec![MultiResult::Check, MultiResult::Delete],
        };
        assert_eq!(done.failure(), None);
        let all = MultiResponse {
            results: vec![MultiResult::Error(0), MultiResult::Error(-2)],
        };
        assert_eq!(all.failure(), Some((1, ErrorCode::RuntimeInconsistency)));
    }

    /// Guards: B8.
    #[test]
    fn an_empty_multi_is_only_its_end() {
        let end = [255, 255, 255, 255, 1, 255, 255, 255, 255];
        assert_eq!(encode(&MultiRequest::default())[..], end);
        assert_eq!(encode(&MultiResponse::default())[..], end);
        let frame = Bytes::copy_from_slice(&end);
        assert_eq!(decode_frame(&frame, 0), Ok(MultiRequest::default()));
        assert_eq!(decode_frame(&frame, 0), Ok(MultiResponse::default()));
    }

    #[test]
    fn no_more_results_than_operations() {
        let results = vec![MultiResult::Check; 3];
        let frame = encode(&MultiResponse { results });
        let at_most = |limit| MultiResponse::decode_at_most(&mut Decoder::new(&frame), limit);
        assert_eq!(at_most(3).unwrap().results.len(), 3);
        let error = at_most(2).unwrap_err();
        assert_eq!(
            (error.problem, error.offset),
            (DecodeProblem::BadLength(3), 18)
        );
    }

    #[test]
    fn a_multi_needs_known_kinds_and_an_end() {
        for op in [0, 6, 99, -2, i32::MIN] {
            let frame = encode(&MultiHeader {
                op,
                done: false,
                err: 0,
            });
            let unknown = DecodeProblem::BadValue(op.into());
            let error = decode_frame::<MultiResponse>(&frame, 0).unwrap_err();
            assert_eq!((error.problem, error.field), (unknown.clone(), "op"));
            assert_eq!(
                decode_frame::<MultiRequest<'_>>(&frame, 0)
                    .unwrap_err()
                    .problem,
                unknown
            );
        }
        let frame = encode(&MultiResult::Check);
        let error = decode_frame::<MultiResponse>(&frame, 0).unwrap_err();
        assert_eq!(
            error.problem,
            DecodeProblem::Truncated { needed: 4, left: 0 }
        );
    }
}

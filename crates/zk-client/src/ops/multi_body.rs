//! The body of `multi` and `multi_read`: several operations in one request, and their results.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use zk_proto::records::{MultiHeader, MultiOp, MultiResponse, MultiResult};
use zk_proto::{Decode, Decoder, Encode, OpCode};

use crate::client::Client;
use crate::error::{Error, Result};
use crate::ops::pending::{Call, Pending, validate};
use crate::session::requests::Reply;

/// Operations, encoded as they are added.
#[derive(Debug, Default)]
pub(crate) struct OpList {
    encoded: BytesMut,
    sent: SentOps,
    /// The error of the first invalid operation.
    invalid: Option<Error>,
}

/// What is kept of the operations to decode their results.
#[derive(Debug, Default, Clone)]
struct SentOps {
    kinds: Vec<OpCode>,
    /// The paths, with commas in between.
    paths: String,
    /// Where in `paths` the path of each operation is.
    spans: Vec<Range<usize>>,
}

impl OpList {
    pub(super) fn push(&mut self, path: &str, op: &MultiOp<'_>) {
        self.push_checked(path, validate(OpCode::Multi, path, false), op);
    }

    pub(super) fn push_checked(&mut self, path: &str, valid: Result<()>, op: &MultiOp<'_>) {
        if let Err(error) = valid {
            self.refuse(error);
        }
        op.encode(&mut self.encoded);
        self.sent.push(op.op_code(), path);
    }

    pub(super) fn refuse(&mut self, error: Error) {
        self.invalid.get_or_insert(error);
    }

    /// The same operations for several requests, unless they are invalid or there is none.
    pub(crate) fn into_repeatable(self) -> std::result::Result<RepeatableOps, OpList> {
        if self.invalid.is_some() || self.sent.kinds.is_empty() {
            return Err(self);
        }
        Ok(RepeatableOps {
            encoded: self.encoded.freeze(),
            sent: self.sent,
        })
    }

    /// Puts the operations on the wire as one request; `read` turns their results into its output.
    pub(super) fn submit<T: Default + 'static>(
        mut self,
        call: Call<'_>,
        op: OpCode,
        read: fn(MultiResponse, &Client) -> Result<T>,
    ) -> Pending<T> {
        let client = call.client;
        if let Some(error) = self.invalid {
            return Pending::failed(client, op, error, |_, _| Ok(T::default()));
        }
        if self.sent.kinds.is_empty() {
            return Pending::answered(client, op, |_, _| Ok(T::default()));
        }
        MultiHeader::END.encode(&mut self.encoded);
        let (record, sent) = (Encoded(self.encoded), self.sent);
        let paths = sent.paths.clone();
        let call = Call {
            path: &paths,
            ..call
        };
        call.with_ops(&sent.kinds)
            .submit_with(&record, move |reply, client| {
                let results = sent.response(reply);
                results
                    .and_then(|results| read(results, client))
                    .map_err(|error| sent.locate(op, error))
            })
    }
}

/// Valid operations for several requests.
#[derive(Debug)]
pub(crate) struct RepeatableOps {
    encoded: Bytes,
    sent: SentOps,
}

impl RepeatableOps {
    /// The operations, for another request.
    pub(crate) fn again(&self) -> OpList {
        OpList {
            encoded: BytesMut::from(&*self.encoded),
            sent: self.sent.clone(),
            invalid: None,
        }
    }

    /// The operations, each with its path as the caller gave it.
    pub(crate) fn decode(&self) -> Result<Vec<(&str, MultiOp<'_>)>> {
        let mut input = Decoder::new(&self.encoded);
        let ops = self.sent.spans.iter().map(|span| {
            let path = self.sent.paths.get(span.clone()).unwrap_or_default();
            let op = MultiHeader::decode(&mut input)
                .and_then(|header| MultiOp::decode(header, &mut input))
                .map_err(Error::malformed)?;
            Ok((path, op))
        });
        ops.collect()
    }
}

impl SentOps {
    fn push(&mut self, op: OpCode, path: &str) {
        self.kinds.push(op);
        if !self.paths.is_empty() {
            self.paths.push_str(", ");
        }
        let start = self.paths.len();
        self.paths.push_str(path);
        self.spans.push(start..self.paths.len());
    }

    /// Adds the path of the operation that failed, or all paths if that is not known.
    fn locate(&self, op: OpCode, error: Error) -> Error {
        let span = error.failed_op().and_then(|index| self.spans.get(index));
        let path = span.and_then(|span| self.paths.get(span.clone()));
        error.at(op, path.unwrap_or(&self.paths))
    }

    /// The results, each of which must fit its operation.
    fn response(&self, reply: &Reply) -> Result<MultiResponse> {
        let (body, kinds) = (reply.body()?, &self.kinds);
        let response = MultiResponse::decode_at_most(&mut Decoder::new(body), kinds.len())
            .map_err(Error::malformed)?;
        if response.results.len() != kinds.len() {
            return Err(Error::unexpected(
                "the reply has fewer results than the request had operations",
            ));
        }
        let mut pairs = response.results.iter().zip(kinds);
        if pairs.all(|(result, op)| answers(result, *op)) {
            Ok(response)
        } else {
            Err(Error::unexpected(
                "the reply has the result of another operation than the request had in its place",
            ))
        }
    }
}

struct Encoded(BytesMut);

impl Encode for Encoded {
    fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.0);
    }
}

/// Whether this can be the result of that operation.
fn answers(result: &MultiResult, op: OpCode) -> bool {
    match result {
        MultiResult::Create { .. } | MultiResult::Create2 { .. } => matches!(
            op,
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl
        ),
        MultiResult::SetData { .. } => op == OpCode::SetData,
        MultiResult::Delete => op == OpCode::Delete,
        MultiResult::Check => op == OpCode::Check,
        MultiResult::GetData { .. } => op == OpCode::GetData,
        MultiResult::Children { .. } => op == OpCode::GetChildren,
        MultiResult::Error(_) => true,
    }
}

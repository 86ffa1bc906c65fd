//! A request's way into the core, and its future.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use zk_proto::{Decode, Encode, OpCode, decode_frame};

use crate::client::Client;
use crate::core::Request;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::shared::now;
use crate::slots::{Failure, Reply, SlotKey, WatchIntent};
use crate::watch::{SubId, WatchKind};

/// A request being put together.
pub(crate) struct Call<'a> {
    client: &'a Client,
    op: OpCode,
    path: &'a str,
    sequential: bool,
    replay: bool,
    watch: Option<WatchKind>,
    deadline: Option<Duration>,
    ops: usize,
}

/// A server's successful answer, with the watch it set.
pub(crate) struct Success {
    pub(crate) body: Bytes,
    pub(crate) watch: Option<SubId>,
    /// How many operations were asked for in one.
    pub(crate) ops: usize,
}

impl Success {
    pub(crate) fn decode<'a, T: Decode<'a>>(&'a self) -> Result<T> {
        decode_frame(&self.body, 0).map_err(Error::malformed)
    }
}

/// Between the paths of a transaction's operations; no path contains it.
pub(crate) const PATH_SEPARATOR: char = '\n';

/// What a successful answer means to the caller.
type Meaning<T> = fn(&Success, &Client) -> Result<T>;

impl<'a> Call<'a> {
    /// A request that can be sent again without harm.
    pub(crate) fn read(client: &'a Client, op: OpCode, path: &'a str) -> Self {
        Call {
            replay: true,
            ..Call::write(client, op, path)
        }
    }

    /// A request that must not be executed twice.
    pub(crate) fn write(client: &'a Client, op: OpCode, path: &'a str) -> Self {
        Call {
            client,
            op,
            path,
            sequential: false,
            replay: false,
            watch: None,
            deadline: None,
            ops: 1,
        }
    }

    /// The path gets a number added, so it may end in a slash.
    pub(crate) fn sequential(self, sequential: bool) -> Self {
        Call { sequential, ..self }
    }

    /// The request holds this many operations.
    pub(crate) fn ops(self, ops: usize) -> Self {
        Call { ops, ..self }
    }

    pub(crate) fn watch(self, kind: WatchKind) -> Self {
        Call {
            watch: Some(kind),
            ..self
        }
    }

    pub(crate) fn deadline(self, deadline: Option<Duration>) -> Self {
        Call { deadline, ..self }
    }

    /// Submits the request.
    pub(crate) fn submit<T>(self, record: &dyn Encode, meaning: Meaning<T>) -> Pending<T> {
        self.submit_with(record, meaning, None)
    }

    /// Submits the request; `missing` is what the absence of the znode means, if not an error.
    pub(crate) fn submit_with<T>(
        self,
        record: &dyn Encode,
        meaning: Meaning<T>,
        missing: Option<Meaning<T>>,
    ) -> Pending<T> {
        let client = self.client.clone();
        let (op, ops) = (self.op, self.ops);
        let state = match self.into_core(record) {
            Ok(key) => Progress::Waiting(key),
            Err(error) => Progress::Failed(error),
        };
        Pending {
            client,
            op,
            ops,
            state,
            meaning,
            missing,
            output: PhantomData,
        }
    }

    fn into_core(self, record: &dyn Encode) -> Result<SlotKey> {
        validate(self.op, self.path, self.sequential)?;
        let watch = self.watch.map(|kind| WatchIntent {
            kind,
            path: self.client.root().join(self.path).into(),
            changed: false,
        });
        let request = Request {
            op: self.op,
            path: self.path,
            record,
            replay: self.replay,
            watch,
            deadline: self.client.deadline_from(self.deadline),
        };
        self.client
            .shared()
            .with(|core| core.submit(now(), request))
            .map_err(|failure| Error::from(failure).at(self.op, self.path))
    }
}

pub(crate) fn validate(op: OpCode, path: &str, sequential: bool) -> Result<()> {
    // The paths of a transaction's operations were validated when they were added.
    if matches!(op, OpCode::Multi | OpCode::MultiRead) {
        return Ok(());
    }
    let valid = if sequential {
        zk_proto::path::validate_sequential(path)
    } else {
        zk_proto::path::validate(path)
    };
    valid.map_err(|e| invalid_path(op, path, e))
}

pub(crate) fn invalid_path(op: OpCode, path: &str, error: zk_proto::PathError) -> Error {
    Error::new(ErrorKind::InvalidPath, Outcome::NotSent)
        .with_detail(format!("invalid path: {error}"))
        .with_source(error)
        .at(op, path)
}

/// An operation that has been submitted.
///
/// # Cancel safety
/// Dropping it discards the reply, not the operation: what is on the wire may be executed. What
/// still waits for a connection is not sent. A watch that it sets is removed.
#[must_use = "futures do nothing unless awaited; the operation itself has been submitted"]
pub struct Pending<T> {
    client: Client,
    op: OpCode,
    ops: usize,
    state: Progress,
    meaning: Meaning<T>,
    missing: Option<Meaning<T>>,
    output: PhantomData<fn() -> T>,
}

enum Progress {
    Waiting(SlotKey),
    Failed(Error),
    Answered(Bytes),
    Done,
}

impl Pending<()> {
    pub(crate) fn auth(client: &Client, scheme: &str, secret: Vec<u8>) -> Self {
        let deadline = client.deadline_from(None);
        let submitted = client
            .shared()
            .with(|core| core.add_credential(now(), scheme.to_owned(), secret, deadline));
        let state = match submitted {
            Ok(key) => Progress::Waiting(key),
            Err(failure) => Progress::Failed(Error::from(failure).at(OpCode::Auth, "")),
        };
        Pending {
            client: client.clone(),
            op: OpCode::Auth,
            ops: 1,
            state,
            meaning: |_, _| Ok(()),
            missing: None,
            output: PhantomData,
        }
    }
}

impl<T> Pending<T> {
    /// An operation that failed before it was submitted.
    pub(crate) fn failed(client: &Client, op: OpCode, error: Error, meaning: Meaning<T>) -> Self {
        Pending {
            client: client.clone(),
            op,
            ops: 1,
            state: Progress::Failed(error),
            meaning,
            missing: None,
            output: PhantomData,
        }
    }

    /// An operation whose answer needs no server.
    pub(crate) fn answered(client: &Client, op: OpCode, body: Bytes, meaning: Meaning<T>) -> Self {
        Pending {
            client: client.clone(),
            op,
            ops: 1,
            state: Progress::Answered(body),
            meaning,
            missing: None,
            output: PhantomData,
        }
    }

    fn interpret(&self, reply: Reply, path: &str) -> Result<T> {
        let (result, watch) = (reply.result, reply.watch);
        let meant = match (result, self.missing) {
            (Ok(body), _) => (self.meaning)(
                &Success {
                    body,
                    watch,
                    ops: self.ops,
                },
                &self.client,
            ),
            (Err(zk_proto::ErrorCode::NoNode), Some(missing)) => missing(
                &Success {
                    body: Bytes::new(),
                    watch,
                    ops: self.ops,
                },
                &self.client,
            ),
            (Err(code), _) => Err(Error::rejected(code)),
        };
        meant.map_err(|error| {
            if let Some(sub) = watch {
                self.client
                    .shared()
                    .with(|core| core.unsubscribe(now(), sub));
            }
            let path = match error.failed_op() {
                Some(index) => path.split(PATH_SEPARATOR).nth(index).unwrap_or_default(),
                None => path,
            };
            error.at(self.op, path)
        })
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        match std::mem::replace(&mut self.state, Progress::Done) {
            Progress::Waiting(key) => {
                let polled = self
                    .client
                    .shared()
                    .with(|core| core.poll_reply(key, cx.waker()));
                let Some(answer) = polled else {
                    self.state = Progress::Waiting(key);
                    return Poll::Pending;
                };
                Poll::Ready(match answer.result {
                    Ok(reply) => self.interpret(reply, &answer.path),
                    Err(failure) => Err(Error::from(failure).at(self.op, &answer.path)),
                })
            }
            Progress::Failed(error) => Poll::Ready(Err(error)),
            Progress::Answered(body) => {
                let success = Success {
                    body,
                    watch: None,
                    ops: 0,
                };
                Poll::Ready((self.meaning)(&success, &self.client))
            }
            Progress::Done => Poll::Pending,
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Progress::Waiting(key) = self.state {
            self.client.shared().with(|core| core.abandon(now(), key));
        }
    }
}

impl<T> std::fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending")
            .field("op", &self.op)
            .finish_non_exhaustive()
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::ConnectionLost(reason, outcome) => Error::connection_lost(reason, outcome),
            Failure::SessionExpired(outcome) => Error::new(ErrorKind::SessionExpired, outcome),
            Failure::DeadlineExceeded(outcome) => Error::new(ErrorKind::DeadlineExceeded, outcome),
            Failure::AuthFailed(outcome) => Error::new(ErrorKind::AuthFailed, outcome),
            Failure::Closed(outcome) => Error::new(ErrorKind::Closed, outcome),
            Failure::QueueFull => Error::new(ErrorKind::QueueFull, Outcome::NotSent),
            Failure::RequestTooLarge { size, limit } => {
                Error::new(ErrorKind::RequestTooLarge, Outcome::NotSent).with_detail(format!(
                    "the request is {size} bytes long and the limit is {limit}; a server closes \
                     the connection on what is larger than its jute.maxbuffer"
                ))
            }
            Failure::ReplyTooLarge { size, limit } => {
                Error::new(ErrorKind::ReplyTooLarge, Outcome::Unknown).with_detail(format!(
                    "the reply is {size} bytes long and the limit is {limit}; raise it with \
                     max_reply_bytes"
                ))
            }
        }
    }
}

/// The methods every operation's builder has.
macro_rules! operation {
    ($name:ident -> $output:ty) => {
        operation!(@ [<'a>] [$name<'a>] $output);
    };
    ($name:ident<$data:ident> -> $output:ty) => {
        operation!(@ [<'a, $data: AsRef<[u8]>>] [$name<'a, $data>] $output);
    };
    (@ [$($generics:tt)*] [$name:ty] $output:ty) => {
        impl $($generics)* $name {
            /// How long the operation may take, waiting for a connection included.

            pub fn deadline(mut self, deadline: std::time::Duration) -> Self {
                self.deadline = Some(deadline);
                self
            }
        }

        impl $($generics)* IntoFuture for $name {
            type Output = $crate::Result<$output>;
            type IntoFuture = $crate::Pending<$output>;

            fn into_future(self) -> $crate::Pending<$output> {
                self.submit()
            }
        }
    };
}
pub(crate) use operation;

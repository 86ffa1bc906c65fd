//! The way of one request into the session, and the future of its reply.
//!
//! Every operation that is one request comes through here: its builder makes a [`Call`],
//! [`Call::submit`] encodes the record into the output buffer of the connection and returns the
//! [`Pending`], and the `Pending` decodes the reply with the function that the builder gave.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use zk_proto::path::WirePath;
use zk_proto::{Encode, OpCode};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::explain::explain;
use crate::session::failure::Replay;
use crate::session::requests::{Answer, Reply, SlotKey};
use crate::session::watches::{WatchIntent, WatchKind};
use crate::session::{OpSet, Request};
use crate::shared::now;
use crate::telemetry::request::Observed;

/// Matches any version of a znode.
pub(crate) const ANY_VERSION: i32 = -1;

/// One request: the handle that makes it, the znode it is about, and how it is made.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub(crate) client: &'a Client,
    pub(crate) path: &'a str,
    pub(crate) options: CallOptions,
}

/// How a request is made: all of a [`Call`] that does not borrow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallOptions {
    op: OpCode,
    path_rule: PathRule,
    replay: Replay,
    watch: Option<WatchKind>,
    deadline: DeadlineSpec,
    /// The operations that the request needs and not every server has.
    needs: OpSet,
}

/// What makes the path of a request valid.
#[derive(Debug, Clone, Copy)]
enum PathRule {
    Znode,
    /// The server appends a number, so the path may end in a slash.
    Sequential,
    /// The request has no path, or its paths have been validated.
    Unchecked,
}

/// When an operation must be done.
#[derive(Debug, Clone, Copy)]
enum DeadlineSpec {
    /// After the client's default deadline.
    Default,
    /// This long after it was submitted.
    After(Duration),
    /// At this time, if ever.
    At(Option<Instant>),
}

/// Decodes the server's reply into the output of the operation.
type DecodeFn<T> = fn(&Reply, &Client) -> Result<T>;

/// The same for an output that depends on the request.
type DecodeWith<T> = Box<dyn Fn(&Reply, &Client) -> Result<T> + Send + Sync>;

enum Decoder<T> {
    Fn(DecodeFn<T>),
    With(DecodeWith<T>),
}

impl<'a> Call<'a> {
    /// A request that the session may send again after a lost connection.
    pub(crate) fn read(client: &'a Client, op: OpCode, path: &'a str) -> Self {
        Call::new(client, op, path, Replay::Always)
    }

    /// A request that must not be executed twice.
    pub(crate) fn write(client: &'a Client, op: OpCode, path: &'a str) -> Self {
        Call::new(client, op, path, Replay::Never)
    }

    fn new(client: &'a Client, op: OpCode, path: &'a str, replay: Replay) -> Self {
        let options = CallOptions {
            op,
            path_rule: PathRule::Znode,
            replay,
            watch: None,
            deadline: DeadlineSpec::Default,
            needs: OpSet::of(op),
        };
        Call {
            client,
            path,
            options,
        }
    }

    /// The request belongs to the one submitted before it and fails in another session. It must be
    /// done by `due`.
    pub(crate) fn in_session(mut self, due: Option<Instant>) -> Self {
        self.options.replay = Replay::InSession;
        self.options.deadline = DeadlineSpec::At(due);
        self
    }

    /// Whether the server appends a number to the path.
    pub(crate) fn sequential(mut self, sequential: bool) -> Self {
        if sequential {
            self.options.path_rule = PathRule::Sequential;
        }
        self
    }

    /// The request has no path, or its paths have been validated.
    pub(crate) fn without_path_check(mut self) -> Self {
        self.options.path_rule = PathRule::Unchecked;
        self
    }

    /// The request holds other operations, which the server must have, too.
    pub(crate) fn with_ops(mut self, ops: &[OpCode]) -> Self {
        self.options.needs = self.options.needs.with(OpSet::of_all(ops));
        self
    }

    /// The request sets a watch.
    pub(crate) fn watch(mut self, kind: WatchKind) -> Self {
        self.options.watch = Some(kind);
        self
    }

    /// How long the request may take; `None` for the client's default.
    pub(crate) fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.options.deadline = deadline.map_or(DeadlineSpec::Default, DeadlineSpec::After);
        self
    }

    /// When the request must be done if it is submitted now.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        match self.options.deadline {
            DeadlineSpec::Default => self.client.deadline_from(now, None),
            DeadlineSpec::After(deadline) => self.client.deadline_from(now, Some(deadline)),
            DeadlineSpec::At(due) => due,
        }
    }

    /// The path with the chroot in front, for a record.
    pub(crate) fn wire_path(&self) -> WirePath<'a> {
        self.client.root().wire(self.path)
    }

    /// Submits the request.
    pub(crate) fn submit<T>(self, record: &dyn Encode, decode: DecodeFn<T>) -> Pending<T> {
        self.submit_decoding(record, Decoder::Fn(decode))
    }

    /// Submits a request whose reply `decode` can only decode with what it has kept of the request.
    pub(crate) fn submit_with<T>(
        self,
        record: &dyn Encode,
        decode: impl Fn(&Reply, &Client) -> Result<T> + Send + Sync + 'static,
    ) -> Pending<T> {
        self.submit_decoding(record, Decoder::With(Box::new(decode)))
    }

    fn submit_decoding<T>(self, record: &dyn Encode, decoder: Decoder<T>) -> Pending<T> {
        let submitted = now();
        let observed = Observed::submitted(self.client.shared(), self.options.op, self.path);
        let progress = match self.enqueue(submitted, record) {
            Ok(key) => Progress::Waiting(key),
            Err(error) => Progress::Failed(error),
        };
        Pending {
            client: self.client.clone(),
            op: self.options.op,
            submitted,
            observed,
            progress,
            decoder,
            output: PhantomData,
        }
    }

    /// Hands the request to the session: the one time that a submission takes the lock.
    fn enqueue(&self, now: Instant, record: &dyn Encode) -> Result<SlotKey> {
        let CallOptions { op, needs, .. } = self.options;
        match self.options.path_rule {
            PathRule::Znode => validate(op, self.path, false)?,
            PathRule::Sequential => validate(op, self.path, true)?,
            PathRule::Unchecked => {}
        }
        let watch = self.options.watch.map(|kind| WatchIntent {
            kind,
            path: self.client.root().join(self.path).into(),
            overridden: false,
        });
        let request = Request {
            op,
            needs,
            path: self.path,
            record,
            replay: self.options.replay,
            watch,
            deadline: self.due(now),
            cleanup: self.client.is_for_cleanup(),
            only_in: self.client.only_in(),
            room: self.client.take_room(),
        };
        self.client
            .shared()
            .with(|core| core.submit(now, &request))
            .map_err(|failure| explain(*failure, self.client, now).at(op, self.path))
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.options.op.name(), self.path)
    }
}

/// Checks the path of an operation.
pub(crate) fn validate(op: OpCode, path: &str, sequential: bool) -> Result<()> {
    let valid = if sequential {
        zk_proto::path::validate_sequential(path)
    } else {
        zk_proto::path::validate(path)
    };
    valid.map_err(|error| {
        Error::new(ErrorKind::InvalidPath, Outcome::NotSent)
            .with_source(error)
            .at(op, path)
    })
}

/// An operation of several requests that has been submitted.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// An operation that has been submitted: the future of its reply.
///
/// It borrows nothing, so it can be given to whatever takes a future. Builders such as
/// [`Get`](crate::Get) are no futures until `.await` or `submit()` makes one of them:
///
/// ```no_run
/// # async fn run(zk: zk_client::Client, paths: Vec<String>) -> zk_client::Result<()> {
/// let task = tokio::spawn(zk.get("/a").submit());
/// // The requests are on the wire together, and cost one round trip.
/// let replies: Vec<_> = paths.iter().map(|path| zk.get(path).submit()).collect();
/// for reply in replies {
///     let (data, stat) = reply.await?;
/// }
/// # Ok(()) }
/// ```
///
/// With the crate `futures` that is `join_all(paths.iter().map(|path| zk.get(path).submit()))`; the
/// same goes for `FuturesUnordered`, `buffer_unordered`, `select!` and `join!`.
///
/// # Cancel safety
/// Dropping it discards the reply. A request on the wire may still be executed; a request that waits
/// for a connection is not sent. A watch that the request sets is removed.
#[doc(alias = "IAsyncResult")]
#[doc(alias = "AsyncCallback")]
#[must_use = "futures do nothing unless awaited; the operation itself has been submitted"]
pub struct Pending<T> {
    client: Client,
    op: OpCode,
    submitted: Instant,
    observed: Observed,
    progress: Progress,
    decoder: Decoder<T>,
    output: PhantomData<fn() -> T>,
}

enum Progress {
    Waiting(SlotKey),
    /// The operation failed before it was submitted.
    Failed(Error),
    /// The operation did not need a server.
    Answered,
    Done,
}

impl<T> Pending<T> {
    fn new(
        client: &Client,
        op: OpCode,
        path: &str,
        progress: Progress,
        decode: DecodeFn<T>,
    ) -> Self {
        Pending {
            client: client.clone(),
            op,
            submitted: now(),
            observed: Observed::submitted(client.shared(), op, path),
            progress,
            decoder: Decoder::Fn(decode),
            output: PhantomData,
        }
    }

    /// An operation that failed before it was submitted.
    pub(crate) fn failed(client: &Client, op: OpCode, error: Error, decode: DecodeFn<T>) -> Self {
        let path = error.path().unwrap_or_default().to_owned();
        Pending::new(client, op, &path, Progress::Failed(error), decode)
    }

    /// An operation that needs no server: `decode` gets an empty reply.
    pub(crate) fn answered(client: &Client, op: OpCode, decode: DecodeFn<T>) -> Self {
        Pending::new(client, op, "", Progress::Answered, decode)
    }

    /// The slot of the request, until its reply has been taken.
    pub(crate) fn key(&self) -> Option<SlotKey> {
        match self.progress {
            Progress::Waiting(key) => Some(key),
            _ => None,
        }
    }

    /// Why the operation was not submitted.
    pub(crate) fn refusal(&self) -> Option<&Error> {
        match &self.progress {
            Progress::Failed(error) => Some(error),
            _ => None,
        }
    }

    fn decode(&self, reply: &Reply, path: &str) -> Result<T> {
        let decoded = match &self.decoder {
            Decoder::Fn(decode) => decode(reply, &self.client),
            Decoder::With(decode) => decode(reply, &self.client),
        };
        decoded.map_err(|error| self.refused(error, reply, path))
    }

    /// The server answered with an error code, or with a malformed reply.
    #[cold]
    fn refused(&self, error: Error, reply: &Reply, path: &str) -> Error {
        if let Some(sub) = reply.watch {
            self.client
                .shared()
                .with(|core| core.unsubscribe(now(), sub));
        }
        let error = match error.path() {
            // The decoder has added it.
            Some(_) => error,
            None => error.at(self.op, path),
        };
        error.in_chroot(self.client.root())
    }

    fn finish(&self, answer: Answer) -> Result<T> {
        match answer.result {
            Ok(reply) => self.decode(&reply, &answer.path),
            Err(failure) => {
                let error = explain(*failure, &self.client, self.submitted);
                Err(error.of_replayed(self.op).at(self.op, &answer.path))
            }
        }
    }
}

impl Pending<()> {
    /// Submits credentials. They go to every connection, and have a way of their own.
    pub(crate) fn auth(
        client: &Client,
        scheme: String,
        secret: Vec<u8>,
        deadline: Option<Duration>,
    ) -> Self {
        let submitted = now();
        let deadline = client.deadline_from(submitted, deadline);
        let key = client
            .shared()
            .with(|core| core.add_credential(scheme, secret, deadline));
        let progress = match key {
            Ok(key) => Progress::Waiting(key),
            Err(failure) => {
                Progress::Failed(explain(failure, client, submitted).at(OpCode::Auth, ""))
            }
        };
        Pending::new(client, OpCode::Auth, "", progress, |reply, _| {
            reply.body().map(drop)
        })
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut seen = None;
        let result = if let Progress::Waiting(key) = self.progress {
            let shared = self.client.shared();
            let Some(answer) = shared.with(|core| core.poll_reply(key, cx.waker())) else {
                return Poll::Pending;
            };
            self.progress = Progress::Done;
            seen = answer.result.as_ref().ok().and_then(|reply| reply.seen);
            self.finish(answer)
        } else {
            match std::mem::replace(&mut self.progress, Progress::Done) {
                Progress::Answered => {
                    let reply = Reply {
                        result: Ok(Bytes::new()),
                        watch: None,
                        seen: None,
                    };
                    self.decode(&reply, "")
                }
                Progress::Failed(error) => Err(error),
                Progress::Waiting(_) | Progress::Done => return Poll::Pending,
            }
        };
        let this = &mut *self;
        let (shared, failed) = (this.client.shared(), result.as_ref().err());
        (this.observed).done(shared, this.op, this.submitted, seen, failed);
        Poll::Ready(result)
    }
}

#[cfg(feature = "blocking")]
impl<T> Pending<T> {
    /// Blocks until the operation is done. With the feature `blocking`.
    ///
    /// # Errors
    /// Those of the operation.
    ///
    /// # Panics
    /// If this thread is running asynchronous tasks; see [`blocking`](crate::blocking).
    pub fn wait(self) -> Result<T> {
        let runtime = self.client.runtime().clone();
        runtime.block_on(self)
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.observed.dropped(self.client.shared(), self.op);
        if let Progress::Waiting(key) = self.progress {
            self.client.shared().with(|core| core.abandon(now(), key));
        }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("op", &self.op)
            .finish_non_exhaustive()
    }
}

//! A request's way into the core, and its future.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use zk_proto::{Decode, Encode, ErrorCode, OpCode, decode_frame};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, PATH_SEPARATOR, Result, is_create};
use crate::session::failure::{Failure, Replay};
use crate::session::requests::{Answer, Reply, SlotKey};
use crate::session::watches::WatchIntent;
use crate::session::watches::{SubId, WatchKind};
use crate::session::{OpSet, Request};
use crate::shared::now;
use crate::telemetry::Observed;

/// A request being put together.
pub(crate) struct Call<'a> {
    client: &'a Client,
    op: OpCode,
    path: &'a str,
    sequential: bool,
    replay: Replay,
    watch: Option<WatchKind>,
    due: Due,
    ops: Box<[OpCode]>,
    /// The operations it needs that not every server has.
    needs: OpSet,
}

/// When an operation must be done.
#[derive(Clone, Copy)]
enum Due {
    /// After the client's default deadline.
    Default,
    /// After this long.
    After(Duration),
    /// At this time, if ever.
    At(Option<Instant>),
}

/// A server's successful answer, with the watch it set.
pub(crate) struct Success {
    pub(crate) body: Bytes,
    pub(crate) watch: Option<SubId>,
    /// The operations that were asked for in one, if it was several.
    pub(crate) ops: Box<[OpCode]>,
}

impl Success {
    pub(crate) fn decode<'a, T: Decode<'a>>(&'a self) -> Result<T> {
        decode_frame(&self.body, 0).map_err(Error::malformed)
    }
}

/// What a successful answer means to the caller.
type Meaning<T> = fn(&Success, &Client) -> Result<T>;

impl<'a> Call<'a> {
    /// A request that can be sent again without harm.
    pub(crate) fn read(client: &'a Client, op: OpCode, path: &'a str) -> Self {
        Call {
            replay: Replay::Always,
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
            replay: Replay::Never,
            watch: None,
            due: Due::Default,
            ops: Box::default(),
            needs: OpSet::of(op),
        }
    }

    /// The request belongs to what was submitted before it, and means nothing in another session.
    pub(crate) fn in_session(self) -> Self {
        Call {
            replay: Replay::InSession,
            ..self
        }
    }

    /// The path gets a number added, so it may end in a slash.
    pub(crate) fn sequential(self, sequential: bool) -> Self {
        Call { sequential, ..self }
    }

    /// The request holds these operations.
    pub(crate) fn ops(self, ops: Box<[OpCode]>) -> Self {
        let needs = self.needs.with(OpSet::of_all(&ops));
        Call { ops, needs, ..self }
    }

    pub(crate) fn watch(self, kind: WatchKind) -> Self {
        Call {
            watch: Some(kind),
            ..self
        }
    }

    pub(crate) fn deadline(self, deadline: Option<Duration>) -> Self {
        let due = deadline.map_or(Due::Default, Due::After);
        Call { due, ..self }
    }

    pub(crate) fn due(self, due: Option<Instant>) -> Self {
        Call {
            due: Due::At(due),
            ..self
        }
    }

    /// Submits the request.
    pub(crate) fn submit<T>(self, record: &dyn Encode, meaning: Meaning<T>) -> Pending<T> {
        self.submit_with(record, meaning, None)
    }

    /// Submits the request; `missing` is what the absence of the znode means, if not an error.
    pub(crate) fn submit_with<T>(
        mut self,
        record: &dyn Encode,
        meaning: Meaning<T>,
        missing: Option<Meaning<T>>,
    ) -> Pending<T> {
        let client = self.client.clone();
        let (op, ops) = (self.op, std::mem::take(&mut self.ops));
        let submitted = now();
        let observed = Observed::submitted(op, self.path);
        let state = match self.into_core(submitted, record) {
            Ok(key) => Progress::Waiting(key),
            Err(error) => Progress::Failed(error),
        };
        Pending {
            client,
            op,
            ops,
            submitted,
            observed,
            state,
            meaning,
            missing,
            output: PhantomData,
        }
    }

    fn into_core(self, now: Instant, record: &dyn Encode) -> Result<SlotKey> {
        validate(self.op, self.path, self.sequential)?;
        let watch = self.watch.map(|kind| WatchIntent {
            kind,
            path: self.client.root().join(self.path).into(),
            changed: false,
        });
        let request = Request {
            op: self.op,
            needs: self.needs,
            path: self.path,
            record,
            replay: self.replay,
            watch,
            deadline: match self.due {
                Due::Default => self.client.deadline_from(now, None),
                Due::After(deadline) => self.client.deadline_from(now, Some(deadline)),
                Due::At(due) => due,
            },
            cleanup: self.client.is_for_cleanup(),
            only_in: self.client.only_in(),
        };
        self.client
            .shared()
            .with(|core| core.submit(now, &request))
            .map_err(|failure| explain(*failure, self.client, now).at(self.op, self.path))
    }
}

pub(crate) fn validate(op: OpCode, path: &str, sequential: bool) -> Result<()> {
    // The paths of a transaction's operations were validated when they were added.
    if matches!(op, OpCode::Multi | OpCode::MultiRead | OpCode::WhoAmI) {
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
    ops: Box<[OpCode]>,
    submitted: Instant,
    observed: Observed,
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
        let submitted = now();
        let deadline = client.deadline_from(submitted, None);
        let key = client
            .shared()
            .with(|core| core.add_credential(scheme.to_owned(), secret, deadline));
        let state = match key {
            Ok(key) => Progress::Waiting(key),
            Err(failure) => {
                Progress::Failed(explain(failure, client, submitted).at(OpCode::Auth, ""))
            }
        };
        Pending {
            client: client.clone(),
            op: OpCode::Auth,
            ops: Box::default(),
            submitted,
            observed: Observed::submitted(OpCode::Auth, ""),
            state,
            meaning: |_, _| Ok(()),
            missing: None,
            output: PhantomData,
        }
    }
}

impl<T> Pending<T> {
    /// The request, until it has been answered.
    pub(crate) fn key(&self) -> Option<SlotKey> {
        match self.state {
            Progress::Waiting(key) => Some(key),
            _ => None,
        }
    }

    /// An operation that failed before it was submitted.
    pub(crate) fn failed(client: &Client, op: OpCode, error: Error, meaning: Meaning<T>) -> Self {
        Pending {
            client: client.clone(),
            op,
            ops: Box::default(),
            submitted: now(),
            observed: Observed::submitted(op, error.path().unwrap_or_default()),
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
            ops: Box::default(),
            submitted: now(),
            observed: Observed::submitted(op, ""),
            state: Progress::Answered(body),
            meaning,
            missing: None,
            output: PhantomData,
        }
    }

    /// What the server's answer means.
    fn interpret(&mut self, answer: Result<Bytes, ErrorCode>, watch: Option<SubId>) -> Result<T> {
        let (body, meaning) = match (answer, self.missing) {
            (Ok(body), _) => (body, self.meaning),
            (Err(ErrorCode::NoNode), Some(missing)) => (Bytes::new(), missing),
            (Err(code), _) => return Err(Error::answered(code)),
        };
        let ops = std::mem::take(&mut self.ops);
        meaning(&Success { body, watch, ops }, &self.client)
    }

    /// The server has answered with an error, or with what makes no sense.
    fn refused(&self, error: Error, watch: Option<SubId>, path: &str) -> Error {
        if let Some(sub) = watch {
            self.client
                .shared()
                .with(|core| core.unsubscribe(now(), sub));
        }
        let path = match error.failed_op() {
            Some(index) => path.split(PATH_SEPARATOR).nth(index).unwrap_or_default(),
            None => path,
        };
        let root = self.client.root();
        let parent = zk_proto::path::parent(path).filter(|_| is_create(self.op));
        let is_root = path == "/" || parent == Some("/");
        match error.kind() {
            ErrorKind::NoNode if is_root && !root.is_none() => {
                error.with_detail(format!("the client's chroot {root} does not exist"))
            }
            _ => error,
        }
        .at(self.op, path)
    }

    fn take(&mut self, answer: Answer) -> Result<T> {
        match answer.result {
            Ok(Reply { result, watch, .. }) => self
                .interpret(result, watch)
                .map_err(|error| self.refused(error, watch, &answer.path)),
            Err(failure) => {
                let error = explain(*failure, &self.client, self.submitted);
                Err(error.of_replayed(self.op).at(self.op, &answer.path))
            }
        }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let mut seen = None;
        let result = if let Progress::Waiting(key) = self.state {
            let shared = self.client.shared();
            let polled = shared.with(|core| core.poll_reply(key, cx.waker()));
            let Some(answer) = polled else {
                return Poll::Pending;
            };
            self.state = Progress::Done;
            seen = answer.result.as_ref().ok().and_then(|reply| reply.seen);
            self.take(answer)
        } else {
            match std::mem::replace(&mut self.state, Progress::Done) {
                Progress::Answered(body) => self.interpret(Ok(body), None),
                Progress::Failed(error) => Err(error),
                Progress::Waiting(_) | Progress::Done => return Poll::Pending,
            }
        };
        let (op, submitted) = (self.op, self.submitted);
        self.observed
            .done(op, submitted, seen, result.as_ref().err());
        Poll::Ready(result)
    }
}

blocking!([<T>] Pending<T>, T, |op| op.client);

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        self.observed.dropped(self.op);
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

/// The failure of a request, with what the client knows besides.
fn explain(failure: Failure, client: &Client, submitted: Instant) -> Error {
    let waited = || now().saturating_duration_since(submitted).as_millis();
    let detail = match &failure {
        Failure::DeadlineExceeded(Outcome::NotSent) => {
            let failures = client.connect_failures();
            if failures.is_empty() {
                Some(format!(
                    "the deadline passed: no server answered within {} ms",
                    waited()
                ))
            } else {
                Some(format!(
                    "the deadline passed: no server within {} ms: {failures}",
                    waited()
                ))
            }
        }
        Failure::DeadlineExceeded(_) => Some(format!(
            "the deadline passed: no answer within {} ms",
            waited()
        )),
        Failure::Closed(_) if client.shared().with(|core| core.has_panicked()) => {
            Some(client.connect_failures())
        }
        Failure::AuthFailed(..) => Some(client.connect_failures()).filter(|said| !said.is_empty()),
        _ => None,
    };
    let error = Error::from(failure);
    match detail {
        Some(detail) => error.with_detail(detail),
        None => error,
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::ConnectionLost(reason, outcome) => Error::connection_lost(reason, outcome),
            Failure::ClosedOn(reason) => {
                Error::connection_lost(reason, Outcome::Unknown).with_closed_on()
            }
            Failure::Unimplemented(outcome) => Error::new(ErrorKind::Unimplemented, outcome),
            Failure::SessionExpired(outcome) => Error::new(ErrorKind::SessionExpired, outcome),
            Failure::DeadlineExceeded(outcome) => Error::new(ErrorKind::DeadlineExceeded, outcome),
            Failure::AuthFailed(reason, outcome) => Error::auth_failed(reason, outcome),
            Failure::Closed(outcome) => Error::new(ErrorKind::Closed, outcome),
            Failure::QueueFull => Error::new(ErrorKind::QueueFull, Outcome::NotSent),
            Failure::QueueBytes { bytes, limit } => {
                Error::new(ErrorKind::QueueFull, Outcome::NotSent).with_detail(format!(
                    "the outstanding requests have {bytes} bytes and the limit is {limit}"
                ))
            }
            Failure::RequestTooLarge { size, limit } => {
                Error::new(ErrorKind::RequestTooLarge, Outcome::NotSent).with_detail(format!(
                    "the request is {size} bytes long and the limit is {limit}"
                ))
            }
            Failure::ReplyTooLarge { size, limit } => {
                Error::new(ErrorKind::ReplyTooLarge, Outcome::Unknown).with_detail(format!(
                    "the reply is {size} bytes long and the limit is {limit}"
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

        $crate::ops::pending::blocking!([$($generics)*] $name, $output, |op| op.client);

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

/// The method that operations have for programs without a runtime.
macro_rules! blocking {
    ([$($generics:tt)*] $name:ty, $output:ty, |$op:ident| $client:expr) => {
        #[cfg(feature = "blocking")]
        impl $($generics)* $name {
            /// Makes the operation and blocks until it is done. With the feature `blocking`.
            ///
            /// # Errors
            /// Those of the operation.
            ///
            /// # Panics
            /// If this thread is running asynchronous tasks; see [`blocking`](crate::blocking).
            pub fn wait(self) -> $crate::Result<$output> {
                let $op = &self;
                let runtime = $client.runtime().clone();
                runtime.block_on(self.into_future())
            }
        }
    };
}
pub(crate) use blocking;

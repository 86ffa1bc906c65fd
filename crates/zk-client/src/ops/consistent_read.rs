//! Reads that see all that had been committed before they were submitted.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use zk_proto::records::{CheckVersionRequest, MultiHeader, MultiOp};
use zk_proto::{Encode, OpCode};

use crate::client::Client;
use crate::error::{Error, ErrorKind, Outcome, Result};
use crate::ops::operation::blocking;
use crate::ops::pending::{Call, CallOptions, Pending};
use crate::ops::sync::sync;
use crate::shared::now;

use self::sealed::Submit;

/// Which transactions a read must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Barrier {
    /// Those that the leader had committed.
    Sync,
    /// Those that a quorum had committed: it commits an empty transaction.
    Commit,
}

/// Operations that read: [`Get`](crate::Get), [`Exists`](crate::Exists),
/// [`GetChildren`](crate::GetChildren), with or without a watch. Only this crate implements it.
pub trait ReadOp: Submit<Self::Output> {
    /// What the read returns.
    type Output;
}

pub(crate) mod sealed {
    use crate::ops::pending::{Call, Pending};

    /// A read that can be submitted behind a barrier, and again.
    pub trait Submit<T> {
        /// The request, as the caller has made it.
        fn call(&self) -> Call<'_>;

        /// Puts such a request on the wire.
        fn send(call: Call<'_>) -> Pending<T>;
    }
}

/// A read with a barrier in front of it. Both go out together and cost one round trip.
///
/// If the connection is lost, the client sends both again, and connects to no server that lags behind
/// the reply of the barrier. If the session expires, it submits the read again with a new barrier.
///
/// # Errors
/// Those of the read, and of the barrier: [`ReadOnly`](ErrorKind::ReadOnly) from a server without a
/// quorum.
///
/// # Cancel safety
/// Dropping the future discards the reply and has no other effect.
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct BarrierRead<R> {
    read: R,
    barrier: Barrier,
}

impl<R> BarrierRead<R> {
    pub(crate) fn synced(read: R) -> Self {
        BarrierRead {
            read,
            barrier: Barrier::Sync,
        }
    }

    pub(crate) fn linearizable(read: R) -> Self {
        BarrierRead {
            read,
            barrier: Barrier::Commit,
        }
    }
}

impl<R: ReadOp> BarrierRead<R> {
    /// Puts barrier and read on the wire. The future borrows nothing.
    pub fn submit(self) -> PendingBarrierRead<R::Output> {
        let call = self.read.call();
        let call = call.in_session(call.due(now()));
        PendingBarrierRead {
            client: call.client.clone(),
            path: call.path.into(),
            options: call.options,
            kind: self.barrier,
            barrier: self.barrier.submit(call),
            barred: None,
            read: R::send(call),
            send: R::send,
        }
    }
}

impl<R: ReadOp> IntoFuture for BarrierRead<R> {
    type Output = Result<R::Output>;
    type IntoFuture = PendingBarrierRead<R::Output>;

    fn into_future(self) -> PendingBarrierRead<R::Output> {
        self.submit()
    }
}

blocking!([<R: ReadOp>] BarrierRead<R>, R::Output, |op| op.read.call().client);

impl<R: fmt::Debug> fmt::Debug for BarrierRead<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BarrierRead")
            .field("read", &self.read)
            .field("barrier", &self.barrier)
            .finish()
    }
}

impl Barrier {
    /// Submits the barrier of a read.
    fn submit(self, read: Call<'_>) -> Pending<()> {
        let call = |op| Call::read(read.client, op, read.path).in_session(read.due(now()));
        match self {
            Barrier::Sync => sync(call(OpCode::Sync)),
            // A transaction that fails is committed, too, so the result makes no difference.
            Barrier::Commit => call(OpCode::Multi)
                .without_path_check()
                .submit(&NoOp, |reply, _| reply.body().map(drop)),
        }
    }
}

/// A read and its barrier, both submitted.
///
/// # Cancel safety
/// Dropping it discards the reply and has no other effect.
#[must_use = "futures do nothing unless awaited; the read itself has been submitted"]
pub struct PendingBarrierRead<T> {
    client: Client,
    path: Box<str>,
    options: CallOptions,
    kind: Barrier,
    barrier: Pending<()>,
    /// The result of the barrier, while the reply to the read is missing.
    barred: Option<Result<()>>,
    read: Pending<T>,
    /// Submits the read again.
    send: fn(Call<'_>) -> Pending<T>,
}

impl<T> PendingBarrierRead<T> {
    fn submit_again(&mut self) {
        let call = Call {
            client: &self.client,
            path: &self.path,
            options: self.options,
        };
        self.barrier = self.kind.submit(call);
        self.read = (self.send)(call);
    }

    /// Whether both requests can be submitted in another session.
    fn is_repeatable(&self, failed: &Error) -> bool {
        failed.kind() == ErrorKind::SessionExpired
            && failed.outcome() == Outcome::NotSent
            && self.client.only_in().is_none()
            && !self.client.is_over()
    }
}

impl<T> Future for PendingBarrierRead<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let barred = match self.barred.take() {
                Some(barred) => barred,
                None => ready!(Pin::new(&mut self.barrier).poll(cx)),
            };
            let Poll::Ready(read) = Pin::new(&mut self.read).poll(cx) else {
                self.barred = Some(barred);
                return Poll::Pending;
            };
            // If both fail, the failure of the barrier is the cause.
            let failed = match (barred, read) {
                (Ok(()), Ok(output)) => return Poll::Ready(Ok(output)),
                // Named a sync, since the transaction of a barrier changes nothing.
                (Err(error), _) => error.at(OpCode::Sync, &self.path),
                (_, Err(error)) => error,
            };
            if !self.is_repeatable(&failed) {
                return Poll::Ready(Err(failed));
            }
            self.submit_again();
        }
    }
}

blocking!([<T>] PendingBarrierRead<T>, T, |op| op.client);

impl<T> fmt::Debug for PendingBarrierRead<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingBarrierRead")
            .field("path", &self.path)
            .field("barrier", &self.kind)
            .finish_non_exhaustive()
    }
}

/// A transaction that changes nothing: it checks that the root exists.
struct NoOp;

impl Encode for NoOp {
    fn encode(&self, out: &mut BytesMut) {
        let check = CheckVersionRequest {
            path: "/".into(),
            version: -1,
        };
        MultiOp::Check(check).encode(out);
        MultiHeader::END.encode(out);
    }
}

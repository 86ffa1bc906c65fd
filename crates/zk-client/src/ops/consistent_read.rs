//! Reads that see what had been committed before they were made.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::BytesMut;
use zk_proto::records::{CheckVersionRequest, MultiHeader, MultiOp};
use zk_proto::{Encode, OpCode};

use crate::client::Client;
use crate::error::{ErrorKind, Outcome, Result};
use crate::ops::pending::{Call, Pending};
use crate::ops::read::sync;

/// How much a read must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Barrier {
    /// What the leader had committed.
    Sync,
    /// What a quorum had committed: an empty transaction goes through it.
    Commit,
}

/// Operations that read: [`Get`](crate::Get), [`Exists`](crate::Exists),
/// [`GetChildren`](crate::GetChildren), with or without a watch. Only this crate implements it.
pub trait Read: sealed::InSession<Self::Output> {
    /// What it gives.
    type Output;
}

pub(crate) mod sealed {
    use super::{Client, Instant, Pending};

    /// A read that can have a barrier before it.
    pub trait InSession<T>: Copy + Unpin {
        fn client(&self) -> &Client;
        fn path(&self) -> &str;
        fn due(&self) -> Option<Instant>;

        /// Puts it on the wire, to be done by `due`. It is not repeated in another session, where
        /// nothing would be before it.
        fn submit_in_session(self, due: Option<Instant>) -> Pending<T>;
    }
}

/// A read with a barrier before it; both are on the wire together and cost one round trip.
///
/// Should the connection be lost, both are sent again. A server that knows less than the barrier's
/// reply promised is not connected to; should the session expire, the read is made again, with a
/// barrier of its own.
///
/// # Errors
/// Those of the read, and of the barrier: [`ReadOnly`](ErrorKind::ReadOnly) from a server without a
/// quorum.
///
/// # Cancel safety
/// Dropping the future has no effect but that the reply is not seen.
#[must_use = "operations do nothing unless awaited or submitted"]
pub struct Fresh<R> {
    read: R,
    barrier: Barrier,
}

impl<R> Fresh<R> {
    pub(crate) fn synced(read: R) -> Self {
        Fresh {
            read,
            barrier: Barrier::Sync,
        }
    }

    pub(crate) fn linearizable(read: R) -> Self {
        Fresh {
            read,
            barrier: Barrier::Commit,
        }
    }
}

impl<R: Read> Fresh<R> {
    /// Puts barrier and read on the wire.
    pub fn submit(self) -> FreshPending<R> {
        let due = self.read.due();
        let (barrier, read) = self.send(due);
        FreshPending {
            fresh: self,
            due,
            barrier,
            barred: None,
            read,
        }
    }

    fn send(&self, due: Option<Instant>) -> (Pending<()>, Pending<R::Output>) {
        let (client, path) = (self.read.client(), self.read.path());
        let call = |op| Call::read(client, op, path).in_session().due(due);
        let barrier = match self.barrier {
            Barrier::Sync => sync(client, path, call(OpCode::Sync)),
            // Its result does not matter: a transaction that fails is committed, too.
            Barrier::Commit => call(OpCode::Multi).submit(&NoOp, |_, _| Ok(())),
        };
        (barrier, self.read.submit_in_session(due))
    }
}

impl<R: Read> IntoFuture for Fresh<R> {
    type Output = Result<R::Output>;
    type IntoFuture = FreshPending<R>;

    fn into_future(self) -> FreshPending<R> {
        self.submit()
    }
}

/// A read and its barrier, both submitted.
///
/// # Cancel safety
/// Dropping it has no effect but that the reply is not seen.
#[must_use = "futures do nothing unless awaited; the read itself has been submitted"]
pub struct FreshPending<R: Read> {
    fresh: Fresh<R>,
    due: Option<Instant>,
    barrier: Pending<()>,
    barred: Option<Result<()>>,
    read: Pending<R::Output>,
}

impl<R: Read> Future for FreshPending<R> {
    type Output = Result<R::Output>;

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
            // The barrier's failure is the cause if both fail.
            let failed = match (barred, read) {
                (Ok(()), Ok(output)) => return Poll::Ready(Ok(output)),
                // The transaction of a barrier changes nothing, and its error is a read's.
                (Err(error), _) => error.at(OpCode::Sync, self.fresh.read.path()),
                (_, Err(error)) => error,
            };
            let again = failed.kind() == ErrorKind::SessionExpired
                && failed.outcome() == Outcome::NotSent
                && !self.fresh.read.client().is_over();
            if !again {
                return Poll::Ready(Err(failed));
            }
            (self.barrier, self.read) = self.fresh.send(self.due);
        }
    }
}

impl<R: Read + fmt::Debug> fmt::Debug for FreshPending<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FreshPending").field(&self.fresh).finish()
    }
}

impl<R: fmt::Debug> fmt::Debug for Fresh<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fresh")
            .field("read", &self.read)
            .field("barrier", &self.barrier)
            .finish()
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

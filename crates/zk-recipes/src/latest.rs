//! A slot for the latest value: written by one task, read by one owner.
//!
//! Not `tokio::sync::watch`: its receiver borrows the value, which stays in memory after it is read
//! and has to be cloned (errors cannot be), and it has no `poll` method for a `Stream`.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use tokio::task::AbortHandle;
use zk_client::Client;

#[derive(Debug)]
struct Slot<T> {
    unread: Option<T>,
    over: bool,
    waker: Option<Waker>,
}

/// Writes the slot. Dropping it ends the reader's stream.
#[derive(Debug)]
pub(crate) struct Writer<T>(Arc<Mutex<Slot<T>>>);

/// Reads the slot, each value at most once; a value that is overwritten before it is read is skipped.
/// Dropping it ends the task that writes.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    slot: Arc<Mutex<Slot<T>>>,
    task: AbortHandle,
    /// Keeps the client open. The task does not, since it ends some time after the reader.
    _client: Client,
}

impl<T: Send + 'static> Latest<T> {
    /// Starts the task that writes, on the client's runtime. The task must use only background handles
    /// of the client.
    pub(crate) fn written_by<F>(client: &Client, task: impl FnOnce(Writer<T>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let slot = Arc::new(Mutex::new(Slot {
            unread: None,
            over: false,
            waker: None,
        }));
        let task = client.runtime().spawn(task(Writer(slot.clone())));
        Latest {
            slot,
            task: task.abort_handle(),
            _client: client.clone(),
        }
    }
}

impl<T> Writer<T> {
    pub(crate) fn write(&self, value: T) {
        let waker = {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slot.unread = Some(value);
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            slot.over = true;
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Stream for Latest<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        match (slot.unread.take(), slot.over) {
            (Some(value), _) => Poll::Ready(Some(value)),
            (None, true) => Poll::Ready(None),
            (None, false) => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Latest<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

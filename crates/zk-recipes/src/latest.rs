//! A place for the latest of something: written by one task, read by one owner.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use tokio::task::AbortHandle;
use zk_client::Client;

#[derive(Debug)]
struct Place<T> {
    unread: Option<T>,
    over: bool,
    waker: Option<Waker>,
}

/// Writes. Dropping it ends the reader's stream.
#[derive(Debug)]
pub(crate) struct Writer<T>(Arc<Mutex<Place<T>>>);

/// Reads the latest value, each at most once; one that is overwritten before it is read is skipped.
/// Dropping it ends the task that writes.
#[derive(Debug)]
pub(crate) struct Latest<T> {
    place: Arc<Mutex<Place<T>>>,
    task: AbortHandle,
    /// Keeps the client open. The task does not, for it ends some time after the reader.
    _client: Client,
}

impl<T: Send + 'static> Latest<T> {
    /// Starts the task that writes, on the client's runtime. It must use only handles of the client
    /// that are in the background.
    pub(crate) fn written_by<F>(client: &Client, task: impl FnOnce(Writer<T>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let place = Arc::new(Mutex::new(Place {
            unread: None,
            over: false,
            waker: None,
        }));
        let task = client.runtime().spawn(task(Writer(place.clone())));
        Latest {
            place,
            task: task.abort_handle(),
            _client: client.clone(),
        }
    }
}

impl<T> Writer<T> {
    pub(crate) fn write(&self, value: T) {
        let waker = {
            let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            place.unread = Some(value);
            place.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        let waker = {
            let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            place.over = true;
            place.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Stream for Latest<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        match (place.unread.take(), place.over) {
            (Some(value), _) => Poll::Ready(Some(value)),
            (None, true) => Poll::Ready(None),
            (None, false) => {
                place.waker = Some(cx.waker().clone());
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

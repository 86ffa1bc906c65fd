//! Readers of what a task writes behind a lock: each waits until it finds there what it looks for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker};

/// The wakers of the readers that wait.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    wakers: BTreeMap<u64, Waker>,
    next: u64,
}

impl Readers {
    /// Takes the wakers, to wake them without the lock.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.wakers).into_values()
    }
}

/// Contents behind a lock, with the readers of them.
pub(crate) trait Readable {
    type Contents;

    fn contents(&self) -> MutexGuard<'_, Self::Contents>;

    fn readers(contents: &mut Self::Contents) -> &mut Readers;
}

/// Waits for the contents to change.
pub(crate) struct Reader<B: Readable> {
    board: Arc<B>,
    id: u64,
}

impl<B: Readable> Reader<B> {
    pub(crate) fn of(board: &Arc<B>) -> Self {
        let id = {
            let mut contents = board.contents();
            let readers = B::readers(&mut contents);
            readers.next += 1;
            readers.next
        };
        Reader {
            board: board.clone(),
            id,
        }
    }

    /// Ready with what `read` returns once it returns something.
    pub(crate) fn poll<R>(
        &self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&B::Contents) -> Option<R>,
    ) -> Poll<R> {
        let mut contents = self.board.contents();
        match read(&contents) {
            Some(result) => Poll::Ready(result),
            None => {
                let readers = B::readers(&mut contents);
                readers.wakers.insert(self.id, cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits until `read` returns something.
    pub(crate) async fn wait<R>(&self, mut read: impl FnMut(&B::Contents) -> Option<R>) -> R {
        std::future::poll_fn(|cx| self.poll(cx, &mut read)).await
    }
}

impl<B: Readable> Drop for Reader<B> {
    fn drop(&mut self) {
        let mut contents = self.board.contents();
        B::readers(&mut contents).wakers.remove(&self.id);
    }
}

impl<B: Readable> fmt::Debug for Reader<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

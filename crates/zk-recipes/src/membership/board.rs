//! What a persistent node's handle and its task have in common.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use zk_client::{Pending, Pledge, Stat, Zxid};

use super::node_data::NodeData;
use super::node_state::NodeState;
use crate::readers::{Readable, Readers};

pub(super) type Reader = crate::readers::Reader<Board>;

/// The state of a persistent node, its data, and the wakers of all that wait for a change of them.
#[derive(Debug)]
pub(super) struct Board(Mutex<Contents>);

#[derive(Debug)]
pub(super) struct Contents {
    pub(super) state: NodeState,
    /// Counts the changes of the state.
    pub(super) changes: u64,
    pub(super) data: NodeData,
    /// The znode, while it is present.
    pub(super) present: Option<Present>,
    /// The path, once it is known.
    pub(super) path: Option<String>,
    closing: Option<Closing>,
    /// How the task has ended, once it has.
    pub(super) end: Option<End>,
    task: Option<Waker>,
    readers: Readers,
}

/// How the task of a node has ended: with the error of the client that is over, or of the deletion.
pub(super) type End = Result<(), Arc<zk_client::Error>>;

/// A znode that is known to exist.
#[derive(Debug, Clone)]
pub(super) struct Present {
    pub(super) path: String,
    pub(super) stat: Stat,
}

/// The handle was closed or dropped.
#[derive(Debug, Default)]
pub(super) struct Closing {
    /// The deletion that the handle has submitted, and the creation of the znode that it is to delete.
    pub(super) deleting: Option<(Zxid, Pending<()>)>,
    /// Keeps the client open until a znode that outlives sessions is deleted.
    pub(super) pledge: Option<Pledge>,
}

impl Board {
    pub(super) fn new(data: Bytes, path: Option<String>) -> Arc<Self> {
        Arc::new(Board(Mutex::new(Contents {
            state: NodeState::Creating,
            changes: 1,
            data: NodeData::new(data),
            present: None,
            path,
            closing: None,
            end: None,
            task: None,
            readers: Readers::default(),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the contents, and wakes the readers and the task.
    fn change<R>(&self, change: impl FnOnce(&mut Contents) -> R) -> R {
        let (result, wakers) = {
            let mut contents = self.lock();
            let result = change(&mut contents);
            let task = contents.task.take();
            let readers = contents.readers.take();
            (result, readers.chain(task).collect::<Vec<_>>())
        };
        for waker in wakers {
            waker.wake();
        }
        result
    }

    /// Sets the state, unless the node is closed.
    pub(super) fn publish(&self, state: NodeState) {
        if self.lock().state.is_same(&state) {
            return;
        }
        self.change(|contents| {
            if !matches!(contents.state, NodeState::Closed) {
                contents.state = state;
                contents.changes += 1;
            }
        });
    }

    /// The znode is present.
    pub(super) fn publish_present(&self, present: Present) {
        let state = NodeState::Present {
            path: present.path.clone(),
            session: present.stat.owner(),
            czxid: present.stat.czxid,
        };
        {
            let mut contents = self.lock();
            contents.path = Some(present.path.clone());
            contents.present = Some(present);
        }
        self.publish(state);
    }

    /// The znode is not known to be present any more.
    pub(super) fn forget_present(&self) {
        self.lock().present = None;
    }

    /// The path of a sequential znode has become known.
    pub(super) fn set_path(&self, path: &str) {
        self.lock().path = Some(path.to_owned());
    }

    /// Sets new data, which the task is to write.
    pub(super) fn set_data(self: &Arc<Self>, data: Bytes) -> DataCall {
        DataCall {
            number: self.change(|contents| contents.data.set(data)),
            board: self.clone(),
            reported: false,
        }
    }

    /// The latest data and their number.
    pub(super) fn latest(&self) -> (Bytes, u64) {
        self.lock().data.latest()
    }

    /// The latest data and their number, unless the znode has them.
    pub(super) fn unwritten(&self) -> Option<(Bytes, u64)> {
        let data = &self.lock().data;
        (!data.is_written()).then(|| data.latest())
    }

    /// The znode has this value; `None` if its data are not known to be any of the values.
    pub(super) fn set_written(&self, value: Option<(Bytes, u64)>, stat: &Stat) {
        self.change(|contents| {
            contents.data.set_written(value, stat);
            if let Some(present) = &mut contents.present {
                present.stat = *stat;
            }
        });
    }

    /// The ensemble refuses this value: see [`NodeData::refuse`].
    pub(super) fn refuse(&self, value: &Bytes, number: u64, error: &Arc<zk_client::Error>) -> bool {
        self.change(|contents| contents.data.refuse(value, number, error))
    }

    /// The handle is closed or dropped. False if it was before.
    pub(super) fn close(&self, begin: impl FnOnce(Option<&Present>) -> Closing) -> bool {
        self.change(|contents| {
            let first = contents.closing.is_none() && contents.end.is_none();
            if first {
                contents.closing = Some(begin(contents.present.as_ref()));
            }
            first
        })
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing.is_some()
    }

    /// What the handle has begun at its end.
    pub(super) fn take_closing(&self) -> Closing {
        let mut contents = self.lock();
        contents
            .closing
            .replace(Closing::default())
            .unwrap_or_default()
    }

    /// The task has ended.
    pub(super) fn end(&self, end: End) {
        self.change(|contents| {
            contents.state = NodeState::Closed;
            contents.changes += 1;
            contents.present = None;
            contents.closing = Some(Closing::default());
            contents.end = Some(end);
        });
    }

    /// Ready when the task has something to do for the handle: `writes` if it can write data.
    pub(super) fn poll_task(&self, cx: &mut Context<'_>, writes: bool) -> Poll<()> {
        let mut contents = self.lock();
        let data = &contents.data;
        if contents.closing.is_some() || (writes && !data.is_written()) {
            return Poll::Ready(());
        }
        contents.task = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A call that has set data, and waits for what becomes of them.
#[derive(Debug)]
pub(super) struct DataCall {
    board: Arc<Board>,
    pub(super) number: u64,
    /// Whether the call returns what became of its data.
    reported: bool,
}

impl DataCall {
    pub(super) fn report(mut self) {
        self.reported = true;
    }
}

impl Drop for DataCall {
    fn drop(&mut self) {
        // A `wait_created` may return the refusal.
        self.board
            .change(|contents| contents.data.end_call(self.number, self.reported));
    }
}

impl Readable for Board {
    type Contents = Contents;

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.lock()
    }

    fn readers(contents: &mut Contents) -> &mut Readers {
        &mut contents.readers
    }
}

//! What a shell shows while it waits for a line: events of watches, changes of the session.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// How many lines may wait to be shown. Beyond that, the tasks that have more of them wait, and the client drops
/// events, which the watch then reports.
const QUEUE_LENGTH: usize = 256;

/// Lines that appear between those that the user writes.
#[derive(Debug)]
pub(crate) enum Lines {
    /// For standard output.
    Results(String),
    /// For standard error.
    Messages(String),
}

/// Takes lines that appear between those that the user writes, and the tasks that produce them.
#[derive(Clone, Debug)]
pub(crate) struct Between {
    lines: mpsc::Sender<Lines>,
    hides_results: Arc<AtomicBool>,
    line_breaks: LineBreaks,
    pause: Arc<Pause>,
    tasks: Arc<Mutex<Vec<Task>>>,
}

/// A lock that keeps lines from being shown.
pub(crate) type Pause = tokio::sync::Mutex<()>;

/// Line breaks after data that end without one: before the next result and not at the end of the data, so that the
/// data of the last command are exact.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineBreaks(Arc<AtomicBool>);

impl LineBreaks {
    /// The line break that is missing before these bytes on standard output.
    pub(crate) fn before(&self, next: &[u8]) -> &'static [u8] {
        let Some(last) = next.last() else {
            return b"";
        };
        match self.0.swap(*last != b'\n', Ordering::Relaxed) {
            true => b"\n",
            false => b"",
        }
    }
}

/// A task that shows the changes of znodes.
#[derive(Debug)]
struct Task {
    paths: Vec<String>,
    handle: AbortHandle,
}

impl Between {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Lines>) {
        let (lines, receiver) = mpsc::channel(QUEUE_LENGTH);
        let between = Between {
            lines,
            hides_results: Arc::default(),
            line_breaks: LineBreaks::default(),
            pause: Arc::default(),
            tasks: Arc::default(),
        };
        (between, receiver)
    }

    /// Shows lines, once there is room for them.
    pub(crate) async fn show(&self, lines: Lines) {
        if matches!(lines, Lines::Results(_)) && self.hides_results.load(Ordering::Relaxed) {
            return;
        }
        // An error means that the shell is ending.
        let _ = self.lines.send(lines).await;
    }

    /// Whether results are shown.
    pub(crate) fn shows_results(&self) -> bool {
        !self.hides_results.load(Ordering::Relaxed)
    }

    pub(crate) fn show_results(&self, shown: bool) {
        self.hides_results.store(!shown, Ordering::Relaxed);
    }

    /// Locked while another program has the terminal.
    pub(crate) fn pause(&self) -> Arc<Pause> {
        Arc::clone(&self.pause)
    }

    pub(crate) fn line_breaks(&self) -> &LineBreaks {
        &self.line_breaks
    }

    /// Runs a task that shows the changes of these znodes, until it ends or [`end`](Self::end) is called. The shell runs in a
    /// `LocalSet`.
    pub(crate) fn spawn(&self, paths: Vec<String>, task: impl Future<Output = ()> + 'static) {
        let handle = tokio::task::spawn_local(task).abort_handle();
        self.with_tasks(|tasks| tasks.push(Task { paths, handle }));
    }

    /// Ends the tasks of a znode. Returns how many there were.
    pub(crate) fn end(&self, path: &str) -> usize {
        self.with_tasks(|tasks| {
            let before = tasks.len();
            tasks.retain(|task| {
                let is_of_path = task.paths.iter().any(|other| other == path);
                if is_of_path {
                    task.handle.abort();
                }
                !is_of_path
            });
            before - tasks.len()
        })
    }

    /// Ends all tasks.
    pub(crate) fn end_all(&self) {
        self.with_tasks(|tasks| {
            for task in tasks.drain(..) {
                task.handle.abort();
            }
        });
    }

    fn with_tasks<T>(&self, change: impl FnOnce(&mut Vec<Task>) -> T) -> T {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.retain(|task| !task.handle.is_finished());
        change(&mut tasks)
    }
}

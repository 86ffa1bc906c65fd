//! Messages on standard error.

use std::fmt::Display;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::between::{Between, Lines};
use super::terminal::message;

/// How long [`Notices::written`] and [`NoticeWriter::finish`] wait for a standard error that is not read.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// Queues messages for standard error, in order, and never waits until they are written.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    queue: mpsc::UnboundedSender<Queued>,
}

/// What the writer takes from the queue.
#[derive(Debug)]
enum Queued {
    Text(String),
    /// Everything before it is written.
    Mark(oneshot::Sender<()>),
}

/// The task that writes what [`Notices`] queues.
pub(crate) struct NoticeWriter(JoinHandle<()>);

impl Notices {
    pub(crate) fn start() -> (Self, NoticeWriter) {
        let (queue, mut queued) = mpsc::unbounded_channel();
        let writer = tokio::spawn(async move {
            let mut stderr = tokio::io::stderr();
            while let Some(queued) = queued.recv().await {
                let text = match queued {
                    Queued::Text(text) => text,
                    Queued::Mark(written) => {
                        // An error means that the future was dropped.
                        let _ = written.send(());
                        continue;
                    }
                };
                // An error of standard error has no other place to be reported.
                let _ = stderr.write_all(text.as_bytes()).await;
                let _ = stderr.flush().await;
            }
        });
        (Notices { queue }, NoticeWriter(writer))
    }

    /// Messages of a command that runs while a shell reads lines.
    pub(crate) fn in_background(between: Between) -> Self {
        let (queue, mut queued) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(queued) = queued.recv().await {
                match queued {
                    Queued::Text(text) => between.show(Lines::Messages(text)).await,
                    Queued::Mark(written) => {
                        // An error means that the future was dropped.
                        let _ = written.send(());
                    }
                }
            }
        });
        Notices { queue }
    }

    /// Queues a line that begins with the program's name, with control characters escaped, and on a terminal those that are not
    /// seen.
    pub(crate) fn say(&self, text: impl Display) {
        self.print(format!("zkctl: {}\n", message(&text.to_string())));
    }

    /// Queues text unchanged.
    pub(crate) fn print(&self, text: String) {
        // An error means that the runtime is shutting down.
        let _ = self.queue.send(Queued::Text(text));
    }

    /// Waits until what was queued is written, but not longer than [`FINISH_TIMEOUT`]. For a command that then writes
    /// to standard output, which may be the same terminal.
    pub(crate) async fn written(&self) {
        let (mark, written) = oneshot::channel();
        // An error means that the runtime is shutting down; a timeout, that standard error is not read.
        let _ = self.queue.send(Queued::Mark(mark));
        let _ = tokio::time::timeout(FINISH_TIMEOUT, written).await;
    }
}

impl NoticeWriter {
    /// Waits until all queued messages are written, but not longer than [`FINISH_TIMEOUT`]. Every
    /// [`Notices`] must have been dropped.
    pub(crate) async fn finish(self) {
        // A timeout means that standard error is not read.
        let _ = tokio::time::timeout(FINISH_TIMEOUT, self.0).await;
    }
}

//! Messages on standard error.

use std::fmt::Display;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::terminal::visible;

/// How long [`NoticeWriter::finish`] waits for a standard error that is not read.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// Queues messages for standard error, in order, and never waits until they are written.
#[derive(Clone, Debug)]
pub(crate) struct Notices {
    queue: mpsc::UnboundedSender<String>,
}

/// The task that writes what [`Notices`] queues.
pub(crate) struct NoticeWriter(JoinHandle<()>);

impl Notices {
    pub(crate) fn start() -> (Self, NoticeWriter) {
        let (queue, mut queued) = mpsc::unbounded_channel::<String>();
        let writer = tokio::spawn(async move {
            let mut stderr = tokio::io::stderr();
            while let Some(text) = queued.recv().await {
                // An error of standard error has no other place to be reported.
                let _ = stderr.write_all(text.as_bytes()).await;
                let _ = stderr.flush().await;
            }
        });
        (Notices { queue }, NoticeWriter(writer))
    }

    /// Queues a line that begins with the program's name, with control characters escaped.
    pub(crate) fn say(&self, text: impl Display) {
        self.print(format!("zkctl: {}\n", visible(&text.to_string())));
    }

    /// Queues text unchanged.
    pub(crate) fn print(&self, text: String) {
        // An error means that the runtime is shutting down.
        let _ = self.queue.send(text);
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

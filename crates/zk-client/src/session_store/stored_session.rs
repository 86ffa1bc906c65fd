//! The file of a living client's session.

use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;

use super::blocking::blocking;
use super::file::SessionFile;
use super::record::Record;
use crate::error::Result;

/// The file of a client's session.
#[derive(Debug, Clone)]
pub(crate) struct StoredSession {
    file: Arc<SessionFile>,
}

impl StoredSession {
    pub(super) fn new(file: Arc<SessionFile>) -> Self {
        StoredSession { file }
    }

    /// Writes the session. Returns what was written.
    pub(super) async fn write(&self, record: Record) -> Result<Record> {
        let file = self.file.clone();
        blocking(move || file.write(&record).map(|()| record)).await
    }

    /// The session has ended, or was left to another client. Dropping the future does not stop the deletion.
    pub(super) async fn finish(&self, ended: bool) {
        if !ended {
            return self.leave();
        }
        let file = self.file.clone();
        let removing = blocking(move || {
            if let Err(error) = file.remove() {
                tracing::warn!(%error, "the file of a session that has ended stays");
            }
            Ok(())
        });
        if let Err(error) = removing.await {
            tracing::warn!(%error, "the file of a session that has ended stays");
        }
    }

    /// The same, for a caller in any executor. Waits for the disk until `due` at the latest.
    pub(crate) async fn finish_by(&self, runtime: &Handle, due: Instant, ended: bool) {
        let stored = self.clone();
        let finishing = runtime.spawn(async move {
            let finished = tokio::time::timeout_at(due.into(), stored.finish(ended));
            if finished.await.is_err() {
                let path = stored.file.path().display();
                tracing::warn!(%path, "the file of a session that has ended is not deleted yet");
            }
        });
        if let Err(error) = finishing.await {
            tracing::warn!(%error, "the file of a session that has ended may stay");
        }
    }

    /// Leaves the file to the client that will have the session.
    pub(crate) fn leave(&self) {
        self.file.leave();
    }
}

//! Work on files, which blocks.

use crate::error::{Error, ErrorKind, Outcome, Result};

/// Runs `work` where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The runtime is being shut down.
        Err(error) => Err(Error::new(ErrorKind::Closed, Outcome::NotSent)
            .with_detail("the runtime has ended before the session file was used")
            .with_source(error)),
    }
}

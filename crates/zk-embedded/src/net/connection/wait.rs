//! What the task of a connection waits for.

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::state::End;
use crate::net::gate::Watched;
use crate::net::stream::Stream;

/// Reads some bytes and returns their number. The end of the stream is an error.
pub(super) async fn read<S: Stream>(
    stream: &mut S,
    input: &mut BytesMut,
    limit: usize,
) -> Result<usize, End> {
    input.reserve(limit);
    match stream.read_buf(input).await? {
        0 => Err(End::Gone),
        count => Ok(count),
    }
}

/// Waits until an instant; for ever if there is none.
pub(super) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Waits while the member is frozen.
pub(crate) async fn thawed(gate: &Watched) {
    if gate.get().frozen {
        gate.wait_for(|gate| !gate.frozen).await;
    }
}

/// Waits until the member is stopped.
pub(crate) async fn stopped(gate: &Watched) {
    gate.wait_for(|gate| !gate.running).await;
}

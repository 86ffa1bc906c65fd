//! Asking a server one of its four-letter words.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_proto::HostPort;

use crate::{Addresses, Dial, DialError};

/// Longer answers than this are cut off.
const MOST: u64 = 1 << 20;

/// Opens a connection for it, as for a session, asks, and returns the answer.
///
/// The server ends the answer by closing the connection. The caller limits how long it takes.
///
/// # Errors
/// The connection could not be opened, or was lost before the answer was complete.
///
/// # Cancel safety
/// Dropping the future abandons the question and leaves nothing behind.
pub async fn ask(dial: &dyn Dial, host: &HostPort, word: &str) -> Result<String, DialError> {
    ask_next(dial, host, &mut Addresses::default(), word).await
}

/// Asks the next of the addresses of `host`; otherwise as [`ask`].
///
/// # Errors
/// As [`ask`].
///
/// # Cancel safety
/// As [`ask`].
pub async fn ask_next(
    dial: &dyn Dial,
    host: &HostPort,
    addresses: &mut Addresses,
    word: &str,
) -> Result<String, DialError> {
    let mut stream = dial.dial_next(host, addresses).await?;
    stream
        .write_all(word.as_bytes())
        .await
        .map_err(DialError::Other)?;
    stream.flush().await.map_err(DialError::Other)?;
    let mut answer = Vec::new();
    stream
        .take(MOST)
        .read_to_end(&mut answer)
        .await
        .map_err(DialError::Other)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

//! The number of leases of a semaphore.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use zk_client::{Client, ErrorKind, Watch};

use crate::connections::Connections;
use crate::error::{Error, Result};
use crate::retry::RetryBackoff;

/// The source of the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeaseCount {
    /// The program.
    Fixed(usize),
    /// A znode in the format of Curator's `SharedCount`.
    At(String),
}

impl LeaseCount {
    /// The number, and a watch if it can change.
    pub(crate) async fn read(&self, client: &Client) -> Result<(usize, Option<Watch>)> {
        let path = match self {
            LeaseCount::Fixed(max) => return Ok((*max, None)),
            LeaseCount::At(path) => path,
        };
        let mut backoff = RetryBackoff::new();
        loop {
            match client.get(path).watch().await {
                Ok((data, _, watch)) => return Ok((count(&data)?, Some(watch))),
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) => {
                    backoff.sleep_after(error).await?;
                    continue;
                }
            }
            match client.exists(path).watch().await {
                Ok((None, watch)) => return Ok((0, Some(watch))),
                Ok((Some(_), _)) => {}
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }

    /// Writes the number into the semaphore's znode, as kazoo does, or compares it with the stored one.
    /// Contents that are not a number have another purpose, and are left alone.
    pub(crate) async fn store_or_compare(&self, client: &Client, path: &str) -> Result<()> {
        let LeaseCount::Fixed(max) = self else {
            return Err(Error::Unsupported(
                "in kazoo's layout the number of leases is stored in the semaphore's own znode; use \
                 Semaphore::new",
            ));
        };
        let max = max.to_string();
        // Storing the number again has no further effect.
        let mut backoff = RetryBackoff::of_repeatable();
        loop {
            let stored = async {
                match client.create(path, &max).parents().await {
                    Err(error) if error.kind() == ErrorKind::NodeExists => {}
                    // Servers check the parent's ACL first.
                    Err(error)
                        if error.kind() == ErrorKind::NoAuth
                            && client.exists(path).await?.is_some() => {}
                    created => return created.map(|_| None),
                }
                client.get(path).await.map(Some)
            };
            match stored.await {
                Ok(None) => return Ok(()),
                // The contender that created the znode has not written the number yet.
                Ok(Some((stored, stat))) if stored.is_empty() => {
                    match client.set(path, &max).version(stat.version).await {
                        Ok(_) => return Ok(()),
                        // The next round reads the present contents.
                        Err(error)
                            if matches!(
                                error.kind(),
                                ErrorKind::BadVersion | ErrorKind::NoNode
                            ) => {}
                        Err(error) => backoff.sleep_after(error).await?,
                    }
                }
                Ok(Some((stored, _))) => return compare(&stored, max),
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) => backoff.sleep_after(error).await?,
            }
        }
    }
}

fn compare(stored: &[u8], expected: String) -> Result<()> {
    let text = String::from_utf8_lossy(stored).into_owned();
    match text.trim().parse::<i64>() {
        Ok(number) if number.to_string() != expected => Err(Error::LeaseCountMismatch {
            stored: text,
            expected,
        }),
        _ => Ok(()),
    }
}

/// Decodes the format of Curator's `SharedCount`.
fn count(data: &[u8]) -> Result<usize> {
    match <[u8; 4]>::try_from(data) {
        // Negative counts as zero.
        Ok(bytes) => Ok(usize::try_from(i32::from_be_bytes(bytes)).unwrap_or(0)),
        Err(_) => Err(Error::LeaseCountMismatch {
            stored: String::from_utf8_lossy(data).into_owned(),
            expected: "four bytes".to_owned(),
        }),
    }
}

/// Waits for the event of one of the watches, or until the client is connected again.
pub(crate) async fn wait_for_change(
    connections: &mut Connections,
    one: Watch,
    other: Option<Watch>,
) {
    let mut one = pin!(one);
    let mut other = other.map(Box::pin);
    std::future::poll_fn(|cx| {
        let fired = other
            .as_mut()
            .is_some_and(|other| other.as_mut().poll(cx).is_ready());
        let restored = connections.poll_restored(cx).is_ready();
        if fired || restored || one.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_has_curators_format() {
        assert_eq!(count(&[0, 0, 1, 2]).unwrap(), 258);
        assert_eq!(count(&[255, 255, 255, 255]).unwrap(), 0);
        assert!(matches!(
            count(b"10"),
            Err(Error::LeaseCountMismatch { .. })
        ));
    }

    #[test]
    fn a_stored_number_must_be_the_same() {
        compare(b"3", "3".to_owned()).unwrap();
        compare(b"about us", "3".to_owned()).unwrap();
        let differs = compare(b"4", "3".to_owned()).unwrap_err();
        assert!(differs.to_string().contains("\"4\", not 3"), "{differs}");
    }
}

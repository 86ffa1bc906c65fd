//! How many leases a semaphore has.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use zk_client::{Client, ErrorKind, Repetition, Watch};

use crate::connections::Connections;
use crate::error::{Error, Result};
use crate::pause::pause;

/// Where the number comes from.
#[derive(Debug, Clone)]
pub(crate) enum Permits {
    /// From the program.
    Fixed(usize),
    /// From a znode, as Curator's `SharedCount` keeps it.
    At(String),
}

impl Permits {
    /// The number, and a watch if it can change.
    pub(crate) async fn read(&self, client: &Client) -> Result<(usize, Option<Watch>)> {
        let path = match self {
            Permits::Fixed(max) => return Ok((*max, None)),
            Permits::At(path) => path,
        };
        let mut pause = pause();
        loop {
            match client.get(path).watch().await {
                Ok((data, _, watch)) => return Ok((count(&data)?, Some(watch))),
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) if pause.may_go_on(&error) => {
                    tokio::time::sleep(pause.next_delay()).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            match client.exists(path).watch().await {
                Ok((None, watch)) => return Ok((0, Some(watch))),
                Ok((Some(_), _)) => {}
                Err(error) if pause.may_go_on(&error) => {
                    tokio::time::sleep(pause.next_delay()).await
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes the number into the semaphore's znode, as kazoo does, or compares it with what is
    /// there. What is no number has another purpose, and is left alone.
    pub(crate) async fn declare(&self, client: &Client, path: &str) -> Result<()> {
        let Permits::Fixed(max) = self else {
            return Err(Error::Unsupported(
                "in kazoo's layout the number of leases is kept with the semaphore",
            ));
        };
        let max = max.to_string();
        let mut pause = pause();
        loop {
            let declared = async {
                match client.create(path, &max).parents().await {
                    Err(error) if error.kind() == ErrorKind::NodeExists => {}
                    // Servers look at the parent's ACL first.
                    Err(error)
                        if error.kind() == ErrorKind::NoAuth
                            && client.exists(path).await?.is_some() => {}
                    created => return created.map(|_| None),
                }
                client.get(path).await.map(Some)
            };
            match declared.await {
                Ok(None) => return Ok(()),
                // Whoever made it has not come to write the number yet.
                Ok(Some((stored, stat))) if stored.is_empty() => {
                    match client.set(path, &max).version(stat.version).await {
                        Ok(_) => return Ok(()),
                        // What it is now is found out below.
                        Err(error)
                            if matches!(
                                error.kind(),
                                ErrorKind::BadVersion | ErrorKind::NoNode
                            ) => {}
                        Err(error) if passes(&mut pause, &error) => {
                            tokio::time::sleep(pause.next_delay()).await;
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(Some((stored, _))) => return compare(&stored, max),
                Err(error) if error.kind() == ErrorKind::NoNode => {}
                Err(error) if passes(&mut pause, &error) => {
                    tokio::time::sleep(pause.next_delay()).await
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether to write the number again, which may have been written.
fn passes(pause: &mut Repetition, error: &zk_client::Error) -> bool {
    error.is_retryable() || pause.may_go_on(error)
}

fn compare(stored: &[u8], expected: String) -> Result<()> {
    let text = String::from_utf8_lossy(stored).into_owned();
    match text.trim().parse::<i64>() {
        Ok(number) if number.to_string() != expected => Err(Error::Leases {
            stored: text,
            expected,
        }),
        _ => Ok(()),
    }
}

/// A number as Curator's `SharedCount` keeps it.
fn count(data: &[u8]) -> Result<usize> {
    match <[u8; 4]>::try_from(data) {
        // Fewer than none is none.
        Ok(bytes) => Ok(usize::try_from(i32::from_be_bytes(bytes)).unwrap_or(0)),
        Err(_) => Err(Error::Leases {
            stored: String::from_utf8_lossy(data).into_owned(),
            expected: "four bytes".to_owned(),
        }),
    }
}

/// Waits for one watch or the other, or until the client is connected again.
pub(crate) async fn either(connections: &mut Connections, one: Watch, other: Option<Watch>) {
    let mut one = pin!(one);
    let mut other = other.map(Box::pin);
    std::future::poll_fn(|cx| {
        let told = other
            .as_mut()
            .is_some_and(|other| other.as_mut().poll(cx).is_ready());
        let restored = connections.poll_restored(cx).is_ready();
        if told || restored || one.as_mut().poll(cx).is_ready() {
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
    fn a_count_is_curators() {
        assert_eq!(count(&[0, 0, 1, 2]).unwrap(), 258);
        assert_eq!(count(&[255, 255, 255, 255]).unwrap(), 0);
        assert!(matches!(count(b"10"), Err(Error::Leases { .. })));
    }

    #[test]
    fn what_is_stored_must_be_the_same_number_or_none() {
        compare(b"3", "3".to_owned()).unwrap();
        compare(b"about us", "3".to_owned()).unwrap();
        let differs = compare(b"4", "3".to_owned()).unwrap_err();
        assert!(differs.to_string().contains("\"4\", not 3"), "{differs}");
    }
}

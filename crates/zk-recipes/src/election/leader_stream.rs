//! The stream of an election's leaders.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use zk_client::{ErrorKind, Watch, path};

use crate::connections::Connections;
use crate::error::{Error, Result};
use crate::latest::{Latest, Writer};
use crate::queue::{Contender, ContenderQueue};
use crate::retry::RetryBackoff;

/// A stream of an election's leaders: the present leader, and then the latest whenever it changes;
/// `None` while there is no leader. A leader that is replaced before it is read is skipped.
///
/// The same leader is yielded again when the contents of its znode change, which are the
/// [`identifier`](Contender::identifier): its proclaimed value ([`Term::proclaim`](crate::Term::proclaim)).
/// The [`token`](Contender::token) says whose value it is.
///
/// An item can be out of date when it is read: the leader may have resigned, or may not have noticed
/// yet that it leads. The stream continues in the next session, and ends when the client is closed,
/// or after an error. After each reconnect it reads the queue and the leader once more.
#[derive(Debug)]
pub struct LeaderStream {
    latest: Latest<Result<Option<Contender>>>,
}

impl LeaderStream {
    pub(crate) fn of(queue: &ContenderQueue) -> Self {
        let task = queue.in_background();
        LeaderStream {
            latest: Latest::written_by(queue.without_deadline(), |writer| follow(task, writer)),
        }
    }

    /// The next leader; `None` at the end.
    ///
    /// # Errors
    /// The ensemble refuses to let the election's znodes be read. Nothing follows an error.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<Option<Contender>>> {
        std::future::poll_fn(|cx| Pin::new(&mut self.latest).poll_next(cx)).await
    }
}

impl Stream for LeaderStream {
    type Item = Result<Option<Contender>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.latest).poll_next(cx)
    }
}

async fn follow(queue: ContenderQueue, writer: Writer<Result<Option<Contender>>>) {
    let mut known = None;
    let mut connections = Connections::of(queue.without_deadline());
    let mut backoff = RetryBackoff::new();
    loop {
        match read(&queue).await {
            Ok((leader, mut watch)) => {
                backoff.reset();
                if known.as_ref() != Some(&leader) {
                    known = Some(leader.clone());
                    writer.write(Ok(leader));
                }
                // Reads again after every event: a gap and the end of a session, too.
                connections.restored_before(&mut watch).await;
            }
            Err(Error::Client(error)) if error.kind() == ErrorKind::Closed => return,
            Err(Error::Client(error)) if backoff.allows(&error) => backoff.sleep().await,
            Err(error) => {
                writer.write(Err(error));
                return;
            }
        }
    }
}

/// The leader, and a watch that fires when it has to be read again.
async fn read(queue: &ContenderQueue) -> Result<(Option<Contender>, Watch)> {
    let client = queue.without_deadline();
    loop {
        // The children are watched only while the queue is empty.
        if let Some(head) = queue.entries().await?.into_iter().next() {
            let path = path::join(queue.parent(), &head.name);
            match client.get(&path).watch().await {
                Ok((identifier, stat, watch)) => {
                    return Ok((Some(Contender::new(identifier, path, &stat)), watch));
                }
                Err(error) if error.kind() == ErrorKind::NoNode => continue,
                Err(error) => return Err(error.into()),
            }
        }
        match client.children(queue.parent()).watch().await {
            Ok((children, _, watch)) => {
                if queue.entries_of(&children).is_empty() {
                    return Ok((None, watch));
                }
            }
            Err(error) if error.kind() == ErrorKind::NoNode => {
                let (stat, watch) = client.exists(queue.parent()).watch().await?;
                if stat.is_none() {
                    return Ok((None, watch));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

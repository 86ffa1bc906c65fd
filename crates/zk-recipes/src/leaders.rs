//! Who leads, and who leads next.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use zk_client::{ErrorKind, Watch, path};

use crate::connections::Connections;
use crate::error::{Error, Result};
use crate::latest::{Latest, Writer};
use crate::line::{Contender, Line};
use crate::pause::pause;

/// A stream of an election's leaders: who leads now, and then the latest whenever that changes.
/// `None` while nobody does. One that is overtaken before it is read is skipped.
///
/// What it says is past when it is said, and the leader that it names may have stepped down, or may
/// not have noticed yet that it leads. It goes on in the next session, and ends when the client is
/// closed, or after an error. After each reconnect it reads the line and the leader once more.
#[derive(Debug)]
pub struct Leaders {
    latest: Latest<Result<Option<Contender>>>,
}

impl Leaders {
    pub(crate) fn of(line: &Line) -> Self {
        let task = line.in_background();
        Leaders {
            latest: Latest::written_by(line.patient(), |writer| follow(task, writer)),
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

impl Stream for Leaders {
    type Item = Result<Option<Contender>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.latest).poll_next(cx)
    }
}

async fn follow(line: Line, writer: Writer<Result<Option<Contender>>>) {
    let mut known = None;
    let mut connections = Connections::of(line.patient());
    let mut pause = pause();
    loop {
        match look(&line).await {
            Ok((leader, mut watch)) => {
                pause.reset();
                if known.as_ref() != Some(&leader) {
                    known = Some(leader.clone());
                    writer.write(Ok(leader));
                }
                // Whatever the event is, look again: a gap and the end of a session too.
                connections.restored_before(&mut watch).await;
            }
            Err(Error::Client(error)) if error.kind() == ErrorKind::Closed => return,
            Err(Error::Client(error)) if pause.may_go_on(&error) => {
                tokio::time::sleep(pause.next_delay()).await;
            }
            Err(error) => {
                writer.write(Err(error));
                return;
            }
        }
    }
}

/// Who leads, and a watch that tells when to look again.
async fn look(line: &Line) -> Result<(Option<Contender>, Watch)> {
    let client = line.patient();
    loop {
        // The children are watched only while there is nobody else to watch.
        if let Some(head) = line.order().await?.into_iter().next() {
            let path = path::join(line.parent(), &head.name);
            match client.get(&path).watch().await {
                Ok((identifier, stat, watch)) => {
                    return Ok((Some(Contender::new(identifier, path, &stat)), watch));
                }
                Err(error) if error.kind() == ErrorKind::NoNode => continue,
                Err(error) => return Err(error.into()),
            }
        }
        match client.children(line.parent()).watch().await {
            Ok((children, _, watch)) => {
                if line.read(&children).is_empty() {
                    return Ok((None, watch));
                }
            }
            Err(error) if error.kind() == ErrorKind::NoNode => {
                let (stat, watch) = client.exists(line.parent()).watch().await?;
                if stat.is_none() {
                    return Ok((None, watch));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}

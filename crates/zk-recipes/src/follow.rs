//! Following a znode through changes, reconnects and sessions.

use std::future::Future;

use zk_client::{Client, ErrorKind, Watch};

use crate::error::Result;
use crate::latest::{Latest, Writer};
use crate::pause::pause;

/// What can be known of a znode, and watched for change.
pub(crate) trait Followed: Clone + Send + Sync + 'static {
    /// The znode does not exist.
    const ABSENT: Self;

    /// Reads it and sets a watch for the next change.
    fn read(
        client: &Client,
        path: &str,
    ) -> impl Future<Output = zk_client::Result<(Self, Watch)>> + Send;

    /// Whether it says nothing that is not known already: it is the same, or it is older, from a
    /// server that lags behind the one that a former session ended on.
    fn is_known(&self, known: &Self) -> bool;
}

/// The latest state of a znode, from now on.
pub(crate) fn follow<S: Followed>(client: &Client, path: &str) -> Latest<Result<S>> {
    // A state is waited for as long as it takes.
    let (task, path) = (client.with_deadline(None).background(), path.to_owned());
    Latest::written_by(client, |writer| run(task, path, writer))
}

async fn run<S: Followed>(client: Client, path: String, writer: Writer<Result<S>>) {
    let mut known: Option<S> = None;
    let mut pause = pause();
    loop {
        match look::<S>(&client, &path).await {
            Ok((state, watch)) => {
                pause.reset();
                if !known.as_ref().is_some_and(|known| state.is_known(known)) {
                    known = Some(state.clone());
                    writer.write(Ok(state));
                }
                // Whatever it tells, look again: a gap and the end of a session too.
                watch.await;
            }
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) if pause.may_go_on(&error) => tokio::time::sleep(pause.next_delay()).await,
            Err(error) => {
                writer.write(Err(error.into()));
                return;
            }
        }
    }
}

/// The state of the znode, and a watch for the next.
async fn look<S: Followed>(client: &Client, path: &str) -> zk_client::Result<(S, Watch)> {
    loop {
        match S::read(client, path).await {
            Err(error) if error.kind() == ErrorKind::NoNode && !zk_proto::seeded_bug!("C14") => {}
            read => return read,
        }
        let (stat, watch) = client.exists(path).watch().await?;
        if stat.is_none() {
            return Ok((S::ABSENT, watch));
        }
    }
}

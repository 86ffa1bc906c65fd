//! Following a znode through changes, reconnects and sessions.

use std::future::Future;

use zk_client::{Client, ErrorKind, Watch};

use crate::connections::Connections;
use crate::error::Result;
use crate::latest::{Latest, Writer};
use crate::paths::check;
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

    /// Whether the subscriber would see no difference. Stats are compared for equality only, for
    /// they do not show which of two answers is the later one: the zxids of a restored ensemble start
    /// over, and some servers leave a zxid as it was.
    fn is_same(&self, known: &Self) -> bool;
}

/// The latest state of a znode, from now on.
pub(crate) fn follow<S: Followed>(client: &Client, path: &str) -> Latest<Result<S>> {
    // A state is waited for as long as it takes.
    let (task, path) = (client.with_deadline(None).background(), path.to_owned());
    Latest::written_by(client, |writer| run(task, path, writer))
}

async fn run<S: Followed>(client: Client, path: String, writer: Writer<Result<S>>) {
    if let Err(error) = check(&path) {
        return writer.write(Err(error.into()));
    }
    let mut known: Option<Known<S>> = None;
    let mut connections = Connections::of(&client);
    let mut reconnected = false;
    let mut pause = pause();
    loop {
        let read_in = known.as_ref().map(|known| known.epoch);
        match look::<S>(&client, &path, read_in, reconnected).await {
            Ok(None) => {}
            Ok(Some((state, epoch, watch))) => {
                pause.reset();
                let is_same = |known: &Known<S>| state.is_same(&known.state);
                if !known.as_ref().is_some_and(is_same) {
                    writer.write(Ok(state.clone()));
                }
                let known = known.insert(Known {
                    state,
                    epoch,
                    watch,
                });
                // Whatever the event is, look again: a gap and the end of a session too.
                reconnected = connections.restored_before(&mut known.watch).await;
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

/// The latest answer.
struct Known<S> {
    state: S,
    /// The session it was read in, or one before.
    epoch: u64,
    /// The watch that was set with it. The server keeps the watch from one connection to the next
    /// until it is set anew.
    watch: Watch,
}

/// The state of the znode, the session, and a watch for the next state. `None` if the answer may be
/// older than what was read in the session `known`.
///
/// On a connection no answer is older than the one before. The servers of another session may lag
/// behind those of the last, so that session begins with a sync, and so does a session that goes on
/// after the client has `reconnected`. Then the answer is the truth, also when its zxids are smaller:
/// the ensemble has been restored from a backup.
async fn look<S: Followed>(
    client: &Client,
    path: &str,
    known: Option<u64>,
    reconnected: bool,
) -> zk_client::Result<Option<(S, u64, Watch)>> {
    let epoch = client.session().epoch;
    let is_later = reconnected || known.is_some_and(|known| known != epoch);
    // Both go out together; the server executes one after the other.
    let sync = is_later.then(|| client.sync(path).submit());
    let (state, watch) = read::<S>(client, path).await?;
    if let Some(sync) = sync {
        match sync.await {
            Ok(()) => {}
            // A server without a quorum has no leader to catch up with.
            Err(error) if error.kind() == ErrorKind::ReadOnly => {}
            Err(error) => return Err(error),
        }
    }
    // Reads go on into the next session.
    if known.is_some() && client.session().epoch != epoch {
        return Ok(None);
    }
    Ok(Some((state, epoch, watch)))
}

/// Reads the znode, or that there is none, and sets a watch for the next change.
async fn read<S: Followed>(client: &Client, path: &str) -> zk_client::Result<(S, Watch)> {
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

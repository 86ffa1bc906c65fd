//! Following a znode through changes, reconnects and sessions.

use std::future::Future;

use zk_client::{Client, ErrorKind, NodeEvent, Watch, WatchEvent};

use crate::connections::Connections;
use crate::error::Result;
use crate::latest::{Latest, Writer};
use crate::paths::check;
use crate::retry::RetryBackoff;

/// A state of a znode that can be read and watched.
pub(super) trait Followed: Clone + Send + Sync + 'static {
    /// The znode does not exist.
    const ABSENT: Self;

    /// Reads it and sets a watch for the next change.
    fn read(
        client: &Client,
        path: &str,
    ) -> impl Future<Output = zk_client::Result<(Self, Watch)>> + Send;

    /// Whether the subscriber would see no difference. Stats are compared for equality only, since
    /// they do not show which of two answers is the later one: zxids restart in a restored ensemble,
    /// and some servers do not update every zxid.
    fn is_same(&self, known: &Self) -> bool;
}

/// A state, and the change that led to it.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::DataWatch;
///
/// let mut config = DataWatch::new(&zk, "/config");
/// while let Some(change) = config.next_change().await {
///     let change = change?;
///     if let Some(event) = change.event {
///         println!("{} by transaction {:?}", event.kind.as_str(), event.zxid);
///     }
///     println!("{:?}", change.state);
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateChange<S> {
    /// The state.
    pub state: S,
    /// The event that led to the read of this state; of several in quick succession, one. The state may
    /// contain later changes as well. `None` for the first state, and for one that was read after a
    /// reconnect or in a new session. The servers before 3.9 send no zxid: see [`NodeEvent::zxid`].
    pub event: Option<NodeEvent>,
}

/// Starts a task that writes the state of the znode whenever it changes.
pub(super) fn follow<S: Followed>(client: &Client, path: &str) -> Latest<Result<StateChange<S>>> {
    // The reads have no deadline: a state is waited for without a limit.
    let (task, path) = (client.with_deadline(None).background(), path.to_owned());
    Latest::written_by(client, |writer| run(task, path, writer))
}

async fn run<S: Followed>(client: Client, path: String, writer: Writer<Result<StateChange<S>>>) {
    if let Err(error) = check(&path) {
        return writer.write(Err(error.into()));
    }
    let mut known: Option<Known<S>> = None;
    let mut connections = Connections::of(&client);
    let mut reconnected = false;
    let mut event = None;
    let mut backoff = RetryBackoff::new();
    loop {
        let read_in = known.as_ref().map(|known| known.epoch);
        match read_current::<S>(&client, &path, read_in, reconnected).await {
            Ok(None) => event = None,
            Ok(Some((state, epoch, watch))) => {
                backoff.reset();
                let is_same = |known: &Known<S>| state.is_same(&known.state);
                if !known.as_ref().is_some_and(is_same) {
                    let state = state.clone();
                    writer.write(Ok(StateChange { state, event }));
                }
                let known = known.insert(Known {
                    state,
                    epoch,
                    watch,
                });
                // Reads again after every event: a gap and the end of a session, too.
                let fired = connections.restored_before(&mut known.watch).await;
                reconnected = fired.is_none();
                event = match fired {
                    Some(WatchEvent::Node(event)) => Some(event),
                    _ => None,
                };
            }
            Err(error) if error.kind() == ErrorKind::Closed => return,
            Err(error) if backoff.allows(&error) => {
                event = None;
                backoff.sleep().await;
            }
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
    /// The session in which it was read, or an earlier one.
    epoch: u64,
    /// The watch that was set with it. The server keeps the watch from one connection to the next
    /// until it is set again.
    watch: Watch,
}

/// The state of the znode, the session, and a watch for the next state. `None` if the answer may be
/// older than what was read in the session `known`.
///
/// On a connection no answer is older than the one before. The server of a new session may lag
/// behind that of the last one, so a new session begins with a sync, and so does a session that
/// resumes after the client has `reconnected`. After the sync the answer counts even if its zxids are
/// smaller: the ensemble was restored from a backup then.
async fn read_current<S: Followed>(
    client: &Client,
    path: &str,
    known: Option<u64>,
    reconnected: bool,
) -> zk_client::Result<Option<(S, u64, Watch)>> {
    let epoch = client.session().epoch;
    let is_later = reconnected || known.is_some_and(|known| known != epoch);
    // Both are sent together, and the server executes them in order.
    let sync = is_later.then(|| client.sync(path).submit());
    let (state, watch) = read_or_absent::<S>(client, path).await?;
    if let Some(sync) = sync {
        match sync.await {
            Ok(()) => {}
            // A server without a quorum has no leader to sync with.
            Err(error) if error.kind() == ErrorKind::ReadOnly => {}
            Err(error) => return Err(error),
        }
    }
    // The client resends reads in the next session, where there was no sync.
    if known.is_some() && client.session().epoch != epoch {
        return Ok(None);
    }
    Ok(Some((state, epoch, watch)))
}

/// Reads the znode, or that it does not exist, and sets a watch for the next change.
async fn read_or_absent<S: Followed>(client: &Client, path: &str) -> zk_client::Result<(S, Watch)> {
    loop {
        match S::read(client, path).await {
            Err(error) if error.kind() == ErrorKind::NoNode => {}
            read => return read,
        }
        let (stat, watch) = client.exists(path).watch().await?;
        if stat.is_none() {
            return Ok((S::ABSENT, watch));
        }
    }
}

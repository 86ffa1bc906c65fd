//! A stream of the latest children of a znode.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use zk_client::{Client, Stat, Watch};

use super::follow::{Followed, StateChange, follow};
use crate::error::Result;
use crate::latest::Latest;

/// The children of a znode at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildrenState {
    /// The znode does not exist.
    Absent,
    /// The znode exists.
    Present {
        /// The names of its children, sorted.
        names: Vec<String>,
        /// Its stat.
        stat: Stat,
    },
}

/// A stream of a znode's children: the present names, and then the latest whenever a child or the
/// znode itself is created or deleted.
///
/// It yields states, not changes: a state that changes before it is read is skipped, and the last
/// state is always yielded. It ends when the client is closed, or after an error. A znode that does not
/// exist is no error: it may come, go, and come again.
///
/// ```no_run
/// # async fn run(zk: zk_client::Client) -> Result<(), zk_recipes::Error> {
/// use zk_recipes::{ChildrenState, ChildrenWatch};
///
/// let mut members = ChildrenWatch::new(&zk, "/members");
/// while let Some(state) = members.next().await {
///     match state? {
///         ChildrenState::Present { names, .. } => println!("{names:?}"),
///         ChildrenState::Absent => println!("/members does not exist"),
///     }
/// }
/// # Ok(()) }
/// ```
///
/// # Losing the connection or the session
///
/// The stream continues on the next connection and in the next session, and yields what has changed
/// meanwhile. What is read after a sync counts, also if the ensemble was restored from a backup
/// meanwhile and its zxids and versions are smaller than before. While there is no connection the
/// stream yields nothing; [`Client::states`] reports the connection.
///
/// # Znodes
///
/// None. The counterparts are kazoo's `ChildrenWatch` and Curator's `PathChildrenCache` without data. kazoo's
/// option `allow_session_lost=False`, which ends the watch with its session, has no counterpart: a program
/// that has to end with its session follows [`Client::states`]. kazoo's `send_event` is
/// [`next_change`](Self::next_change).
///
/// # Cost
///
/// One task, one watch, and one read for each change, of all names, or two if the znode does not
/// exist. After each reconnect, and in each later session, one more read and a sync, which are sent
/// together.
///
/// # Cancel safety
///
/// Dropping a [`next`](Self::next) loses nothing: an unread state stays until it is read or replaced.
/// Dropping the stream removes the watch.
#[doc(alias = "PathChildrenCache")]
#[derive(Debug)]
pub struct ChildrenWatch {
    latest: Latest<Result<StateChange<ChildrenState>>>,
}

impl ChildrenWatch {
    /// Watches the children of `path`, which need not exist.
    pub fn new(client: &Client, path: &str) -> Self {
        ChildrenWatch {
            latest: follow(client, path),
        }
    }

    /// The next state; `None` at the end.
    ///
    /// # Errors
    /// The path is invalid, or the ensemble refuses the read. The stream ends after an error.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Result<ChildrenState>> {
        Some(self.next_change().await?.map(|change| change.state))
    }

    /// The next state, and the event that led to it; `None` at the end. Takes the state from the same
    /// stream as [`next`](Self::next).
    ///
    /// # Errors
    /// As [`next`](Self::next).
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing.
    pub async fn next_change(&mut self) -> Option<Result<StateChange<ChildrenState>>> {
        std::future::poll_fn(|cx| Pin::new(&mut self.latest).poll_next(cx)).await
    }
}

impl Stream for ChildrenWatch {
    type Item = Result<ChildrenState>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let change = Pin::new(&mut self.latest).poll_next(cx);
        change.map(|change| Some(change?.map(|change| change.state)))
    }
}

impl Followed for ChildrenState {
    const ABSENT: Self = ChildrenState::Absent;

    async fn read(client: &Client, path: &str) -> zk_client::Result<(Self, Watch)> {
        let (children, stat, watch) = client.children(path).watch().await?;
        let mut names = children.to_vec();
        names.sort_unstable();
        Ok((ChildrenState::Present { names, stat }, watch))
    }

    /// Whether no child was created or deleted since, whatever has happened to the data. The names are
    /// compared as well as the stat, since some servers do not update `pzxid` when a child is
    /// deleted.
    fn is_same(&self, known: &Self) -> bool {
        match (self, known) {
            (
                ChildrenState::Present { names, stat },
                ChildrenState::Present {
                    names: known_names,
                    stat: known,
                },
            ) => {
                let changed = |stat: &Stat| (stat.czxid, stat.pzxid);
                let (stat, known) = (changed(stat), changed(known));
                names == known_names && stat == known
            }
            (ChildrenState::Absent, ChildrenState::Absent) => true,
            _ => false,
        }
    }
}
